"""PagerDuty's V3 webhooks (developer.pagerduty.com/docs/webhooks-overview).

What is told of an incident becomes an alert; notes, responders, status updates and services do not.
"""

from pydantic import Field, JsonValue

from midwatch.intake.parts import (
    Action,
    Began,
    Draft,
    Labels,
    Shape,
    Text,
    Told,
    finished,
    runbook,
    severity,
    validated,
)
from midwatch.records import Alert, Severity

_BEGINS = {"incident.triggered", "incident.reopened"}
_URGENCY = {"high": Severity.HIGH, "low": Severity.LOW}


class _Named(Shape):
    id: Text = ""
    summary: Text = ""


class _CustomField(Shape):
    name: Text = ""
    value: JsonValue = None


class _Incident(Shape):
    id: Text = Field(min_length=1)
    title: Text = ""
    html_url: Text = ""
    created_at: Began
    incident_key: Text = ""
    service: _Named = _Named()
    priority: _Named | None = None
    urgency: Text = ""
    teams: list[_Named] = Field(default_factory=list)
    escalation_policy: _Named | None = None
    resolve_reason: JsonValue = None
    custom_fields: list[_CustomField] = Field(default_factory=list)
    labels: Labels = Field(default_factory=dict)


class _Kind(Shape):
    type: Text = ""
    status: Text = ""


class _Event(Shape):
    event_type: Text = Field(min_length=1)
    occurred_at: Began
    data: _Kind | None = None


class _Told(Shape):
    event: _Event


class _OfIncident(Shape):
    data: _Incident


class _ToldOfIncident(Shape):
    event: _OfIncident


def from_pagerduty(body: JsonValue, told: Told) -> list[Alert]:
    """Return the alert of a V3 webhook about an incident, none of another; raises `BadAlert`."""
    event = validated(_Told, body).event
    if not event.event_type.startswith("incident.") or event.data is None or event.data.type != "incident":
        return []
    if event.data.status == "resolved" and event.event_type not in {"incident.resolved", *_BEGINS}:
        return []  # what people write down afterwards is no news of the trouble
    incident = validated(_ToldOfIncident, body).event.data
    labels = _labels(incident)
    priority = incident.priority.summary if incident.priority else ""
    draft = Draft(
        source="pagerduty",
        external=incident.id,
        title=incident.title,
        started_at=event.occurred_at if event.event_type == "incident.reopened" else incident.created_at,
        ended_at=event.occurred_at,
        raw=body,
        labels=labels,
        action=_action(event.event_type),
        severity=severity(priority) if priority else _URGENCY.get(incident.urgency, Severity.MEDIUM),
        service=incident.service.summary,
        links=(incident.html_url,),
        runbook=runbook(labels),
    )
    return [finished(draft, told)]


def _action(event_type: str) -> Action:
    if event_type == "incident.resolved":
        return "resolved"
    return "created" if event_type in _BEGINS else "updated"


def _labels(incident: _Incident) -> dict[str, str]:
    told = (each for each in incident.custom_fields if isinstance(each.value, str | int | float))
    known = {
        "pagerduty_service": incident.service.summary,
        "priority": incident.priority.summary if incident.priority else "",
        "urgency": incident.urgency,
        "team": ", ".join(team.summary for team in incident.teams),
        "escalation_policy": incident.escalation_policy.summary if incident.escalation_policy else "",
        "incident_key": incident.incident_key,
        **{each.name: str(each.value) for each in told},
    }
    return {key: value for key, value in known.items() if key and value}
