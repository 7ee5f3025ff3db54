"""Which samples to fetch for a timeline, and how: as they are, or, where there are too many, bucket by bucket.

Raw samples are exact, and are what is fetched as long as there are few enough of them. Else Prometheus makes levels
and increases of them, with buckets for steps; and where even those would be too many, series are left out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from midwatch_kit import rfc3339
from midwatch_kit.parallel import Threads
from midwatch_metrics.backend import Form
from midwatch_metrics.backends.prometheus.api import PrometheusApi, TooLarge
from midwatch_metrics.backends.prometheus.families import Family, Labels
from midwatch_metrics.backends.prometheus.labels import one_of_names
from midwatch_metrics.backends.prometheus.samples import (
    Increases,
    Levels,
    Samples,
    increases_of,
    levels_of,
    samples_of,
)
from midwatch_metrics.timeline import SECOND, Timeline, from_ns

MOST_SAMPLES: Final = 1_500_000
_BATCH: Final = 250_000
_EXPRESSIONS: Final = 24
_THREADS: Final = 4
_LOOK_BACK: Final = 120 * SECOND
"""How long before a span samples are looked for, so that the first increase in it has something to rise from."""
_USUAL_STEP: Final = 15 * SECOND
"""How far samples are taken to lie apart, when it is guessed how many there will be."""
_COARSE: Final = 120 * SECOND
_SHORTEST_RANGE: Final = 240 * SECOND
_NAME, _STATISTIC = "midwatch_name", "midwatch_statistic"
_GAUGE: Final = {"mean": "avg_over_time", "low": "min_over_time", "high": "max_over_time"}
_CUMULATIVE: Final = {"amount": "increase"}


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """Raw series: their labels, and which of the selectors found each."""

    labels: Sequence[Labels]
    found_by: Sequence[int]
    selectors: Callable[[str], Sequence[str]]
    """Gives the selectors for what is asked of the name."""


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """What was measured of raw series in a timeline, how many samples that took, and the queries as one would type."""

    levels: Levels
    increases: Increases
    points: int
    text: str


def affordable(families: Sequence[Family], timeline: Timeline) -> int:
    """Return how many of the families, from the first, can be read: all, unless they would be too many samples."""
    each = _samples_of_one(timeline)
    total = np.cumsum([len(family.parts) * each for family in families])
    return int(np.searchsorted(total, MOST_SAMPLES, side="right"))


def read(api: PrometheusApi, listed: Listed, families: Sequence[Family], timeline: Timeline) -> Read:
    """Return what was measured of the families' raw series."""
    wanted = [raw for family in families for raw in family.raws]
    if len(wanted) * _raw_samples_of_one(timeline) <= MOST_SAMPLES:
        try:
            return _read_raw(api, listed, families, timeline)
        except TooLarge:
            if timeline.width < _COARSE:
                raise
    return _read_stepped(api, listed, families, timeline)


def _samples_of_one(timeline: Timeline) -> float:
    raw = _raw_samples_of_one(timeline)
    return min(raw, 2.0 * (timeline.before + timeline.after)) if timeline.width >= _COARSE else raw


def _raw_samples_of_one(timeline: Timeline) -> float:
    return sum(end - start for start, end in _spans(timeline)) / _USUAL_STEP


def _spans(timeline: Timeline) -> list[tuple[int, int]]:
    """The baseline and the window, as one span when they touch."""
    window = timeline.window_start - _LOOK_BACK, timeline.window_end
    if not timeline.before:
        return [window]
    if timeline.baseline_end >= window[0]:
        return [(timeline.baseline_start - _LOOK_BACK, timeline.window_end)]
    return [(timeline.baseline_start - _LOOK_BACK, timeline.baseline_end), window]


def _read_raw(api: PrometheusApi, listed: Listed, families: Sequence[Family], timeline: Timeline) -> Read:
    numbers = _numbers(listed.labels)
    spans = _spans(timeline)
    asked = [
        (selector, span)
        for selector in _batches(listed, families, int(_BATCH / _raw_samples_of_one(timeline)))
        for span in spans
    ]

    def fetch(one: tuple[str, tuple[int, int]]) -> Sequence[Mapping[str, Any]]:
        selector, (start, end) = one
        range_ = f"{(end - start) // 1_000_000}ms"
        answer = api.ask("query", {"query": f"{selector}[{range_}]", "time": _seconds(end)})
        return answer["result"] if answer["resultType"] == "matrix" else []

    with Threads(_THREADS, "prometheus") as threads:
        result = [one for part in threads.map(fetch, asked) for one in part]
    samples = samples_of(result, numbers)
    forms = _forms(families, len(listed.labels))
    levels = levels_of(samples, forms == "level", timeline)
    increases = increases_of(samples, _senders(families, len(listed.labels)), forms == "rise", timeline)
    text = " ; ".join(dict.fromkeys(_typed(listed, families, span) for span in spans))
    return Read(levels, increases, _inside(samples, timeline), text)


