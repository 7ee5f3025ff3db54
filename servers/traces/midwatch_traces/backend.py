"""What the trace tools need from any backend: a handful of questions, with plain values for answers.

Tempo, Jaeger or another store of spans can stand behind the same tools by answering these. Nothing here judges.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from midwatch_kit import Check, Window
from midwatch_traces.clocks import Apart
from midwatch_traces.spans import Spans


@dataclass(frozen=True, slots=True)
class Scope:
    """The windows that a question is about, and how much of what is stored it may see (`pin`).

    `clocks` says by how many ns the clocks of services run ahead: their spans are taken for as much earlier.
    """

    window: Window
    baseline: Window
    pin: int
    clocks: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Spans of a scope and the backend's own text of the query that gave them.

    `total` counts all spans of the scope; where they are too many, only one trace in `every` was read. A backend that
    cannot count guesses the total from what was read (`counted` is False). `gaps` say what could not be asked.
    """

    spans: Spans
    query: str
    total: int
    every: int = 1
    counted: bool = True
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownCalls:
    """Calls between two services that a backend itself counted over some time, however few spans of them were read."""

    caller: str
    callee: str
    calls: int
    said_by: str


@dataclass(frozen=True, slots=True)
class Failure:
    """What a failed span says of itself; texts are '' where it says nothing."""

    trace_id: str
    operation: str
    exception: str
    message: str
    status: str
    error_type: str


@dataclass(frozen=True, slots=True)
class Search:
    """Which spans to find; '' and 0 leave a filter out, `attributes` must all be equal, on the span or its resource."""

    service: str = ""
    instance: str = ""
    operation: str = ""
    errors: bool = False
    least_ms: float = 0.0
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """One trace in a line: times in ns since the epoch, what it began with, and what failed last."""

    trace_id: str
    matching: int
    first_match: int
    start: int
    end: int
    spans: int
    failed: int
    services: tuple[str, ...]
    service: str
    operation: str
    has_root: bool
    failed_service: str
    failure: str


@dataclass(frozen=True, slots=True)
class FoundTraces:
    """One page of traces, newest first; `traces` and `spans` count all that match, exactly.

    A backend that does not count read them from the window's end back to `since` (ns) only; None: the whole window.
    """

    page: tuple[TraceSummary, ...]
    traces: int
    spans: int
    query: str
    since: int | None = None
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundTrace:
    """The spans of one trace, the earliest of them where they are too many; `total` counts all."""

    spans: Sequence["Span"]
    total: int
    query: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened within a span; its time in ns since the epoch."""

    at: int
    name: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Span:
    """One span in full; times in ns (start since the epoch), links as (trace id, span id)."""

    span_id: str
    parent_id: str
    start: int
    duration: int
    service: str
    instance: str
    name: str
    kind: str
    status: str
    status_message: str
    attributes: Mapping[str, str]
    events: tuple[Event, ...]
    links: tuple[tuple[str, str], ...]

    @property
    def failed(self) -> bool:
        """Whether the span says that it failed."""
        return self.status == "Error"


@dataclass(frozen=True, slots=True)
class Follower:
    """A span of another trace that links to this one: a consumer of a message that was sent here."""

    trace_id: str
    span_id: str
    service: str
    name: str
    failed: bool
    start: int


class TraceBackend(Protocol):
    """Whoever can answer questions about spans; synchronous, thread safe; raises `BackendDown`."""

    def pin(self) -> int:
        """Return the mark of what is stored now."""

    def compare_clocks(self, window: Window, pin: int) -> Sequence[Apart]:
        """Return how the clocks of services differ by a sample of the window's traces, whatever times they tell."""

    def load(self, scope: Scope) -> Loaded:
        """Return the spans that started within the windows of a scope: all, or those of a sample of traces."""

    def failures(self, scope: Scope, spans: Sequence[int]) -> Mapping[int, Failure]:
        """Return what failed spans say of themselves, by their keys."""

    def search(
        self, search: Search, window: Window, pin: int, after: tuple[int, str] | None, limit: int
    ) -> FoundTraces:
        """Return traces with a matching span in the window, newest first match first, then by trace id."""

    def trace(self, trace_id: str, window: Window, pin: int) -> FoundTrace:
        """Return the spans of a trace that started in the window."""

    def followers(self, trace_id: str, window: Window, pin: int, limit: int) -> Sequence[Follower]:
        """Return spans of other traces that link to this one, in order of time."""

    def services(self, window: Window) -> Sequence[str]:
        """Return the services that sent spans in the window."""

    def known_calls(self, window: Window) -> Sequence[KnownCalls]:
        """Return the calls that the backend counted by itself, if it does; none is lost if it doesn't."""

    def newest(self) -> int | None:
        """Return the start of the newest span in ns since the epoch, or None when there is none."""

    def checks(self) -> Sequence[Check]:
        """Look at the backend and say how it is."""
