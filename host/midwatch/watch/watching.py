"""The task that watches: takes the looks that are due, and notes what follows from them. Read-only.

What is due, and how it goes on, follows from the journal; here only the clock is kept. Waiting goes by a clock that
does not jump, windows by the time of day that telemetry has.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import anyio
import anyio.to_thread

from midwatch.clocks import steady, wall
from midwatch.errors import DatabaseDown
from midwatch.inquiry import Inquiry, Limits
from midwatch.mcp_client.toolbox import Eyes
from midwatch.records import Incident, Message, Scope, Status, Steer
from midwatch.records.watch import Watch
from midwatch.settings import Settings
from midwatch.storage.claim import claim
from midwatch.storage.journal import Entry, Journal
from midwatch.troubles import Trouble
from midwatch.watch.course import Next, flapping, follows, returned
from midwatch.watch.sight import look
from midwatch.watch.standing import BY, Standing, standing
from midwatch_kit.records import Signal, Window
from midwatch_kit.server import Role
from midwatch_kit.window import rfc3339

_TICK: Final = 0.5
_OVERLAP: Final = timedelta(minutes=5)
_BUSY: Final = 5.0
_EARLY: Final = 1.0
_JUMP: Final = 5.0
"""Seconds by which the two clocks may differ over one wait before that is called a jump."""
_BURST_SECONDS: Final = 10.0
_OVER: Final = (Status.RESOLVED, Status.LINKED, Status.SKIPPED, Status.FAILED, Status.CANCELLED)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Here:
    """When an incident was looked at here last, by both clocks, and which look of which round that was."""

    steady: float
    wall: datetime
    look: tuple[int, int]


@dataclass
class RecoveryWatch:
    """Watches the incidents of one host; `run` does it until cancelled.

    `ours` says of an incident whether its telemetry is what the servers here tell, `forbidden` why a tool is not asked.
    Every `find_every` seconds the journal is asked what other processes noted.
    """

    settings: Settings
    journal: Journal
    eyes: Eyes
    ours: Callable[[str], bool] = lambda _: True
    forbidden: Callable[[str, str], str] = lambda _server, _tool: ""
    wall: Callable[[], datetime] = wall
    steady: Callable[[], float] = steady
    find_every: float = 15.0
    _due: dict[str, float] = field(default_factory=dict)
    _looked: dict[str, _Here] = field(default_factory=dict)
    _stirred: set[str] = field(default_factory=set)
    _found: datetime | None = None
    _find_at: float = 0.0
    _left: float = 0.0
    _filled_at: float | None = None

    async def run(self) -> None:
        """Take each look when it is due, until cancelled."""
        self.journal.listeners.append(self.hear)
        trouble = Trouble(_log, "the recovery watch")
        try:
            while True:
                wait = _TICK
                try:
                    wait = await self.step()
                    trouble.over()
                except Exception as error:  # a journal that is away for a while must not end the host
                    trouble.met(error)
                await anyio.sleep(min(max(wait, 0.0), _TICK))
        finally:
            self.journal.listeners.remove(self.hear)

    def hear(self, entry: Entry) -> None:
        """Take note of a record that may change what is watched; may be called from any thread."""
        if entry.actor == BY:
            return
        of_watched = entry.investigation in self._due and (
            entry.type in ("incident", "steer") or entry.key.startswith(("alert:", "alerts:"))
        )
        if _turns(entry) or of_watched or entry.type == "report":
            self._stirred.add(entry.investigation)

    async def step(self) -> float:
        """Take the looks that are due, as many as may be asked for now, and return the seconds until more may be."""
        await self._find()
        for name in [*self._stirred]:
            self._stirred.discard(name)  # what is said of it meanwhile stirs it anew
            try:
                self._stir(name)
            except BaseException:
                self._stirred.add(name)  # nobody else would remember it
                raise
        now = self.steady()
        due = sorted((at, name) for name, at in self._due.items() if at <= now)
        places = anyio.CapacityLimiter(self.settings.watch.at_once)
        async with anyio.create_task_group() as group:
            for _, name in due:
                if wait := self._until_more_may_be_asked():
                    return wait
                group.start_soon(self._attend, name, places)
        return min([*self._due.values(), self._find_at]) - self.steady()

    async def _find(self) -> None:
        """Find out what came to be watched, or was said of an alert, by what any process noted."""
        if self.steady() < self._find_at:
            return
        since, found = self._found, self.wall() - _OVERLAP
        if since is None:  # what was closed lately may come back
            since = self.wall() - timedelta(seconds=self.settings.watch.reopen_seconds)
            watched = await anyio.to_thread.run_sync(lambda: self.journal.incidents(status=Status.WATCHING))
            self._stirred |= {incident.id for incident in watched}
        turned = await anyio.to_thread.run_sync(self.journal.latest, "incident", since)
        alerts = await anyio.to_thread.run_sync(self.journal.latest, "message", since)
        self._stirred |= {entry.investigation for entry in turned if _turns(entry) or entry.investigation in self._due}
        self._stirred |= {entry.investigation for entry in alerts if entry.investigation in self._due}
        self._found, self._find_at = found, self.steady() + self.find_every

    def _stir(self, name: str) -> None:
        """Put an incident where it belongs: among those that are looked at, at its time, or not among them."""
        known = standing(self.journal, name, self.settings.watch) if self.ours(name) else None
        if known is None or (known.ended and not known.news):
            self._due.pop(name, None)
        elif known.news:
            self._due[name] = self.steady() + max(0.0, self.settings.settle_seconds - self._since_look(known))
        elif name not in self._due:
            self._due[name] = self.steady() + self._remaining(known)

    def _remaining(self, known: Standing) -> float:
        """Return how long to wait for an incident that nobody here has looked at: the rest of what was waited for."""
        step = follows(known.looks, known.facts, self.settings.watch)
        if step.what != "look":
            return 0.0
        return max(0.0, min(step.wait, step.wait - self._since_look(known)))

    def _since_look(self, known: Standing) -> float:
        """Return the seconds since the last look, or since there was something to look at."""
        if here := self._here(known):
            return self.steady() - here.steady
        last = max([look.at for look in known.looks[-1:]] + [known.since])
        return max(0.0, (self.wall() - last).total_seconds())

    def _here(self, known: Standing) -> _Here | None:
        """Return when the last look was taken, if it was taken here: else only the time of day tells."""
        here = self._looked.get(known.incident.id)
        return here if here and here.look == (known.round, len(known.looks)) else None

    def _until_more_may_be_asked(self) -> float:
        """Return the seconds until one more incident may be looked at, 0 for now; what it may ask is taken off then.

        So many calls a minute are there for all of them together.
        """
        now, a_second = self.steady(), self.settings.watch.calls_per_minute / 60
        price = max(1, *(len(self.eyes.tools(Role.SURVEY, signal)) for signal in (Signal.TRACES, Signal.METRICS)))
        most = max(a_second * _BURST_SECONDS, price)
        passed = now - self._filled_at if self._filled_at is not None else _BURST_SECONDS
        self._left, self._filled_at = min(most, self._left + passed * a_second), now
        if self._left < price:
            return (price - self._left) / a_second
        self._left -= price
        return 0.0

    async def _attend(self, name: str, places: anyio.CapacityLimiter) -> None:
        """Look at one incident, unless somebody else works on it; whatever breaks is tried again later."""
        async with places:
            try:
                with claim(self.settings.data_dir / "claims", self.journal.database, name) as mine:
                    if mine:
                        await self._watch(name)
                    else:
                        self._due[name] = self.steady() + _BUSY
            except DatabaseDown as error:
                _log.warning("%s is looked at later: %s", name, error)
                self._due[name] = self.steady() + _BUSY
            except Exception as error:  # one incident that cannot be looked at must not stop the others
                _log.warning("cannot look at %s: %s: %s", name, type(error).__name__, error)
                self._due[name] = self.steady() + self.settings.watch.longest_seconds

    async def _watch(self, name: str) -> None:
        known = standing(self.journal, name, self.settings.watch) if self.ours(name) else None
        if known is None or (known.ended and not known.news):
            self._due.pop(name, None)
            return
        step = self._left_alone(known) or follows(known.looks, known.facts, self.settings.watch)
        if step.what == "look" and not known.news and (wait := self._remaining(known)) > _EARLY:
            self._due[name] = self.steady() + wait  # another host was faster
            return
        if step.what == "look" or known.news:
            known, step = await self._look(known)
        self._act(known, step)

    def _left_alone(self, known: Standing) -> Next | None:
        """Return the end of a watch that nobody kept for so long that nothing can be said of that time any more."""
        if known.incident.id in self._looked or self._since_look(known) <= self.settings.watch.seconds:
            return None
        since = max([look.at for look in known.looks[-1:]] + [known.since])
        return Next("stop", reason=f"not watched any more: nobody looked since {rfc3339(since)}")

    async def _look(self, known: Standing) -> tuple[Standing, Next]:
        """Take one look and put it on record; return how the incident stands then, and what follows."""
        name, watch = known.incident.id, self.settings.watch
        window, waited = self._window(known)
        left = watch.calls - known.facts.calls - sum(each.calls for each in known.looks)
        limits = Limits(2 * self.settings.call_seconds, max(1, left), self.settings.call_seconds)
        inquiry = Inquiry(name, self.journal, self.eyes, self.eyes.kept, limits, self.forbidden)
        seen = await look(inquiry, self.journal.values(name, Scope)[-1], window)
        if seen.symptom == "unknown":
            inquiry.gap(f"recovery of {known.incident.service}", "a look found nobody to tell", "whether it is over")
        figures = seen.health.model_dump(include={"requests", "errors", "latency_p95_ms"}) if seen.health else {}
        made = Watch(
            round=known.round,
            number=len(known.looks) + 1,
            at=self.wall(),
            window=window,
            symptom=seen.symptom,
            statement=seen.statement,
            evidence=seen.evidence,
            calls=seen.calls,
            waited_seconds=round(waited, 3),
            **figures,
        )
        step = follows((*known.looks, made), known.facts, watch)
        made = made.model_copy(update={"next_seconds": step.wait})
        self.journal.note(name, "watch", f"{made.round}:{made.number}", made, BY)
        return standing(self.journal, name, watch) or known, step

    def _window(self, known: Standing) -> tuple[Window, float]:
        """Return the time since the last look that measured something, and how long it really was since the last.

        When the time of day has jumped meanwhile, the window is as long as it really was, and that is on record.
        """
        name, now, moment = known.incident.id, self.steady(), self.wall()
        since = max([each.at for each in known.looks[-1:]] + [known.since])
        apart = (moment - since).total_seconds()
        here = self._here(known)
        waited = now - here.steady if here else max(0.0, apart)
        jumped = (moment - here.wall).total_seconds() - waited if here else min(0.0, apart)
        self._looked[name] = _Here(now, moment, (known.round, len(known.looks) + 1))
        end = moment - timedelta(seconds=self.settings.gather_seconds)
        told = [each.window.end for each in known.looks if each.symptom != "unknown"]
        start = told[-1] if told else known.since - timedelta(seconds=self.settings.gather_seconds)
        if abs(jumped) > _JUMP:
            start = end - timedelta(seconds=waited)
            text = f"the clock jumped by {jumped:+.0f} s: the next look is at {waited:.0f} s, as long as it really was"
            self._say(known, f"clock:{len(known.looks) + 1}", text)
        earliest = end - timedelta(seconds=self.settings.watch.longest_seconds)
        latest = end - timedelta(seconds=self.settings.settle_seconds)
        return Window(start=min(max(start, earliest), latest), end=end), waited

    def _act(self, known: Standing, step: Next) -> None:
        """Put on record what follows, once, and when to look again."""
        name, watch = known.incident.id, self.settings.watch
        if flapping(known.looks, known.facts, watch):
            text = "the symptom comes and goes: it is looked at less and less often"
            self.journal.note(name, "message", "watch:flapping", Message(text=text), BY)
        if step.what == "reopen" and (newer := self._newer(known)):
            step = Next("stop", reason=f"{step.reason}. {newer} looks into it")
        if step.what == "close":
            self._say(known, "resolved", f"resolved: {step.reason}")
            self._becomes(known.incident, Status.RESOLVED, step.reason)
        if step.what == "back":
            self._say(known, "back", step.reason)
            self._becomes(known.incident, Status.WATCHING, step.reason)
        if step.what == "reopen":
            self._reopen(known, step.reason)
        if step.what == "stop":
            self._stop(known, step.reason)
        again = standing(self.journal, name, watch)
        if again is None or again.ended:
            self._due.pop(name, None)
            return
        after = follows(again.looks, again.facts, watch)
        self._due[name] = self.steady() + (after.wait if after.what == "look" else 0.0)

    def _reopen(self, known: Standing, reason: str) -> None:
        """Have the incident investigated again over the time of the return, as a person's word would."""
        back = returned(known.looks)
        before = timedelta(seconds=self.settings.settle_seconds)
        until = back[-1].window.end
        told = Steer(text=reason[:1000], by=BY, since=back[0].window.start - before, until=until, at=self.wall())
        self._say(known, "reopened", f"investigated again: {reason}")
        self.journal.note(known.incident.id, "steer", f"told:{known.key('back')}", told, BY)
        self._becomes(known.incident, Status.INVESTIGATING, reason)

    def _stop(self, known: Standing, reason: str) -> None:
        if reason and known.incident.status is Status.WATCHING:
            self._becomes(known.incident, Status.WATCHING, reason)
        self._say(known, "over", reason or "it stayed closed, and is not looked at any more")

    def _newer(self, known: Standing) -> str:
        """Return the id of an open incident of the same service that began after this one was closed; '' for none."""
        others = (other for other in self.journal.incidents() if other.status not in _OVER)
        mine = known.incident
        newer = (o for o in others if o.service == mine.service and o.first_seen > known.since and o.id != mine.id)
        return next((other.id for other in newer), "")

    def _say(self, known: Standing, what: str, text: str) -> None:
        self.journal.note(known.incident.id, "message", known.key(what), Message(text=text), BY)

    def _becomes(self, incident: Incident, status: Status, reason: str) -> None:
        """Note a status with its reason; where the incident is so already, only another reason is noted."""
        while True:
            latest = self.journal.incident(incident.id) or incident
            if (latest.status, latest.reason) == (status, reason) or latest.status in (Status.LINKED, Status.SKIPPED):
                return
            later = latest.model_copy(update={"status": status, "reason": reason, "version": latest.version + 1})
            if self.journal.note(incident.id, "incident", str(later.version), later, BY) == later:
                return  # else alerts came in between, and made a version of their own


def _turns(entry: Entry) -> bool:
    """Whether with a record an incident came to be watched, or was closed."""
    return entry.type == "incident" and entry.body.get("status") in (Status.WATCHING, Status.RESOLVED)
