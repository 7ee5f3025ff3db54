"""The nouns that servers and hosts share: windows, entities, evidence and observations.

These are plain frozen values with a published JSON Schema. Nothing here knows of MCP, of a backend or of an
investigation: the host's own records (incident, hypothesis, conclusion, plan) live in the host.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, model_validator

EntityId: TypeAlias = str
"""An entity's id: its kind and its name, as in `service:forge` or `instance:forge-2`."""


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A point in time; always aware, always UTC."""


class Record(BaseModel):
    """A frozen value that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Window(Record):
    """The half-open span of time `[start, end)`, in UTC; never empty."""

    start: Moment
    end: Moment

    @model_validator(mode="after")
    def _runs_forward(self) -> "Window":
        if self.end <= self.start:
            raise ValueError(f"a window must end after it starts, but {self.end} is not after {self.start}")
        return self

    @property
    def length(self) -> timedelta:
        """How long the window is."""
        return self.end - self.start


class Basis(StrEnum):
    """How something came to be known."""

    OBSERVED = "observed"
    DECLARED = "declared"
    INFERRED = "inferred"


class Entity(Record):
    """A thing that can be part of an outage: a service, an instance, a database, a queue, an alarm, a team."""

    id: EntityId
    kind: str
    name: str
    basis: Basis = Basis.OBSERVED
    learnt_from: str = ""
    last_seen: Moment | None = None
    attributes: dict[str, str] = {}


class Relation(Record):
    """How two entities are tied: `source` does `kind` to `target` (calls, reads, writes, runs_on, alarmed_by…)."""

    source: EntityId
    target: EntityId
    kind: str
    basis: Basis = Basis.OBSERVED
    learnt_from: str = ""
    last_seen: Moment | None = None
    attributes: dict[str, str] = {}


class Signal(StrEnum):
    """The kinds of telemetry a server can hold."""

    LOGS = "logs"
    METRICS = "metrics"
    TRACES = "traces"
    CHANGES = "changes"
    STATE = "state"
    TOPOLOGY = "topology"


class Binding(Record):
    """How to ask for one entity's telemetry: which server, and the selector that finds it there."""

    entity: EntityId
    signal: Signal
    server: str
    selector: dict[str, str] = {}


class TopologyFragment(Record):
    """What one server knows of entities and relations; a host merges fragments."""

    entities: tuple[Entity, ...] = ()
    relations: tuple[Relation, ...] = ()
    bindings: tuple[Binding, ...] = ()


class ObservationKind(StrEnum):
    """What sort of statement an observation makes."""

    ONSET = "onset"
    SPIKE = "spike"
    DROP = "drop"
    NEW_PATTERN = "new_pattern"
    VANISHED_PATTERN = "vanished_pattern"
    ERROR_TRACE = "error_trace"
    SLOW_EDGE = "slow_edge"
    SATURATION = "saturation"
    CHANGE = "change"
    MISMATCH = "mismatch"
    ABSENCE = "absence"
    NORMAL = "normal"
    READING = "reading"


class Evidence(Record):
    """The bytes a tool returned, named by their hash, with the query that gave them."""

    id: str = Field(description="sha256 of the stored bytes, in hex")
    server: str
    tool: str
    arguments: dict[str, JsonValue] = {}
    window: Window | None = None
    query: str = ""
    rows_matched: int = 0
    returned_rows: int = 0
    truncated: bool = False
    lag_seconds: float | None = None
    url: str | None = None
    media_type: str = "application/json"
    bytes: int = 0


class Citation(Record):
    """Where an observation got a figure or a text: an evidence id, a place in it, and what stands there."""

    evidence: str
    where: str = Field(description="JSON Pointer (RFC 6901) into the evidence document")
    quote: JsonValue


class Finding(Record):
    """One statement about one entity, before it is tied to stored bytes.

    `magnitude` is the level in the window and `baseline` the level before, both in `unit`; `score` is how many
    robust standard deviations lie between them. `related` is the other end of an edge, or the service that an
    instance belongs to. `subject` names what was measured (`error_rate`, `latency_p95`, a metric, `template`).
    """

    entity: EntityId
    kind: ObservationKind
    subject: str
    statement: str = Field(max_length=200)
    onset: Moment | None = None
    onset_earliest: Moment | None = None
    onset_latest: Moment | None = None
    ended: Moment | None = Field(None, description="when the shift was over, if it was")
    magnitude: float | None = None
    baseline: float | None = None
    unit: str = ""
    direction: Literal["up", "down", "none"] = "none"
    score: float = 0.0
    related: EntityId | None = None
    attributes: dict[str, str] = {}


class Observation(Finding):
    """A finding with an id, the signal it rests on, and citations that code can check."""

    id: str
    signal: Signal
    citations: tuple[Citation, ...]
    by: str = Field("", description="the server that made it, or the hypothesis and subagent that asked")
