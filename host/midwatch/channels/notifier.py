"""The notifier: listens to the journal and tells each channel what it has not been told, once, and not in a hurry.

A channel that is down, throttles or refuses holds up neither an investigation nor another channel: it is tried again
with growing pauses, and a gap says so. What a crash cut off is asked for, before it is said again.
"""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

import anyio

from midwatch.channels.due import Due, due
from midwatch.channels.letters import CannotBeAsked, Channel, Undelivered
from midwatch.channels.notices import READ, Notice, notice_of
from midwatch.channels.origins import origins
from midwatch.channels.outbox import Outbox
from midwatch.errors import HostError
from midwatch.records import Gap, Message
from midwatch.settings.channels import TELLING, ChannelSettings, Stage
from midwatch.storage.journal import Entry, Journal
from midwatch.storage.privacy import hidden
from midwatch.storage.snapshots import is_live
from midwatch_kit.evidence import EvidenceStore

RECENT: Final = timedelta(days=3)
"""Incidents that began before are looked at only when something new is noted of them."""
GIVE_UP: Final = timedelta(hours=24)
_MOST_WAITING: Final = 10_000
_LONGEST_PAUSE: Final = 300.0
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Pace:
    """How long it waits, in seconds: for more to say, between looks at everything, and after a first failure."""

    gather: float = 1.0
    sweep: float = 15.0
    pause: float = 2.0
    margin: float = 10.0
    """How much longer than a request may take nobody else tells the same."""


@dataclass
class Line:
    """One channel with what waits for it."""

    name: str
    channel: Channel
    settings: ChannelSettings
    waiting: dict[str, float] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)
    tried: dict[str, int] = field(default_factory=dict)
    not_before: dict[str, float] = field(default_factory=dict)
    failures: int = 0
    closed_until: float = 0.0
    wake: anyio.Event = field(default_factory=anyio.Event)

    @property
    def stages(self) -> frozenset[Stage]:
        """The turning points that are said here."""
        return self.channel.style.stages if self.settings.tell is None else frozenset(self.settings.tell)

    def expect(self, investigation: str, at: float) -> None:
        """Look at an incident at a moment of the loop's clock, sooner if it waits already, later if it was put off."""
        if investigation not in self.waiting and len(self.waiting) >= _MOST_WAITING:
            return  # the next look at everything finds it
        at = max(at, self.not_before.get(investigation, at))
        self.waiting[investigation] = min(at, self.waiting.get(investigation, math.inf))
        self.wake.set()

    def put_off(self, investigation: str, at: float) -> None:
        """Look at an incident at a moment of the loop's clock, and not before, whatever is heard until then."""
        self.not_before[investigation] = self.waiting[investigation] = at
        self.wake.set()

    def ready(self, now: float) -> list[str]:
        """Return the incidents that can be told of now, as many as there is room for."""
        if now < self.closed_until:
            return []
        room = self.settings.at_once - len(self.busy)
        return [name for name, at in self.waiting.items() if at <= now and name not in self.busy][: max(0, room)]

    def next_at(self) -> float:
        """Return when there is something to do, unless something new comes first."""
        free = [at for name, at in self.waiting.items() if name not in self.busy]
        return max(self.closed_until, min(free, default=math.inf))


