"""The traces that the fakes of Tempo and Jaeger answer are OTLP, read strictly by OpenTelemetry's own description."""

import json
import re
from base64 import b64encode
from collections.abc import Callable
from typing import Any, Final

import httpx2
import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status, TracesData
from tests.backends.fakes.otlp import Row

pytestmark = pytest.mark.xdist_group("trace backends")
Settings = dict[str, Any]
DIGITS: Final = {"traceId": 32, "spanId": 16, "parentSpanId": 16}


def asked(url: str) -> Any:
    answer = httpx2.get(url, timeout=10)
    assert answer.status_code == 200
    return answer.json()


def in_base64(document: Any) -> Any:
    """OTLP's JSON in protobuf's: ids are in hex and of full length there, and values of enumerations are numbers."""

    def whole(of: dict[str, Any]) -> dict[str, Any]:
        for name, digits in DIGITS.items():
            if name in of:
                assert re.fullmatch(f"[0-9a-f]{{{digits}}}", of[name])
                of[name] = b64encode(bytes.fromhex(of[name])).decode()
        assert not isinstance(of.get("kind"), str)
        assert not isinstance(of.get("code"), str)
        return of

    return json.loads(json.dumps(document), object_hook=whole)


def spans_of(data: TracesData) -> dict[str, tuple[Span, str]]:
    """Spans with the service that sent them, by id."""
    return {
        span.span_id.hex(): (
            span,
            next(a.value.string_value for a in sent.resource.attributes if a.key == "service.name"),
        )
        for sent in data.resource_spans
        for scope in sent.scope_spans
        for span in scope.spans
    }


def assert_told(data: TracesData, rows: list[Row]) -> None:
    """Each span is there, with all that the story has of it."""
    spans = spans_of(data)
    assert set(spans) == {row["SpanId"] for row in rows}
    for row in rows:
        span, service = spans[row["SpanId"]]
        assert (span.trace_id.hex(), span.parent_span_id.hex()) == (row["TraceId"], row["ParentSpanId"])
        assert (span.name, service) == (row["SpanName"], row["ServiceName"])
        assert span.start_time_unix_nano == row["Timestamp"]
        assert span.end_time_unix_nano - span.start_time_unix_nano == row["Duration"]
        assert Span.SpanKind.Name(span.kind) == f"SPAN_KIND_{row['SpanKind'].upper()}"
        assert Status.StatusCode.Name(span.status.code) == f"STATUS_CODE_{row['StatusCode'].upper()}"
        assert [event.name for event in span.events] == list(row["Events.Name"])
        assert [link.trace_id.hex() for link in span.links] == list(row["Links.TraceId"])
        assert {one.key: one.value.string_value for one in span.attributes} == row["SpanAttributes"]


@pytest.fixture(scope="module")
def failing(told: list[Row]) -> list[Row]:
    """All spans of a trace in which something failed."""
    name = next(row["TraceId"] for row in told if row["Events.Name"])
    return [row for row in told if row["TraceId"] == name]


@pytest.mark.parametrize(("path", "inner"), [("traces", "batches"), ("v2/traces", "resourceSpans")])
def test_a_trace_of_tempo_is_otlp_as_protobuf_writes_it(
    path: str, inner: str, failing: list[Row], settings_of: Callable[[str], Settings]
) -> None:
    said = asked(f"{settings_of('tempo')['tempo_url']}/api/{path}/{failing[0]['TraceId']}")
    said = said["trace"] if path.startswith("v2") else said
    assert_told(ParseDict({"resourceSpans": said[inner]}, TracesData()), failing)


def test_a_trace_of_jaegers_v3_is_otlps_own_json(failing: list[Row], settings_of: Callable[[str], Settings]) -> None:
    said = asked(f"{settings_of('jaeger')['jaeger_url']}/api/v3/traces/{failing[0]['TraceId']}")
    assert_told(ParseDict(in_base64(said["result"]), TracesData()), failing)
