"""The recommendations as they stand: read from the journal over all incidents, ranked by what they would prevent.

An investigation notes what it learnt among its own records, and so does whoever says what became of it. What the same
recommendation says in several places is put together here, in the order in which it was told.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from ulid import ULID

from midwatch.errors import UnknownRecommendation
from midwatch.records import Incident, Severity
from midwatch.records.recommendation import Fix, Priority, Recommendation, Standing
from midwatch.storage.journal import Entry, Journal
from midwatch.storage.privacy import hidden

EXPIRES: Final = timedelta(days=90)
"""A recommendation that nobody decided on, and that no incident since would have made, is of no use any more."""
_WEIGHTS: Final = {
    Severity.CRITICAL: 8.0, Severity.HIGH: 4.0, Severity.MEDIUM: 2.0, Severity.LOW: 1.0, Severity.INFO: 0.5,
}  # fmt: skip
_OPEN: Final = ("accepted", "proposed")
_PREVENTS: Final = ("code", "infrastructure")
"""The others only help to find a cause, or whom to ask, so they weigh less."""
_SAID: Final = "said:"
_MOST_FILES: Final = 50


@dataclass
class _Told:
    """One recommendation while it is put together: how it was told last, by which incident, and what was said of it."""

    latest: Recommendation
    fix: Fix
    at: datetime
    looks: dict[str, int] = field(default_factory=dict)
    status: Standing = "proposed"
    feedback: str = ""
    said_by: str = ""

    def hear(self, entry: Entry, told: Recommendation) -> None:
        self.latest = told
        if entry.key.startswith(_SAID):
            self.status, self.feedback, self.said_by = told.status, told.feedback, told.said_by
            return
        if self.status == "implemented" and entry.investigation not in self.looks:
            self.status, self.feedback = "proposed", f"it was implemented, and came again: {entry.investigation}"
        self.fix, self.at = _better(self.fix, told.spec), entry.at
        self.looks[entry.investigation] = max(told.look, self.looks.get(entry.investigation, 0))


@dataclass
class _Incidents:
    """What is asked of incidents, each once."""

    journal: Journal
    _looks: dict[str, int] = field(default_factory=dict)
    _weights: dict[str, float] = field(default_factory=dict)

    def looks(self, name: str) -> int:
        """Return the latest look of an incident that came to a conclusion."""
        if name not in self._looks:
            self._looks[name] = _concluded(self.journal, name)
        return self._looks[name]

    def weight(self, name: str) -> float:
        if name not in self._weights:
            latest = max(self.journal.values(name, Incident), key=lambda i: i.version, default=None)
            self._weights[name] = _WEIGHTS[latest.severity] if latest else 0.0
        return self._weights[name]


def standing(journal: Journal, now: datetime) -> list[Recommendation]:
    """Return every recommendation as it stands, those that are open first, by what they would have prevented."""
    incidents = _Incidents(journal)
    weighed: list[tuple[Recommendation, float, datetime]] = []
    for told in _heard(journal).values():
        if made := _put_together(incidents, told, now):
            weight = sum(incidents.weight(name) for name in made.incidents)
            weighed.append((made, weight if made.category in _PREVENTS else weight / 4, told.at))
    weighed.sort(key=lambda each: (each[0].status not in _OPEN, -each[1], -each[2].timestamp(), each[0].id))
    return [
        made.model_copy(update={"rank": place, "priority": _priority(weight)})
        for place, (made, weight, _) in enumerate(weighed, start=1)
    ]


def find(journal: Journal, name: str, now: datetime) -> Recommendation:
    """Return the recommendation whose id begins so; raises `UnknownRecommendation`."""
    known = standing(journal, now)
    matching = [each for each in known if name and each.id.startswith(name.lower())]
    if len(matching) != 1:
        listed = ", ".join(each.id for each in known[:5]) or "none"
        raise UnknownRecommendation(f"{name!r} is no recommendation, or not one alone; there are: {listed}")
    return matching[0]


def put_on_record(
    journal: Journal, investigation: str, look: int, learnt: Iterable[Recommendation], now: datetime
) -> list[Recommendation]:
    """Note what one look of an investigation learnt, put together with what is known of it, and return that."""
    known = {each.id: each for each in standing(journal, now)}
    noted = {}
    for each in learnt:
        before = known.get(each.id)
        fix = each.spec.model_copy(
            update={"problem": hidden(each.spec.problem), "solution": hidden(each.spec.solution)}
        )
        incidents = dict.fromkeys([*(before.incidents if before else ()), investigation])
        said = {"status": before.status, "feedback": before.feedback, "said_by": before.said_by} if before else {}
        more = {
            "version": before.version + 1 if before else 1,
            "look": look,
            "incidents": tuple(incidents),
            "spec": fix,
        }
        noted[f"{each.id}:{look}"] = each.model_copy(update={**said, **more})
    return [*journal.note_all(investigation, "recommendation", noted).values()]


def learnt_from(journal: Journal, investigation: str) -> list[Recommendation]:
    """Return what the latest look of an investigation recommends, that of its cause first."""
    look = _concluded(journal, investigation)
    entries = (e for e in journal.entries(investigation, kind="recommendation") if not e.key.startswith(_SAID))
    return [told for entry in entries if (told := Recommendation.model_validate(entry.body)).look == look]


def decide(
    journal: Journal, name: str, status: Standing, *, by: str, reason: str, now: datetime | None = None
) -> Recommendation:
    """Put on record what a person says of a recommendation, and return it as it stands then."""
    moment = now or datetime.now(UTC)
    known = find(journal, name, moment)
    said = {"status": status, "feedback": reason, "said_by": by, "version": known.version + 1}
    journal.note(known.incidents[-1], "recommendation", f"{_SAID}{ULID()}", known.model_copy(update=said), by)
    return find(journal, known.id, moment)


def in_short(each: Recommendation) -> str:
    """Return a recommendation in a line."""
    count = f"{len(each.incidents)} incident{'s' * (len(each.incidents) != 1)}"
    stands = f"{each.rank:>3}  {each.id}  {each.priority:<6} {each.status:<11} {each.category:<14}"
    return f"{stands} {each.title}  ({count})"


def told(each: Recommendation) -> list[str]:
    """Return a recommendation in lines, for people."""
    said = f": {each.feedback}" if each.feedback else ""
    fix = each.spec
    return [
        f"{each.id}  {each.title}",
        f"{each.category}, priority {each.priority}, rank {each.rank}",
        f"Status: {each.status}{f' by {each.said_by}' if each.said_by else ''}{said}",
        f"Problem: {fix.problem}",
        f"What to change{' (worded by a model)' if fix.by == 'model' else ''}: {fix.solution}",
        *([f"In: {', '.join(fix.repositories)}"] if fix.repositories else []),
        *([f"Files: {', '.join(fix.files)}"] if fix.files else []),
        *(f"Test: {test}" for test in fix.tests),
        *(f"Stage {number}: {stage}" for number, stage in enumerate(fix.stages, start=1)),
        *(f"Leave alone: {item}" for item in fix.leave_alone),
        f"Expected: {each.effect}",
        f"Would have prevented or shortened: {', '.join(each.incidents)}",
        *(f"Next: {step}" for step in each.next_steps),
    ]


def _concluded(journal: Journal, investigation: str) -> int:
    """Return the number of the latest look that came to a conclusion; others end when a person says more."""
    keys = (entry.key for entry in journal.entries(investigation, kind="conclusion"))
    return max((int(key) for key in keys if key.isdecimal()), default=0)


def _heard(journal: Journal) -> dict[str, _Told]:
    """Return everything that was told of each recommendation, by version and then by moment."""
    entries = [(entry, Recommendation.model_validate(entry.body)) for entry in journal.everywhere("recommendation")]
    heard: dict[str, _Told] = {}
    for entry, told in sorted(entries, key=lambda each: (each[1].version, each[0].at, each[0].investigation)):
        heard.setdefault(told.id, _Told(told, told.spec, entry.at)).hear(entry, told)
    return heard


def _put_together(incidents: _Incidents, told: _Told, now: datetime) -> Recommendation | None:
    """Return a recommendation as it stands; None when no incident would have been prevented by it after all."""
    named = [name for name, look in told.looks.items() if look >= incidents.looks(name)]
    if not named and not told.said_by:
        return None
    expired = told.status == "proposed" and told.at + EXPIRES < now
    return told.latest.model_copy(
        update={
            "incidents": tuple(named or told.latest.incidents),
            "spec": told.fix,
            "status": "expired" if expired else told.status,
            "feedback": told.feedback,
            "said_by": told.said_by,
        }
    )


def _better(known: Fix, told: Fix) -> Fix:
    """Return the later of two wordings, but a model's rather than code's; the files are those of both."""
    best = known if known.by == "model" and told.by == "code" else told
    files = tuple(dict.fromkeys([*told.files, *known.files]))[:_MOST_FILES]
    return best.model_copy(update={"files": files})


def _priority(weight: float) -> Priority:
    return "high" if weight >= 8 else "medium" if weight >= 2 else "low"
