"""One outage: where it stands, and what triage knows of it."""

from enum import StrEnum

from pydantic import Field

from midwatch.records.alert import Severity
from midwatch_kit.records import EntityId, Moment, Record


class Status(StrEnum):
    """Where an incident stands."""

    TRIAGING = "triaging"
    INVESTIGATING = "investigating"
    AWAITING_APPROVAL = "awaiting_approval"
    MITIGATING = "mitigating"
    WATCHING = "watching"
    RESOLVED = "resolved"
    LINKED = "linked"
    SKIPPED = "skipped"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Category(StrEnum):
    """What kind of trouble an alert tells of."""

    AVAILABILITY = "availability"
    LATENCY = "latency"
    ERRORS = "errors"
    TRAFFIC = "traffic"
    SATURATION = "saturation"
    CERTIFICATE = "certificate"
    ACCESS = "access"
    DATA = "data"
    CHANGE = "change"
    OTHER = "other"


class Triage(Record):
    """How alerts made an incident what it is. Which alerts belong to it stands in the table of alerts."""

    category: Category = Category.OTHER
    alerts: int = Field(1, description="how many different alerts it had when this was noted; repeats are not counted")
    services: int = Field(1, description="how many services alerts had come of by then")
    raised: str = Field("", description="why it is more severe than its first alert said")
    recurrence_of: str | None = Field(None, description="the incident that came back")
    linked_to: str | None = Field(None, description="the incident that it is part of, where its status is linked")
    related: tuple[str, ...] = Field((), description="incidents close by that it was kept apart from")
    flapping: bool = Field(False, description="whether an alert of it comes and goes")


class Incident(Record):
    """One outage, however many alerts; a later record with a higher `version` replaces an earlier one."""

    id: str
    title: str
    status: Status
    reason: str = Field("", description="why it has this status, when that needs a reason")
    severity: Severity
    service: EntityId
    started_at: Moment
    first_seen: Moment
    symptoms: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    runbook: str = Field("", description="the name or the address of the runbook that its alert names")
    owner: str | None = None
    alerts: tuple[str, ...] = Field((), description="the first of them; how many there are stands in `triage`")
    triage: Triage = Triage()
    version: int = 1
