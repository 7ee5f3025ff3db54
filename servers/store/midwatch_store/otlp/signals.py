"""OTLP's three signals: what each one's requests, answers and records are called, and how a request becomes rows."""

from dataclasses import dataclass
from typing import Final

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from midwatch_store.otlp.logs import log_rows
from midwatch_store.otlp.metrics import metric_rows
from midwatch_store.otlp.traces import span_rows
from midwatch_store.otlp.values import Converted

Request = ExportLogsServiceRequest | ExportTraceServiceRequest | ExportMetricsServiceRequest
Response = ExportLogsServiceResponse | ExportTraceServiceResponse | ExportMetricsServiceResponse


@dataclass(frozen=True)
class Signal:
    """One signal; `levels` are the JSON names of the lists that nest: by resource, by scope, records."""

    name: str
    request: type[Request]
    levels: tuple[str, str, str]


LOGS: Final = Signal("logs", ExportLogsServiceRequest, ("resourceLogs", "scopeLogs", "logRecords"))
TRACES: Final = Signal("traces", ExportTraceServiceRequest, ("resourceSpans", "scopeSpans", "spans"))
METRICS: Final = Signal("metrics", ExportMetricsServiceRequest, ("resourceMetrics", "scopeMetrics", "metrics"))
SIGNALS: Final = (LOGS, TRACES, METRICS)


def convert(request: Request, arrival: int) -> Converted:
    """The request's records as rows by table; `arrival` is the time of receipt in ns."""
    match request:
        case ExportLogsServiceRequest():
            return log_rows(request, arrival)
        case ExportTraceServiceRequest():
            return span_rows(request, arrival)
        case _:
            return metric_rows(request, arrival)


def response(signal: Signal, rejected: int, reason: str) -> Message:
    """The signal's answer to an export of which `rejected` records were not stored."""
    if signal is LOGS:
        logs = ExportLogsServiceResponse()
        if rejected:
            logs.partial_success.rejected_log_records = rejected
            logs.partial_success.error_message = reason
        return logs
    if signal is TRACES:
        traces = ExportTraceServiceResponse()
        if rejected:
            traces.partial_success.rejected_spans = rejected
            traces.partial_success.error_message = reason
        return traces
    metrics = ExportMetricsServiceResponse()
    if rejected:
        metrics.partial_success.rejected_data_points = rejected
        metrics.partial_success.error_message = reason
    return metrics
