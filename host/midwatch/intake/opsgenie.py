"""Opsgenie's outgoing webhooks (support.atlassian.com/opsgenie/docs/opsgenie-edge-connector-alert-action-data)."""

from pydantic import Field, JsonValue

from midwatch.intake.parts import (
    Action,
    Draft,
    Labels,
    MaybeBegan,
    Shape,
    Text,
    Told,
    ended,
    finished,
    runbook,
    severity,
    tags,
    validated,
)
from midwatch.records import Alert

_OVER = {"Close", "Delete"}


class _Alert(Shape):
    alert_id: Text = Field(alias="alertId", min_length=1)
    message: Text = ""
    alias: Text = ""
    description: Text = ""
    entity: Text = ""
    priority: Text = ""
    source: Text = ""
    tiny_id: Text = Field("", alias="tinyId")
    tags: list[str] | None = None
    details: Labels = Field(default_factory=dict)
    created_at: MaybeBegan = Field(None, alias="createdAt")
    updated_at: JsonValue = Field(None, alias="updatedAt")
    team: Text = ""


class _Message(Shape):
    action: Text = Field(min_length=1)
    alert: _Alert
    integration_name: Text = Field("", alias="integrationName")


def from_opsgenie(body: JsonValue, told: Told) -> list[Alert]:
    """Return the alert of an outgoing webhook, whichever action it tells of; raises `BadAlert`."""
    message = validated(_Message, body)
    alert = message.alert
    known = {"alias": alert.alias, "entity": alert.entity, "team": alert.team, "source": alert.source}
    labels = {key: value for key, value in known.items() if value} | tags(alert.tags or []) | alert.details
    draft = Draft(
        source="opsgenie",
        external=alert.alert_id,
        title=alert.message,
        started_at=alert.created_at or told.now,
        ended_at=ended(alert.updated_at),
        raw=body,
        labels=labels,
        action=_action(message.action),
        description=alert.description,
        severity=severity(alert.priority),
        service=alert.entity,
        runbook=runbook(labels),
        once="",
    )
    return [finished(draft, told)]


def _action(said: str) -> Action:
    if said in _OVER:
        return "resolved"
    return "created" if said == "Create" else "updated"
