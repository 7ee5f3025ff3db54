"""Which statistics moved: change points and levels of a window against its baseline. No sentences are made here.

A statistic of a series is anomalous when a change point lies in the window, or before it and still lasts, and the
levels differ by `LEAST_SCORE` robust deviations of the baseline. A rate that at least doubled or halved is scored by
its events as well: where there were none, three a second for half a minute are no accident. Too few buckets for a
change point need a clearer difference.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from midwatch_kit.statistics import Comparison, Shift, compare, compare_rates, level_shifts
from midwatch_metrics.backend import Floats
from midwatch_metrics.figures import Figures, Measured, Statistic
from midwatch_metrics.timeline import Timeline

LEAST_SCORE: Final = 4.0
SCORE_LIMIT: Final = 100.0
_CLEAR_SCORE: Final = 6.0
_CLEAR_RATIO: Final = 2.0
_FEW_BUCKETS: Final = 20
_RELATIVE_FLOOR: Final = 0.05
_SHARE_FLOOR: Final = 2.0
_DURATION_FLOOR: Final = 0.1
_SHORTEST_MS: Final = 1e-3
_FAR: Final = 3.0
_JUMP: Final = 50.0
"""Percentage points of a limit: buckets so far above all before them are more than wild ones."""
_FRESH: Final = 3
"""The most buckets that are too few for a shift."""

Bools: TypeAlias = NDArray[np.bool_]
_FEWEST_BEFORE: Final = 3


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A statistic that moved: its row among the figures, levels in its unit, times in ns, None where unknown."""

    row: int
    before: float
    after: float
    score: float
    shift: Shift | None


def compare_figures(figures: Figures, timeline: Timeline) -> Comparison:
    """Compare all rows of a window with those of its baseline, each on its own scale (see `_scaled`)."""
    values = _scaled(figures)
    rates = np.array([m.statistic is Statistic.RATE for m in figures.measured], dtype=bool)
    level = np.nan_to_num(_medians(values[:, : timeline.before]))
    chance = np.sqrt(np.maximum(level * timeline.seconds, 1.0)) / timeline.seconds  # of a Poisson process
    absolute = np.where(rates, chance, [_absolute_floor(m) for m in figures.measured])
    relative = np.where([m.is_duration for m in figures.measured], 0.0, _RELATIVE_FLOOR)
    before, after = values[:, : timeline.before], values[:, timeline.before :]
    return compare(before, after, relative_floor=relative, absolute_floor=absolute)


def _scaled(figures: Figures) -> Floats:
    """Durations by their logarithm, since they scatter by factors; all else as it is."""
    durations = np.array([m.is_duration for m in figures.measured], dtype=bool)
    values = figures.values.copy()
    values[durations] = np.log(np.maximum(values[durations], _SHORTEST_MS))
    return values


def _absolute_floor(measured: Measured) -> float:
    if measured.is_share:
        return _SHARE_FLOOR
    if measured.is_duration:
        return _DURATION_FLOOR
    return 1.0 if measured.series.unit.startswith("{") else 0.0  # one thing more or less is no shift


def _medians(values: Floats) -> Floats:
    return compare(values, values).baseline


def find_anomalies(figures: Figures, compared: Comparison, timeline: Timeline) -> list[Anomaly]:
    """Return what moved, strongest first."""
    shifts = _shifts(figures, _worth_scanning(figures, compared, timeline), timeline)
    found = [anomaly for i, shift in enumerate(shifts) if (anomaly := _anomaly(i, shift, figures, compared, timeline))]
    best: dict[tuple[int, bool], Anomaly] = {}
    for anomaly in found:  # a mean and a percentile of one histogram say the same: the clearer one is enough
        measured = figures.measured[anomaly.row]
        key = (id(measured.series), measured.statistic in (Statistic.MEAN, Statistic.P95))
        if key not in best or anomaly.score > best[key].score:
            best[key] = anomaly
    return sorted(best.values(), key=lambda anomaly: (-anomaly.score, anomaly.row))


def _worth_scanning(figures: Figures, compared: Comparison, timeline: Timeline) -> Bools:
    """Rows that may have shifted: a bucket of the window is far from the baseline, or a rate's events are too many."""
    window = _scaled(figures)[:, timeline.before :]
    with np.errstate(invalid="ignore", divide="ignore"):
        far = np.nan_to_num(np.abs(window - compared.baseline[:, None]) / compared.spread[:, None])
    rates = np.array([m.statistic is Statistic.RATE for m in figures.measured], dtype=bool)
    parts = np.split(figures.values, [timeline.before], axis=1)
    events = [np.nansum(part, axis=1) * timeline.seconds for part in parts]
    seconds = [max(part.shape[1], 1) * timeline.seconds for part in parts]
    many = np.abs(compare_rates(events[0], seconds[0], events[1], seconds[1])) >= _FAR
    return np.asarray((far.max(axis=1, initial=0.0) >= _FAR) | (rates & many))


