"""OTLP metric points as rows of the three metric tables.

Exponential histograms become explicit ones with the same counts. Summaries have no table and are rejected; points
that say "no value recorded" are nothing to keep. Exemplars are left out.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK as NO_VALUE,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
)

from midwatch_store.arrow import Row
from midwatch_store.otlp.values import MAX_NS, Converted, attributes, event_time, resource_columns
from midwatch_store.text import clean

Point = NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint


def metric_rows(request: ExportMetricsServiceRequest, arrival: int) -> Converted:
    """The request's points as rows by table; summaries and numbers without a value are rejected."""
    rows: defaultdict[str, list[Row]] = defaultdict(list)
    rejected: list[str] = []
    for resource_metrics in request.resource_metrics:
        resource = resource_columns(resource_metrics.resource)
        for scope_metrics in resource_metrics.scope_metrics:
            shared = {**resource, "ScopeName": clean(scope_metrics.scope.name)}
            for metric in scope_metrics.metrics:
                rejected += _rejections(metric)
                for table, row in _rows(metric, arrival):
                    rows[table].append({**shared, **row})
    return Converted(dict(rows), len(rejected), rejected[0] if rejected else "")


def explicit_buckets(point: ExponentialHistogramDataPoint) -> tuple[list[int], list[float]]:
    """Counts and upper bounds of an exponential histogram; empty when it holds negative values or too large ones.

    Bucket i covers (base^i, base^(i+1)] with base = 2^(2^-scale), as OpenTelemetry's data model defines it.
    """
    if any(point.negative.bucket_counts):
        return [], []
    counts, offset = list(point.positive.bucket_counts), point.positive.offset
    try:
        bounds = [2.0 ** ((offset + index) * 2.0**-point.scale) for index in range(len(counts) + 1)]
    except OverflowError:
        return [], []
    return [point.zero_count, *counts, 0], bounds


def _rows(metric: Metric, arrival: int) -> Iterator[tuple[str, Row]]:
    described = {
        "MetricName": clean(metric.name),
        "MetricDescription": clean(metric.description),
        "MetricUnit": clean(metric.unit),
    }
    match metric.WhichOneof("data"):
        case "gauge":
            for point in _numbers(metric.gauge.data_points):
                yield "otel_metrics_gauge", {**described, **_number(point, arrival)}
        case "sum":
            shape = {
                "AggregationTemporality": metric.sum.aggregation_temporality,
                "IsMonotonic": metric.sum.is_monotonic,
            }
            for point in _numbers(metric.sum.data_points):
                yield "otel_metrics_sum", {**described, **shape, **_number(point, arrival)}
        case "histogram" | "exponential_histogram":
            for row in _histograms(metric, arrival):
                yield "otel_metrics_histogram", {**described, **row}


def _histograms(metric: Metric, arrival: int) -> Iterator[Row]:
    temporality = (
        metric.histogram if metric.HasField("histogram") else metric.exponential_histogram
    ).aggregation_temporality
    for point in metric.histogram.data_points:
        buckets = list(point.bucket_counts), list(point.explicit_bounds)
        if not point.flags & NO_VALUE:
            yield {"AggregationTemporality": temporality, **_distribution(point, buckets, arrival)}
    for exponential in metric.exponential_histogram.data_points:
        if not exponential.flags & NO_VALUE:
            shape = _distribution(exponential, explicit_buckets(exponential), arrival)
            yield {"AggregationTemporality": temporality, **shape}


def _numbers(points: Iterable[NumberDataPoint]) -> Iterator[NumberDataPoint]:
    return (point for point in points if point.WhichOneof("value") and not point.flags & NO_VALUE)


def _number(point: NumberDataPoint, arrival: int) -> Row:
    value = point.as_double if point.WhichOneof("value") == "as_double" else float(point.as_int)
    return {**_point(point, arrival), "Value": value}


def _distribution(
    point: HistogramDataPoint | ExponentialHistogramDataPoint, buckets: tuple[list[int], list[float]], arrival: int
) -> Row:
    counts, bounds = buckets
    return {
        **_point(point, arrival),
        "Count": point.count,
        "Sum": point.sum if point.HasField("sum") else None,
        "BucketCounts": counts,
        "ExplicitBounds": bounds,
        "Min": point.min if point.HasField("min") else None,
        "Max": point.max if point.HasField("max") else None,
    }


def _point(point: Point, arrival: int) -> Row:
    labels = attributes(point.attributes)
    return {
        "TimeUnix": event_time(point.time_unix_nano, arrival, labels),
        "StartTimeUnix": min(point.start_time_unix_nano, MAX_NS) or None,
        "Attributes": labels,
    }


def _rejections(metric: Metric) -> list[str]:
    """One reason for each point of the metric that has no place in the store."""
    if metric.HasField("summary"):
        return [f"metric {clean(metric.name)!r}: summaries are not stored"] * len(metric.summary.data_points)
    points = metric.sum.data_points if metric.HasField("sum") else metric.gauge.data_points
    empty = [point for point in points if not point.WhichOneof("value") and not point.flags & NO_VALUE]
    return [f"metric {clean(metric.name)!r}: a point has no value"] * len(empty)
