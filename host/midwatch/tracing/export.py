"""Spans to wherever `OTEL_EXPORTER_OTLP_ENDPOINT` says, over HTTP, by the OpenTelemetry SDK and its own settings.

Ids follow from the investigation: a trace has the incident's own 128 bits, so that whoever knows one finds the other,
and what is exported twice is the same twice.
"""

import hashlib
import os
import re
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from ulid import ULID

from midwatch.tracing.spans import Spanned

_ULID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_GOODBYE_MS: Final = 2000
_NAMED: Final = ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES")


class Exporter:
    """Exports investigations, one at a time; what nobody takes is dropped."""

    def __init__(self) -> None:
        named = any(os.environ.get(name) for name in _NAMED)
        about = {SERVICE_VERSION: version("midwatch"), **({} if named else {SERVICE_NAME: "midwatch"})}
        self._ids = _Ids()
        self._sender = BatchSpanProcessor(OTLPSpanExporter())
        self._provider = TracerProvider(resource=Resource.create(about), id_generator=self._ids, shutdown_on_exit=False)
        self._provider.add_span_processor(self._sender)
        self._tracer = self._provider.get_tracer("midwatch", version("midwatch"))

    def export(self, name: str, spans: Sequence[Spanned]) -> None:
        """Hand the spans of an investigation to the SDK, which sends them when it is time to."""
        self._ids.trace = trace_id(name)
        known: dict[str, Context] = {}
        for span in spans:
            self._ids.span = span_id(name, span.key)
            made = self._tracer.start_span(
                span.name,
                known.get(span.parent, Context()),
                trace.SpanKind.CLIENT if span.client else trace.SpanKind.INTERNAL,
                dict(span.attributes),
                start_time=_ns(span.start),
            )
            if span.error:
                made.set_status(trace.StatusCode.ERROR, span.error)
            made.end(_ns(span.end))
            known[span.key] = trace.set_span_in_context(made, Context())

    def close(self) -> None:
        """Send what is left, for no longer than two seconds, and end."""
        self._sender.force_flush(_GOODBYE_MS)
        self._provider.shutdown()


class _Ids(IdGenerator):
    """Gives the ids that were set."""

    trace = 0
    span = 0

    def generate_trace_id(self) -> int:
        return self.trace

    def generate_span_id(self) -> int:
        return self.span


def trace_id(name: str) -> int:
    """Return the trace of an investigation: the bits of its id, where that is a ULID."""
    if _ULID.fullmatch(name):
        return int(ULID.from_str(name))
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:16])


def span_id(name: str, key: str) -> int:
    """Return the id of one span of an investigation."""
    return int.from_bytes(hashlib.sha256(f"{name}|{key}".encode()).digest()[:8])


def _ns(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000) * 1000
