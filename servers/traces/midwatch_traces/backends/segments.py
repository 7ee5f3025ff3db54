"""Documents of AWS X-Ray as rows: a segment is what a service did for a request, a subsegment a step or a call in it.

What X-Ray itself inferred of a callee that sends nothing is left out: the subsegment that called it says the same, and
more. Names follow OpenTelemetry, so that a table is a database and an SQS queue a queue. Both the X-Ray SDKs and the
OpenTelemetry Collector send such documents; the latter keeps attributes under `metadata.default`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit

from midwatch_traces.backends.fetched import Row
from midwatch_traces.ids import plain_id

Told = Mapping[str, Any]

_RESOURCE: Final = "otel.resource."
_OPERATIONS: Final = ("aws.local.operation", "aws_local_operation")
_SENDING: Final = frozenset(
    {"SendMessage", "SendMessageBatch", "Publish", "PublishBatch", "PutRecord", "PutRecords", "PutEvents"}
)
_VARYING: Final = re.compile(r"\d|^[^/]{33,}$")
_QUERY_SHOWN: Final = 40


@dataclass
class _Part:
    """A segment or subsegment: `told` as X-Ray has it, whose child it is, which service's, and about that service."""

    told: Told
    parent: str
    service: str
    resource: Mapping[str, str]
    is_segment: bool


def rows_of(trace_id: str, documents: Iterable[str]) -> list[Row]:
    """Return the spans of a trace, out of its documents as JSON; what is no such document is left out."""
    parts: dict[str, _Part] = {}
    inferred: dict[str, str] = {}
    for told in filter(None, map(_parsed, documents)):
        if told.get("inferred"):
            inferred[str(told["id"])] = str(told.get("parent_id") or "")
            continue
        for part in _parts(told):
            name = str(part.told["id"])
            if name not in parts or parts[name].told.get("in_progress"):
                parts[name] = part
    exceptions = {str(one.get("id")): one for part in parts.values() for one in _exceptions(part.told)}
    for part in parts.values():
        part.parent = inferred.get(part.parent, part.parent)
        _belongs(part, parts)
    return [_row(plain_id(trace_id), part, parts.get(part.parent), exceptions) for part in parts.values()]


def _parsed(document: str) -> Told | None:
    try:
        told = json.loads(document, parse_float=Decimal)
    except ValueError:
        return None
    return told if isinstance(told, dict) and told.get("id") and told.get("start_time") is not None else None


def _parts(document: Told) -> Iterator[_Part]:
    """Yield a document and all that is in it; whose a subsegment that came by itself is, its parent knows."""
    alone = document.get("type") == "subsegment"
    service = "" if alone else str(document.get("name") or "")
    resource = {} if alone else _resource(document, service)
    waiting: list[tuple[Told, str, bool]] = [(document, str(document.get("parent_id") or ""), not alone)]
    while waiting:
        told, parent, is_segment = waiting.pop()
        yield _Part(told, parent, service, resource, is_segment)
        steps = told.get("subsegments") or []
        waiting += [(step, str(told["id"]), False) for step in steps if step.get("id") and "start_time" in step]


def _belongs(part: _Part, parts: Mapping[str, _Part]) -> None:
    """Give a subsegment that came by itself the service of the segment that it is in."""
    above, seen = part, set[str]()
    while not above.service and above.parent in parts and above.parent not in seen:
        seen.add(above.parent)
        above = parts[above.parent]
    if not part.service:
        part.service, part.resource = above.service or str(part.told.get("name") or ""), above.resource


def _resource(told: Told, service: str) -> dict[str, str]:
    aws = _map(told, "aws")
    ecs, eks, ec2 = _map(aws, "ecs"), _map(aws, "eks"), _map(aws, "ec2")
    known = {
        "service.name": service,
        "service.version": _map(told, "service").get("version"),
        "service.instance.id": ecs.get("container_id") or ecs.get("container") or ec2.get("instance_id"),
        "k8s.pod.name": eks.get("pod"),
        "cloud.availability_zone": ec2.get("availability_zone"),
        "aws.xray.origin": told.get("origin"),
    }
    said = {name.removeprefix(_RESOURCE): value for name, value in _default(told).items() if name.startswith(_RESOURCE)}
    return {**_texts(known), **_texts(said), "service.name": service}


