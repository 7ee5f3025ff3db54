"""Rows of the store's span table as OTLP's JSON, the way servers answer with it."""

import base64
from collections.abc import Callable, Sequence
from typing import Any

Row = dict[str, Any]
KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
STATES = ("Unset", "Ok", "Error")


def in_hex(told: str) -> str:
    """An id as it is."""
    return told


def in_base64(told: str) -> str:
    """An id as protobuf's own JSON has bytes."""
    return base64.b64encode(bytes.fromhex(told)).decode()


def attributes(of: dict[str, str]) -> list[Row]:
    """Attributes as OTLP lists them."""
    return [{"key": key, "value": {"stringValue": value}} for key, value in of.items()]


def resource_spans(rows: Sequence[Row], written: Callable[[str], str], *, names: bool) -> list[Row]:
    """Spans under their resources; `names` says whether kinds and states go by name or by number."""
    found: dict[str, tuple[Row, list[Row]]] = {}
    for row in rows:
        resource = {"service.name": row["ServiceName"], **row["ResourceAttributes"]}
        found.setdefault(str(resource), (resource, []))[1].append(_span(row, written, names=names))
    return [
        {"resource": {"attributes": attributes(resource)}, "scopeSpans": [{"scope": {"name": "shop"}, "spans": spans}]}
        for resource, spans in found.values()
    ]


def _span(row: Row, written: Callable[[str], str], *, names: bool) -> Row:
    kind, state = KINDS.index(row["SpanKind"]), STATES.index(row["StatusCode"])
    told = {
        "traceId": written(row["TraceId"]),
        "spanId": written(row["SpanId"]),
        "name": row["SpanName"],
        "kind": f"SPAN_KIND_{row['SpanKind'].upper()}" if names else kind,
        "startTimeUnixNano": str(row["Timestamp"]),
        "endTimeUnixNano": str(row["Timestamp"] + row["Duration"]),
        "attributes": attributes(row["SpanAttributes"]),
        "status": {"code": f"STATUS_CODE_{row['StatusCode'].upper()}" if names else state} if state else {},
    }
    if row["StatusMessage"]:
        told["status"]["message"] = row["StatusMessage"]
    if row["ParentSpanId"]:
        told["parentSpanId"] = written(row["ParentSpanId"])
    if row["Events.Name"]:
        told["events"] = [
            {"timeUnixNano": str(at), "name": name, "attributes": attributes(said)}
            for at, name, said in zip(
                row["Events.Timestamp"], row["Events.Name"], row["Events.Attributes"], strict=True
            )
        ]
    if row["Links.TraceId"]:
        told["links"] = [
            {"traceId": written(of), "spanId": written(to)}
            for of, to in zip(row["Links.TraceId"], row["Links.SpanId"], strict=True)
        ]
    return told
