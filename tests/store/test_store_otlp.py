"""OTLP to rows: what each field becomes, and how little of a damaged request is lost."""

import base64
import gzip
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import ExponentialHistogramDataPoint

from midwatch_store import to_ns
from midwatch_store.arrow import Row, find_table, from_rows
from midwatch_store.body import Refused, unpack
from midwatch_store.otlp.metrics import explicit_buckets
from midwatch_store.otlp.signals import LOGS, METRICS, SIGNALS, TRACES, Signal, convert
from midwatch_store.otlp.wire import BadBody, decode_document, decode_json, decode_protobuf

ARRIVAL = to_ns(datetime(2026, 5, 4, 2, tzinfo=UTC))
TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"


def _document(signal: Signal, *records: object) -> dict[str, Any]:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "forge"}}]}
    by_resource, by_scope, names = signal.levels
    return {by_resource: [{"resource": resource, by_scope: [{"scope": {"name": "s"}, names: list(records)}]}]}


def _rows(signal: Signal, *records: object) -> dict[str, list[Row]]:
    decoded = decode_json(signal, json.dumps(_document(signal, *records)).encode())
    assert decoded.rejected == 0, decoded.reason
    converted = convert(decoded.request, ARRIVAL)
    for table, rows in converted.rows.items():
        from_rows(find_table(table), rows)
    return dict(converted.rows)


def _log(**record: object) -> Row:
    return _rows(LOGS, record)["otel_logs"][0]


def test_a_log_record_keeps_its_ids_severity_and_attributes() -> None:
    row = _log(
        timeUnixNano=str(ARRIVAL + 7),
        traceId=TRACE,
        spanId=SPAN.upper(),
        flags=1,
        severityNumber=17,
        severityText="ERROR",
        body={"stringValue": "no such bot"},
        attributes=[{"key": "bot", "value": {"intValue": "7"}}],
        eventName="bot.missing",
        fieldOfTheFuture={"x": 1},
    )
    assert row == {
        "Timestamp": ARRIVAL + 7,
        "TraceId": TRACE,
        "SpanId": SPAN,
        "TraceFlags": 1,
        "SeverityText": "ERROR",
        "SeverityNumber": 17,
        "ServiceName": "forge",
        "Body": "no such bot",
        "ResourceAttributes": {"service.name": "forge"},
        "ScopeName": "s",
        "ScopeVersion": "",
        "ScopeAttributes": {},
        "LogAttributes": {"bot": "7"},
        "EventName": "bot.missing",
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"stringValue": "plain"}, "plain"),
        ({"boolValue": True}, "true"),
        ({"intValue": "-5"}, "-5"),
        ({"doubleValue": 1.5}, "1.5"),
        ({"bytesValue": base64.b64encode(b"\x00\xff").decode()}, "AP8="),
        ({"arrayValue": {"values": [{"stringValue": "ä"}, {"intValue": 1}, {}]}}, '["ä",1,null]'),
        ({"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": False}}]}}, '{"k":false}'),
        ({}, ""),
        ({"stringValue": "a\x00b\ud800c"}, "a\ufffdb\ufffdc"),
    ],
)
def test_any_value_becomes_text(value: object, text: str) -> None:
    assert _log(body=value)["Body"] == text


@pytest.mark.parametrize(
    ("claimed", "observed", "filed"),
    [
        (ARRIVAL - 5, 0, ARRIVAL - 5),
        (0, ARRIVAL - 9, ARRIVAL - 9),
        (0, 0, ARRIVAL),
        (ARRIVAL + 24 * 3600 * 10**9, 0, ARRIVAL + 24 * 3600 * 10**9),
    ],
)
def test_a_record_is_filed_under_its_time_else_when_it_was_observed_else_when_it_came(
    claimed: int, observed: int, filed: int
) -> None:
    row = _log(timeUnixNano=str(claimed), observedTimeUnixNano=str(observed))
    assert (row["Timestamp"], row["LogAttributes"]) == (filed, {})


@pytest.mark.parametrize(
    ("claimed", "written"),
    [
        (ARRIVAL + 24 * 3600 * 10**9 + 1, "2026-05-05T02:00:00.000000001Z"),
        (2**64 - 1, "2554-07-21T23:34:33.709551615Z"),
        (1_700_000_000, "1970-01-01T00:00:01.700000000Z"),
    ],
)
def test_a_time_that_cannot_be_gives_way_to_arrival_and_is_kept_beside_it(claimed: int, written: str) -> None:
    row = _log(timeUnixNano=str(claimed))
    assert (row["Timestamp"], row["LogAttributes"]) == (ARRIVAL, {"midwatch.original_timestamp": written})


def test_a_giant_line_is_cut_and_says_how_long_it_was() -> None:
    giant = "x" * 1_000_000
    row = _log(body={"stringValue": giant}, attributes=[{"key": "dump", "value": {"stringValue": giant}}])
    labels = row["LogAttributes"]
    assert isinstance(labels, dict)
    assert row["Body"] == labels["dump"] == giant[: 256 * 1024]
    assert labels["midwatch.original_length"] == labels["midwatch.original_length.dump"] == "1000000"