def _shifts(figures: Figures, worth: Bools, timeline: Timeline) -> list[Shift | None]:
    starts, values = timeline.starts, _scaled(figures)
    shifts: list[Shift | None] = [None] * len(figures.measured)
    for counts in (False, True):
        chosen = np.array([(m.statistic is Statistic.RATE) is counts for m in figures.measured], dtype=bool)
        rows = np.flatnonzero(worth & chosen)
        weight = timeline.seconds if counts else 1.0
        found = level_shifts(values[rows] * weight, starts, timeline.width, counts=counts) if rows.size else []
        for i, shift in zip(rows, found, strict=True):
            shifts[int(i)] = shift
    return shifts


def _anomaly(
    row: int, shift: Shift | None, figures: Figures, compared: Comparison, timeline: Timeline
) -> Anomaly | None:
    level = compared.row(row)
    if level.spread is None or level.sustained is None or level.baseline_buckets < _FEWEST_BEFORE:
        return None
    if shift and _concerns(shift, level.score, timeline):
        return _shifted(row, shift, figures, level.spread, timeline)
    if shift is None and figures.measured[row].is_share and (jump := _just_jumped(figures.values[row], timeline)):
        return Anomaly(row, *jump, min((jump[1] - jump[0]) / max(level.spread, 1e-12), SCORE_LIMIT), None)
    few = level.baseline_buckets + level.window_buckets < _FEW_BUCKETS
    if shift is None and few and abs(level.score) >= _CLEAR_SCORE:
        before, after = figures.values[row, : timeline.before], figures.values[row, timeline.before :]
        return Anomaly(row, float(np.nanmedian(before)), float(np.nanmedian(after)), abs(level.score), None)
    return None


def _just_jumped(values: Floats, timeline: Timeline) -> tuple[float, float] | None:
    """Return the usual level of a share and its last one, if that is far above all before, too fresh to be a shift."""
    known = np.flatnonzero(~np.isnan(values))
    for last in range(1, _FRESH + 1):
        earlier, late = values[known[:-last]], values[known[-last:]]
        inside = len(earlier) >= _FEWEST_BEFORE and known[-last] >= timeline.before
        if inside and float(np.min(late)) - float(np.max(earlier)) >= _JUMP:
            return float(np.median(earlier)), float(np.median(late))
    return None


def _concerns(shift: Shift, score: float, timeline: Timeline) -> bool:
    """Whether a shift is of the window: it began in it, or before and lasts into it with the window unlike before."""
    if shift.onset >= timeline.window_start:
        return True
    return (shift.end is None or shift.end > timeline.window_start) and abs(score) >= LEAST_SCORE


def _shifted(row: int, shift: Shift, figures: Figures, spread: float, timeline: Timeline) -> Anomaly | None:
    """The anomaly that a shift is, if it is great enough: in deviations, or for a rate in events against chance."""
    measured, values, starts = figures.measured[row], figures.values[row], timeline.starts
    rate = measured.statistic is Statistic.RATE
    before = _known(values[starts < shift.onset])
    inside = _known(values[(starts >= shift.onset) & ((starts < shift.end) if shift.end else True)])
    was, now = (float(np.mean(part) if rate else np.median(part)) for part in (before, inside))
    apart = np.log(max(now, _SHORTEST_MS) / max(was, _SHORTEST_MS)) if measured.is_duration else now - was
    score = min(abs(float(apart)) / max(spread, 1e-12), SCORE_LIMIT)
    if rate and max(was, now) >= _CLEAR_RATIO * min(was, now):
        score = max(score, _events_score(before, inside, timeline.seconds))
    return Anomaly(row, was, now, score, shift) if score >= LEAST_SCORE else None


def _events_score(before: Floats, inside: Floats, seconds: float) -> float:
    spans = len(before) * seconds, len(inside) * seconds
    return abs(float(compare_rates(before.sum() * seconds, spans[0], inside.sum() * seconds, spans[1])))


def _known(values: Floats) -> Floats:
    return values[~np.isnan(values)]
