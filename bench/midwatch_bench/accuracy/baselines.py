"""Published methods that are simple, run on the metrics of the same snapshots: a rank of services each.

They get what midwatch gets, and the moment at which the alert says that it began. Formulas, after the papers and the
authors' code:

- n-sigma: the largest standard score after that moment (`nsigma` of RCAEval, github.com/phamquiluan/RCAEval).
- BARO: the largest robust score, by median and interquartile range (Pham, Ha and Zhang, "BARO: Robust Root Cause
  Analysis for Microservices", FSE 2024). Its own detection of the moment is not needed here.
- traversal: from the symptom along calls as long as services are anomalous, which is a standard score above 3; who has
  no anomalous callee comes first ("baseline" of Hardt et al., "The PetShop Dataset", CLeaR 2024).
- ranked correlation: anomalous services by the correlation of their figures with the symptom's (the same authors).

BARO and n-sigma take the highest score of any series of a service, and a series without spread has a scale of 1, as in
RCAEval.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from midwatch_bench.importers.case import Case
from midwatch_store.reader import Store

Values: TypeAlias = NDArray[np.float64]
Score: TypeAlias = Callable[[Values, Values], float]
"""How far the later values of a series are from the earlier ones."""
ANOMALOUS = 3.0
"""Standard deviations from here on make a service anomalous."""
_TABLES = ("otel_metrics_gauge", "otel_metrics_sum")


@dataclass(frozen=True)
class Series:
    """One figure of one service: its times in seconds since the epoch, ascending, and its values."""

    service: str
    times: Values
    values: Values

    def before(self, moment: float) -> Values:
        """Return the values before a moment."""
        return self.values[self.times < moment]

    def since(self, moment: float) -> Values:
        """Return the values from a moment on."""
        return self.values[self.times >= moment]


def series_of(snapshot: Path) -> list[Series]:
    """Return the metrics of a snapshot, in a stable order."""
    found: list[Series] = []
    with Store(snapshot) as reader:
        for table in _TABLES:
            rows = reader.query(_SQL.format(table))
            found += [Series(str(row[0]), np.array(row[1], float), np.array(row[2], float)) for row in rows]
    return found


_SQL = """SELECT "ServiceName", list(epoch_ns("TimeUnix") / 1e9 ORDER BY "TimeUnix"), list("Value" ORDER BY "TimeUnix")
    FROM {} GROUP BY "ServiceName", "MetricName", "Attributes", "ResourceAttributes"
    ORDER BY "ServiceName", "MetricName", "Attributes"::VARCHAR, "ResourceAttributes"::VARCHAR"""


def places(case: Case, series: Sequence[Series]) -> dict[str, int]:
    """Return the place of the right service by method, from 1; 0 where a method does not name it."""
    moment = case.alert.started_at
    ranks = {
        "n-sigma": by_score(series, moment, standard_score),
        "BARO": by_score(series, moment, robust_score),
        "traversal": traversal(series, moment, case.alert.service, case.calls),
        "ranked correlation": ranked_correlation(series, moment, case.alert.service),
    }
    return {method: _place(ranked, case.answers) for method, ranked in ranks.items()}


def standard_score(before: Values, since: Values) -> float:
    """Return the largest standard score of the later values by the earlier ones."""
    return float(np.max(since - np.mean(before)) / (np.std(before) or 1.0))


def robust_score(before: Values, since: Values) -> float:
    """Return the largest score of the later values by the median and interquartile range of the earlier ones."""
    low, middle, high = np.percentile(before, [25, 50, 75])
    return float(np.max(since - middle) / ((high - low) or 1.0))


def by_score(series: Iterable[Series], moment: datetime, score: Score) -> list[str]:
    """Return services by their highest score; those of the same score by name."""
    best = _best(series, moment, score)
    return sorted(best, key=lambda service: (-best[service], service))


def traversal(series: Iterable[Series], moment: datetime, symptom: str, calls: Iterable[tuple[str, str]]) -> list[str]:
    """Return the anomalous services that are reached from the symptom over anomalous ones, ends of ways first."""
    scores = _best(series, moment, _distance)
    odd = {service for service, score in scores.items() if score > ANOMALOUS} | {symptom}
    callees: dict[str, set[str]] = {}
    for caller, callee in calls:
        if callee in odd:
            callees.setdefault(caller, set()).add(callee)
    reached, waiting = set[str](), [symptom]
    while waiting:
        if (service := waiting.pop()) not in reached:
            reached.add(service)
            waiting += sorted(callees.get(service, ()))
    return sorted(reached, key=lambda service: (service in callees, -scores.get(service, 0.0), service))


def ranked_correlation(series: Sequence[Series], moment: datetime, symptom: str) -> list[str]:
    """Return the anomalous services by how closely any figure of theirs follows any of the symptom's."""
    scores = _best(series, moment, _distance)
    watched = [each for each in series if each.service == symptom]
    best: dict[str, float] = {}
    for each in series:
        if scores.get(each.service, 0.0) > ANOMALOUS:
            close = max((_correlation(each, other) for other in watched if other is not each), default=0.0)
            best[each.service] = max(best.get(each.service, 0.0), close)
    return sorted(best, key=lambda service: (-best[service], service))


def _distance(before: Values, since: Values) -> float:
    return float(np.max(np.abs(since - np.mean(before))) / (np.std(before) or 1.0))


def _best(series: Iterable[Series], moment: datetime, score: Score) -> dict[str, float]:
    best: dict[str, float] = {}
    for each in series:
        before, since = each.before(moment.timestamp()), each.since(moment.timestamp())
        if before.size and since.size:
            best[each.service] = max(best.get(each.service, -np.inf), score(before, since))
    return best


def _correlation(one: Series, other: Series) -> float:
    times, mine, theirs = np.intersect1d(one.times, other.times, return_indices=True)
    a, b = one.values[mine], other.values[theirs]
    if len(times) < 3 or not np.std(a) or not np.std(b):
        return 0.0
    return float(abs(np.corrcoef(a, b)[0, 1]))


def _place(ranked: Sequence[str], answers: Iterable[str]) -> int:
    return next((n for n, service in enumerate(ranked, 1) if f"service:{service}" in answers), 0)
