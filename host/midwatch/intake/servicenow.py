"""ServiceNow's incidents, as the business rule of docs/intake.md sends them.

Each field may be a text or, as ServiceNow's own APIs have it, an object with `value` and `display_value`. Times are
UTC, as the database has them.
"""

from typing import Annotated

from pydantic import BeforeValidator, Field, JsonValue

from midwatch.intake.parts import (
    Action,
    Draft,
    MaybeBegan,
    Shape,
    Text,
    Told,
    finished,
    runbook,
    severity,
    validated,
)
from midwatch.records import Alert

_OVER = {"6", "7", "8", "resolved", "closed", "canceled", "cancelled"}


def _shown(value: object) -> object:
    return value.get("display_value") or value.get("value") or "" if isinstance(value, dict) else value


def _stored(value: object) -> object:
    return value.get("value") or value.get("display_value") or "" if isinstance(value, dict) else value


_Shown = Annotated[Text, BeforeValidator(_shown)]
_Stored = Annotated[Text, BeforeValidator(_stored)]


class _Incident(Shape):
    number: _Stored = Field(min_length=1)
    sys_id: _Stored = ""
    short_description: _Shown = ""
    description: _Shown = ""
    state: _Stored = ""
    operation: Text = ""
    priority: _Shown = ""
    urgency: _Shown = ""
    impact: _Shown = ""
    category: _Shown = ""
    assignment_group: _Shown = ""
    business_service: _Shown = ""
    cmdb_ci: _Shown = ""
    service: _Shown = ""
    opened_at: Annotated[MaybeBegan, BeforeValidator(_stored)] = None
    reopened_at: Annotated[MaybeBegan, BeforeValidator(_stored)] = None
    resolved_at: Annotated[MaybeBegan, BeforeValidator(_stored)] = None
    url: Text = ""
    runbook_url: Text = ""


def from_servicenow(body: JsonValue, told: Told) -> list[Alert]:
    """Return the alert of an incident that a business rule sends; raises `BadAlert`."""
    incident = validated(_Incident, body)
    names = ("service", "business_service", "cmdb_ci", "assignment_group", "category", "urgency", "impact", "priority")
    labels = {name: str(value) for name in names if (value := getattr(incident, name))}
    draft = Draft(
        source="servicenow",
        external=incident.number,
        title=incident.short_description or incident.number,
        started_at=incident.reopened_at or incident.opened_at or told.now,
        ended_at=incident.resolved_at,
        raw=body,
        labels=labels,
        action=_action(incident),
        description=incident.description,
        severity=severity(incident.priority),
        service=incident.business_service or incident.cmdb_ci,
        links=(incident.url,),
        runbook=incident.runbook_url or runbook(labels),
        once=incident.reopened_at.isoformat() if incident.reopened_at else "",
    )
    return [finished(draft, told)]


def _action(incident: _Incident) -> Action:
    if incident.state.strip().casefold() in _OVER or incident.operation == "delete":
        return "resolved"
    return "updated" if incident.operation == "update" else "created"
