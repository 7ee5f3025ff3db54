"""What triage knows of an incident beside its status: what kind of trouble it is, how far it reaches, its ties."""

from enum import StrEnum

from pydantic import Field

from midwatch_kit.records import Record


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
