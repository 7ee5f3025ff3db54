"""What a trigger said."""

from enum import StrEnum
from typing import Literal

from pydantic import Field, JsonValue, SkipValidation

from midwatch_kit.records import Moment, Record


class Severity(StrEnum):
    """How bad an alert says it is."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


class Alert(Record):
    """What a trigger said, whatever sent it; `raw` is the sender's payload, kept whole."""

    id: str
    source: str
    external_id: str
    action: Literal["created", "updated", "resolved"] = "created"
    title: str = Field(max_length=400)
    description: str = Field("", max_length=10_000)
    severity: Severity = Severity.MEDIUM
    service: str
    started_at: Moment
    ended_at: Moment | None = Field(None, description="when it was over, by the sender's clock, where it says so")
    labels: dict[str, str] = Field(default_factory=dict)
    links: tuple[str, ...] = ()
    runbook: str = Field("", description="the name or the address of the runbook that it names")
    raw: SkipValidation[JsonValue] = None
