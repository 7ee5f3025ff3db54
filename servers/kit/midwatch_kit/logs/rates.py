"""How much each service logs, by bucket: the rows that a survey cites, and the shifts that it finds in them.

A service's errors or warnings count as risen when a change point lies in the window, or before it and still lasts,
and either it or the comparison of the buckets scores `LEAST_SCORE`. A fault too fresh for a change point shows by the
last buckets alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from midwatch_kit.logs.backend import Buckets, RateRow
from midwatch_kit.logs.lines import stamp
from midwatch_kit.statistics import Shift, compare, level_shifts

Measure: TypeAlias = Literal["lines", "warn", "error"]
MEASURES: Final[tuple[Measure, ...]] = ("lines", "warn", "error")
LEAST_SCORE: Final = 4.0
_FEWEST_LINES: Final = 3
_FRESH_BUCKETS: Final = 3
_FRESH_SCORE: Final = 6.0

Counts: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ServiceRates:
    """One service's lines by measure and bucket, and its instances' totals in the window by measure."""

    service: str
    counts: dict[Measure, Counts]
    instances: dict[str, dict[Measure, int]]


@dataclass(frozen=True, slots=True)
class Rise:
    """Errors or warnings of one service that rose: levels in lines a second, times in ns, `end` when it is over."""

    measure: Measure
    onset: int
    earliest: int
    latest: int
    end: int | None
    before: float
    after: float
    score: float


@dataclass(frozen=True, slots=True)
class Covered:
    """The part of the buckets that there is data for: bucket numbers `[first, last)`, by all services together."""

    first: int
    last: int


def service_rates(rows: Sequence[RateRow], buckets: Buckets) -> list[ServiceRates]:
    """Gather counts by service, in order of their names."""
    found: dict[str, ServiceRates] = {}
    length = buckets.before + buckets.after
    for row in rows:
        service = found.get(row.service)
        if service is None:
            service = ServiceRates(row.service, {name: np.zeros(length) for name in MEASURES}, {})
            found[row.service] = service
        instance = service.instances.setdefault(row.instance, dict.fromkeys(MEASURES, 0))
        for name in MEASURES:
            service.counts[name][row.bucket] += getattr(row, name)
            instance[name] += getattr(row, name) if row.bucket >= buckets.before else 0
    return [found[name] for name in sorted(found)]


def covered(rows: Sequence[RateRow], buckets: Buckets, newest: int | None) -> Covered:
    """Where data begins and ends: a bucket before the first line, or after the newest one, is missing and not zero."""
    first = min((row.bucket for row in rows), default=0)
    if newest is None:
        return Covered(first, buckets.before + buckets.after)
    reached = max(0, -(-(newest + 1 - buckets.window_start) // buckets.width))
    return Covered(first, buckets.before + min(reached, buckets.after))


def rises(services: Sequence[ServiceRates], measure: Measure, buckets: Buckets, part: Covered) -> list[Rise | None]:
    """What rose, for each service one or None; a fall of errors or warnings is no finding."""
    if not services or part.first >= buckets.before:
        return [None] * len(services)
    table = np.array([service.counts[measure] for service in services])
    table[:, : part.first] = np.nan
    table[:, part.last :] = np.nan
    shifts = level_shifts(table, buckets.starts, buckets.width, counts=True)
    compared = compare(table[:, : buckets.before], table[:, buckets.before :], counts=True)
    found: list[Rise | None] = []
    for i, shift in enumerate(shifts):
        score = float(compared.score[i])
        found.append(_lasting(table[i], measure, shift, score, buckets) or _fresh(table[i], measure, buckets, part))
    return found


def row_of_service(service: ServiceRates, buckets: Buckets, part: Covered) -> dict[str, JsonValue]:
    """Return one service's counts as evidence: totals and buckets of the baseline and of the window."""
    return {
        "entity": f"service:{service.service}",
        "bucket_seconds": buckets.width / 1e9,
        "baseline": _span(service, part.first, buckets.before, buckets),
        "window": _span(service, buckets.before, part.last, buckets),
        "instances": {
            name: {str(k): n for k, n in counts.items()} for name, counts in sorted(service.instances.items()) if name
        },
    }


def _span(service: ServiceRates, first: int, last: int, buckets: Buckets) -> dict[str, JsonValue]:
    counts = {name: [int(n) for n in service.counts[name][first:last]] for name in MEASURES}
    return {
        "start": stamp(buckets.starts[first]) if first < last else None,
        "seconds": max(0, last - first) * buckets.width / 1e9,
        **{name: sum(values) for name, values in counts.items()},
        "buckets": {name: [*values] for name, values in counts.items()},
    }


def _lasting(row: Counts, measure: Measure, shift: Shift | None, score: float, buckets: Buckets) -> Rise | None:
    if shift is None or shift.after <= shift.before:
        return None
    over = shift.end is not None and shift.end <= buckets.window_start
    score = max(score, shift.score)  # one measures the heights of buckets, the other the weight of all of them
    if over or score < LEAST_SCORE:
        return None
    starts = np.array(buckets.starts)
    within = (starts >= shift.onset) & (starts < (shift.end or starts[-1] + 1)) & ~np.isnan(row)
    before = (starts < min(shift.onset, buckets.window_start)) & ~np.isnan(row)
    if row[within].sum() < _FEWEST_LINES:
        return None
    end = shift.end if shift.end and (~np.isnan(row) & (starts >= shift.end)).sum() >= _FRESH_BUCKETS else None
    return Rise(
        measure,
        shift.onset,
        shift.earliest,
        shift.latest,
        end,
        _per_second(row[before], buckets),
        _per_second(row[within], buckets),
        round(score, 2),
    )


def _fresh(row: Counts, measure: Measure, buckets: Buckets, part: Covered) -> Rise | None:
    """A rise of the last few buckets, above anything in the baseline, by a variance-stable score of Poisson counts."""
    baseline = row[part.first : buckets.before]
    first = max(buckets.before, part.last - _FRESH_BUCKETS)
    last = row[first : part.last]
    high = np.flatnonzero(last > 2 * baseline.max(initial=0.0) + 2)
    if not high.size:
        return None
    begin = first + int(high[0])
    after = row[begin : part.last]
    expected = baseline.mean() * len(after)
    score = 2 * (np.sqrt(after.sum() + 0.375) - np.sqrt(expected + 0.375))
    if score < _FRESH_SCORE:
        return None
    onset = buckets.starts[begin]
    before, now = _per_second(baseline, buckets), _per_second(after, buckets)
    earliest, latest = onset - buckets.width, onset + buckets.width
    return Rise(measure, onset, earliest, latest, None, before, now, min(round(float(score), 2), 100.0))


def _per_second(counts: Counts, buckets: Buckets) -> float:
    return round(float(counts.mean()) / (buckets.width / 1e9), 4) if counts.size else 0.0
