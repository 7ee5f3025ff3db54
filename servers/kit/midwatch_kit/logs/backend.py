"""What the log tools need from any place that keeps logs: plain values in, plain rows out. Nothing here runs a query.

A backend is synchronous; the tools call it in a thread. It raises `KitError`s, in words for the caller.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from midwatch_kit.check import Check
from midwatch_kit.logs.lines import LogLine, ns_of
from midwatch_kit.records import Window

RowT = TypeVar("RowT")


@dataclass(frozen=True, slots=True)
class Found(Generic[RowT]):
    """Rows, and the backend's own text of the query that gave them."""

    rows: Sequence[RowT]
    query: str


@dataclass(frozen=True, slots=True)
class Scope:
    """Which lines to look at: those in any of the windows that were there when `pin` was taken (0: all)."""

    windows: tuple[Window, ...]
    pin: int = 0


@dataclass(frozen=True, slots=True)
class Filter:
    """Which lines match: `text` as a substring in any case or a regular expression, at least `severity`.

    Empty `services` and `instances` mean all; with both given, a line of either matches.
    """

    text: str = ""
    regex: bool = False
    severity: int = 0
    services: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Buckets:
    """Equal slices of time, aligned to the window's start: `before` of them in the baseline, then the window's.

    Times are in nanoseconds since the epoch. A part of the baseline that fills no bucket is left out; the window's
    last bucket may reach past its end.
    """

    width: int
    baseline_start: int
    before: int
    window_start: int
    after: int

    @property
    def starts(self) -> list[int]:
        """The start of each bucket, baseline first."""
        baseline = [self.baseline_start + i * self.width for i in range(self.before)]
        return baseline + [self.window_start + i * self.width for i in range(self.after)]


def slice_time(window: Window, baseline: Window, wanted: int = 60) -> Buckets:
    """Return about `wanted` buckets of the window, each a second or longer, and as wide ones of the baseline.

    A bucket's width is of whole milliseconds: no backend counts by finer ones.
    """
    start, end = ns_of(window.start), ns_of(window.end)
    width = max(-(-(end - start) // (wanted * 10**6)) * 10**6, 10**9)
    before = (ns_of(baseline.end) - ns_of(baseline.start)) // width
    return Buckets(width, ns_of(baseline.end) - before * width, before, start, -(-(end - start) // width))


@dataclass(frozen=True, slots=True)
class SourceRow:
    """Lines of one instance of one service: how many, how many warnings and errors, first and last time (ns)."""

    service: str
    instance: str
    lines: int
    warn: int
    error: int
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class RateRow:
    """Lines of one instance in one bucket; `warn` counts warnings alone, `error` what is worse."""

    service: str
    instance: str
    bucket: int
    lines: int
    warn: int
    error: int


@dataclass(frozen=True, slots=True)
class PatternRow:
    """Lines that read the same once their variable parts are masked; `severity` is the least of their level."""

    text: str
    service: str
    instance: str
    severity: int
    in_window: bool
    count: int
    first_ns: int
    exemplar: str


@dataclass(frozen=True, slots=True)
class StepRow:
    """How often a service goes on from one kind of line to another within a trace; '' is the beginning or the end.

    `bucket` is that of the trace's first line of this service; `millionths` of traces: one that takes several ways on
    counts for each in part. `bad` is whether the line that follows is a warning or worse.
    """

    service: str
    after: str
    then: str
    bad: bool
    bucket: int
    millionths: int


@dataclass(frozen=True, slots=True)
class TraceSpan:
    """Where a trace's lines lie in time (ns, inclusive), how many there are, and which (service, instance) wrote."""

    first_ns: int
    last_ns: int
    lines: int
    writers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Around:
    """Lines that belong to a trace, or that its writers wrote between two times (ns, inclusive)."""

    trace_id: str
    first_ns: int
    last_ns: int
    writers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Walk:
    """A step through lines in order: at most `limit` after the place `after`; `forward` is oldest first."""

    limit: int
    forward: bool
    after: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A line of a step; `hit` is false for one that is there as context only."""

    line: LogLine
    hit: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """The lines of one step in order, whether hits follow, and the backend's own text of the query."""

    seen: Sequence[Seen]
    more: bool
    query: str


class LogBackend(Protocol):
    """A place that keeps logs."""

    def pin(self, windows: Sequence[Window]) -> int:
        """Return the mark of what is stored now; scopes with it never see what is stored later."""

    def describe(self, scope: Scope) -> str:
        """Return in a few words what the scope's lines are read from: a table, so many objects and bytes."""

    def newest(self) -> int | None:
        """Return the time of the newest line in ns, or None when there is none."""

    def sources(self, scope: Scope) -> Found[SourceRow]:
        """Return who wrote, how much."""

    def rates(self, scope: Scope, buckets: Buckets) -> Found[RateRow]:
        """Return counts for each writer and bucket; buckets without a line are left out."""

    def patterns(self, scope: Scope, wanted: Filter, window_start: int) -> Found[PatternRow]:
        """Return masked texts with counts; a line is in the window from `window_start` (ns) on."""

    def steps(self, scope: Scope, wanted: Filter, buckets: Buckets, every: int) -> Found[StepRow]:
        """Return what follows what in the lines of traces, of one in `every` traces."""

    def count(self, scope: Scope, wanted: Filter | Around) -> int:
        """Return exactly how many lines match."""

    def step(self, scope: Scope, wanted: Filter | Around, walk: Walk, context: int = 0) -> Step:
        """Return the next lines in order; with `context`, that many lines of its writer on each side of a hit too."""

    def trace(self, scope: Scope, trace_id: str) -> TraceSpan | None:
        """Return where the lines of a trace are, or None when there are none."""

    def checks(self) -> Sequence[Check]:
        """Look at the backend and say how it is; never raises for a backend that is down."""
