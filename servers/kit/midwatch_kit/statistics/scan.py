"""The scan behind onset: the likelihood gain of every segment of a series, and the search for the best. No times here.

Segments are [begin, end) of bucket numbers. Gains are twice the gain in log likelihood against no change.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from midwatch_kit.statistics.ordered import Floats
from midwatch_kit.statistics.shares import xlogy

SHORTEST = 2
"""Buckets that a segment, and what is before and after it, holds at least."""
_WINSOR = 4.0
_PROFILE = 7.35


@dataclass(frozen=True, slots=True)
class Segment:
    """The best segment of a scan: its gain over the noise, and the first and last begin that do about as well."""

    begin: int
    end: int
    gain: float
    first: int
    last: int


def winsorised(values: Floats, least: float) -> Floats:
    """The values with what is further than four robust deviations (at least `least`) from the median drawn in there."""
    centre = float(np.median(values))
    reach = _WINSOR * max(deviation(np.diff(values)) / math.sqrt(2), deviation(values), least)
    return np.asarray(np.clip(values, centre - reach, centre + reach))


def level_gains(values: Floats) -> Floats:
    """Gains, times the variance, of each segment [i, j) having a mean of its own; shape (n, n + 1)."""
    n = len(values)
    sums, length = _segment_sums(values - values.mean()), _lengths(n)
    inner = (length > 0) & (length < n)
    return np.where(inner, sums**2 * n / np.where(inner, length * (n - length), 1.0), 0.0)


def share_gains(k: Floats, n: Floats) -> Floats:
    """Twice the gain in log likelihood of each segment [i, j) against one share for all; shape (n, n + 1)."""
    inside_k, inside_n = np.maximum(_segment_sums(k), 0), np.maximum(_segment_sums(n), 0)
    share = k.sum() / n.sum()
    gain = _deviances(inside_k, inside_n, share) + _deviances(k.sum() - inside_k, n.sum() - inside_n, share)
    return 2 * gain


def _deviances(k: Floats, n: Floats, share: float) -> Floats:
    rest = np.maximum(n - k, 0.0)
    return xlogy(k, k, n * share) + xlogy(rest, rest, n * (1 - share))


def _segment_sums(values: Floats) -> Floats:
    total = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(total[None, :] - total[:-1, None])


def _lengths(n: int) -> Floats:
    return np.arange(n + 1, dtype=np.float64)[None, :] - np.arange(n, dtype=np.float64)[:, None]


def search(gains: Floats, noise: Callable[[int, int], float], chance: float) -> Segment | None:
    """The best segment, if its gain over the variance that `noise` finds about it is above `chance`."""
    n = len(gains)
    gains = np.where(_allowed(n), gains, -1.0)
    begin, end = (int(i) for i in np.unravel_index(int(np.argmax(gains)), gains.shape))
    lasting = int(np.argmax(gains[:, n]))
    variance = noise(begin, end)
    if end < n and gains[begin, end] - gains[lasting, n] <= _beyond_return(n) * variance:
        begin, end, variance = lasting, n, noise(lasting, n)
    gain = float(gains[begin, end]) / variance
    if gain <= chance:
        return None
    near = np.flatnonzero(_allowed(n)[:, end] & (gains[begin, end] - gains[:, end] <= _PROFILE * variance))
    return Segment(begin, end, gain, int(near[0]), int(near[-1]))


def level_noise(values: Floats, begin: int, end: int, least: float) -> float:
    """Variance that a segment leaves unexplained, widened for autocorrelation (lag 1); at least `least` squared."""
    inside = np.zeros(len(values), dtype=bool)
    inside[begin:end] = True
    left = values - np.where(inside, values[inside].mean(), values[~inside].mean())
    n, power = len(left), float(np.dot(left, left))
    if power < 1e-18 * float(np.dot(values, values)):
        return max(least**2, 1e-24)
    memory = min(max(float(np.dot(left[1:], left[:-1])) / power, 0.0), 0.8)
    memory = min(memory + (1 + 3 * memory) / n, 0.85)
    return max(power / (n - 2) * (1 + memory) / (1 - memory), least**2, 1e-24)


def share_noise(k: Floats, n: Floats, begin: int, end: int) -> float:
    """Dispersion of what a segment leaves unexplained: Pearson's chi squared for each degree of freedom, at least 1."""
    inside = np.zeros(len(k), dtype=bool)
    inside[begin:end] = True
    share = np.where(inside, k[inside].sum() / n[inside].sum(), k[~inside].sum() / n[~inside].sum())
    expected = n * share * (1 - share)
    squares = np.where(expected > 0, (k - n * share) ** 2 / np.where(expected > 0, expected, 1.0), 0.0)
    return max(float(squares.sum()) / (len(k) - 2), 1.0)


def deviation(values: Floats) -> float:
    """Robust standard deviation about the median; the plain one where more than half of the values are alike."""
    centred = values - np.median(values)
    median = float(np.median(np.abs(centred)))
    return 1.4826 * median if median > 0 else float(np.sqrt(np.mean(centred**2)))


@lru_cache(maxsize=32)
def _allowed(n: int) -> NDArray[np.bool_]:
    begin, end = np.arange(n)[:, None], np.arange(n + 1)[None, :]
    long_enough = (begin >= SHORTEST) & (end - begin >= SHORTEST)
    allowed: NDArray[np.bool_] = long_enough & ((end == n) | (n - end >= SHORTEST))
    return allowed


def _beyond_return(n: int) -> float:
    """What an end must gain over a lasting shift: twice the log of the ends it could have been, and a margin."""
    return float(2 * np.log(n) + 4)
