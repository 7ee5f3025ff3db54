"""Retention: what is old goes, whole investigations at a time, and evidence that no record names any more.

Never goes what is open, watched or kept by hand, nor what an open recommendation rests on. What goes leaves a line on
record. Work is done in small steps: each is bounded, and may be the last one.
"""

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import anyio
import anyio.to_thread
from ulid import ULID

from midwatch.errors import HostError
from midwatch.reading.recommendations import standing as recommendations_of
from midwatch.reception.old import came_since, forget, forget_strays
from midwatch.records import Incident, Message, Status
from midwatch.settings import Settings
from midwatch.storage.journal import Journal, Notes, Place
from midwatch.storage.snapshots import is_live
from midwatch_kit.errors import KitError
from midwatch_kit.evidence import EvidenceStore
from midwatch_kit.window import rfc3339

GONE: Final = "retention"
"""Where the lines stand that say what went: an investigation of its own, with no incident."""
_KEEP, _RELEASE = "keep:", "release:"
_OPEN: Final = {Status.TRIAGING, Status.INVESTIGATING, Status.AWAITING_APPROVAL, Status.MITIGATING}
_RESTS_ON: Final = ("proposed", "accepted")
_RECORDS_A_STEP: Final = 5_000
FIRST_SECONDS, EVERY_SECONDS = 60.0, 6 * 3600.0
_PAUSE_SECONDS = 0.05
_log = logging.getLogger(__name__)
_ID: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


@dataclass(frozen=True)
class Step:
    """One bounded piece of work: an investigation that went, or stays and why, or evidence that went."""

    what: Literal["gone", "stays", "evidence", "looked"]
    text: str = ""
    count: int = 0


def keep(journal: Journal, name: str, by: str, *, release: bool = False) -> None:
    """Put on record that an investigation is to be kept whatever its age, or no longer."""
    said = Message(text=f"{by}: {'keep it no longer than others' if release else 'keep it'}")
    journal.note(name, "message", f"{_RELEASE if release else _KEEP}{ULID()}", said, by)


def prune(journal: Journal, kept: EvidenceStore, settings: Settings, now: datetime, *, dry: bool) -> Iterator[Step]:
    """Yield one step of work after the other until nothing is left that is old; with `dry` nothing is changed."""
    if settings.retention.days is None:
        return
    before = now - timedelta(days=max(settings.retention.days, settings.watch.seconds / 86_400))
    old = journal.places(before)
    staying = dict(_staying(journal, old, before, now))
    for place in old:
        if place.investigation in staying:
            yield Step("stays", f"{place.investigation}  {staying[place.investigation]}")
        elif line := _forget(journal, place, before, settings.retention.days, dry=dry):
            yield Step("gone", line)
    while not dry and _forget_strays(journal, before):
        yield Step("looked")
    gone = frozenset(place.investigation for place in old if dry and place.investigation not in staying)
    yield from _prune_evidence(journal, kept, now - timedelta(days=settings.retention.evidence_days), gone, dry=dry)


