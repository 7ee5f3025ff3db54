"""The SQL that the metrics backend asks the embedded store. Text only: parameters are bound by name.

`points` is every point of the tables alike. They are read twice: once for what the series are, and once for their
figures, which are then at hand for every further question (as an excerpt called `points`). A counter's or a
histogram's points are cumulative or deltas; both become increases by bucket, with the time each increase took, so that
a rate doesn't depend on how points fall into buckets. A cumulative run begins with its `StartTimeUnix`. Its first point
counts whole if the run began within the time looked at, or if the same instance had already sent other series of the
metric: then this series is new. Else what came before is unknown, and the point is only what the next one is compared
with. Values are added up in order of time, and cells come sorted, so that threads cannot give one figure now and
another then.
"""

from collections.abc import Mapping, Sequence
from typing import Final

_INSTANCE: Final = """coalesce("ResourceAttributes"['service.instance.id'], "ResourceAttributes"['k8s.pod.name'],
    "ResourceAttributes"['host.name'], '')"""

_TABLE: Final = """SELECT epoch_ns("TimeUnix") AS moment, coalesce(epoch_ns("StartTimeUnix"), 0) AS began,
    "MetricName" AS metric, "MetricUnit" AS unit, "MetricDescription" AS description,
    coalesce(nullif("ServiceName", ''), 'unknown_service') AS service, {instance} AS instance,
    "ResourceAttributes"['service.version'] AS version, "Attributes" AS attributes, {form} AS form, {delta} AS delta,
    {value} AS value, {count} AS count, {filled} AS filled, {bounds} AS bounds
    FROM {table}
    WHERE (("TimeUnix" >= make_timestamp_ns($baseline_start) AND "TimeUnix" < make_timestamp_ns($baseline_end))
        OR ("TimeUnix" >= make_timestamp_ns($window_start) AND "TimeUnix" < make_timestamp_ns($window_end)))
    AND "Seq" <= $pin AND ($metric IS NULL OR "MetricName" = $metric)"""

_NUMBER: Final = {"count": "1.0", "filled": "[]::UBIGINT[]", "bounds": "[]::DOUBLE[]", "value": '"Value"'}

_TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "otel_metrics_gauge": {"form": "'gauge'", "delta": "false", **_NUMBER},
    "otel_metrics_sum": {
        "form": """CASE WHEN "IsMonotonic" THEN 'counter' ELSE 'gauge' END""",
        "delta": '"AggregationTemporality" = 1',
        **_NUMBER,
    },
    "otel_metrics_histogram": {
        "form": "'histogram'",
        "delta": '"AggregationTemporality" = 1',
        "value": '"Sum"',
        "count": '"Count"::DOUBLE',
        "filled": '"BucketCounts"',
        "bounds": '"ExplicitBounds"',
    },
}
TABLES: Final = tuple(_TABLES)

_OF_WRITERS: Final = "(list_contains($services, service) OR list_contains($instances, instance))"
_WITH_ATTRIBUTES: Final = """list_bool_and(list_transform(list_zip($names, $values),
    lambda pair: coalesce(attributes[pair[1]] = pair[2], false)))"""


def series(tables: Sequence[str], *, of_writers: bool, with_attributes: bool) -> str:
    """What the series in the tables are, by name; `of_writers` and `with_attributes` say what chooses among them."""
    chosen = _chosen(of_writers, with_attributes)
    return f"WITH every AS ({_every(tables)}) {_SERIES.format(chosen=chosen)}"


def figures(tables: Sequence[str], *, of_writers: bool, with_attributes: bool) -> str:
    """The points of the same series with their figures; the further questions are asked of these, as `points`."""
    chosen = _chosen(of_writers, with_attributes)
    return f"WITH every AS ({_every(tables)}) {_FIGURES.format(chosen=chosen)}"


def describe(tables: Sequence[str]) -> str:
    """Which metrics the tables hold, by instance."""
    return f"WITH every AS ({_every(tables)}) {_DESCRIBE}"


