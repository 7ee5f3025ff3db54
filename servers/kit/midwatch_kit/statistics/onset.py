"""When a series changed: the onset of its clearest shift, an interval that holds it, and the end if it came back.

One scan over all pairs (begin, end) compares the buckets within with those without: the epidemic alternative of Levin
& Kline (Statistics in Medicine 4, 1985), of which a lasting shift is the case that ends with the series. An end is
only reported when it explains the series better than a lasting shift by more than a free parameter would by chance.

- Levels: Gaussian likelihood of means, the values winsorised at four robust deviations so that one wild bucket weighs
  no more than a clear one. Counts are taken to a constant spread first (Anscombe, Biometrika 35, 1948). The gain is
  measured in the residuals' variance, widened for their autocorrelation (lag 1), so that a series that wanders is not
  a series that shifted.
- Shares: binomial likelihood of errors out of totals for each bucket, divided by the residuals' dispersion (Pearson's
  chi squared for each degree of freedom) where that is above 1, since errors come in bursts.

The interval is all onsets whose likelihood ratio to the best is under 7.35 (Hansen, Econometrica 68, 2000, table I,
95 %), and a bucket to each side, as the change may fall within one. What counts as a change at all was fitted to the
greatest gain in simulated noise, and tests hold it: under 1 % of series of Gaussian or Poisson noise pass.

Why not `ruptures`: its Pelt and Binseg are many times slower and worse with outliers. Its kernel method is as fast and
dates single shifts as well, but gives no interval, tells no spike that ended from a shift that lasts, and knows no
errors out of totals. midwatch_bench.statistics measures all of them in one run.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from midwatch_kit.statistics import scan
from midwatch_kit.statistics.baseline import SCORE_LIMIT
from midwatch_kit.statistics.ordered import Floats, Ints, finite

_SHARE_CHANCE = 18.0
_FEWEST = 6


@dataclass(frozen=True, slots=True)
class Shift:
    """A change of one series; times in nanoseconds since the epoch, levels in the series' own unit.

    `onset` is the start of the first changed bucket, and it lies in [`earliest`, `latest`] at 95 %. `end` is the start
    of the first bucket that is back, or None while the shift lasts. `score` is signed, 0 to 100: the root of the gain
    in likelihood.
    """

    onset: int
    earliest: int
    latest: int
    end: int | None
    before: float
    after: float
    score: float

    @property
    def ratio(self) -> float | None:
        """`after` over `before`; None where `before` is 0."""
        return self.after / self.before if self.before else None


def level_shifts(
    values: ArrayLike, starts: ArrayLike, width: int, *, counts: bool = False, floor: float = 0.01
) -> list[Shift | None]:
    """The clearest shift of each row of values (series by buckets, NaN = missing), or None where there is none.

    `starts` are the buckets' starts in ascending order (ns), gaps allowed; `width` is a bucket's width (ns). A spread
    below `floor` times the median is not believed. Time and memory grow with the square of the number of buckets.
    """
    table, begins = np.atleast_2d(finite(values)), _starts(starts, np.atleast_2d(values).shape[1])
    return [_level_shift(row, begins, width, counts=counts, floor=floor) for row in table]


def share_shifts(errors: ArrayLike, totals: ArrayLike, starts: ArrayLike, width: int) -> list[Shift | None]:
    """The clearest shift of each row's share of errors, or None; buckets without requests count as missing."""
    k, n = np.atleast_2d(finite(errors)), np.atleast_2d(finite(totals))
    begins = _starts(starts, k.shape[1])
    return [_share_shift(errors_row, totals_row, begins, width) for errors_row, totals_row in zip(k, n, strict=True)]


def _starts(starts: ArrayLike, buckets: int) -> Ints:
    begins = np.asarray(starts, dtype=np.int64)
    if begins.shape != (buckets,):
        msg = f"{buckets} buckets need {buckets} starts, not {begins.size}"
        raise ValueError(msg)
    return begins


def _level_shift(row: Floats, starts: Ints, width: int, *, counts: bool, floor: float) -> Shift | None:
    known = ~np.isnan(row)
    raw, starts = row[known], starts[known]
    if len(raw) < _FEWEST or raw.min() == raw.max():
        return None
    least = 1.0 if counts else floor * abs(float(np.median(raw)))
    values = scan.winsorised(2 * np.sqrt(np.maximum(raw, 0) + 0.375) if counts else raw, least)
    chance = _level_chance(len(raw))
    segment = scan.search(scan.level_gains(values), lambda i, j: scan.level_noise(values, i, j, least), chance)
    if segment is None:
        return None
    inside = raw[segment.begin : segment.end]
    return _shift(segment, starts, width, float(np.median(raw[: segment.begin])), float(np.median(inside)))


def _share_shift(errors: Floats, totals: Floats, starts: Ints, width: int) -> Shift | None:
    known = totals > 0
    k, n, starts = np.nan_to_num(errors[known]), totals[known], starts[known]
    if len(k) < _FEWEST or k.sum() in (0, n.sum()):
        return None
    segment = scan.search(scan.share_gains(k, n), lambda begin, end: scan.share_noise(k, n, begin, end), _SHARE_CHANCE)
    if segment is None:
        return None
    begin, end = segment.begin, segment.end
    before, after = k[:begin].sum() / n[:begin].sum(), k[begin:end].sum() / n[begin:end].sum()
    return _shift(segment, starts, width, float(before), float(after))


def _shift(segment: scan.Segment, starts: Ints, width: int, before: float, after: float) -> Shift:
    score = min(float(np.sqrt(segment.gain)), SCORE_LIMIT)
    return Shift(
        onset=int(starts[segment.begin]),
        earliest=int(starts[segment.first - 1]),
        latest=int(starts[segment.last]) + width,
        end=int(starts[segment.end]) if segment.end < len(starts) else None,
        before=before,
        after=after,
        score=score if after >= before else -score,
    )


def _level_chance(buckets: int) -> float:
    """The gain that 99.5 % of series of noise stay below; short ones estimate their own variance badly."""
    return 22.0 + 100.0 / buckets
