"""OTLP log records as rows of `otel_logs`."""

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from midwatch_store.arrow import Row
from midwatch_store.otlp.values import Converted, as_text, attributes, event_time, hex_id, resource_columns
from midwatch_store.text import ORIGINAL_LENGTH, bounded, clean


def log_rows(request: ExportLogsServiceRequest, arrival: int) -> Converted:
    """The request's records as rows; `arrival` (ns) dates those that carry no time of their own."""
    rows: list[Row] = []
    for resource_logs in request.resource_logs:
        resource = resource_columns(resource_logs.resource)
        for scope_logs in resource_logs.scope_logs:
            shared = {
                **resource,
                "ScopeName": clean(scope_logs.scope.name),
                "ScopeVersion": clean(scope_logs.scope.version),
                "ScopeAttributes": attributes(scope_logs.scope.attributes),
            }
            rows += [{**shared, **_row(record, arrival)} for record in scope_logs.log_records]
    return Converted({"otel_logs": rows})


def _row(record: LogRecord, arrival: int) -> Row:
    labels = attributes(record.attributes)
    return {
        "Timestamp": event_time(record.time_unix_nano or record.observed_time_unix_nano, arrival, labels),
        "TraceId": hex_id(record.trace_id, 16),
        "SpanId": hex_id(record.span_id, 8),
        "TraceFlags": record.flags & 0xFF,
        "SeverityText": clean(record.severity_text),
        "SeverityNumber": record.severity_number,
        "Body": bounded(as_text(record.body), labels, ORIGINAL_LENGTH),
        "LogAttributes": labels,
        "EventName": clean(record.event_name),
    }