def _every(tables: Sequence[str]) -> str:
    return " UNION ALL ".join(_TABLE.format(table=name, instance=_INSTANCE, **_TABLES[name]) for name in tables)


def _chosen(of_writers: bool, with_attributes: bool) -> str:
    chosen = [(of_writers, _OF_WRITERS), (with_attributes, _WITH_ATTRIBUTES)]
    return " AND ".join(text for wanted, text in chosen if wanted) or "true"


_FIGURES: Final = """SELECT hash(metric, form, service, instance, list_sort(map_entries(attributes))) AS series,
    CASE WHEN moment >= $window_start THEN $before + (moment - $window_start) // $width
        ELSE (moment - $baseline_start) // $width END AS bucket,
    moment, began, form, delta, value, count, filled, metric, service, instance
    FROM every WHERE {chosen}"""

_SERIES: Final = """SELECT series, any_value(metric), form, any_value(unit), any_value(service), any_value(instance),
    any_value(attributes), max(bounds), sum(points)::BIGINT, max_by(version, told), sum(deltas)::BIGINT
FROM (SELECT *, hash(metric, form, service, instance, list_sort(map_entries(attributes))) AS series FROM (
    SELECT metric, form, service, instance, attributes, any_value(unit) AS unit, max(bounds) AS bounds,
        count(*) AS points, max_by(version, moment) AS version, max(moment) FILTER (version IS NOT NULL) AS told,
        count_if(delta) AS deltas
    FROM every WHERE {chosen} GROUP BY metric, form, service, instance, attributes))
GROUP BY series, form ORDER BY 2, 5, 6, any_value(list_sort(map_entries(attributes)))"""

_NO_FILL: Final = "list_resize([]::UBIGINT[], $filled, 0)"

GAUGES: Final = f"""SELECT series, bucket, avg(value ORDER BY moment, value) AS value, 0.0 AS value_before,
    count(*)::DOUBLE AS count, 0.0 AS count_before, 0.0 AS seconds,
    min(value) AS low, max(value) AS high, max(moment) AS last,
    {_NO_FILL} AS filled, {_NO_FILL} AS filled_before
FROM points WHERE form = 'gauge' AND series IN (SELECT unnest($series)) GROUP BY series, bucket
ORDER BY series, bucket"""  # noqa: S608

DELTAS: Final = f"""SELECT series, bucket, sum(value ORDER BY moment, value) AS value, 0.0 AS value_before,
    sum(count) AS count, 0.0 AS count_before,
    greatest(max(moment) - min(CASE WHEN began > 0 THEN began ELSE moment - $width END), 0) / 1e9 AS seconds,
    NULL::DOUBLE AS low, NULL::DOUBLE AS high, max(moment) AS last,
    list_reduce(list(list_resize(filled, $filled, 0)),
        lambda one, more: list_transform(list_zip(one, more), lambda pair: pair[1] + pair[2])) AS filled,
    {_NO_FILL} AS filled_before
FROM points WHERE form <> 'gauge' AND delta AND series IN (SELECT unnest($series)) GROUP BY series, bucket
ORDER BY series, bucket"""  # noqa: S608

_RUN: Final = """NULL::DOUBLE AS low, NULL::DOUBLE AS high, newest AS last,
    list_resize(filled, $filled, 0) AS filled"""

