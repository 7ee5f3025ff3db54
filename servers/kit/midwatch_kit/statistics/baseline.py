"""Robust comparison of a window against a baseline, for many series at once. It ranks; it does not date: see onset.

The score is a modified z score (Iglewicz & Hoaglin, How to Detect and Handle Outliers, ASQC, 1993):

    score = (sustained - usual) / spread
    sustained = the level that the upper (or lower) `sustained` part of the window's buckets reaches, at least three
    usual     = the level that the same part of the baseline's buckets reaches
    spread    = max(1.4826 MAD, relative_floor |median|, absolute_floor, sqrt(median) for counts) of the baseline

Comparing equal parts of both makes a fault that starts late in the window visible, a single odd bucket harmless, and
a series with habitual bursts normal. Upper and lower part are both tried and the greater score kept. Where more than
half of a baseline is one value, MAD is 0 and 1.2533 times the mean absolute deviation stands in (same source). MAD is
corrected for few points (Croux & Rousseeuw, COMPSTAT 1992). A score counts spreads of the baseline, so it measures
size; it is not a probability. With few buckets, or a baseline that wanders, scores of 3 happen by chance.
"""

from dataclasses import dataclass, fields
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from midwatch_kit.statistics.ordered import Floats, Ints, Ordered

SCORE_LIMIT = 100.0
"""Scores end here: beyond, the figures themselves say more."""
_FEWEST = 3
_SMALL_SAMPLE = np.array([1, 1, 1.196, 1.495, 1.363, 1.206, 1.200, 1.140, 1.129, 1.107])


class State(StrEnum):
    """What could be compared."""

    COMPARED = "compared"
    APPEARED = "appeared"
    VANISHED = "vanished"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Level:
    """One series compared; None where a figure does not exist (no data, or a ratio to zero)."""

    state: State
    baseline: float | None
    spread: float | None
    window: float | None
    usual: float | None
    sustained: float | None
    difference: float | None
    ratio: float | None
    score: float
    direction: int
    baseline_buckets: int
    window_buckets: int


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Series compared, one array element each; the module tells what `usual`, `sustained` and `spread` are.

    `baseline` and `window` are medians, `difference` and `ratio` compare `sustained` with `usual`, `direction` is
    -1, 0 or 1, `score` is signed and 0 where there is nothing to compare.
    """

    state: NDArray[np.str_]
    baseline: Floats
    spread: Floats
    window: Floats
    usual: Floats
    sustained: Floats
    difference: Floats
    ratio: Floats
    score: Floats
    direction: Ints
    baseline_buckets: Ints
    window_buckets: Ints

    def __len__(self) -> int:
        return len(self.score)

    def ranked(self) -> list[int]:
        """Row numbers by size of score, greatest first; ties keep their order."""
        return [int(i) for i in np.argsort(-np.abs(self.score), kind="stable")]

    def row(self, index: int) -> Level:
        """One series as plain values."""
        known = {
            f.name: known_or_none(getattr(self, f.name)[index])
            for f in fields(Level)
            if f.name not in ("state", "score", "direction", "baseline_buckets", "window_buckets")
        }
        return Level(
            state=State(str(self.state[index])),
            score=float(self.score[index]),
            direction=int(self.direction[index]),
            baseline_buckets=int(self.baseline_buckets[index]),
            window_buckets=int(self.window_buckets[index]),
            **known,
        )


def known_or_none(value: float) -> float | None:
    """A float that JSON can carry, or None."""
    return float(value) if np.isfinite(value) else None


def compare(
    baseline: ArrayLike,
    window: ArrayLike,
    *,
    counts: bool = False,
    relative_floor: ArrayLike = 0.05,
    absolute_floor: ArrayLike = 0.0,
    sustained: float = 0.15,
) -> Comparison:
    """Compare rows (series by buckets, NaN = missing) of a window with the same rows of a baseline, in their own unit.

    `counts` says that the values are counts per bucket, whose spread is never below that of a Poisson process;
    the floors of the spread are one for all series or one for each.
    Raises ValueError when the two do not hold the same number of series.
    """
    before, after = Ordered.of_rows(baseline), Ordered.of_rows(window)
    if len(before.sizes) != len(after.sizes):
        msg = f"baseline has {len(before.sizes)} series and window {len(after.sizes)}: pass the same series in each"
        raise ValueError(msg)
    level = before.quantile(0.5)
    spread = _spread(before, level, counts=counts, relative=relative_floor, absolute=absolute_floor)
    high, low = _reached(before, after, sustained, upper=True), _reached(before, after, sustained, upper=False)
    rises = (high[1] - high[0]) >= (low[0] - low[1])
    usual, reached = np.where(rises, high[0], low[0]), np.where(rises, high[1], low[1])
    difference = reached - usual
    score = _score(difference, spread)
    return Comparison(
        state=_states(before.sizes, after.sizes),
        baseline=level,
        spread=spread,
        window=after.quantile(0.5),
        usual=usual,
        sustained=reached,
        difference=difference,
        ratio=ratio(reached, usual),
        score=score,
        direction=np.sign(score).astype(np.int64),
        baseline_buckets=before.sizes,
        window_buckets=after.sizes,
    )


def ratio(value: Floats, reference: Floats) -> Floats:
    """Value over reference, element by element: 1 where both are 0, infinite where only the reference is."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where((value == 0) & (reference == 0), 1.0, value / reference)