def test_a_span_keeps_its_kind_status_duration_events_and_links() -> None:
    error = {"key": "exception.type", "value": {"stringValue": "KeyError"}}
    [row] = _rows(
        TRACES,
        {
            "traceId": TRACE,
            "spanId": SPAN,
            "name": "GET /bots",
            "kind": 2,
            "startTimeUnixNano": str(ARRIVAL),
            "endTimeUnixNano": str(ARRIVAL + 1500),
            "status": {"code": 2, "message": "boom"},
            "events": [{"timeUnixNano": str(ARRIVAL + 1), "name": "exception", "attributes": [error]}],
            "links": [{"traceId": TRACE, "spanId": SPAN}],
        },
    )["otel_traces"]
    found = [row[name] for name in ("SpanKind", "StatusCode", "StatusMessage", "Duration", "ParentSpanId", "SpanName")]
    assert found == ["Server", "Error", "boom", 1500, "", "GET /bots"]
    assert (row["Events.Name"], row["Events.Attributes"]) == (["exception"], [{"exception.type": "KeyError"}])
    assert (row["Links.TraceId"], row["Links.SpanId"]) == ([TRACE], [SPAN])


def test_a_span_that_ends_before_it_starts_has_no_duration() -> None:
    span = {"traceId": TRACE, "spanId": SPAN, "startTimeUnixNano": str(ARRIVAL), "endTimeUnixNano": "0"}
    assert _rows(TRACES, span)["otel_traces"][0]["Duration"] == 0


@pytest.mark.parametrize("trace", ["", "00" * 16, "abcd", "not hex", None, 5])
def test_a_span_without_a_valid_trace_id_is_rejected_and_the_others_are_kept(trace: object) -> None:
    good = {"traceId": TRACE, "spanId": SPAN}
    decoded = decode_document(TRACES, _document(TRACES, {"traceId": trace, "spanId": SPAN}, good))
    converted = convert(decoded.request, ARRIVAL)
    assert [row["TraceId"] for row in converted.rows["otel_traces"]] == [TRACE]
    assert decoded.rejected + converted.rejected == 1
    assert "trace id" in converted.reason


def test_numbers_go_to_gauge_or_sum_with_their_unit_and_shape() -> None:
    point = {"timeUnixNano": str(ARRIVAL), "startTimeUnixNano": str(ARRIVAL - 5), "asInt": "3"}
    shape = {"aggregationTemporality": 2, "isMonotonic": True}
    rows = _rows(
        METRICS,
        {"name": "up", "unit": "1", "gauge": {"dataPoints": [{"asDouble": 0.5}]}},
        {"name": "calls", "sum": {"dataPoints": [point, {"flags": 1}], **shape}},
    )
    [gauge], [total] = rows["otel_metrics_gauge"], rows["otel_metrics_sum"]
    assert [gauge[name] for name in ("MetricName", "MetricUnit", "Value", "TimeUnix")] == ["up", "1", 0.5, ARRIVAL]
    assert [total[name] for name in ("Value", "AggregationTemporality", "IsMonotonic", "StartTimeUnix")] == [
        3.0,
        2,
        True,
        ARRIVAL - 5,
    ]


def test_a_histogram_keeps_its_buckets_and_an_exponential_one_gets_the_same_counts_over_bounds() -> None:
    explicit = {"count": "3", "sum": 6, "bucketCounts": ["1", "2"], "explicitBounds": [1.5], "min": 1}
    exponential = {"count": "4", "scale": 0, "zeroCount": "1", "positive": {"offset": 1, "bucketCounts": ["2", "1"]}}
    first, second = _rows(
        METRICS,
        {"name": "h", "histogram": {"dataPoints": [explicit], "aggregationTemporality": 1}},
        {"name": "e", "exponentialHistogram": {"dataPoints": [exponential], "aggregationTemporality": 2}},
    )["otel_metrics_histogram"]
    names = ("Count", "Sum", "BucketCounts", "ExplicitBounds", "Min", "Max", "AggregationTemporality")
    assert [first[name] for name in names] == [3, 6.0, [1, 2], [1.5], 1.0, None, 1]
    assert [second[name] for name in names] == [4, None, [1, 2, 1, 0], [2.0, 4.0, 8.0], None, None, 2]


@given(
    st.integers(-5, 10),
    st.integers(-50, 50),
    st.lists(st.integers(0, 9), max_size=30),
    st.lists(st.floats(1e-3, 1e3), max_size=5),
)
def test_a_value_lies_in_the_same_bucket_of_an_exponential_histogram_made_explicit(
    scale: int, offset: int, counts: list[int], values: list[float]
) -> None:
    point = ExponentialHistogramDataPoint(scale=scale, zero_count=1)
    point.positive.offset = offset
    point.positive.bucket_counts.extend(counts)
    buckets, bounds = explicit_buckets(point)
    assert len(buckets) == len(bounds) + 1 or not buckets
    assert sum(buckets) == 1 + sum(counts) or not buckets
    assert bounds == sorted(bounds)


