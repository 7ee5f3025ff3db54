"""From cells to figures: what each series says in each bucket, in a unit that people read. Nothing is judged here.

A gauge gives its value, a counter its rate, a histogram its rate, mean and 95th percentile. A rate is 0, and not
unknown, while the instance sent other series of the metric: then nothing of this kind had happened yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from midwatch_metrics.backend import Cells, Floats, Form, Series

SHARE_WORDS = ("utilization", "utilisation", "usage_ratio", "percent", "saturation")


class Statistic(StrEnum):
    """What is said of a series."""

    VALUE = "value"
    RATE = "rate"
    MEAN = "mean"
    P95 = "p95"


@dataclass(frozen=True, slots=True)
class Measured:
    """One statistic of one series, and the unit that its figures are in."""

    series: Series
    statistic: Statistic
    unit: str

    @property
    def name(self) -> str:
        """The metric, and the statistic where it isn't the plain value."""
        plain = self.statistic is Statistic.VALUE
        return self.series.metric if plain else f"{self.series.metric}.{self.statistic.value}"

    @property
    def is_share(self) -> bool:
        """Whether 100 % is as much as there can be."""
        return self.unit == "%"

    @property
    def is_duration(self) -> bool:
        """Whether it is a mean or percentile of times."""
        return self.unit == "ms" and self.statistic in (Statistic.MEAN, Statistic.P95)


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """Statistics of series by bucket: `values[i, b]` is what `measured[i]` says in bucket b, NaN where nothing."""

    measured: Sequence[Measured]
    values: Floats


def figures_of(series: Sequence[Series], cells: Cells, buckets: int) -> Figures:
    """Return every statistic of every series."""
    tables = _Tables(series, cells, buckets)
    measured: list[Measured] = []
    rows: list[Floats] = []
    for statistic, forms in _STATISTICS.items():
        table = tables.of(statistic)
        for i, one in enumerate(series):
            if one.form in forms:
                unit, factor = unit_of(one, statistic)
                measured.append(Measured(one, statistic, unit))
                rows.append(table[i] * factor)
    values = np.array(rows, dtype=np.float64).reshape(len(rows), buckets)
    return Figures(measured, np.where(np.isfinite(values), values, np.nan))


_STATISTICS = {
    Statistic.VALUE: {Form.GAUGE},
    Statistic.RATE: {Form.COUNTER, Form.HISTOGRAM},
    Statistic.MEAN: {Form.HISTOGRAM},
    Statistic.P95: {Form.HISTOGRAM},
}


def unit_of(series: Series, statistic: Statistic) -> tuple[str, float]:
    """Return the unit that a statistic is told in, and what its figures are multiplied by for that."""
    plain = series.unit.strip()
    if statistic is Statistic.RATE:
        told = "" if plain.startswith("{") or plain in ("", "1") or series.form is Form.HISTOGRAM else plain
        return f"{told or '1'}/s", 1.0
    if plain == "1" and any(word in series.metric.lower() for word in SHARE_WORDS):
        return "%", 100.0
    if plain in ("s", "us", "ns"):
        return "ms", {"s": 1e3, "us": 1e-3, "ns": 1e-6}[plain]
    return ("" if plain == "1" else plain.strip("{}")), 1.0


class _Tables:
    """The cells as tables of series by bucket."""

    def __init__(self, series: Sequence[Series], cells: Cells, buckets: int) -> None:
        self._series, self._cells, self._shape = series, cells, (len(series), buckets)

    def of(self, statistic: Statistic) -> Floats:
        """Return the table of a statistic, in the backend's unit."""
        match statistic:
            case Statistic.VALUE:
                return self._table(self._cells.value)
            case Statistic.RATE:
                return self._rates()
            case Statistic.MEAN:
                return self._table(_over(self._cells.value, self._cells.count))
            case Statistic.P95:
                return self._table(self._quantiles(0.95))

    def _table(self, values: Floats) -> Floats:
        table = np.full(self._shape, np.nan)
        table[self._cells.series, self._cells.bucket] = values
        return table

    def _rates(self) -> Floats:
        counters = np.array([one.form is Form.COUNTER for one in self._series], dtype=bool)
        amount = np.where(counters[self._cells.series], self._cells.value, self._cells.count)
        rates = self._table(_over(amount, self._cells.seconds))
        senders = [(one.metric, one.service, one.instance) for one in self._series]
        numbers = {sender: i for i, sender in enumerate(dict.fromkeys(senders))}
        sender = np.array([numbers[one] for one in senders], dtype=np.int64)
        sent = np.zeros((len(numbers), self._shape[1]), dtype=bool)
        np.logical_or.at(sent, sender, ~np.isnan(rates))
        return np.where(np.isnan(rates) & sent[sender], 0.0, rates)

    def _quantiles(self, q: float) -> Floats:
        plain = np.array([one.form is Form.HISTOGRAM and not one.bounds for one in self._series], dtype=bool)
        found = np.where(plain[self._cells.series], self._cells.high, np.nan)
        by_bounds: dict[tuple[float, ...], list[int]] = {}
        for i, one in enumerate(self._series):
            if one.bounds:
                by_bounds.setdefault(one.bounds, []).append(i)
        for bounds, members in by_bounds.items():
            rows = np.flatnonzero(np.isin(self._cells.series, members))
            found[rows] = quantiles(bounds, self._cells.filled[rows, : len(bounds) + 1], q)
        return found


def quantiles(bounds: Sequence[float], filled: Floats, q: float) -> Floats:
    """Return a quantile of each histogram (rows), spread evenly within a bucket; NaN when it is empty.

    As Prometheus reads it (`histogram_quantile`): the first bucket begins at 0, and what lies above all bounds reads
    as the highest.
    """
    upper = np.array([*bounds, bounds[-1]])
    lower = np.array([min(0.0, bounds[0]), *bounds])
    wanted = q * filled.sum(axis=1)
    reached = np.cumsum(filled, axis=1)
    at = np.minimum((reached < wanted[:, None]).sum(axis=1), len(bounds))
    rows = np.arange(len(filled))
    part = _over(wanted - (reached[rows, at] - filled[rows, at]), filled[rows, at])
    return np.asarray(lower[at] + (upper[at] - lower[at]) * part)


def _over(amount: Floats, by: Floats) -> Floats:
    return np.asarray(np.divide(amount, by, out=np.full(len(amount), np.nan), where=by > 0))
