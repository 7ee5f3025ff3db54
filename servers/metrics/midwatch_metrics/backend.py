"""What the metric tools need from any backend: a handful of questions, with plain values for answers.

Each place in `backends` stands behind the same tools by answering these. Synchronous: the tools call it in a
thread. It raises `KitError`s, in words for the caller, and judges nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from midwatch_kit import Check, TopologyFragment, Window
from midwatch_metrics.timeline import Timeline

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Form(StrEnum):
    """What the numbers of a metric are."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


class Meaning(StrEnum):
    """What a metric says of the requests that a service answers, where its backend knows that."""

    REQUESTS = "requests"
    ERRORS = "errors"
    LATENCY = "latency"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which series to look at: of any of the services or instances (none: all), of a metric, with these attributes.

    `percentile` (0 to 1, None for none) is what is wanted of histograms from a backend that keeps no buckets of them.
    """

    services: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()
    metric: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    percentile: float | None = 0.95


@dataclass(frozen=True, slots=True)
class Series:
    """One series: the metric, who measured it and its own attributes; `bounds` are a histogram's.

    `version` is what the instance ran when it last measured; empty where nobody says. `meaning` is None where only the
    metric's name and unit tell what it means.
    """

    metric: str
    form: Form
    unit: str
    service: str
    instance: str
    attributes: tuple[tuple[str, str], ...] = ()
    bounds: tuple[float, ...] = ()
    version: str = ""
    meaning: Meaning | None = None

    @property
    def entity(self) -> str:
        """The instance that measured, or the service where instances are not told apart."""
        return f"instance:{self.instance}" if self.instance else f"service:{self.service}"


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """What was measured, by series and bucket; one element each, in no order.

    `value` is a gauge's mean, a counter's increase or the sum of a histogram's values; `count` the number of a gauge's
    points or of a histogram's values; `seconds` the time that an increase took; `low` and `high` are a gauge's. Of a
    histogram without bounds `high` is the percentile that was selected, NaN where unknown. `filled` has a row for each
    cell: a histogram's values by its bounds, then zeros. `last` is the newest point's time (ns).
    """

    series: Ints
    bucket: Ints
    value: Floats
    count: Floats
    seconds: Floats
    low: Floats
    high: Floats
    last: Ints
    filled: Floats


@dataclass(frozen=True, slots=True)
class Gathered:
    """Series, their cells, how many points were matched, how many series had no room, and the backend's own query."""

    series: tuple[Series, ...]
    cells: Cells
    points: int
    left_out: int
    query: str


@dataclass(frozen=True, slots=True)
class Described:
    """A metric of one instance: how many series and points, their attributes' names, first and last time (ns)."""

    metric: str
    form: Form
    unit: str
    description: str
    service: str
    instance: str
    series: int
    points: int
    attributes: tuple[str, ...]
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class AlarmState:
    """An alarm that changed its state; `(at, seq)` is its place in a total order, `at` is in ns."""

    at: int
    seq: int
    name: str
    state: str
    service: str
    reason: str
    value: float | None
    threshold: float | None
    attributes: Mapping[str, str]


class MetricBackend(Protocol):
    """A place that keeps metrics and alarms."""

    def pin(self) -> int:
        """Return the backend's mark of what is stored now."""
        ...

    def gather(self, timeline: Timeline, selection: Selection, most_series: int) -> Gathered:
        """Return the selected series, the first `most_series` by name, and their cells in the timeline."""
        ...

    def describe(self, window: Window) -> tuple[Sequence[Described], str]:
        """Return the metrics that have points in the window, by instance, and the query's text."""
        ...

    def surroundings(self, window: Window) -> TopologyFragment:
        """Return what the backend knows of entities beyond its series, such as what it scrapes; empty where nothing."""
        ...

    def sources(self) -> Sequence[tuple[str, str]]:
        """Return the (service, instance) pairs that sent a point in the last day of data, the newest first."""
        ...

    def alarms(
        self,
        services: Sequence[str],
        names: Sequence[str],
        window: Window,
        pin: int,
        after: tuple[int, int] | None,
        limit: int,
    ) -> tuple[Sequence[AlarmState], int, str]:
        """Return state changes in the window, newest first from after a place; how many there are; the query's text."""
        ...

    def standing(self, before: int, pin: int) -> Sequence[AlarmState]:
        """Return the latest state of each alarm before a moment (ns)."""
        ...

    def newest(self) -> int | None:
        """Return the time of the newest point in ns, None when there is none."""
        ...

    def checks(self) -> Sequence[Check]:
        """Look at the backend and say how it is; raises nothing."""
        ...
