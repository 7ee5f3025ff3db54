"""Traces, logs and metrics by OTLP/HTTP. Where to and how often is in the standard `OTEL_*` variables, not here."""

import logging
import os
from collections.abc import Iterable

import psutil
from opentelemetry import metrics, trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import DropAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

UNUSED_METRICS = ("http.server.active_requests", "http.server.request.body.size", "http.server.response.body.size")


class Telemetry:
    """The three signals of one process, from `start` to `stop`."""

    def __init__(self) -> None:
        resource = Resource.create()
        self.tracers = TracerProvider(resource=resource)
        self.tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self.logs = LoggerProvider(resource=resource)
        self.logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
        self.handler = LoggingHandler(logger_provider=self.logs)
        self.meters = MeterProvider(
            [PeriodicExportingMetricReader(OTLPMetricExporter())],
            resource,
            views=[View(instrument_name=name, aggregation=DropAggregation()) for name in UNUSED_METRICS],
        )

    def start(self) -> None:
        """Make the signals the process's own, and begin to measure the process."""
        trace.set_tracer_provider(self.tracers)
        metrics.set_meter_provider(self.meters)
        set_logger_provider(self.logs)
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
        logging.getLogger().addHandler(self.handler)
        logging.getLogger("httpx").setLevel(logging.WARNING)
        _measure_process()

    def stop(self) -> None:
        """Send what is still held back; blocks for the exporters' timeout at the most."""
        logging.getLogger().removeHandler(self.handler)
        self.tracers.shutdown()
        self.logs.shutdown()
        self.meters.shutdown()


def _measure_process() -> None:
    process = psutil.Process()
    process.cpu_percent()

    def utilization(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(process.cpu_percent() / 100 / (os.cpu_count() or 1))]

    def memory(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(process.memory_info().rss)]

    meter = metrics.get_meter(__name__)
    meter.create_observable_gauge("process.cpu.utilization", [utilization], "1", "Share of all CPUs used")
    meter.create_observable_up_down_counter("process.memory.usage", [memory], "By", "Resident memory")
