"""From CloudWatch's statistics to cells: levels of gauges, increases of counters, sums and counts of what is timed.

A period's statistics belong to the bucket in which the period begins. An error that CloudWatch only tells of when there
was one counts as none in every period in which the same service was asked for anything.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from midwatch_metrics.backend import Cells, Floats, Form, Ints, Meaning, Selection
from midwatch_metrics.backends.cloudwatch.catalogue import Kept
from midwatch_metrics.backends.cloudwatch.data import Points, Question
from midwatch_metrics.timeline import Timeline, buckets_of

SUM: Final = "Sum"
COUNT: Final = "SampleCount"
LOWEST: Final = "Minimum"
HIGHEST: Final = "Maximum"


def questions_of(kept: Sequence[Kept], selection: Selection) -> list[Question]:
    """Return which statistics to ask: those that a survey needs, and of a metric that is asked for by name all."""
    return [
        Question(number, statistic)
        for number, one in enumerate(kept)
        for statistic in dict.fromkeys(_statistics(one, selection))
    ]


def _statistics(one: Kept, selection: Selection) -> Sequence[str]:
    match one.series.form:
        case Form.COUNTER:
            return [SUM]
        case Form.HISTOGRAM:
            told = selection.percentile
            return [SUM, COUNT, *([f"p{100 * told:g}"] if told is not None else [])]
        case _:
            return [one.statistic, *([COUNT, LOWEST, HIGHEST] if selection.metric else [])]


def cells_of(kept: Sequence[Kept], read: Mapping[Question, Points], timeline: Timeline, period: int) -> Cells:
    """Return the cells of what was read, series numbered as in `kept`; a period is told in seconds."""
    by_number: dict[int, dict[str, Points]] = {}
    for question, points in read.items():
        by_number.setdefault(question.number, {})[question.statistic] = points
    asked = _asked_times(kept, by_number)
    parts = [
        _of_one(number, one, _with_zeros(one, by_number.get(number, {}), asked), timeline, period)
        for number, one in enumerate(kept)
    ]
    return _joined(parts)


def _asked_times(kept: Sequence[Kept], read: Mapping[int, Mapping[str, Points]]) -> dict[tuple[str, str, str], Ints]:
    """When each service of each namespace was asked for anything, as far as CloudWatch tells."""
    found: dict[tuple[str, str, str], list[Ints]] = {}
    for number, one in enumerate(kept):
        if one.series.meaning in (Meaning.REQUESTS, Meaning.LATENCY) and one.series.form is not Form.GAUGE:
            found.setdefault(_owner(one), []).extend(points.time for points in read.get(number, {}).values())
    return {owner: np.unique(np.concatenate(times)) for owner, times in found.items()}


def _with_zeros(
    one: Kept, told: Mapping[str, Points], asked: Mapping[tuple[str, str, str], Ints]
) -> Mapping[str, Points]:
    if one.series.meaning is not Meaning.ERRORS or _owner(one) not in asked or SUM not in told:
        return told
    times = np.union1d(told[SUM].time, asked[_owner(one)])
    return {**told, SUM: Points(times, np.nan_to_num(_at(told[SUM], times)))}


def _owner(one: Kept) -> tuple[str, str, str]:
    return one.namespace, one.series.service, one.series.instance


def _of_one(number: int, one: Kept, told: Mapping[str, Points], timeline: Timeline, period: int) -> Cells:
    """The cells of one series: periods that begin in one bucket are one cell."""
    main = told.get(one.statistic if one.series.form is Form.GAUGE else SUM) or Points(np.zeros(0, np.int64), _NOTHING)
    place = buckets_of(main.time, timeline)
    times, values, place = main.time[place >= 0], main.value[place >= 0], place[place >= 0]
    bucket, inverse = np.unique(place, return_inverse=True)
    size = len(bucket)
    further = {name: _at(points, times) for name, points in told.items()}
    count = np.nan_to_num(further.get(COUNT, np.ones(len(times))))
    gauge = one.series.form is Form.GAUGE
    amount: Floats = np.bincount(inverse, values * (count if gauge else 1.0), size).astype(np.float64)
    total: Floats = np.bincount(inverse, count, size).astype(np.float64)
    percentile = next((further[name] for name in further if name.startswith("p")), np.full(len(times), np.nan))
    low = further.get(LOWEST, values) if gauge else np.full(len(times), np.nan)
    high = further.get(HIGHEST, values) if gauge else percentile
    last = np.zeros(size, dtype=np.int64)
    np.maximum.at(last, inverse, times)
    return Cells(
        series=np.full(size, number, dtype=np.int64),
        bucket=bucket,
        value=np.divide(amount, total, out=np.full(size, np.nan), where=total > 0) if gauge else amount,
        count=total,
        seconds=np.bincount(inverse, np.full(len(times), 0.0 if gauge else float(period)), size).astype(np.float64),
        low=_extreme(low, inverse, size, highest=False),
        high=_extreme(high, inverse, size, highest=True),
        last=last,
        filled=np.zeros((size, 0)),
    )


_NOTHING: Final[Floats] = np.zeros(0)


def _at(points: Points, times: Ints) -> Floats:
    """Values at moments, NaN where there are none."""
    found = np.full(len(times), np.nan)
    at = np.searchsorted(points.time, times)
    known = at < len(points.time)
    known[known] = points.time[at[known]] == times[known]
    found[known] = points.value[at[known]]
    return found


def _extreme(values: Floats, inverse: Ints, size: int, *, highest: bool) -> Floats:
    found = np.full(size, np.nan)
    (np.fmax if highest else np.fmin).at(found, inverse, values)
    return found


def _joined(parts: Sequence[Cells]) -> Cells:
    if not parts:
        whole = np.zeros(0, np.int64)
        return Cells(whole, whole, _NOTHING, _NOTHING, _NOTHING, _NOTHING, _NOTHING, whole, filled=np.zeros((0, 0)))
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in Cells.__slots__
    }
    return Cells(**columns)
