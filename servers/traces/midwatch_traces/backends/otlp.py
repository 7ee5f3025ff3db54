"""Traces in OTLP's JSON, as Tempo and Jaeger's v3 API send them, as rows.

Ids come in hex or in base64, kinds and states as names or numbers. What the receiver of the store reads is OTLP as
senders send it; this is OTLP as servers answer, so it is lenient.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from midwatch_traces.backends.fetched import Row

_KINDS: Final = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
_STATUS: Final = ("Unset", "Ok", "Error")
_TRACE_DIGITS: Final = 32
_SPAN_DIGITS: Final = 16


def rows_of(document: Any) -> Iterator[Row]:
    """Yield the spans of a document: `resourceSpans` or `batches`, also within `trace` or `result`."""
    if not isinstance(document, Mapping):
        return
    for inner in ("trace", "result"):
        if isinstance(document.get(inner), Mapping):
            yield from rows_of(document[inner])
    for resource in _list(document, "resourceSpans") or _list(document, "batches"):
        said = labels(_list(resource.get("resource") or {}, "attributes"))
        for scope in _list(resource, "scopeSpans") or _list(resource, "instrumentationLibrarySpans"):
            for span in _list(scope, "spans"):
                yield _row(span, said)


def labels(attributes: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return attributes as texts by key."""
    return {str(one.get("key", "")): text_of(one.get("value") or {}) for one in attributes}


def text_of(value: Mapping[str, Any]) -> str:
    """Return an attribute's value as text, as the store keeps it."""
    for kind, told in value.items():
        if kind == "boolValue":
            return "true" if told else "false"
        if kind == "arrayValue":
            return "[" + ",".join(text_of(one) for one in told.get("values") or []) + "]"
        if kind == "kvlistValue":
            return "{" + ",".join(f"{k}:{v}" for k, v in labels(told.get("values") or []).items()) + "}"
        return str(told)
    return ""


def hex_id(told: str, digits: int) -> str:
    """Return an id in hex: one in base64 ends with `=`, and zeros that were left out in front are put back."""
    if not told.endswith("="):
        return told.lower().rjust(digits, "0") if told else ""
    try:
        return base64.b64decode(told, validate=True).hex()
    except (binascii.Error, ValueError):
        return told


def trace_hex(told: str) -> str:
    """Return a trace id in 32 hexadecimal digits."""
    return hex_id(told, _TRACE_DIGITS)


def _row(span: Mapping[str, Any], resource: Mapping[str, str]) -> Row:
    start, end = _ns(span.get("startTimeUnixNano")), _ns(span.get("endTimeUnixNano"))
    status = span.get("status") or {}
    parent = hex_id(str(span.get("parentSpanId") or ""), _SPAN_DIGITS)
    return Row(
        Timestamp=start,
        TraceId=trace_hex(str(span.get("traceId") or "")),
        SpanId=hex_id(str(span.get("spanId") or ""), _SPAN_DIGITS),
        ParentSpanId="" if not parent.strip("0") else parent,
        SpanName=str(span.get("name") or ""),
        SpanKind=_enum(span.get("kind"), _KINDS, "SPAN_KIND_"),
        ServiceName=resource.get("service.name", ""),
        ResourceAttributes=resource,
        SpanAttributes=labels(_list(span, "attributes")),
        Duration=max(end - start, 0),
        StatusCode=_enum(status.get("code"), _STATUS, "STATUS_CODE_"),
        StatusMessage=str(status.get("message") or ""),
        Events=[
            (_ns(event.get("timeUnixNano")), str(event.get("name") or ""), labels(_list(event, "attributes")))
            for event in _list(span, "events")
        ],
        Links=[
            (trace_hex(str(link.get("traceId") or "")), hex_id(str(link.get("spanId") or ""), _SPAN_DIGITS))
            for link in _list(span, "links")
        ],
    )


def _enum(told: object, names: Sequence[str], prefix: str) -> str:
    if isinstance(told, int):
        return names[told] if 0 <= told < len(names) else names[0]
    if isinstance(told, str):
        return told.removeprefix(prefix).capitalize() if told else names[0]
    return names[0]


def _ns(told: object) -> int:
    return int(told) if isinstance(told, int | str) and str(told).isdecimal() else 0


def _list(parent: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    found = parent.get(name)
    return found if isinstance(found, list) else ()