def test_summaries_and_points_without_a_value_are_rejected_by_count() -> None:
    summary = {"name": "old", "summary": {"dataPoints": [{}, {}]}}
    decoded = decode_document(METRICS, _document(METRICS, summary, {"name": "g", "gauge": {"dataPoints": [{}]}}))
    converted = convert(decoded.request, ARRIVAL)
    assert (converted.rejected, converted.reason) == (3, "metric 'old': summaries are not stored")


def test_of_a_json_batch_with_bad_records_the_good_ones_are_kept() -> None:
    bad: list[object] = [{"timeUnixNano": "soon"}, None, 5, {"body": {"stringValue": 7}}]
    decoded = decode_document(LOGS, _document(LOGS, {"body": {"stringValue": "a"}}, *bad, {"severityNumber": 9}))
    assert [row["Body"] for row in convert(decoded.request, ARRIVAL).rows["otel_logs"]] == ["a", ""]
    assert decoded.rejected == len(bad)
    assert decoded.reason.startswith("Failed to parse timeUnixNano field: ")


def test_the_snake_case_names_of_the_protocol_files_are_taken_too() -> None:
    records = [{"time_unix_nano": str(ARRIVAL), "trace_id": TRACE}, {"time_unix_nano": "soon"}]
    decoded = decode_document(LOGS, {"resource_logs": [{"scope_logs": [{"log_records": records}]}]})
    [row] = convert(decoded.request, ARRIVAL).rows["otel_logs"]
    assert (row["TraceId"], decoded.rejected) == (TRACE, 1)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "not JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"resourceLogs": 5}', "'resourceLogs' must be an array"),
        (b'{"resourceLogs": [{"scopeLogs": [7]}]}', "'logRecords' must be an array"),
        (b'{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_a_body_with_nothing_in_it_to_read_is_refused_with_the_reason(body: bytes, complaint: str) -> None:
    with pytest.raises(BadBody, match=complaint):
        decode_json(LOGS, body)


@given(st.integers(0, 1500))
def test_a_value_nested_deeply_is_text_or_a_bad_body(depth: int) -> None:
    value = '{"arrayValue":{"values":[' * depth + '{"intValue":1}' + "]}}" * depth
    body = '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":' + value + "}]}]}]}"
    try:
        request = decode_json(LOGS, body.encode()).request
    except BadBody:
        assert depth > 30
        return
    [row] = convert(request, ARRIVAL).rows["otel_logs"]
    assert row["Body"] == "[" * depth + "1" + "]" * depth


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["timeUnixNano", "traceId", "body", "attributes", "name", "kind", "events", "status", "sum"])


@given(st.sampled_from(SIGNALS), st.lists(JSON_VALUES | st.dictionaries(FIELDS, JSON_VALUES, max_size=4), max_size=4))
def test_whatever_the_records_hold_each_is_stored_or_rejected(signal: Signal, records: list[object]) -> None:
    decoded = decode_document(signal, _document(signal, *records))
    converted = convert(decoded.request, ARRIVAL)
    for table, rows in converted.rows.items():
        assert from_rows(find_table(table), rows).num_rows == len(rows)
    if signal is not METRICS:
        stored = sum(len(rows) for rows in converted.rows.values())
        assert stored + decoded.rejected + converted.rejected == len(records)


@given(st.sampled_from(SIGNALS), st.binary(max_size=200))
def test_random_bytes_are_a_message_or_a_bad_body(signal: Signal, body: bytes) -> None:
    try:
        request = decode_protobuf(signal, body).request
    except BadBody:
        return
    convert(request, ARRIVAL)


def test_strings_that_are_not_utf8_are_repaired_and_the_rest_is_untouched() -> None:
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(trace_id=b"\xff" * 16)
    record.body.string_value = "BODY"
    record.attributes.add(key="raw").value.bytes_value = b"\xff\xfe"
    body = request.SerializeToString().replace(b"BODY", b"\xff\xfeOK")
    [row] = convert(decode_protobuf(LOGS, body).request, ARRIVAL).rows["otel_logs"]
    assert row["Body"] == "\ufffd\ufffdOK"
    assert (row["TraceId"], row["LogAttributes"]) == ("ff" * 16, {"raw": "//4="})


def test_protobuf_that_is_no_message_is_refused() -> None:
    with pytest.raises(BadBody, match="not a protobuf ExportMetricsServiceRequest"):
        decode_protobuf(METRICS, ExportMetricsServiceRequest.DESCRIPTOR.full_name.encode())


def test_a_gzip_bomb_is_refused_before_it_unfolds() -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    with pytest.raises(Refused, match="larger than 1048576 bytes") as refused:
        unpack(bomb, 1024 * 1024)
    assert refused.value.status == 413


@pytest.mark.parametrize(
    "body", [b"", b"no gzip", gzip.compress(b"x" * 100, mtime=0)[:-9]], ids=["empty", "no gzip", "torn"]
)
def test_a_broken_gzip_body_is_refused_or_empty(body: bytes) -> None:
    if body:
        with pytest.raises(Refused, match="not gzip"):
            unpack(body, 1000)
    else:
        assert unpack(body, 1000) == b""
