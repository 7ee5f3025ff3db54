"""The plain form, for senders that can be told what to send: title, service, started_at, and what else is known."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from midwatch.intake.parts import Began, Draft, Moment, Told, finished, runbook, severity, validated
from midwatch.records import Alert


class GenericAlert(BaseModel):
    """An alert in the plain form."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, max_length=400)
    service: str = Field(min_length=1, max_length=200)
    started_at: Began
    description: str = Field("", max_length=10_000)
    severity: str = "medium"
    action: Literal["created", "updated", "resolved"] = "created"
    external_id: str = Field("", max_length=400)
    labels: dict[str, str] = {}
    links: list[str] = Field(default_factory=list)
    ended_at: Began | None = None
    seen_at: Moment | None = Field(None, description="when it was first seen; for snapshots, where time has ended")


def from_generic(body: JsonValue, told: Told) -> list[Alert]:
    """Return the alert of a plain JSON body; raises `BadAlert`."""
    alert = validated(GenericAlert, body)
    draft = Draft(
        source="generic",
        external=alert.external_id or f"{alert.service}:{alert.title}",
        title=alert.title,
        started_at=alert.started_at,
        ended_at=alert.ended_at,
        raw=body,
        labels=alert.labels,
        action=alert.action,
        description=alert.description,
        severity=severity(alert.severity),
        named=alert.service,
        links=tuple(alert.links),
        runbook=runbook(alert.labels),
    )
    return [finished(draft, told)]
