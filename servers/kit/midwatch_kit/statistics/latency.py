"""Latency of many edges (or operations, or instances) before and in a window: p50 and p95. It needs no time series.

The error of a sample quantile is read off the ranks one standard error to each side of it (Woodruff, JASA 47, 1952),
which supposes nothing of the distribution. The score is the log ratio of the two quantiles over their joint error,
widened by 5 %: a change of less than about 15 % never reaches 3, however many spans there are.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from midwatch_kit.statistics.baseline import SCORE_LIMIT, known_or_none, ratio
from midwatch_kit.statistics.ordered import Floats, Ints, Ordered

_MATERIAL = 0.05
_FEWEST = 5


class _Ranked(Protocol):
    @property
    def sizes(self) -> Ints: ...

    def at(self, rank: ArrayLike) -> Floats: ...


@dataclass(frozen=True, slots=True)
class LatencyLevel:
    """Latency of one edge compared, in the unit that came in; None where there was nothing to measure."""

    baseline_p50: float | None
    window_p50: float | None
    ratio_p50: float | None
    score_p50: float
    baseline_p95: float | None
    window_p95: float | None
    ratio_p95: float | None
    score_p95: float


@dataclass(frozen=True, slots=True, eq=False)
class LatencyComparison:
    """Latencies of edges compared, one array element each; scores are 0 where either side has under five values."""

    baseline_p50: Floats
    window_p50: Floats
    ratio_p50: Floats
    score_p50: Floats
    baseline_p95: Floats
    window_p95: Floats
    ratio_p95: Floats
    score_p95: Floats

    def __len__(self) -> int:
        return len(self.score_p50)

    def row(self, index: int) -> LatencyLevel:
        """One edge as plain values."""
        return LatencyLevel(
            baseline_p50=known_or_none(self.baseline_p50[index]),
            window_p50=known_or_none(self.window_p50[index]),
            ratio_p50=known_or_none(self.ratio_p50[index]),
            score_p50=float(self.score_p50[index]),
            baseline_p95=known_or_none(self.baseline_p95[index]),
            window_p95=known_or_none(self.window_p95[index]),
            ratio_p95=known_or_none(self.ratio_p95[index]),
            score_p95=float(self.score_p95[index]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Histogram:
    """Rows of bucket counts, read as values spread evenly within their bucket."""

    lower: Floats
    upper: Floats
    counts: Floats

    @property
    def sizes(self) -> Ints:
        return np.asarray(np.rint(self.counts.sum(axis=1)), dtype=np.int64)

    def at(self, rank: ArrayLike) -> Floats:
        """The value at a rank from 0 of each row; NaN where the row is empty."""
        sizes = self.sizes
        wanted = np.clip(np.asarray(rank, dtype=np.float64) + 0.5, 0, sizes)
        filled = np.cumsum(self.counts, axis=1)
        bucket = np.minimum((filled < wanted[:, None]).sum(axis=1), self.counts.shape[1] - 1)
        held = np.take_along_axis(self.counts, bucket[:, None], axis=1)[:, 0]
        below = np.take_along_axis(filled, bucket[:, None], axis=1)[:, 0] - held
        part = (wanted - below) / np.maximum(held, 1e-9)
        value = self.lower[bucket] + np.clip(part, 0, 1) * (self.upper[bucket] - self.lower[bucket])
        return np.where(sizes > 0, value, np.nan)


def compare_durations(
    baseline: ArrayLike, baseline_groups: ArrayLike, window: ArrayLike, window_groups: ArrayLike, groups: int
) -> LatencyComparison:
    """Compare raw durations of `groups` edges, given flat with an edge's number (from 0) for each duration."""
    return _compare(
        Ordered.of_groups(baseline, baseline_groups, groups), Ordered.of_groups(window, window_groups, groups)
    )


def compare_histograms(bounds: ArrayLike, baseline_counts: ArrayLike, window_counts: ArrayLike) -> LatencyComparison:
    """Compare histograms (one row for each edge) of `len(bounds) + 1` buckets, as OTLP counts them.

    The first bucket begins at 0; a quantile above all bounds reads as the highest bound. Raises ValueError when counts
    and bounds do not fit together.
    """
    edges = np.asarray(bounds, dtype=np.float64)
    before, after = (np.atleast_2d(np.asarray(c, dtype=np.float64)) for c in (baseline_counts, window_counts))
    if {before.shape[1], after.shape[1]} != {len(edges) + 1}:
        msg = (
            f"{len(edges)} bounds need {len(edges) + 1} counts in each row, not {before.shape[1]} and {after.shape[1]}"
        )
        raise ValueError(msg)
    first = min(0.0, float(edges[0])) if len(edges) else 0.0
    last = float(edges[-1]) if len(edges) else 0.0
    lower, upper = np.concatenate([[first], edges]), np.concatenate([edges, [last]])
    return _compare(_Histogram(lower, upper, before), _Histogram(lower, upper, after))


def _compare(before: _Ranked, after: _Ranked) -> LatencyComparison:
    figures: dict[str, Floats] = {}
    for name, q in (("p50", 0.5), ("p95", 0.95)):
        (was, was_error), (is_now, now_error) = _quantile(before, q), _quantile(after, q)
        figures |= {
            f"baseline_{name}": was,
            f"window_{name}": is_now,
            f"ratio_{name}": ratio(is_now, was),
            f"score_{name}": _score(_log(is_now) - _log(was), was_error, now_error, before.sizes, after.sizes),
        }
    return LatencyComparison(**figures)


def _quantile(ranked: _Ranked, q: float) -> tuple[Floats, Floats]:
    """The quantile of each group and the standard error of its logarithm."""
    n = ranked.sizes
    rank, error = q * (n - 1), np.sqrt(n * q * (1 - q))
    value = ranked.at(rank)
    below, above = _log(value) - _log(ranked.at(rank - error)), _log(ranked.at(rank + error)) - _log(value)
    return value, np.maximum(below, above)


def _log(values: Floats) -> Floats:
    return np.asarray(np.log(np.maximum(values, 1e-12)))


def _score(log_ratio: Floats, was_error: Floats, now_error: Floats, n0: Ints, n1: Ints) -> Floats:
    enough = (n0 >= _FEWEST) & (n1 >= _FEWEST)
    score = log_ratio / np.sqrt(was_error**2 + now_error**2 + _MATERIAL**2)
    return np.where(enough, np.clip(np.nan_to_num(score), -SCORE_LIMIT, SCORE_LIMIT), 0.0)