def _row(trace_id: str, part: _Part, parent: _Part | None, exceptions: Mapping[str, Told]) -> Row:
    told, attributes = part.told, _attributes(part)
    kind = _kind(part, parent, attributes)
    raised = _of_cause(told, exceptions)
    start, end = _ns(told["start_time"]), _ns(told.get("end_time") or told["start_time"])
    return Row(
        Timestamp=start,
        TraceId=trace_id,
        SpanId=str(told["id"]),
        ParentSpanId=part.parent,
        SpanName=_name(part, attributes),
        SpanKind=kind,
        ServiceName=part.service,
        ResourceAttributes=part.resource,
        SpanAttributes=attributes,
        Duration=max(end - start, 0),
        StatusCode="Error" if _failed(told, attributes, kind) else "Unset",
        StatusMessage=_message(told, raised),
        Events=[(end, "exception", _event(one)) for one in raised if one.get("type")],
        Links=[
            (plain_id(str(link.get("trace_id"))), str(link.get("id") or link.get("span_id") or ""))
            for link in told.get("links") or []
        ],
    )


def _kind(part: _Part, parent: _Part | None, attributes: Mapping[str, str]) -> str:
    """Return the kind of span. Lambda tells of one request twice: by the service, and by the function in it."""
    if part.is_segment:
        if parent is not None and parent.service == part.service:
            return "Internal"
        of_message = bool(part.told.get("links")) or "messaging.destination.name" in attributes
        return "Consumer" if of_message and "http.request.method" not in attributes else "Server"
    if part.told.get("namespace") == "aws" and _map(part.told, "aws").get("operation") in _SENDING:
        return "Producer"
    return "Client" if part.told.get("namespace") in {"aws", "remote"} or part.told.get("sql") else "Internal"


def _failed(told: Told, attributes: Mapping[str, str], kind: str) -> bool:
    """Whether a span failed: to refuse what a client asks wrongly (4xx) is no failure of the service."""
    refused = bool(told.get("error") or told.get("throttle"))
    if kind == "Server" and attributes.get("http.response.status_code", "").startswith("4"):
        refused = False
    return bool(told.get("fault")) or refused


def _attributes(part: _Part) -> dict[str, str]:
    told = part.told
    http = _map(told, "http")
    request, response = _map(http, "request"), _map(http, "response")
    of_http = {
        "http.request.method": request.get("method"),
        "url.full": request.get("url"),
        "http.response.status_code": response.get("status"),
        "client.address": request.get("client_ip"),
        "user.id": told.get("user"),
    }
    of_peer = _of_peer(told, str(request.get("url") or "")) if told.get("namespace") == "remote" else {}
    said = {name: value for name, value in _default(told).items() if not name.startswith(_RESOURCE)}
    of_aws = _of_aws(told) if told.get("namespace") == "aws" else {}
    return _texts({**of_http, **of_peer, **of_aws, **_of_sql(told), **said, **_map(told, "annotations")})


def _of_peer(told: Told, url: str) -> dict[str, object]:
    """Return whom a call went to: the host of its URL, or the name that X-Ray gives a call to elsewhere."""
    try:
        host, port = urlsplit(url).hostname, urlsplit(url).port
    except ValueError:
        host, port = None, None
    return {"server.address": host or told.get("name"), "server.port": port}


