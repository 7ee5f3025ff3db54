"""From samples to cells: gauges by their levels, counters and classic histograms by their increases. Arithmetic only.

Increases are taken from sample to sample, and belong to the bucket of the later one, together with the time they took,
so that a rate does not depend on how samples fall into buckets. A counter that fell began again at 0. The first sample
of a series tells nothing, unless the same instance had already sent others of the metric: then the series is new, as a
status is that was never answered before, and its first sample counts whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from midwatch_metrics.backend import Cells, Floats, Form, Ints
from midwatch_metrics.backends.prometheus.families import Family
from midwatch_metrics.timeline import Timeline, buckets_of

_MILLISECOND: Final = 1_000_000
_STEADY: Final = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Samples of raw series, in order of series and time (ns)."""

    raw: Ints
    time: Ints
    value: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """What raw series stood at, by bucket."""

    raw: Ints
    bucket: Ints
    mean: Floats
    count: Floats
    low: Floats
    high: Floats
    last: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Increases:
    """How far raw series rose, by bucket, and in how many seconds."""

    raw: Ints
    bucket: Ints
    amount: Floats
    seconds: Floats
    last: Ints


def samples_of(result: Sequence[Mapping[str, Any]], numbers: Mapping[frozenset[tuple[str, str]], int]) -> Samples:
    """Return the samples of a matrix, of the series that are numbered; what is no number is left out."""
    raw: list[Ints] = []
    times: list[Floats] = []
    values: list[Floats] = []
    for one in result:
        number = numbers.get(frozenset(one["metric"].items()))
        points = one.get("values") or []
        if number is not None and points:
            raw.append(np.full(len(points), number, dtype=np.int64))
            times.append(np.array([point[0] for point in points], dtype=np.float64))
            values.append(np.array([point[1] for point in points], dtype=np.float64))
    if not raw:
        return Samples(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    owner: Ints = np.concatenate(raw)
    value = np.concatenate(values)
    time: Ints = np.rint(np.concatenate(times) * 1000).astype(np.int64) * _MILLISECOND
    order = np.lexsort((time, owner))
    order = order[np.isfinite(value[order])]
    fresh = np.ones(len(order), dtype=bool)  # two spans may give a sample twice
    fresh[1:] = (np.diff(owner[order]) != 0) | (np.diff(time[order]) != 0)
    order = order[fresh]
    return Samples(owner[order], time[order], value[order])


def levels_of(samples: Samples, chosen: NDArray[np.bool_], timeline: Timeline) -> Levels:
    """Return the levels of those raw series that are chosen (by number)."""
    bucket = buckets_of(samples.time, timeline)
    rows = np.flatnonzero(chosen[samples.raw] & (bucket >= 0))
    raw, place, inverse = _cells_of(samples.raw[rows], bucket[rows])
    count = np.bincount(inverse, minlength=len(raw)).astype(np.float64)
    low, high = np.full(len(raw), np.inf), np.full(len(raw), -np.inf)
    last = np.zeros(len(raw), dtype=np.int64)
    np.minimum.at(low, inverse, samples.value[rows])
    np.maximum.at(high, inverse, samples.value[rows])
    np.maximum.at(last, inverse, samples.time[rows])
    mean = np.bincount(inverse, samples.value[rows], len(raw)) / np.maximum(count, 1)
    return Levels(raw, place, mean, count, low, high, last)


def increases_of(samples: Samples, senders: Ints, chosen: NDArray[np.bool_], timeline: Timeline) -> Increases:
    """Return the increases of those raw series that are chosen; `senders` numbers who sent each, metric by metric."""
    keep = chosen[samples.raw]
    raw, time, value = samples.raw[keep], samples.time[keep], samples.value[keep]
    later = np.zeros(len(raw), dtype=bool)
    later[1:] = np.diff(raw) == 0
    before = np.where(later, np.roll(value, 1), 0.0)
    amount = np.where(value < before, value, value - before)
    took = np.where(later, (time - np.roll(time, 1)) / 1e9, 0.0)
    first, step = _first_and_step(senders[raw], time, took, later)
    new = ~later & (time > first[senders[raw]] + _STEADY * 1e9 * step[senders[raw]])
    took = np.where(new, step[senders[raw]], took)
    bucket = buckets_of(time, timeline)
    rows = np.flatnonzero((later | new) & (bucket >= 0) & (took > 0))
    own, place, inverse = _cells_of(raw[rows], bucket[rows])
    last = np.zeros(len(own), dtype=np.int64)
    np.maximum.at(last, inverse, time[rows])
    return Increases(own, place, _totals(inverse, amount[rows], len(own)), _totals(inverse, took[rows], len(own)), last)


def _first_and_step(sender: Ints, time: Ints, took: Floats, later: NDArray[np.bool_]) -> tuple[Ints, Floats]:
    """When each sender was first heard, and how many seconds lie between its samples, by median."""
    count = int(sender.max(initial=-1)) + 1
    first = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(first, sender, time)
    step = np.zeros(count)
    order = np.lexsort((took[later], sender[later]))
    who, gaps = sender[later][order], took[later][order]
    starts = np.flatnonzero(np.diff(who, prepend=-1))
    sizes = np.diff([*starts, len(who)])
    if len(starts):
        step[who[starts]] = gaps[starts + sizes // 2]
    return first, step


def _totals(inverse: Ints, amounts: Floats, count: int) -> Floats:
    return np.bincount(inverse, amounts, count).astype(np.float64)


def _cells_of(raw: Ints, bucket: Ints) -> tuple[Ints, Ints, Ints]:
    """Return the (raw, bucket) pairs that there are, in order, and which of them each row belongs to."""
    width = int(bucket.max(initial=0)) + 1
    keys, inverse = np.unique(raw * width + bucket, return_inverse=True)
    return keys // width, keys % width, inverse


def assemble(families: Sequence[Family], levels: Levels, increases: Increases) -> Cells:
    """Return the cells of the series that raw series make up, numbered in their order."""
    roles = _Roles(families)
    gauges = _levels_as_cells(roles, levels)
    counters = _counters(roles, increases)
    histograms = _histograms(roles, increases, max((len(one.series.bounds) + 1 for one in families), default=0))
    return _joined([gauges, counters, histograms])


class _Roles:
    """Of each raw series: its family, its role in it, and the column of a histogram's bucket."""

    def __init__(self, families: Sequence[Family]) -> None:
        count = max((part.raw for family in families for part in family.parts), default=-1) + 1
        self.family = np.full(count, -1, dtype=np.int64)
        self.role = np.full(count, "", dtype=object)
        self.column = np.zeros(count, dtype=np.int64)
        self.form = np.array([family.series.form for family in families], dtype=object)
        for number, family in enumerate(families):
            columns = {bound: i for i, bound in enumerate(family.series.bounds)}
            for part in family.parts:
                self.family[part.raw], self.role[part.raw] = number, part.role
                self.column[part.raw] = columns.get(part.bound, len(columns))

    def rows(self, raw: Ints, role: str, form: Form) -> Ints:
        """Which of these raw series play this role in a family of this form."""
        known = self.family[raw] >= 0
        return np.flatnonzero(known & (self.role[raw] == role) & (self.form[self.family[raw]] == form))


def _levels_as_cells(roles: _Roles, levels: Levels) -> Cells:
    rows = roles.rows(levels.raw, "value", Form.GAUGE)
    return Cells(
        series=roles.family[levels.raw[rows]],
        bucket=levels.bucket[rows],
        value=levels.mean[rows],
        count=levels.count[rows],
        seconds=np.zeros(len(rows)),
        low=levels.low[rows],
        high=levels.high[rows],
        last=levels.last[rows],
        filled=np.zeros((len(rows), 0)),
    )


def _counters(roles: _Roles, increases: Increases) -> Cells:
    rows = roles.rows(increases.raw, "value", Form.COUNTER)
    unknown = np.full(len(rows), np.nan)
    return Cells(
        series=roles.family[increases.raw[rows]],
        bucket=increases.bucket[rows],
        value=increases.amount[rows],
        count=np.ones(len(rows)),
        seconds=increases.seconds[rows],
        low=unknown,
        high=unknown,
        last=increases.last[rows],
        filled=np.zeros((len(rows), 0)),
    )


def _histograms(roles: _Roles, increases: Increases, width: int) -> Cells:
    """Parts of a histogram in one bucket of time are one cell; its own buckets, told up to a bound, become plain."""
    parts = {role: roles.rows(increases.raw, role, Form.HISTOGRAM) for role in ("sum", "count", "bucket")}
    rows = np.concatenate(list(parts.values()))
    family, bucket, _ = _cells_of(roles.family[increases.raw[rows]], increases.bucket[rows])
    places = {pair: i for i, pair in enumerate(zip(family.tolist(), bucket.tolist(), strict=True))}

    def cell(rows: Ints) -> Ints:
        pairs = zip(roles.family[increases.raw[rows]].tolist(), increases.bucket[rows].tolist(), strict=True)
        return np.array([places[pair] for pair in pairs], dtype=np.int64)

    size, last = len(family), np.zeros(len(family), dtype=np.int64)
    seconds, up_to = np.zeros(size), np.zeros((size, width))
    value, count = np.full(size, np.nan), np.full(size, np.nan)
    for role, own in parts.items():
        at = cell(own)
        np.maximum.at(seconds, at, increases.seconds[own])
        np.maximum.at(last, at, increases.last[own])
        if role == "bucket":
            up_to[at, roles.column[increases.raw[own]]] = increases.amount[own]
        else:
            (value if role == "sum" else count)[at] = increases.amount[own]
    filled = np.maximum(np.diff(up_to, axis=1, prepend=0.0), 0.0) if width else up_to
    count = np.where(np.isnan(count), up_to.max(axis=1, initial=0.0), count)
    unknown = np.full(size, np.nan)
    return Cells(family, bucket, value, count, seconds, unknown, unknown, last, filled)


def _joined(parts: Sequence[Cells]) -> Cells:
    width = max(part.filled.shape[1] for part in parts)
    wide = [np.pad(part.filled, ((0, 0), (0, width - part.filled.shape[1]))) for part in parts]
    names = ("series", "bucket", "value", "count", "seconds", "low", "high", "last")
    joined: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Cells(**joined, filled=np.concatenate(wide))


def no_cells() -> Cells:
    """Return no cells."""
    whole, real = np.zeros(0, np.int64), np.zeros(0)
    return Cells(whole, whole, real, real, real, real, real, whole, np.zeros((0, 0)))


def without(cells: Cells, gone: NDArray[np.bool_]) -> Cells:
    """Return the cells but those that are to go."""
    return Cells(**{name: getattr(cells, name)[~gone] for name in Cells.__slots__})


def renumbered(cells: Cells, kept: Sequence[int]) -> Cells:
    """Return the cells with series numbered by their place among those kept."""
    numbers = {old: new for new, old in enumerate(kept)}
    series = np.array([numbers[old] for old in cells.series.tolist()], dtype=np.int64)
    parts: dict[str, Any] = {name: getattr(cells, name) for name in Cells.__slots__}
    return Cells(**{**parts, "series": series})
