"""Which incident an alert belongs to: pure functions from what is known to a decision with its reason."""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta

from ulid import ULID

from midwatch.records import Alert, Incident, Status
from midwatch_kit.records import EntityId
from midwatch_kit.window import rfc3339

_TOGETHER = timedelta(minutes=30)
_OVER = {Status.RESOLVED, Status.LINKED, Status.SKIPPED, Status.FAILED, Status.CANCELLED}


def new_incident(alert: Alert, now: datetime) -> Incident:
    """Return the incident that an alert opens; the same alert, first seen at the same moment, opens the same one."""
    return Incident(
        id=_id(alert, now),
        title=alert.title,
        status=Status.TRIAGING,
        severity=alert.severity,
        service=service_id(alert.service),
        started_at=alert.started_at,
        first_seen=now,
        symptoms=(alert.description or alert.title,),
        links=alert.links,
        runbook=alert.runbook,
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


def _id(alert: Alert, now: datetime) -> str:
    """Return a ULID (github.com/ulid/spec) of the moment whose other bits are the alert's hash instead of chance."""
    moment = ULID.from_datetime(now).bytes[:6]
    return str(ULID(moment + hashlib.sha256(f"{alert.id}|{rfc3339(now)}".encode()).digest()[:10]))


def service_id(name: str) -> EntityId:
    """Return the entity id of a service by its bare name; an id stays what it is."""
    return name if ":" in name else f"service:{name}"