def _of_aws(told: Told) -> dict[str, object]:
    """Return what a call to AWS was to: a table, a queue, a topic, a stream, or some other service by its name."""
    aws, service = _map(told, "aws"), str(told.get("name") or "")
    called = {
        "rpc.service": service,
        "rpc.method": aws.get("operation"),
        "cloud.region": aws.get("region"),
        "aws.request_id": aws.get("request_id"),
        "aws.s3.bucket": aws.get("bucket_name"),
        "faas.invoked_name": aws.get("function_name"),
    }
    if table := aws.get("table_name"):
        return {
            **called,
            "db.system.name": "aws.dynamodb",
            "db.namespace": table,
            "db.operation.name": called["rpc.method"],
        }
    for system, name in (("aws_sqs", "queue_url"), ("aws_sns", "topic_arn"), ("aws.kinesis", "stream_name")):
        if target := aws.get(name):
            plain = re.split("[/:]", str(target))[-1]
            return {**called, "messaging.system": system, "messaging.destination.name": plain}
    return {**called, "server.address": service}


def _of_sql(told: Told) -> dict[str, object]:
    """Return the database of an SQL query: X-Ray names such a subsegment `database@host`, and has a URL of JDBC."""
    sql = _map(told, "sql")
    if not sql:
        return {}
    before, at, host = str(told.get("name") or "").rpartition("@")
    url = str(sql.get("url") or "").removeprefix("jdbc:")
    named = _of_peer({"name": host if at else None}, url)
    return {
        "db.system.name": str(sql.get("database_type") or "sql").lower(),
        "db.namespace": re.split("[;?]", url.rpartition("/")[2])[0] or before or None,
        "db.query.text": sql.get("sanitized_query"),
        **named,
    }


def _name(part: _Part, attributes: Mapping[str, str]) -> str:
    name, method = str(part.told.get("name") or ""), attributes.get("http.request.method", "")
    if part.is_segment:
        known = next((attributes[key] for key in _OPERATIONS if key in attributes), "")
        path = attributes.get("http.route") or _path(attributes.get("url.full", ""))
        return known or f"{method} {path}".strip() or name
    if operation := _map(part.told, "aws").get("operation"):
        return f"{name}.{operation}"
    if query := attributes.get("db.query.text"):
        return query[:_QUERY_SHOWN]
    return f"{method} {name}".strip() if part.told.get("namespace") == "remote" else name


def _path(url: str) -> str:
    """Return the path of a URL without what differs from request to request, such as numbers and long ids."""
    parts = urlsplit(url).path.split("/")
    return "/".join("{}" if _VARYING.search(part) else part for part in parts)


def _of_cause(told: Told, known: Mapping[str, Told]) -> Sequence[Told]:
    """Return the exceptions of a span: its own, or those of another that it passed on and only names."""
    cause = told.get("cause")
    if isinstance(cause, str):
        return [known[cause]] if cause in known else []
    return list(_exceptions(told))


def _exceptions(told: Told) -> Iterator[Told]:
    found = _map(told, "cause").get("exceptions")
    yield from (one for one in found if isinstance(one, dict)) if isinstance(found, list) else ()


def _event(exception: Told) -> dict[str, str]:
    return _texts({"exception.type": exception.get("type"), "exception.message": exception.get("message")})


def _message(told: Told, raised: Sequence[Told]) -> str:
    """Return what a span says of its failure, where that has no type: so the Collector tells the text of a status."""
    plain = next((str(one.get("message") or "") for one in raised if not one.get("type")), "")
    return plain or ("throttled" if told.get("throttle") else "")


def _default(told: Told) -> Told:
    return _map(_map(told, "metadata"), "default")


def _map(told: Told, name: str) -> Told:
    found = told.get(name)
    return found if isinstance(found, dict) else {}


def _texts(told: Mapping[str, object]) -> dict[str, str]:
    """Return what is a text, a number or a truth, as text."""
    plain = {name: value for name, value in told.items() if isinstance(value, str | int | Decimal) and value != ""}
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in plain.items()}


def _ns(seconds: object) -> int:
    return int(Decimal(str(seconds)) * 10**9)
