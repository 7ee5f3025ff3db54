"""OTLP spans as rows of `otel_traces`."""

from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from midwatch_store.arrow import Row
from midwatch_store.otlp.values import MAX_NS, Converted, attributes, event_time, hex_id, resource_columns
from midwatch_store.text import clean

_KINDS: Final = {
    Span.SPAN_KIND_INTERNAL: "Internal",
    Span.SPAN_KIND_SERVER: "Server",
    Span.SPAN_KIND_CLIENT: "Client",
    Span.SPAN_KIND_PRODUCER: "Producer",
    Span.SPAN_KIND_CONSUMER: "Consumer",
}
_STATUSES: Final = {Status.STATUS_CODE_OK: "Ok", Status.STATUS_CODE_ERROR: "Error"}


def span_rows(request: ExportTraceServiceRequest, arrival: int) -> Converted:
    """The request's spans as rows; those without a valid trace or span id are rejected, as OTLP asks."""
    rows: list[Row] = []
    rejected = 0
    for resource_spans in request.resource_spans:
        resource = resource_columns(resource_spans.resource)
        for scope_spans in resource_spans.scope_spans:
            scope = scope_spans.scope
            shared = {**resource, "ScopeName": clean(scope.name), "ScopeVersion": clean(scope.version)}
            found = [{**shared, **row} for span in scope_spans.spans if (row := _row(span, arrival))]
            rejected += len(scope_spans.spans) - len(found)
            rows += found
    reason = "a span needs a trace id of 16 bytes and a span id of 8 bytes, not all zero" if rejected else ""
    return Converted({"otel_traces": rows}, rejected, reason)


def _row(span: Span, arrival: int) -> Row | None:
    trace_id, span_id = hex_id(span.trace_id, 16), hex_id(span.span_id, 8)
    if not (trace_id and span_id):
        return None
    labels = attributes(span.attributes)
    return {
        "Timestamp": event_time(span.start_time_unix_nano, arrival, labels),
        "TraceId": trace_id,
        "SpanId": span_id,
        "ParentSpanId": hex_id(span.parent_span_id, 8),
        "TraceState": clean(span.trace_state),
        "SpanName": clean(span.name),
        "SpanKind": _KINDS.get(span.kind, "Unspecified"),
        "SpanAttributes": labels,
        "Duration": min(max(span.end_time_unix_nano - span.start_time_unix_nano, 0), MAX_NS),
        "StatusCode": _STATUSES.get(span.status.code, "Unset"),
        "StatusMessage": clean(span.status.message),
        **_events_and_links(span),
    }


def _events_and_links(span: Span) -> Row:
    return {
        "Events.Timestamp": [min(event.time_unix_nano, MAX_NS) for event in span.events],
        "Events.Name": [clean(event.name) for event in span.events],
        "Events.Attributes": [attributes(event.attributes) for event in span.events],
        "Links.TraceId": [hex_id(link.trace_id, 16) for link in span.links],
        "Links.SpanId": [hex_id(link.span_id, 8) for link in span.links],
    }
