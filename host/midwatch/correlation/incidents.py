"""The incident that an alert opens, and how bad it is: as bad as its alerts say, and worse by how far it reaches."""

from collections.abc import Collection
from datetime import datetime

from midwatch.correlation.deciding import incident_id
from midwatch.correlation.kinds import kind_of
from midwatch.correlation.neighbourhood import Neighbourhood
from midwatch.correlation.ongoing import Outage, service_id
from midwatch.records import Alert, Incident, Severity, Status
from midwatch.records.incident import Triage
from midwatch_kit.records import EntityId

_FAR = 5
"""How many services an outage reaches that is one step more severe than its worst alert."""
_FIRST_ALERTS = 20
_OWNERS = ("team", "owner", "squad")
"""Labels that by custom say whose an alert is."""
_LADDER = [*Severity]


def new_incident(alert: Alert, now: datetime) -> Incident:
    """Return the incident that an alert opens; the same alert, first seen at the same moment, opens the same one.

    It began no later than it was seen, whatever the sender's clock says.
    """
    return Incident(
        id=incident_id(alert, now),
        title=alert.title,
        status=Status.TRIAGING,
        severity=alert.severity,
        service=service_id(alert.service),
        started_at=min(alert.started_at, now),
        first_seen=now,
        symptoms=(alert.description or alert.title,),
        links=alert.links,
        runbook=alert.runbook,
        owner=next((alert.labels[name] for name in _OWNERS if alert.labels.get(name)), None),
        alerts=(alert.id,),
        triage=Triage(category=kind_of(alert).category),
    )


def raised(severity: Severity, places: Collection[EntityId], area: Neighbourhood) -> tuple[Severity, str]:
    """Return how bad an outage at these places is, and why that is worse than its worst alert says; '' when it isn't.

    It is one step worse when it reaches five services or more, those that alert and those that depend on them. What is
    only for information is never raised.
    """
    if severity in (Severity.CRITICAL, Severity.INFO):
        return severity, ""
    reached = {place for place in places if place.startswith("service:")}
    reached |= {service for place in places for service in area.radius(place)}
    worse = _LADDER[_LADDER.index(severity) - 1]
    if len(reached) >= _FAR:
        return worse, f"it reaches {len(reached)} services: {len({*places})} alert, and others depend on them"
    return severity, ""


def grown(incident: Incident, outage: Outage, area: Neighbourhood, alert_ids: Collection[str]) -> Incident:
    """Return an incident as it stands with further alerts: how bad, how many, and the first ones by id."""
    severity, why = raised(outage.severity, outage.places, area)
    triage = incident.triage.model_copy(
        update={
            "alerts": outage.alerts,
            "services": sum(1 for place in outage.places if place.startswith("service:")),
            "raised": why,
            "flapping": incident.triage.flapping or outage.flapping,
        }
    )
    first = tuple(dict.fromkeys([*incident.alerts, *alert_ids]))[:_FIRST_ALERTS]
    return incident.model_copy(update={"severity": severity, "triage": triage, "alerts": first})


def tells_more(before: Incident, after: Incident) -> bool:
    """Return whether what changed is worth a new version: how bad it is, where, or twice as many alerts.

    A storm then makes as many versions as its count has doublings, and not one for each alert.
    """
    old, new = before.triage, after.triage
    return (
        (before.severity, old.services, old.flapping) != (after.severity, new.services, new.flapping)
        or new.alerts.bit_length() > old.alerts.bit_length()
        or (len(before.alerts) == 1 and len(after.alerts) > 1)
    )
