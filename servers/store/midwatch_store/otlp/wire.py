"""Request bodies as OTLP messages, protobuf or JSON, keeping what is good of a damaged one.

OTLP's JSON is protobuf's with exceptions (ids in hex, unknown fields ignored):
https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError

from midwatch_store.otlp.lenient import repaired
from midwatch_store.otlp.signals import Request, Signal
from midwatch_store.text import clean

Json = Any

_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"})

_MAX_DEPTH: Final = 150  # what protobuf's own limit of 100 messages comes to, about
_TOO_DEEP: Final = "the body is JSON nested too deeply"


class BadBody(ValueError):
    """A body of which nothing can be read; the message says what was wrong, for the sender."""


@dataclass(frozen=True)
class Decoded:
    """A request, and how many records of the body did not make it into it, with the first reason."""

    request: Request
    rejected: int = 0
    reason: str = ""


def decode_protobuf(signal: Signal, body: bytes) -> Decoded:
    """The message in a protobuf body, strings that are not UTF-8 repaired; raises BadBody."""
    request = signal.request()
    try:
        request.ParseFromString(body)
    except DecodeError:
        try:
            request = signal.request.FromString(repaired(body, signal.request.DESCRIPTOR))
        except DecodeError as error:
            raise BadBody(f"the body is not a protobuf {signal.request.DESCRIPTOR.name}: {error}") from error
    return Decoded(request)


def decode_json(signal: Signal, body: bytes) -> Decoded:
    """The message in a JSON body, without the records in it that are malformed; raises BadBody."""
    return decode_document(signal, load_json(body))


def load_json(body: bytes) -> Json:
    """The JSON value in a body of UTF-8 (bytes that are not become U+FFFD); raises BadBody."""
    try:
        return json.loads(body.decode("utf-8", "replace"))
    except json.JSONDecodeError as error:
        raise BadBody(f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise BadBody(_TOO_DEEP) from error


def decode_document(signal: Signal, document: Json) -> Decoded:
    """As `decode_json`, for JSON that is already parsed."""
    if not isinstance(document, dict):
        raise BadBody(f"the body must be a JSON object with {signal.levels[0]!r}, not {type(document).__name__}")
    try:
        normal = _normal(document)
        return _whole(signal, normal) or _salvage(signal, normal)
    except RecursionError as error:
        raise BadBody(_TOO_DEEP) from error


def _whole(signal: Signal, document: Json) -> Decoded | None:
    try:
        return Decoded(_parse(signal, document))
    except ParseError:
        return None


def _salvage(signal: Signal, document: Json) -> Decoded:
    """Parse each record on its own and leave out those that fail."""
    good: list[Json] = []
    reasons: list[str] = []
    for single in _singles(signal, document):
        try:
            _parse(signal, single)
        except ParseError as error:
            reasons.append(_innermost(error))
        else:
            good += single[signal.levels[0]]
    return Decoded(_parse(signal, {signal.levels[0]: good}), len(reasons), next(iter(reasons), ""))


def _innermost(error: ParseError) -> str:
    """What the reader says, without the names of all the fields around the one it is about."""
    return re.sub(r"(Failed to parse \w+ field: )+(?=Failed)", "", str(error)).rstrip(".")


def _singles(signal: Signal, document: Json) -> Iterator[Json]:
    """Documents with one record each, as the whole one holds them; raises BadBody when there is no such structure."""
    resources, scopes, records = signal.levels
    for resource in _items(document, resources):
        for scope in _items(resource, scopes):
            for record in _items(scope, records):
                yield {resources: [{**resource, scopes: [{**scope, records: [record]}]}]}


def _items(parent: Json, name: str) -> list[Json]:
    found = parent.get(name, []) if isinstance(parent, dict) else None
    if not isinstance(found, list):
        raise BadBody(f"{name!r} must be an array in an object")
    return found


def _parse(signal: Signal, document: Json) -> Request:
    return ParseDict(document, signal.request(), ignore_unknown_fields=True)


def _normal(value: Json, depth: int = 0) -> Json:
    """The document as protobuf's JSON reader wants it: ids in base64, text that can be encoded; raises BadBody."""
    if depth > _MAX_DEPTH:
        raise BadBody(_TOO_DEEP)
    if isinstance(value, dict):
        return {_camel(key): _id(item) if key in _IDS else _normal(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_normal(item, depth + 1) for item in value]
    return clean(value) if isinstance(value, str) else value


def _id(value: Json) -> Json:
    """A hex id in base64; what is no hex becomes no id at all."""
    try:
        return base64.b64encode(bytes.fromhex(value)).decode("ascii")
    except (TypeError, ValueError):
        return ""


def _camel(name: str) -> str:
    """`scope_logs` as `scopeLogs`: protobuf's reader takes both, the search for records but one."""
    head, *rest = name.split("_")
    return clean(head + "".join(part.capitalize() for part in rest))