def _staying(journal: Journal, old: Iterable[Place], before: datetime, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield which of the old investigations stay, each with the reason."""
    reasons = {place.investigation: _reason(journal, place.investigation, before) for place in old}
    noted: dict[str, set[str]] = {}
    for entry in journal.everywhere("recommendation"):
        noted.setdefault(str(entry.body["id"]), set()).add(entry.investigation)
    stand = {each.id: each.status for each in recommendations_of(journal, now)}
    for name, places in noted.items():
        if stand.get(name) in _RESTS_ON:
            for place in places & reasons.keys():
                reasons[place] = reasons[place] or f"the recommendation {name} rests on it, and is {stand[name]}"
    changed = True
    while changed:  # what was said of a recommendation stands in one investigation, and counts for all of them
        changed = False
        for name, places in noted.items():
            staying = sorted(place for place in places if reasons.get(place, "it is not old"))
            for place in (places & reasons.keys()) - set(staying) if staying else ():
                reasons[place], changed = f"the recommendation {name} rests on {staying[0]} too, which stays", True
    yield from ((name, reason) for name, reason in reasons.items() if reason)


def _reason(journal: Journal, name: str, before: datetime) -> str:
    """Return why an old investigation stays, by itself; '' when nothing keeps it."""
    if name == GONE:
        return "it says what went"
    marks = [e for e in journal.entries(name, kind="message") if e.key.startswith((_KEEP, _RELEASE))]
    if marks and marks[-1].key.startswith(_KEEP):
        return f"it is kept by {marks[-1].actor}"
    incident = journal.incident(name)
    if incident and incident.status in _OPEN and is_live(journal, name):
        return f"it is open ({incident.status})"
    with journal.database.reading() as connection:
        return "an alert of it came since" if came_since(connection, name, before) else ""


def _forget(journal: Journal, place: Place, before: datetime, days: float, *, dry: bool) -> str:
    """Let an investigation go, unless something was noted meanwhile; return the line that says so, '' if it stays."""
    line = _line(journal.incident(place.investigation), place, days)
    if dry:
        return line
    with journal.transaction(place.investigation) as notes:
        if not _is_old(notes, place, before):
            return ""
        forget(notes.connection, place.investigation)
        notes.forget(place.investigation)
        notes.note(GONE, "message", f"gone:{place.investigation}:{place.last_hash[:16]}", Message(text=line))
    return line


def _forget_strays(journal: Journal, before: datetime) -> int:
    with journal.database.writing() as connection:
        return forget_strays(connection, before, _RECORDS_A_STEP)


def _is_old(notes: Notes, place: Place, before: datetime) -> bool:
    now = notes.place(place.investigation)
    return now is not None and now.last_hash == place.last_hash and now.last_at < before


def _line(incident: Incident | None, place: Place, days: float) -> str:
    """Return what is known of an investigation once it is gone; an export of it can be held to the hash."""
    what = f"{incident.title!r} of {incident.service}, {incident.status}" if incident else "no incident"
    chain = f"{place.records} records up to {rfc3339(place.last_at)}, the last with hash sha256:{place.last_hash}"
    return f"{place.investigation}  {what}; {chain}; older than {days:g} days"


def _prune_evidence(
    journal: Journal, kept: EvidenceStore, before: datetime, gone: frozenset[str], *, dry: bool
) -> Iterator[Step]:
    """Let evidence go that no record names, and that nobody has put since a moment.

    Names are gathered from all records first. What is named later was put later, so it is too young to go.
    """
    named: set[bytes] = set()
    position = 0
    while page := journal.bodies(position, _RECORDS_A_STEP):
        for _, investigation, body in page:
            if investigation not in gone:
                named.update(bytes.fromhex(name) for name in _ID.findall(body))
        position = page[-1][0]
        yield Step("looked")
    for prefix in (f"{number:02x}" for number in range(256)):
        old = [name for name in kept.untouched_since(before, prefix) if bytes.fromhex(name) not in named]
        if not dry:
            kept.drop(old)
        yield Step("evidence" if old else "looked", count=len(old))


async def keep_pruning(journal: Journal, kept: EvidenceStore, settings: Settings) -> None:
    """Let go what is old, step by step, now and then, until cancelled; what breaks is tried again the next time."""
    while True:
        await anyio.sleep(FIRST_SECONDS)
        steps = prune(journal, kept, settings, datetime.now(UTC), dry=False)
        try:
            while await anyio.to_thread.run_sync(next, steps, None):  # noqa: ASYNC110 - work, and pauses for others
                await anyio.sleep(_PAUSE_SECONDS)
        except (HostError, KitError, OSError) as error:
            _log.warning("retention goes on later: %s", error)
        await anyio.sleep(EVERY_SECONDS)
