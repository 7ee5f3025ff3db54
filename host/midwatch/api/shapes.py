"""The shapes of answers that are no records of the journal themselves."""

import re
from datetime import UTC, datetime
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, Field, JsonValue, StrictBool

from midwatch.correlation import Part
from midwatch.records import (
    Action,
    Alert,
    Conclusion,
    Decision,
    HypothesisKind,
    Incident,
    NamedCause,
    Plan,
    Status,
    Steer,
)
from midwatch.records.message import Statement
from midwatch.records.recommendation import Recommendation
from midwatch.wording import TIME, shown
from midwatch_kit.records import Entity, Relation, Window

ItemT = TypeVar("ItemT")
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def _as_written(value: object) -> object:
    if isinstance(value, str) and not _RFC_3339.fullmatch(value):
        raise ValueError(f"must be {TIME}, not {shown(value)}")
    return value


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("it is no time between the years 1 and 9999 in UTC") from None


Rfc3339 = Annotated[AwareDatetime, BeforeValidator(_as_written), AfterValidator(_in_utc)]
"""A moment as RFC 3339 writes it, and in no other way."""
A_DIGEST = "9f0c1a52d8" + "0" * 54
Reason = Field("", max_length=500, description="why, for the record")


class Page(BaseModel, Generic[ItemT]):
    """A part of a list; `next` is the `cursor` of the part that follows, null at the end."""

    items: list[ItemT]
    next: str | None = None


class IncidentPage(Page[Incident]):
    """A part of the list of incidents."""


class RecommendationPage(Page[Recommendation]):
    """A part of the list of recommendations."""


class IncidentDetail(BaseModel):
    """An incident as it stands, with what its investigation came to."""

    incident: Incident
    look: int = Field(description="which look the investigation is at, from 1")
    unheeded: list[Steer] = Field(description="what people told that no look has heeded yet")
    conclusion: Conclusion | None
    plan: Plan | None
    plan_state: str = Field(description="what became of the plan, in words")
    decision: Decision | None = Field(description="the decision on the plan's digest")
    actions: list[Action]
    packet: str = Field(description="what a person reads first, as text")


class Placed(BaseModel):
    """A record of the journal; `hash` covers it and `prev_hash`, and so all before it."""

    position: int = Field(description="its place among the records of all investigations")
    investigation: str
    seq: int = Field(description="its number in its investigation, from 1")
    key: str
    at: str = Field(description="when it was noted, in UTC", json_schema_extra={"format": "date-time"})
    actor: str
    type: str
    body: dict[str, JsonValue] = Field(description="see docs/records.schema.json")
    prev_hash: str
    hash: str


class RecordPage(Page[Placed]):
    """A part of an investigation's journal."""


class Correlated(BaseModel):
    """An alert that came, and what became of it."""

    seq: int = Field(description="its number among all alerts")
    received_at: Rfc3339
    decision: str = Field(description="new, linked, repeat, late, resolves, recurrence or skipped")
    incident: str | None = Field(description="what it is part of by that decision")
    own: str | None = Field(description="the incident that it opened for itself, in shadow mode")
    why: str
    parts: list[Part] = Field(description="what was compared, and how much each part gave")
    alert: Alert = Field(description="without what the sender sent, which is evidence")


class CorrelatedPage(Page[Correlated]):
    """A part of an incident's alerts."""


class Question(BaseModel):
    """A question about an incident."""

    question: str = Field(min_length=1, max_length=1000, examples=["why not stock?"])
    look: StrictBool = Field(False, description="ask the servers afresh as well")
    model: StrictBool = Field(False, description="ask a model as well, also where code has an answer")


class Answered(BaseModel):
    """An answer; each statement says what it rests on."""

    statements: list[Statement]
    remarks: list[str] = Field(description="how it came to be; they state nothing")
    answered_by: list[str] = Field(description="journal, servers, model; none for a question that nobody understood")
    dropped: int = Field(description="statements of a model whose quotes do not stand")
    usd: float


class Telling(BaseModel):
    """What a person tells an investigation: plain words, or words and fields."""

    words: str = Field(min_length=1, max_length=1000, examples=["look only at the latest wave"])
    kind: HypothesisKind | None = Field(None, description="a kind of cause to test, at `entity`")
    entity: str = Field("", max_length=300, description="where to test it")
    leave_out: str = Field("", max_length=300, description="an entity that is noise")
    ignore: str = Field("", max_length=200, description="a text: what says it is noise")
    window: str = Field("", max_length=100, description="latest, first, 2, whole, or START/END in UTC")


class SteerTaken(BaseModel):
    """What was understood; the next look heeds it."""

    key: str
    meaning: str
    steer: Steer


class Approval(BaseModel):
    """A yes or a no to a plan as a whole."""

    digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="the plan's, as it was read", examples=[A_DIGEST])
    reason: str = Reason


class Because(BaseModel):
    """Why something is done."""

    reason: str = Reason


class Cancelled(BaseModel):
    """Where an incident stands after it was asked to be left."""

    incident: str
    status: Status
    reason: str


class Correction(BaseModel):
    """What the cause really was; without one, that there was no incident."""

    causes: list[NamedCause] = Field(default_factory=list, max_length=10)
    note: str = Field("", max_length=2000)


class Graph(BaseModel):
    """What an application is made of, over a window; `truncated` when it has more than is given."""

    window: Window | None
    entities: list[Entity]
    relations: list[Relation]
    matched: int = Field(description="how many entities there are")
    truncated: bool
    path: list[str] = Field(default_factory=list, description="from the cause to the symptom, of an incident")


class SteeringFile(BaseModel):
    """A steering file; `fault` says why it cannot be used."""

    file: str
    name: str = ""
    description: str = ""
    fault: str = ""


class Checked(BaseModel):
    """What is to be said of a steering file's text."""

    usable: bool
    fault: str = ""
    name: str = ""
    description: str = ""


class SteeringText(BaseModel):
    """The text of a steering file: front matter between two lines of ---, and what people and models read."""

    text: str = Field(
        max_length=50_000, examples=["---\nname: lag\ndescription: logs lag\nlag_seconds: {logs: 30}\n---\n"]
    )


class Decided(BaseModel):
    """What a person decides on a recommendation."""

    status: Literal["accepted", "rejected", "implemented"]
    reason: str = Reason


class Ready(BaseModel):
    """Whether alerts can be taken."""

    ready: bool
    database: str = Field(description="ok, or why nothing can be written")
    servers_missing: dict[str, str] = Field(description="servers that are not there, and why; investigations say so")


class Alive(BaseModel):
    """The process is there."""

    ok: bool
    servers_missing: dict[str, str]