def _inside(samples: Samples, timeline: Timeline) -> int:
    start = timeline.baseline_start if timeline.before else timeline.window_start
    inside = (samples.time >= start) & (samples.time < timeline.window_end)
    between = (samples.time >= timeline.baseline_end) & (samples.time < timeline.window_start)
    return int((inside & ~(between & (timeline.before > 0))).sum())


def _read_stepped(api: PrometheusApi, listed: Listed, families: Sequence[Family], timeline: Timeline) -> Read:
    expressions = list(_expressions(listed, families, max(timeline.width, _SHORTEST_RANGE)))
    numbers = {(name, labels): number for (name, labels), number in _named(listed.labels).items()}
    batches = [expressions[i : i + _EXPRESSIONS] for i in range(0, len(expressions), _EXPRESSIONS)]
    asked = [(" or ".join(batch), grid) for batch in batches for grid in _grids(timeline)]

    def fetch(one: tuple[str, tuple[int, int, int]]) -> dict[str, _Table]:
        expression, (start, end, first) = one
        step = _seconds(timeline.width)
        answer = api.ask(
            "query_range", {"query": expression, "start": _seconds(start), "end": _seconds(end), "step": step}
        )
        return _tables(answer["result"], numbers, start, first, timeline.width)

    with Threads(_THREADS, "prometheus") as threads:
        parts = list(threads.map(fetch, asked))
    tables = {statistic: _stacked([part[statistic] for part in parts if statistic in part]) for statistic in _ALL}
    ends = np.concatenate([timeline.starts + timeline.width, [0]])
    levels, rises = tables["mean"], tables["amount"]
    low, high = (_matched(tables[one], levels) for one in ("low", "high"))
    scale = timeline.width / max(timeline.width, _SHORTEST_RANGE)
    return Read(
        Levels(levels.raw, levels.bucket, levels.value, np.ones(len(levels.raw)), low, high, ends[levels.bucket] - 1),
        Increases(
            rises.raw,
            rises.bucket,
            rises.value * scale,
            np.full(len(rises.raw), timeline.seconds),
            ends[rises.bucket] - 1,
        ),
        sum(len(table.raw) for table in tables.values()),
        f"{_typed(listed, families, _spans(timeline)[-1])} -- by avg|min|max_over_time and increase, "
        f"step {timeline.seconds:g}s",
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """One statistic of raw series, by bucket."""

    raw: NDArray[np.int64]
    bucket: NDArray[np.int64]
    value: NDArray[np.float64]


_ALL: Final = (*_GAUGE, *_CUMULATIVE)


def _tables(
    result: Sequence[Mapping[str, Any]],
    numbers: Mapping[tuple[str, frozenset[tuple[str, str]]], int],
    start: int,
    first: int,
    width: int,
) -> dict[str, _Table]:
    """What a range query gave, by statistic; its first step is the end of bucket `first`."""
    found: dict[str, list[_Table]] = {}
    for one in result:
        labels = dict(one["metric"])
        name, statistic = labels.pop(_NAME, ""), labels.pop(_STATISTIC, "")
        number = numbers.get((name, frozenset(labels.items())))
        if number is not None:
            times = np.array([point[0] for point in one["values"]], dtype=np.float64)
            value = np.array([point[1] for point in one["values"]], dtype=np.float64)
            bucket = first + np.rint((times * SECOND - start) / width).astype(np.int64)
            known = np.isfinite(value)
            raw = np.full(int(known.sum()), number, dtype=np.int64)
            found.setdefault(statistic, []).append(_Table(raw, bucket[known], value[known]))
    return {statistic: _stacked(tables) for statistic, tables in found.items()}


def _stacked(tables: Sequence[_Table]) -> _Table:
    if not tables:
        return _Table(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return _Table(*(np.concatenate([getattr(one, part) for one in tables]) for part in ("raw", "bucket", "value")))


def _matched(table: _Table, like: _Table) -> NDArray[np.float64]:
    """The values of a table in the order of another's rows."""
    known = dict(zip(zip(table.raw.tolist(), table.bucket.tolist(), strict=True), table.value.tolist(), strict=True))
    rows = zip(like.raw.tolist(), like.bucket.tolist(), strict=True)
    return np.array([known.get(row, np.nan) for row in rows], dtype=np.float64)


def _grids(timeline: Timeline) -> list[tuple[int, int, int]]:
    """First and last step of each span, and the bucket that the first one ends."""
    window = (
        timeline.window_start + timeline.width,
        timeline.window_start + timeline.after * timeline.width,
        timeline.before,
    )
    if not timeline.before:
        return [window]
    return [(timeline.baseline_start + timeline.width, timeline.baseline_end, 0), window]


def _expressions(listed: Listed, families: Sequence[Family], range_: int) -> Iterator[str]:
    """An expression for each name, selector and statistic; functions drop names, so a label keeps them."""
    asked: dict[tuple[str, int, bool], None] = {}
    for family in families:
        for raw in family.raws:
            name = listed.labels[raw]["__name__"]
            asked[name, listed.found_by[raw], family.series.form is Form.GAUGE] = None
    for name, selector, gauge in asked:
        for statistic, function in (_GAUGE if gauge else _CUMULATIVE).items():
            text = f"{function}({listed.selectors(one_of_names([name]))[selector]}[{range_ // 1_000_000}ms])"
            named = f'label_replace({text},"{_NAME}","{name}","","")'
            yield f'label_replace({named},"{_STATISTIC}","{statistic}","","")'


def _batches(listed: Listed, families: Sequence[Family], most: int) -> Iterator[str]:
    """Selectors that together find the families' raw series, each hardly more than `most` of them."""
    counts: dict[tuple[int, str], int] = {}
    for family in families:
        for raw in family.raws:
            key = listed.found_by[raw], listed.labels[raw]["__name__"]
            counts[key] = counts.get(key, 0) + 1
    for selector in sorted({selector for selector, _ in counts}):
        names: list[str] = []
        size = 0
        for (_, name), count in sorted(item for item in counts.items() if item[0][0] == selector):
            if names and size + count > most:
                yield listed.selectors(one_of_names(names))[selector]
                names, size = [], 0
            names.append(name)
            size += count
        yield listed.selectors(one_of_names(names))[selector]


def _typed(listed: Listed, families: Sequence[Family], span: tuple[int, int]) -> str:
    """The question as one would type it: short, also where many names were asked for."""
    names = sorted({listed.labels[raw]["__name__"] for family in families for raw in family.raws})
    told = one_of_names(names) if len(names) <= 4 else '__name__=~".+"'
    start, end = (rfc3339(from_ns(moment)) for moment in span)
    selectors = listed.selectors(told)
    used = [
        selectors[number] for number in sorted({listed.found_by[raw] for family in families for raw in family.raws})
    ]
    return f"{' or '.join(used)} from {start} to {end}"


def _forms(families: Sequence[Family], count: int) -> NDArray[np.object_]:
    forms = np.full(count, "", dtype=object)
    for family in families:
        forms[family.raws] = "level" if family.series.form is Form.GAUGE else "rise"
    return forms


def _senders(families: Sequence[Family], count: int) -> NDArray[np.int64]:
    """Who sent each raw series, metric by metric, by number."""
    senders = np.zeros(count, dtype=np.int64)
    numbers: dict[tuple[str, str, str], int] = {}
    for family in families:
        one = family.series
        number = numbers.setdefault((one.metric, one.service, one.instance), len(numbers))
        senders[family.raws] = number
    return senders


def _numbers(labels: Sequence[Labels]) -> dict[frozenset[tuple[str, str]], int]:
    return {frozenset(one.items()): number for number, one in enumerate(labels)}


def _named(labels: Sequence[Labels]) -> dict[tuple[str, frozenset[tuple[str, str]]], int]:
    return {
        (one["__name__"], frozenset((name, value) for name, value in one.items() if name != "__name__")): number
        for number, one in enumerate(labels)
    }


def _seconds(moment: int) -> str:
    """A moment or a length (ns) in seconds, to the millisecond, as the API reads it."""
    return f"{moment / SECOND:.3f}"
