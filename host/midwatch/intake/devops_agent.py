"""What senders of the AWS DevOps Agent send to its webhook: they need only another URL.

docs.aws.amazon.com/devopsagent/latest/userguide/, Invoking DevOps Agent through Webhook
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, JsonValue

from midwatch.intake.parts import (
    Action,
    Draft,
    Labels,
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

_ACTIONS: Mapping[str, Action] = {
    "created": "created",
    "updated": "updated",
    "closed": "resolved",
    "resolved": "resolved",
}


class _Data(Shape):
    metadata: Labels = Field(default_factory=dict)


class _Incident(Shape):
    event_type: Literal["incident"] = Field(alias="eventType")
    incident_id: Text = Field(alias="incidentId", min_length=1)
    action: Literal["created", "updated", "closed", "resolved"]
    priority: Literal["CRITICAL", "HIGH", "MEDIUM", "LOW", "MINIMAL"]
    title: Text = Field(min_length=1)
    description: Text = ""
    timestamp: MaybeBegan = None
    service: Text = ""
    data: JsonValue = None


def from_devops_agent(body: JsonValue, told: Told) -> list[Alert]:
    """Return the alert of an incident; raises `BadAlert`.

    `data` is the sender's own event, of any shape; what its `metadata` says are labels. `service` is optional:
    the title stands in for one, so that the alert is kept, and is close to nothing that it does not belong to.
    """
    incident = validated(_Incident, body)
    metadata = incident.data.get("metadata") if isinstance(incident.data, dict) else None
    labels = validated(_Data, {"metadata": metadata if isinstance(metadata, dict) else {}}).metadata
    labels |= {"service": incident.service} if incident.service else {}
    draft = Draft(
        source="devops-agent",
        external=incident.incident_id,
        title=incident.title,
        started_at=incident.timestamp or told.now,
        ended_at=incident.timestamp,
        raw=body,
        labels=labels,
        action=_ACTIONS[incident.action],
        description=incident.description,
        severity=severity(incident.priority),
        runbook=runbook(labels),
        service=told.service or incident.title,
        once="",
    )
    return [finished(draft, told)]
