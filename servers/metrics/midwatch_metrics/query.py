"""One metric, aggregated by bucket and group: what a person would plot. It compares nothing.

What an aggregation means follows from what the metric is: a counter has a rate or a sum of increases, a histogram
also an average and percentiles, a gauge an average, extremes, or a sum over its series.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Literal

import numpy as np
from pydantic import JsonValue

from midwatch_kit import BadInput, NotFound, rfc3339
from midwatch_metrics.backend import Cells, Floats, Form, Gathered, Ints, Selection, Series
from midwatch_metrics.figures import Statistic, quantiles, unit_of
from midwatch_metrics.timeline import SECOND, Timeline, from_ns
from midwatch_metrics.words import amount

Aggregation = Literal["auto", "avg", "sum", "max", "min", "rate", "p50", "p95", "p99"]

MOST_GROUPS: Final = 100
_MEANT: Final[Mapping[Form, tuple[Aggregation, ...]]] = {
    Form.GAUGE: ("avg", "max", "min", "sum"),
    Form.COUNTER: ("rate", "sum"),
    Form.HISTOGRAM: ("p95", "p50", "p99", "avg", "rate", "sum"),
}
_PERCENTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, slots=True)
class Group:
    """One line of a plot: what its series have in common, and its figures by bucket."""

    names: tuple[tuple[str, str], ...]
    series: int
    values: Floats


@dataclass(frozen=True, slots=True)
class Queried:
    """The groups of a query, by name; how many there are beyond those, and how their figures read."""

    groups: Sequence[Group]
    more: int
    aggregation: Aggregation
    unit: str

    def rows(self, timeline: Timeline) -> list[JsonValue]:
        """Return the groups as evidence."""
        start = rfc3339(from_ns(timeline.window_start))
        return [
            {
                "group": dict(group.names),
                "series": group.series,
                "aggregation": self.aggregation,
                "unit": self.unit,
                "start": start,
                "step_seconds": timeline.width / SECOND,
                "values": [_figure(value) for value in group.values],
            }
            for group in self.groups
        ]

    def lines(self, timeline: Timeline) -> list[str]:
        """Return the groups as lines: the figures from the window's start, `-` where there is none."""
        return [self._line(group, timeline) for group in self.groups]

    def _line(self, group: Group, timeline: Timeline) -> str:
        name = ", ".join(f"{key}={value}" for key, value in group.names) or "all series"
        known = group.values[~np.isnan(group.values)]
        if not known.size:
            return f"{name}: no figure"
        least, most = amount(float(known.min()), self.unit), amount(float(known.max()), self.unit)
        figures = " ".join("-" if np.isnan(value) else f"{value:.3g}" for value in group.values)
        return f"{name} [{self.unit or '1'}], every {timeline.seconds:g} s, {least} to {most}: {figures}"


def query_metric(gathered: Gathered, timeline: Timeline, aggregation: Aggregation, group_by: Sequence[str]) -> Queried:
    """Aggregate the series gathered of one metric; raises `BadInput` when the metric has no such aggregation."""
    form = gathered.series[0].form
    chosen = _MEANT[form][0] if aggregation == "auto" else aggregation
    if chosen not in _MEANT[form]:
        name = gathered.series[0].metric
        raise BadInput(f"{chosen} says nothing of {name}, which is a {form.value}: use {', '.join(_MEANT[form])}")
    of_form = {i for i, one in enumerate(gathered.series) if one.form is form}
    members: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for i in sorted(of_form):
        members.setdefault(_group_of(gathered.series[i], group_by), []).append(i)
    unit, factor = _unit(gathered.series[0], chosen)
    names = sorted(members)
    groups = [
        Group(name, len(members[name]), factor * _aggregate(gathered, members[name], timeline.after, chosen))
        for name in names[:MOST_GROUPS]
    ]
    return Queried(groups, len(names) - len(groups), chosen, unit)


def percentile_of(aggregation: Aggregation) -> float | None:
    """Return which percentile an aggregation asks of a histogram, 0 to 1; None for none."""
    return _PERCENTILES.get(_MEANT[Form.HISTOGRAM][0] if aggregation == "auto" else aggregation)


