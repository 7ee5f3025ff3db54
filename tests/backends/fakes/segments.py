"""Rows of the store's span table as documents of AWS X-Ray, the way OpenTelemetry's exporter for X-Ray writes them.

What serves or consumes becomes a segment, what it calls a subsegment of it, and attributes go to `metadata.default`.
Written after the segment documents that AWS describes, and translator/segment.go of the exporter.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from tests.backends.fakes.otlp import Row

_SEGMENTS: Final = {"Server", "Consumer"}


def documents_of(rows: Sequence[Row]) -> list[str]:
    """The documents of one trace."""
    inside: dict[str, list[Row]] = {}
    for row in rows:
        if row["SpanKind"] not in _SEGMENTS:
            inside.setdefault(row["ParentSpanId"], []).append(row)
    return [json.dumps(_segment(row, inside)) for row in rows if row["SpanKind"] in _SEGMENTS]


def id_of(trace: str) -> str:
    """A trace's id as X-Ray writes it."""
    return f"1-{trace[:8]}-{trace[8:]}"


def _segment(row: Row, inside: dict[str, list[Row]]) -> Row:
    resource = row["ResourceAttributes"]
    told = _common(row, inside)
    told |= {"name": row["ServiceName"], "trace_id": id_of(row["TraceId"]), "origin": "AWS::ECS::Container"}
    told |= {
        "service": {"version": resource["service.version"]},
        "annotations": {"aws.local.operation": row["SpanName"]},
    }
    told["aws"] = {"ecs": {"container": resource["service.instance.id"]}, "xray": {"auto_instrumentation": False}}
    of_resource = {f"otel.resource.{name}": value for name, value in resource.items()}
    told["metadata"] = {"default": {**row["SpanAttributes"], **of_resource}}
    if row["ParentSpanId"]:
        told["parent_id"] = row["ParentSpanId"]
    if row["SpanKind"] == "Server":
        method, _, path = row["SpanName"].partition(" ")
        request = {"method": method, "url": f"https://{row['ServiceName']}.internal:8080{path}"}
        told["http"] = {"request": request, "response": {"status": 500 if told.get("fault") else 200}}
    links = zip(row["Links.TraceId"], row["Links.SpanId"], strict=True)
    told["links"] = [{"trace_id": id_of(of), "id": to} for of, to in links]
    return told


def _subsegment(row: Row, inside: dict[str, list[Row]]) -> Row:
    said = row["SpanAttributes"]
    told = _common(row, inside)
    if system := said.get("db.system.name") or said.get("db.system"):
        name = said.get("db.namespace") or said["db.name"]
        told |= {"name": f"{name}@{said.get('server.address', 'localhost')}", "namespace": "remote"}
        told["sql"] = {"database_type": system, "sanitized_query": row["SpanName"]}
    elif queue := said.get("messaging.destination.name"):
        told |= {"name": "SQS", "namespace": "aws"}
        told["aws"] = {"operation": "SendMessage", "queue_url": f"https://sqs.eu-central-1.amazonaws.com/1/{queue}"}
    elif host := said.get("server.address"):
        url = f"https://{host}:{said['server.port']}/"
        told |= {"name": host, "namespace": "remote"}
        told["http"] = {"request": {"method": row["SpanName"], "url": url}}
    else:
        told["name"] = row["SpanName"]
    return told


def _common(row: Row, inside: dict[str, list[Row]]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": row["SpanId"],
        "start_time": row["Timestamp"] / 10**9,
        "end_time": (row["Timestamp"] + row["Duration"]) / 10**9,
        "subsegments": [_subsegment(child, inside) for child in inside.get(row["SpanId"], [])],
    }
    if row["StatusCode"] == "Error":
        told["fault"] = True
    exceptions = [
        {"id": f"{at:016x}", "type": said["exception.type"], "message": said["exception.message"]}
        for at, said in zip(row["Events.Timestamp"], row["Events.Attributes"], strict=True)
    ]
    if row["StatusMessage"] and not exceptions:
        exceptions = [{"id": row["SpanId"], "message": row["StatusMessage"]}]
    if exceptions:
        told["cause"] = {"exceptions": exceptions}
    return told
