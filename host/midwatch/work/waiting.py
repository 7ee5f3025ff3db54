"""What waits to be worked on, read from the journal: due, and not resting until somebody decides."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from midwatch.records import Decision, Incident, Plan, Status
from midwatch.steering.steers import unheeded
from midwatch.storage.journal import Journal
from midwatch.storage.snapshots import is_live

_GIVEN_UP = {Status.FAILED, Status.LINKED, Status.SKIPPED, Status.CANCELLED}


def unfinished(journal: Journal) -> list[Incident]:
    """Return the incidents whose latest look has no report yet and was not given up, oldest first."""
    return [incident for incident in journal.incidents(due=True) if incident.status not in _GIVEN_UP]


def waiting(journal: Journal, patience: timedelta) -> Iterator[Incident]:
    """Yield the incidents that can be worked on now, oldest first: their telemetry is live, and nobody is waited for.

    `patience` is how long a plan waits for a person.
    """
    for incident in unfinished(journal):
        rests = incident.status is Status.AWAITING_APPROVAL and not _goes_on(journal, incident.id, patience)
        if not rests and is_live(journal, incident.id):
            yield incident


def with_places(incidents: Iterable[Incident], taken: Counter[str], most: int) -> Iterator[Incident]:
    """Yield the incidents whose team has a place left, of `most`; what each team has `taken` is counted on."""
    for incident in incidents:
        if incident.owner is None or taken[incident.owner] < most:
            taken.update([incident.owner] if incident.owner else [])
            yield incident


def _goes_on(journal: Journal, name: str, patience: timedelta) -> bool:
    """Whether an investigation that rests has something to go on with: a decision, a steer, or no patience left."""
    plans = [*journal.entries(name, kind="plan")]
    if not plans:
        return True
    plan = Plan.model_validate(plans[-1].body)
    decided = journal.recall(name, "decision", plan.digest, Decision) is not None
    return decided or datetime.now(UTC) - plans[-1].at >= patience or bool(unheeded(journal, name))