def refuse_unknown(name: str, known: Sequence[str], selection: Selection) -> None:
    """Raise `NotFound` with metrics that there are, unless `name` is one and only the filters fit nothing."""
    if any(name in (one, one.rsplit("/", 1)[-1]) for one in known):  # CloudWatch's go by their own name as well
        if selection.attributes:
            pairs = ", ".join(f"{key}={value}" for key, value in selection.attributes.items())
            raise NotFound(f"{name} has no series with {pairs} here: drop a filter, or see list_metrics for attributes")
        return
    near = get_close_matches(name, known, n=10, cutoff=0.3) or list(known)[:10]
    raise NotFound(f"no metric {name[:120]!r} in the window; there are {', '.join(near) or 'none at all'}")


def _group_of(series: Series, group_by: Sequence[str]) -> tuple[tuple[str, str], ...]:
    own = {"service": series.service, "instance": series.instance, **dict(series.attributes)}
    return tuple((key, own.get(key, "")) for key in group_by)


def _unit(series: Series, aggregation: Aggregation) -> tuple[str, float]:
    return unit_of(series, Statistic.RATE if aggregation == "rate" else Statistic.VALUE)


def _aggregate(gathered: Gathered, members: Sequence[int], buckets: int, aggregation: Aggregation) -> Floats:
    cells = gathered.cells
    rows = np.flatnonzero(np.isin(cells.series, members))
    form = gathered.series[members[0]].form
    match aggregation:
        case "p50" | "p95" | "p99":
            bounds = gathered.series[members[0]].bounds
            if not bounds:  # the backend's own percentiles: of several, that of all together is never above the highest
                return _extreme(cells, rows, buckets, highest=True)
            return quantiles(bounds, _merged(gathered, rows, buckets, bounds), _PERCENTILES[aggregation])
        case "rate":
            return _rate(cells, rows, buckets, form)
        case "avg":
            weight = cells.count[rows]
            amounts = cells.value[rows] if form is Form.HISTOGRAM else cells.value[rows] * weight
            return _over(_sum(cells.bucket[rows], amounts, buckets), _sum(cells.bucket[rows], weight, buckets))
        case "max" | "min":
            return _extreme(cells, rows, buckets, aggregation == "max")
        case _:
            return _sum(cells.bucket[rows], cells.value[rows], buckets)


def _sum(bucket: Ints, amounts: Floats, buckets: int) -> Floats:
    """The sum by bucket; NaN where nothing was measured."""
    known = ~np.isnan(amounts)
    totals = np.bincount(bucket[known], amounts[known], buckets)
    return np.where(np.bincount(bucket[known], minlength=buckets) > 0, totals, np.nan)


def _rate(cells: Cells, rows: Ints, buckets: int, form: Form) -> Floats:
    amounts = cells.value[rows] if form is Form.COUNTER else cells.count[rows]
    return _sum(cells.bucket[rows], _over(amounts, cells.seconds[rows]), buckets)


def _extreme(cells: Cells, rows: Ints, buckets: int, highest: bool) -> Floats:
    found = np.full(buckets, -np.inf if highest else np.inf)
    best, values = (np.fmax, cells.high[rows]) if highest else (np.fmin, cells.low[rows])
    best.at(found, cells.bucket[rows], values)
    return np.where(np.isfinite(found), found, np.nan)


def _merged(gathered: Gathered, rows: Ints, buckets: int, bounds: Sequence[float]) -> Floats:
    """Histograms by bucket, of those series whose bounds are the same as the first's."""
    alike = np.array([one.bounds == tuple(bounds) for one in gathered.series], dtype=bool)
    rows = rows[alike[gathered.cells.series[rows]]]
    merged = np.zeros((buckets, len(bounds) + 1))
    np.add.at(merged, gathered.cells.bucket[rows], gathered.cells.filled[rows, : len(bounds) + 1])
    return merged


def _over(amount: Floats, by: Floats) -> Floats:
    return np.asarray(np.divide(amount, by, out=np.full(len(amount), np.nan), where=by > 0))


def _figure(value: float) -> float | None:
    return None if np.isnan(value) else float(f"{value:.6g}")