@dataclass
class Notifier:
    """Tells channels what the journal says; `run` does until it is cancelled."""

    journal: Journal
    kept: EvidenceStore
    outbox: Outbox
    lines: Mapping[str, Line]
    pace: Pace = field(default_factory=Pace)
    _loop: asyncio.AbstractEventLoop | None = None

    def hear(self, entry: Entry) -> None:
        """Take notice of a record; a listener of the journal, in whatever thread that is written."""
        if entry.type in READ and self._loop is not None:
            self._loop.call_soon_threadsafe(self._expect, self._loop.time(), entry.investigation)

    async def run(self) -> None:
        """Tell what was not told yet, and what comes, until cancelled."""
        self._loop = asyncio.get_running_loop()
        async with anyio.create_task_group() as group:
            for line in self.lines.values():
                group.start_soon(self._serve, line)
            while True:
                self._sweep()
                await anyio.sleep(self.pace.sweep)

    def _expect(self, now: float, investigation: str) -> None:
        for line in self.lines.values():
            line.expect(investigation, now + self.pace.gather)

    def _sweep(self) -> None:
        """Look for what other processes noted, and for what was left over from before a crash."""
        try:
            unseen = self.outbox.unseen(datetime.now(UTC) - RECENT, self.lines)
        except HostError:
            return  # the database is away: the next look comes
        for investigation, name in unseen:
            self.lines[name].expect(investigation, anyio.current_time())

    async def _serve(self, line: Line) -> None:
        async with anyio.create_task_group() as group:
            while True:
                line.wake = anyio.Event()
                for investigation in line.ready(anyio.current_time()):
                    del line.waiting[investigation]
                    line.busy.add(investigation)
                    group.start_soon(self._attend, line, investigation)
                with anyio.move_on_after(max(0.0, line.next_at() - anyio.current_time())):
                    await line.wake.wait()

    async def _attend(self, line: Line, investigation: str) -> None:
        """Tell one channel of one incident; whatever goes wrong is put off, not passed on."""
        try:
            await self.tell(line, investigation)
            line.failures = 0
            line.tried.pop(investigation, None)
            line.not_before.pop(investigation, None)
        except Undelivered as error:
            self._put_off(line, investigation, error)
        except Exception as error:
            self._put_off(line, investigation, Undelivered(f"it broke: {type(error).__name__}: {error}"[:300]))
        finally:
            line.busy.discard(investigation)
            line.wake.set()

    async def tell(self, line: Line, investigation: str) -> None:
        """Say everything that is due of an incident; raises `Undelivered`."""
        seen = self.outbox.last_record(investigation)
        notice = notice_of(self.journal, investigation, origins(self.journal, self.kept, investigation))
        began = self.outbox.begun(investigation, line.name)
        if not self.outbox.take(investigation, line.name, self._lease(line)):
            line.expect(investigation, anyio.current_time() + self._lease(line))
            return
        done = False
        try:
            if notice and is_live(self.journal, investigation) and _is_for(line, notice, began=began):
                await self._say_all(line, notice)
            done = True
        finally:
            self.outbox.release(investigation, line.name, seen if done else None)

    async def _say_all(self, line: Line, notice: Notice) -> None:
        known = self.outbox.known(notice.incident, line.name)
        since = {part: delivery.since for part, delivery in known.items()}
        for each in due(line.name, line.channel, line.stages, notice, known):
            try:
                await self._say(line, each)
            except Undelivered as error:
                if not self._given_up(line, each, error, since.get(each.parts[0])):
                    raise

    async def _say(self, line: Line, each: Due) -> None:
        incident, letter = each.letter.notice.incident, each.letter
        if each.change_at is not None:
            place = each.change_at
            await self._bounded(line, incident, lambda: line.channel.change(place, letter))
            self.outbox.told(incident, line.name, each.parts, place, each.said)
            return
        found = await self._found(line, each) if each.perhaps else None
        if found is None:
            self.outbox.intend(incident, line.name, each.parts, letter.id)
            try:
                found = await self._bounded(line, incident, lambda: line.channel.send(letter))
            except Undelivered as error:
                if not error.perhaps:
                    self.outbox.unsent(incident, line.name, each.parts)
                raise
        self.outbox.told(incident, line.name, each.parts, found, each.said)
        said = "; ".join(point.text for point in letter.points) or f"{letter.notice.title}: {letter.notice.headline}"
        told = Message(text=f"told {line.name}: {said}"[:1000])
        self.journal.note(incident, "message", f"told:{line.name}:{letter.id}", told, f"channel {line.name}")

    async def _found(self, line: Line, each: Due) -> str | None:
        """Return where a letter is that may have been sent; None when it is not there, or nobody can say."""
        try:
            return await self._bounded(line, each.letter.notice.incident, lambda: line.channel.find(each.letter))
        except CannotBeAsked:
            return None

    async def _bounded(self, line: Line, incident: str, work: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Wait for one request no longer than it may take, while nobody else tells the same."""
        if not self.outbox.take(incident, line.name, self._lease(line)):
            raise Undelivered("another host tells it by now")
        try:
            with anyio.fail_after(line.settings.seconds):
                return await work()
        except TimeoutError:
            raise Undelivered(f"no answer within {line.settings.seconds:g} s", perhaps=True) from None

    def _lease(self, line: Line) -> float:
        return line.settings.seconds + self.pace.margin

    def _given_up(self, line: Line, each: Due, error: Undelivered, since: datetime | None) -> bool:
        """Give up what will never be taken, and what was not for a day; returns whether it was."""
        too_long = since is not None and datetime.now(UTC) - since > GIVE_UP
        if not error.hopeless and not too_long:
            return False
        incident = each.letter.notice.incident
        self.outbox.give_up(incident, line.name, each.parts)
        self._note_gap(line, incident, f"{error}; it is not tried again", f"given up:{each.letter.id}")
        return True

    def _put_off(self, line: Line, investigation: str, error: Undelivered) -> None:
        """Try an incident again later; a channel that is shut for all is left alone as a whole."""
        now, count = anyio.current_time(), line.tried.get(investigation, 0) + 1
        line.tried[investigation] = count
        line.failures += 1
        kind = "refused" if error.refused else "throttled" if error.pause is not None else "failed"
        if error.pause is not None:
            line.closed_until = max(line.closed_until, now + error.pause)
        elif error.refused:
            line.closed_until = now + min(_LONGEST_PAUSE, 15 * self.pace.pause * 2 ** min(line.failures, 8))
        pause = min(_LONGEST_PAUSE, self.pace.pause * 2 ** min(count - 1, 12)) * random.uniform(0.5, 1.0)  # noqa: S311
        line.put_off(investigation, now + pause)
        self._note_gap(line, investigation, str(error), kind)

    def _note_gap(self, line: Line, investigation: str, why: str, kind: str) -> None:
        """Put on record that a channel could not be told, once for each way in which it could not."""
        gap = Gap(what=f"{TELLING}{line.name}", why=hidden(why)[:500], may_hide="that people there know how it stands")
        try:
            self.journal.note(investigation, "gap", f"telling:{line.name}:{kind}", gap, f"channel {line.name}")
        except HostError:
            return  # the journal is away, which others say


def _is_for(line: Line, notice: Notice, *, began: bool) -> bool:
    """Whether a channel is told of an incident: not if it was over before anybody was to be told here."""
    if notice.over and not began:
        return False
    return line.settings.concerns(notice.severity, notice.service, notice.owner) and line.channel.has_place(notice)
