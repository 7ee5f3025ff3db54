"""Error shares, and rates of events, before and in a window, for many edges at once. When they changed is onset's part.

The score is the signed root of the likelihood ratio of two binomials (Wilks, Annals of Mathematical Statistics 9,
1938) after Yates' correction: half a count is moved towards equality first, without which a few errors against none
score far too high. For small counts it follows the exact conditional test closely, which a test shows. The interval
of the difference is Newcombe's hybrid of two Wilson intervals (Statistics in Medicine 17, 1998, method 10): closed,
and sound at 0 of n. With a million requests any difference is certain; whether it matters is for `difference` and
`ratio` to say.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike

from midwatch_kit.statistics.baseline import SCORE_LIMIT, known_or_none, ratio
from midwatch_kit.statistics.ordered import Floats

_Z95 = 1.959964


@dataclass(frozen=True, slots=True)
class ShareLevel:
    """Errors of one edge compared; shares from 0 to 1; None where there were no requests, or no ratio."""

    baseline: float | None
    window: float | None
    difference: float | None
    lowest: float | None
    highest: float | None
    ratio: float | None
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class ShareComparison:
    """Error shares of edges compared, one array element each; `lowest` to `highest` holds the difference at 95 %."""

    baseline: Floats
    window: Floats
    difference: Floats
    lowest: Floats
    highest: Floats
    ratio: Floats
    score: Floats

    def __len__(self) -> int:
        return len(self.score)

    def row(self, index: int) -> ShareLevel:
        """One edge as plain values."""
        figures = {f.name: known_or_none(getattr(self, f.name)[index]) for f in fields(self) if f.name != "score"}
        return ShareLevel(score=float(self.score[index]), **figures)


def compare_shares(
    baseline_errors: ArrayLike, baseline_total: ArrayLike, window_errors: ArrayLike, window_total: ArrayLike
) -> ShareComparison:
    """Compare errors out of totals, element by element.

    Raises ValueError when a count is negative or not a number, or there are more errors than requests.
    """
    k0, n0 = _counts("baseline", baseline_errors, baseline_total)
    k1, n1 = _counts("window", window_errors, window_total)
    with np.errstate(invalid="ignore"):
        before, after = k0 / n0, k1 / n1
    lowest, highest = _newcombe(before, n0, after, n1)
    return ShareComparison(
        baseline=before,
        window=after,
        difference=after - before,
        lowest=lowest,
        highest=highest,
        ratio=ratio(after, before),
        score=_binomial_score(k0, n0, k1, n1),
    )


def compare_rates(
    baseline_events: ArrayLike, baseline_seconds: float, window_events: ArrayLike, window_seconds: float
) -> Floats:
    """Scores of event counts over two spans of time, as Poisson processes.

    Given the sum of two Poisson counts, one of them is binomial with the spans as odds, so the score of shares serves.
    """
    k0, k1 = np.asarray(baseline_events, dtype=np.float64), np.asarray(window_events, dtype=np.float64)
    if baseline_seconds <= 0 or window_seconds <= 0:
        return np.zeros(np.broadcast(k0, k1).shape)
    total = k0 + k1
    expected = total * (window_seconds / (baseline_seconds + window_seconds))
    excess = k1 - expected
    k1 = k1 - np.clip(excess, -0.5, 0.5)
    statistic = xlogy(k1, k1, expected) + xlogy(total - k1, total - k1, total - expected)
    return _signed_root(excess, statistic)


def xlogy(x: Floats, numerator: Floats, denominator: Floats) -> Floats:
    """`x * log(numerator / denominator)`, element by element, and 0 where x is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(x > 0, x * np.log(numerator / denominator), 0.0)


def _counts(side: str, errors: ArrayLike, total: ArrayLike) -> tuple[Floats, Floats]:
    k, n = np.atleast_1d(np.asarray(errors, dtype=np.float64)), np.atleast_1d(np.asarray(total, dtype=np.float64))
    if not np.all((k >= 0) & (k <= n) & np.isfinite(n)):
        i = int(np.argmin((k >= 0) & (k <= n) & np.isfinite(n)))
        msg = f"{side}: {k[i]:g} errors of {n[i]:g} requests (element {i}): counts must be 0 <= errors <= total"
        raise ValueError(msg)
    return k, n


def _binomial_score(k0: Floats, n0: Floats, k1: Floats, n1: Floats) -> Floats:
    comparable = (n0 > 0) & (n1 > 0)
    pooled = (k0 + k1) / np.where(comparable, n0 + n1, 1.0)
    excess = k1 - n1 * pooled
    moved = np.clip(excess, -0.5, 0.5)
    statistic = _deviance(k0 + moved, n0, pooled) + _deviance(k1 - moved, n1, pooled)
    return np.where(comparable, _signed_root(excess, statistic), 0.0)


def _deviance(k: Floats, n: Floats, share: Floats) -> Floats:
    rest = np.maximum(n - k, 0.0)
    return xlogy(k, k, n * share) + xlogy(rest, rest, n * (1 - share))


def _signed_root(excess: Floats, statistic: Floats) -> Floats:
    root = np.where(np.abs(excess) > 0.5, np.sqrt(np.maximum(2 * statistic, 0.0)), 0.0)
    return np.asarray(np.sign(excess) * np.minimum(root, SCORE_LIMIT))


def _newcombe(before: Floats, n0: Floats, after: Floats, n1: Floats) -> tuple[Floats, Floats]:
    (low0, high0), (low1, high1) = _wilson(before, n0), _wilson(after, n1)
    difference = after - before
    down = np.sqrt((after - low1) ** 2 + (high0 - before) ** 2)
    up = np.sqrt((high1 - after) ** 2 + (before - low0) ** 2)
    return difference - down, difference + up


def _wilson(share: Floats, n: Floats) -> tuple[Floats, Floats]:
    with np.errstate(divide="ignore", invalid="ignore"):
        z2n = _Z95**2 / n
        centre = (share + z2n / 2) / (1 + z2n)
        half = np.sqrt(share * (1 - share) * z2n + z2n**2 / 4) / (1 + z2n)
    return centre - half, centre + half
