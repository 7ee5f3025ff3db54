"""Which incident an alert belongs to: pure functions from what is known to a decision with its reason."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from ulid import ULID

from midwatch.records import Alert, Incident, Status
from midwatch_kit.records import EntityId

_TOGETHER = timedelta(minutes=30)
_OVER = {Status.RESOLVED, Status.LINKED, Status.SKIPPED, Status.FAILED, Status.CANCELLED}


def new_incident(alert: Alert, now: datetime) -> Incident:
    """Return the incident that an alert opens."""
    return Incident(
        id=str(ULID.from_datetime(now)),
        title=alert.title,
        status=Status.TRIAGING,
        severity=alert.severity,
        service=service_id(alert.service),
        started_at=alert.started_at,
        first_seen=now,
        symptoms=(alert.description or alert.title,),
        links=alert.links,
        alerts=(alert.id,),
    )


def belongs_to(alert: Alert, incidents: Iterable[Incident]) -> tuple[Incident, str] | None:
    """Return the open incident that an alert is part of, and why; None when it opens one of its own."""
    for incident in incidents:
        if alert.id in incident.alerts:
            return incident, "the same alert was sent before"
        near = abs(alert.started_at - incident.started_at) <= _TOGETHER
        if incident.status not in _OVER and near and incident.service == service_id(alert.service):
            return incident, f"an incident of {alert.service} that began within 30 minutes of it is open"
    return None


def service_id(name: str) -> EntityId:
    """Return the entity id of a service by its bare name; an id stays what it is."""
    return name if ":" in name else f"service:{name}"
