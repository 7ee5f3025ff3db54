"""Data points out of CloudWatch: GetMetricData in as few calls as its limits allow, at a period that it still keeps."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from midwatch_kit import BackendDown
from midwatch_kit.aws import in_words
from midwatch_kit.parallel import at_once
from midwatch_metrics.backend import Floats, Ints
from midwatch_metrics.backends.cloudwatch.catalogue import PLACE, Kept, hold_shape
from midwatch_metrics.timeline import SECOND, from_ns

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import (
        MetricDataQueryTypeDef,
        MetricDataResultTypeDef,
        MetricStatTypeDef,
        MetricTypeDef,
    )

MOST_QUERIES: Final = 500
"""Queries in one call; with `MOST_POINTS`, what GetMetricData allows."""
MOST_POINTS: Final = 100_800
_DAY: Final = 24 * 3600
_KEPT: Final = ((15 * _DAY, 60), (63 * _DAY, 300))
"""Up to which age, in seconds, data are kept by which period."""
_COARSEST: Final = 3600
_THREADS: Final = 4


@dataclass(frozen=True, slots=True)
class Question:
    """One statistic (`Sum`, `p95`) of one of the metrics that are asked for, by its number."""

    number: int
    statistic: str


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """What a question gave, in order of time: starts of periods in ns, and values."""

    time: Ints
    value: Floats


def period_of(width: int, start: int, now: int | None = None) -> int:
    """Return the period in seconds for buckets of `width` ns from `start` (ns) on: as CloudWatch keeps data so old."""
    age = ((time.time_ns() if now is None else now) - start) / SECOND
    least = next((period for oldest, period in _KEPT if age < oldest), _COARSEST)
    return max(least, width // SECOND // least * least)


def read(
    client: "CloudWatchClient",
    kept: Sequence[Kept],
    questions: Sequence[Question],
    spans: Sequence[tuple[int, int]],
    period: int,
) -> Mapping[Question, Points]:
    """Return the points of each question in the spans (ns) together; raises `KitError`.

    A period that a span ends in is told whole, and one that is not over yet is not told: its sum would be a drop.
    """
    calls: list[Callable[[], dict[Question, list[MetricDataResultTypeDef]]]] = []
    for start, end in spans:
        step = period * SECOND
        whole = start // step * step, -(-end // step) * step
        size = max(1, min(MOST_QUERIES, MOST_POINTS // max(1, (whole[1] - whole[0]) // step)))
        for first in range(0, len(questions), size):
            batch, span = questions[first : first + size], (from_ns(whole[0]), from_ns(whole[1]))
            calls.append(partial(_asked, client, kept, batch, span, period))
    parts = at_once(calls, _THREADS)
    over = time.time_ns() - period * SECOND
    return {one: _points([result for part in parts for result in part.get(one, [])], over) for one in questions}


def _asked(
    client: "CloudWatchClient",
    kept: Sequence[Kept],
    questions: Sequence[Question],
    span: tuple[datetime, datetime],
    period: int,
) -> "dict[Question, list[MetricDataResultTypeDef]]":
    """Ask one batch, page by page: a page may hold some of the points of a question, and the next one the others."""
    by_id = {f"q{i}": one for i, one in enumerate(questions)}
    queries = [_query(name, kept[one.number], one.statistic, period) for name, one in by_id.items()]
    pages = client.get_paginator("get_metric_data")
    found: dict[Question, list[MetricDataResultTypeDef]] = {}
    with in_words(PLACE, "cloudwatch:GetMetricData"):
        told = pages.paginate(
            MetricDataQueries=queries, StartTime=span[0], EndTime=span[1], ScanBy="TimestampAscending"
        )
        for page in told:
            hold_shape(page, "MetricDataResults")
            for result in page["MetricDataResults"]:
                question = by_id[result.get("Id", "")]
                _refuse_failed(result, kept[question.number].series.metric)
                found.setdefault(question, []).append(result)
    return found


def _query(name: str, one: Kept, statistic: str, period: int) -> "MetricDataQueryTypeDef":
    metric: MetricTypeDef = {
        "Namespace": one.namespace,
        "MetricName": one.name,
        "Dimensions": [{"Name": key, "Value": value} for key, value in one.dimensions],
    }
    asked: MetricStatTypeDef = {"Metric": metric, "Period": period, "Stat": statistic}
    return {"Id": name, "MetricStat": asked}


def _refuse_failed(result: "MetricDataResultTypeDef", metric: str) -> None:
    if result.get("StatusCode") in ("InternalError", "Forbidden"):
        said = "; ".join(str(one.get("Value", "")) for one in result.get("Messages", []))
        raise BackendDown(f"{PLACE} could not read {metric} ({result['StatusCode']} {said[:200]}): ask again later")


def _points(results: "Sequence[MetricDataResultTypeDef]", until: int) -> Points:
    """Points in order of time, without those of periods that began after `until` (ns)."""
    told = {
        round(moment.timestamp()) * SECOND: value
        for result in results
        for moment, value in zip(result.get("Timestamps", []), result.get("Values", []), strict=True)
    }
    times = sorted(moment for moment in told if moment <= until)
    return Points(np.array(times, dtype=np.int64), np.array([told[moment] for moment in times], dtype=np.float64))
