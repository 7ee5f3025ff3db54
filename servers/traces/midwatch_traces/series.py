"""Groups of durations and failures, before and in the window, compared and cut into buckets. No names, no sentences.

The statistics are `midwatch_kit.statistics`; this only arranges spans for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from midwatch_kit.records import Window
from midwatch_kit.statistics import (
    Comparison,
    LatencyComparison,
    ShareComparison,
    Shift,
    compare,
    compare_durations,
    compare_shares,
    level_shifts,
    share_shifts,
)
from midwatch_kit.statistics.ordered import Ordered
from midwatch_store import to_ns
from midwatch_traces.spans import MS, Bools, Floats, Ints, Spans

_IN_WINDOW = 60
_BEFORE = 180
_BACK_FOR = 3
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Buckets of one width: those before the window (at most the nearest 180), then the window's; starts in ns.

    `covered` says in which buckets there is data at all: nothing can be said of the others.
    """

    starts: Ints
    width: int
    before: int
    covered: Bools
    window: tuple[int, int]
    baseline: tuple[int, int]

    def bucket(self, moments: Ints) -> Ints:
        """Return the number of the bucket that each moment falls into, -1 for none."""
        number = np.searchsorted(self.starts, moments, side="right") - 1
        return np.where((number >= 0) & (moments < self.starts[number] + self.width), number, -1).astype(np.int64)

    def in_window(self, moments: Ints) -> Bools:
        """Return which moments lie in the window."""
        return (moments >= self.window[0]) & (moments < self.window[1])

    @property
    def covered_seconds(self) -> tuple[float, float]:
        """How many seconds before and in the window have data; the window's last bucket may be cut short."""
        lengths = np.where(self.covered, np.minimum(self.starts + self.width, self.window[1]) - self.starts, 0)
        return float(lengths[: self.before].sum()) / _SECOND, float(lengths[self.before :].sum()) / _SECOND

    def moments(self, shift: Shift | None) -> tuple[int | None, int | None]:
        """Return a shift's onset and end in ns; an end counts when the level stayed back for at least three buckets."""
        if shift is None:
            return None, None
        last = int(self.starts[self.covered][-1]) + self.width if self.covered.any() else self.window[1]
        over = shift.end is not None and last - shift.end >= _BACK_FOR * self.width
        return shift.onset, shift.end if over else None

    def recent(self, shift: Shift | None) -> Shift | None:
        """Return a shift unless it was over before the window began."""
        over = shift is not None and shift.end is not None and shift.end <= self.window[0]
        return None if over else shift

    def towards(self, shift: Shift | None, score: float) -> Shift | None:
        """Return a shift that goes the way of a score: a calm between two storms is over where the second begins."""
        if shift is None or shift.score * score >= 0:
            return shift
        if shift.end is None:
            return None
        return Shift(
            onset=shift.end,
            earliest=shift.end - self.width,
            latest=shift.end + self.width,
            end=None,
            before=shift.after,
            after=shift.before,
            score=-shift.score,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Events of groups in columns: the group's number, when (ns), how long (ms), whether it failed, and its period.

    `after` is whether an event counts for the window (True) or for what it is compared with.
    """

    group: Ints
    start: Ints
    ms: Floats
    failed: Bools
    after: Bools
    groups: int

    def of(self, wanted: Bools) -> "Sample":
        """Return the sample with only the events that are wanted."""
        return Sample(
            self.group[wanted],
            self.start[wanted],
            self.ms[wanted],
            self.failed[wanted],
            self.after[wanted],
            self.groups,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What became of each group: counts before (index 0) and in the window (1), comparisons, and buckets."""

    requests: tuple[Floats, Floats]
    errors: tuple[Floats, Floats]
    shares: ShareComparison
    latency: LatencyComparison
    rates: Comparison
    counts: Floats
    failures: Floats
    p95: Floats
    p95_levels: Comparison
    timeline: Timeline

    def error_shift(self, group: int) -> Shift | None:
        """Return when a group's share of errors shifted, if it did by the window's end and not before it began."""
        line = self.timeline
        found = share_shifts(self.failures[group], self.counts[group], line.starts, line.width)[0]
        return self.timeline.recent(found)

    def latency_shift(self, group: int) -> Shift | None:
        """Return when a group's p95 shifted, if it did."""
        found = level_shifts(self.p95[group], self.timeline.starts, self.timeline.width)[0]
        return self.timeline.recent(found)

    def rate_shift(self, group: int) -> Shift | None:
        """Return when a group's number of requests shifted, if it did."""
        known = np.where(self.timeline.covered, self.counts[group], np.nan)
        return self.timeline.recent(level_shifts(known, self.timeline.starts, self.timeline.width, counts=True)[0])

    def covered_requests(self, group: int) -> tuple[float, float]:
        """Return how many requests a group had before and in the window, where time is covered by buckets."""
        line, counts = self.timeline, self.counts[group]
        known = np.where(line.covered, counts, 0.0)
        return float(known[: line.before].sum()), float(known[line.before :].sum())


def timeline_of(spans: Spans, window: Window, baseline: Window) -> Timeline:
    """Return about 60 buckets of a second or more for the window, and as wide ones before it."""
    begin, end = to_ns(window.start), to_ns(window.end)
    first, last = to_ns(baseline.start), to_ns(baseline.end)
    seconds = max(1, -(-(end - begin) // (_IN_WINDOW * _SECOND)))
    width = seconds * _SECOND
    inside = begin + width * np.arange(-(-(end - begin) // width), dtype=np.int64)
    count = min(_BEFORE, (last - first) // width)
    before = last - width * np.arange(count, 0, -1, dtype=np.int64)
    starts = np.concatenate([before, inside])
    oldest, newest = (int(spans.start.min()), int(spans.start.max())) if len(spans) else (end, end)
    covered = (starts + width // 2 >= oldest) & (starts + width // 2 <= newest)
    return Timeline(starts, width, int(count), covered, (begin, end), (first, last))


def measure(sample: Sample, line: Timeline, stand_in: tuple[Floats, Floats] | None = None) -> Measured:
    """Compare each group's window with what came before it, and cut both into buckets.

    `stand_in` (requests, errors) is what a group's error share is compared with where it has no past of its own.
    """
    requests, errors = _counted(sample)
    if stand_in is not None:
        new = requests[0] == 0
        past = np.where(new, stand_in[0], requests[0]), np.where(new, stand_in[1], errors[0])
    else:
        past = requests[0], errors[0]
    counts, failures, p95 = _buckets(sample, line)
    known = np.where(line.covered[None, :], counts, np.nan)
    return Measured(
        requests=requests,
        errors=errors,
        shares=compare_shares(past[1], past[0], errors[1], requests[1]),
        latency=_latency(sample),
        rates=compare(known[:, : line.before], known[:, line.before :], counts=True),
        counts=counts,
        failures=failures,
        p95=p95,
        p95_levels=compare(p95[:, : line.before], p95[:, line.before :]),
        timeline=line,
    )


def distinct(values: Sequence[Ints]) -> tuple[tuple[tuple[int, ...], ...], Ints]:
    """Return the distinct rows of several columns of codes (from 0), sorted, and each row's number among them."""
    if not len(values[0]):
        return (), np.zeros(0, dtype=np.int64)
    sizes = tuple(int(column.max()) + 1 for column in values)
    joined, number = np.unique(np.ravel_multi_index(tuple(values), sizes), return_inverse=True)
    rows = np.stack(np.unravel_index(joined, sizes), axis=1)
    return tuple(tuple(int(code) for code in row) for row in rows), number.reshape(-1).astype(np.int64)


def _counted(sample: Sample) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    def count(which: Bools) -> Floats:
        return np.bincount(sample.group[which], minlength=sample.groups).astype(np.float64)

    before, after, failed = ~sample.after, sample.after, sample.failed
    return (count(before), count(after)), (count(before & failed), count(after & failed))


def _latency(sample: Sample) -> LatencyComparison:
    before, after = sample.of(~sample.after), sample.of(sample.after)
    return compare_durations(before.ms, before.group, after.ms, after.group, sample.groups)


def _buckets(sample: Sample, line: Timeline) -> tuple[Floats, Floats, Floats]:
    """Return requests, failures and p95 (ms, NaN without requests) by group and bucket."""
    size = (sample.groups, len(line.starts))
    bucket = line.bucket(sample.start)
    known = bucket >= 0
    cell = sample.group[known] * size[1] + bucket[known]
    counts = np.bincount(cell, minlength=size[0] * size[1]).reshape(size).astype(np.float64)
    failures = np.bincount(cell, weights=sample.failed[known], minlength=size[0] * size[1]).reshape(size)
    p95 = Ordered.of_groups(sample.ms[known], cell, size[0] * size[1]).quantile(0.95).reshape(size)
    return counts, failures.astype(np.float64), p95


def milliseconds(nanoseconds: Ints | Floats) -> Floats:
    """Return nanoseconds as milliseconds."""
    return np.asarray(nanoseconds, dtype=np.float64) / MS
