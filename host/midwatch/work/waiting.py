"""What waits to be worked on, read from the journal: due, and not resting until somebody decides."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from midwatch.records import Decision, Incident, Plan, Severity, Status
from midwatch.steering.steers import unheeded
from midwatch.storage.journal import Journal
from midwatch.storage.snapshots import elsewhere

_GIVEN_UP = {Status.FAILED, Status.LINKED, Status.SKIPPED, Status.CANCELLED}
_BY_SEVERITY = [*reversed(Severity)]
_FOR_A_PERSON = len(_BY_SEVERITY)


@dataclass(frozen=True)
class Waiting:
    """What can be worked on now.

    `decided` have a plan that was decided on, is carried out, or waited long enough for a decision: to end them takes
    no place of an investigation, and waits for none. `others` are to be investigated, the most urgent first and of
    those the oldest.
    """

    decided: tuple[Incident, ...]
    others: tuple[Incident, ...]


def unfinished(journal: Journal, only: str | None = None) -> list[Incident]:
    """Return the incidents whose latest look has no report yet and was not given up, oldest first; or `only` that."""
    return [incident for incident in journal.incidents(due=True, only=only) if incident.status not in _GIVEN_UP]


def waiting(journal: Journal, patience: timedelta, only: str | None = None) -> Waiting:
    """Return what can be worked on now: its telemetry is live, and nobody is waited for.

    `patience` is how long a plan waits for a person; `only` is the one incident that is asked for. It asks the journal
    a few questions, however much is due, and some more about each plan of which somebody said something.
    """
    due = unfinished(journal, only)
    away = elsewhere(journal) if due else set()
    live = [incident for incident in due if incident.id not in away]
    planned = {incident.id for incident in live if incident.status is Status.AWAITING_APPROVAL}
    decided, resting = _of_plans(journal, planned, patience) if planned else (set(), set())
    decided |= {incident.id for incident in live if incident.status is Status.MITIGATING}
    others = (incident for incident in live if incident.id not in decided | resting)
    return Waiting(
        tuple(incident for incident in live if incident.id in decided),
        tuple(sorted(others, key=urgency, reverse=True)),
    )


def urgency(incident: Incident) -> int:
    """Return how urgent it is to investigate an incident, more for what is more: severity, but before it a person.

    Whose plan is on record is looked at again only because somebody said something new about it.
    """
    asked = incident.status is Status.AWAITING_APPROVAL
    return _FOR_A_PERSON if asked else _BY_SEVERITY.index(incident.severity)


def with_places(incidents: Iterable[Incident], taken: Counter[str], most: int) -> Iterator[Incident]:
    """Yield the incidents whose team has a place left, of `most`; what each team has `taken` is counted on."""
    for incident in incidents:
        if incident.owner is None or taken[incident.owner] < most:
            taken.update([incident.owner] if incident.owner else [])
            yield incident


def _of_plans(journal: Journal, planned: set[str], patience: timedelta) -> tuple[set[str], set[str]]:
    """Return whose plan was decided on or waited long enough, and whose plan rests; the others were steered."""
    since = journal.last_noted("plan")
    decisions, steers = journal.last_noted("decision"), journal.last_noted("steer")
    late = datetime.now(UTC) - patience
    decided, resting = set(), set()
    for name in planned & {*since}:
        if name in steers and unheeded(journal, name):
            continue
        if since[name] <= late or (name in decisions and _is_decided(journal, name)):
            decided.add(name)
        else:
            resting.add(name)
    return decided, resting


def _is_decided(journal: Journal, name: str) -> bool:
    plan = journal.values(name, Plan)[-1]
    return journal.recall(name, "decision", plan.digest, Decision) is not None