RUNS: Final = f"""WITH cumulative AS (SELECT * FROM points WHERE form <> 'gauge' AND NOT delta),
runs AS (
    SELECT series, began, bucket, max(moment) AS newest, min(moment) AS oldest, max_by(value, moment) AS value,
        max_by(count, moment) AS count, max_by(filled, moment) AS filled, min_by(value, moment) AS value_first,
        min_by(count, moment) AS count_first, min_by(filled, moment) AS filled_first,
        any_value(metric) AS metric, any_value(service) AS service, any_value(instance) AS instance
    FROM cumulative WHERE series IN (SELECT unnest($series)) GROUP BY series, began, bucket),
siblings AS (
    SELECT metric, service, instance, min(moment) AS first,
        (max(moment) - min(moment)) / greatest(count(DISTINCT moment) - 1, 1) AS step
    FROM cumulative GROUP BY metric, service, instance),
steps AS (
    SELECT *, lag(newest) OVER run AS newest_before, lag(value) OVER run AS value_before,
        lag(count) OVER run AS count_before, lag(filled) OVER run AS filled_before
    FROM runs JOIN siblings USING (metric, service, instance)
    WINDOW run AS (PARTITION BY series, began ORDER BY newest))
SELECT series, bucket, value, value_before, count, count_before, (newest - newest_before) / 1e9 AS seconds,
    {_RUN}, list_resize(filled_before, $filled, 0) AS filled_before
FROM steps WHERE newest_before IS NOT NULL
UNION ALL
SELECT series, bucket, value, 0, count, 0,
    CASE WHEN began >= $earliest THEN greatest(newest - began, step) ELSE newest - oldest + step END / 1e9,
    {_RUN}, {_NO_FILL}
FROM steps WHERE newest_before IS NULL AND (began >= $earliest OR oldest > first + step / 2)
UNION ALL
SELECT series, bucket, value, value_first, count, count_first, (newest - oldest) / 1e9,
    {_RUN}, list_resize(filled_first, $filled, 0)
FROM steps WHERE newest_before IS NULL AND began < $earliest AND oldest <= first + step / 2
    AND newest > oldest
ORDER BY series, bucket, last"""  # noqa: S608

_DESCRIBE: Final = """SELECT metric, form, any_value(unit), any_value(description), service, instance,
    count(DISTINCT list_sort(map_entries(attributes))), sum(points)::BIGINT,
    list_sort(list_distinct(flatten(list(map_keys(attributes))))), min(first), max(last)
FROM (SELECT metric, form, service, instance, attributes, any_value(unit) AS unit, count(*) AS points,
        any_value(description) AS description, min(moment) AS first, max(moment) AS last
    FROM every GROUP BY metric, form, service, instance, attributes)
GROUP BY metric, form, service, instance ORDER BY metric, service, instance"""

SOURCES: Final = f"""SELECT service, instance FROM (
    SELECT coalesce(nullif("ServiceName", ''), 'unknown_service') AS service, {_INSTANCE} AS instance, "TimeUnix"
    FROM otel_metrics_gauge UNION ALL
    SELECT coalesce(nullif("ServiceName", ''), 'unknown_service'), {_INSTANCE}, "TimeUnix"
    FROM otel_metrics_sum UNION ALL
    SELECT coalesce(nullif("ServiceName", ''), 'unknown_service'), {_INSTANCE}, "TimeUnix"
    FROM otel_metrics_histogram)
GROUP BY service, instance ORDER BY max("TimeUnix") DESC, service, instance LIMIT 200"""  # noqa: S608

_ALARM: Final = """epoch_ns("Timestamp"), "Seq", "AlarmName", "State", "ServiceName", "Reason", "Value", "Threshold",
    "Attributes\""""

_ALARMS: Final = """FROM alarms WHERE "Timestamp" >= make_timestamp_ns($start) AND "Timestamp" < make_timestamp_ns($end)
    AND "Seq" <= $pin AND (len($services) + len($names) = 0 OR list_contains($services, "ServiceName")
        OR list_contains($names, "AlarmName"))"""

ALARM_COUNT: Final = f"SELECT count(*) {_ALARMS}"

ALARMS: Final = f"""SELECT {_ALARM} {_ALARMS}
    AND ($after_time IS NULL OR (epoch_ns("Timestamp"), "Seq") < ($after_time, $after_seq))
ORDER BY "Timestamp" DESC, "Seq" DESC LIMIT $limit"""

STANDING: Final = f"""SELECT {_ALARM} FROM alarms
    WHERE "Timestamp" < make_timestamp_ns($before) AND "Seq" <= $pin
QUALIFY row_number() OVER (PARTITION BY "AlarmName" ORDER BY "Timestamp" DESC, "Seq" DESC) = 1
ORDER BY "AlarmName\""""  # noqa: S608