def scaled_deviation(values: Floats, centre: Floats) -> Floats:
    """Robust standard deviation of each row about its centre: MAD, or the mean deviation where MAD is 0."""
    deviations = np.abs(values - centre[:, None])
    ordered = Ordered.of_rows(deviations)
    n = ordered.sizes
    with np.errstate(divide="ignore", invalid="ignore"):
        correction = np.where(n <= 9, _SMALL_SAMPLE[np.minimum(n, 9)], n / (n - 0.8))
        mean = np.nansum(deviations, axis=1) / n
    median = ordered.quantile(0.5)
    return np.where(median > 0, 1.4826 * correction * median, 1.2533 * mean)


def _spread(before: Ordered, level: Floats, *, counts: bool, relative: ArrayLike, absolute: ArrayLike) -> Floats:
    width = len(before.values) // max(len(before.sizes), 1)
    measured = scaled_deviation(before.values.reshape(len(before.sizes), width), level)
    # Fewer than three points say nothing of spread: then a series must double to count for anything.
    measured = np.where(before.sizes < _FEWEST, np.abs(level), measured)
    floor: Floats = np.maximum(np.asarray(relative) * np.abs(level), absolute)
    if counts:
        floor = np.maximum(floor, np.sqrt(np.maximum(level, 1.0)))
    return np.maximum(measured, floor)


def _reached(before: Ordered, after: Ordered, part: float, *, upper: bool) -> tuple[Floats, Floats]:
    """What the upper or lower `part` of the buckets reaches: in the baseline and in the window."""
    size = after.sizes
    rank = np.minimum(np.maximum(np.ceil(part * size), _FEWEST), size) - 1
    share = (rank + 0.5) / np.maximum(size, 1)
    if upper:
        rank, share = size - 1 - rank, 1 - share
    return before.quantile(share), after.at(rank)


def _score(difference: Floats, spread: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        score: Floats = np.where(difference == 0, 0.0, difference / spread)
    return np.asarray(np.clip(np.nan_to_num(score, nan=0.0), -SCORE_LIMIT, SCORE_LIMIT))


def _states(before: Ints, after: Ints) -> NDArray[np.str_]:
    choices = [(before > 0) & (after > 0), after > 0, before > 0]
    return np.select(choices, [State.COMPARED, State.APPEARED, State.VANISHED], default=State.EMPTY)
