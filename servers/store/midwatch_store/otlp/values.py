"""OTLP's small values: attributes, ids and instants, as text and numbers that the store keeps."""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from midwatch_store.arrow import Row
from midwatch_store.clock import HOUR_NS, rfc3339
from midwatch_store.text import ORIGINAL_LENGTH, bounded, clean

ORIGINAL_TIMESTAMP: Final = "midwatch.original_timestamp"
MAX_NS: Final = 2**63 - 1

_EARLIEST_NS: Final = 946_684_800_000_000_000  # 2000-01-01: before it, a clock was never set
_DAY_NS: Final = 24 * HOUR_NS


@dataclass(frozen=True)
class Converted:
    """Rows by table, and how many records of the request could not become one, with the first reason."""

    rows: Mapping[str, list[Row]]
    rejected: int = 0
    reason: str = ""


def as_text(value: AnyValue) -> str:
    """The value as text: bytes in base64, arrays and maps as JSON, as the Collector writes them."""
    match value.WhichOneof("value"):
        case "string_value":
            return clean(value.string_value)
        case "array_value" | "kvlist_value":
            return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))
        case None:
            return ""
        case _:
            plain = _plain(value)
            return plain if isinstance(plain, str) else json.dumps(plain)


def attributes(pairs: Iterable[KeyValue]) -> dict[str, str]:
    """The attributes as text by key; a value that was cut leaves its length under `midwatch.original_length.<key>`."""
    labels: dict[str, str] = {}
    for pair in pairs:
        key = clean(pair.key)
        labels[key] = bounded(as_text(pair.value), labels, f"{ORIGINAL_LENGTH}.{key}")
    return labels


def resource_columns(resource: Resource) -> dict[str, object]:
    """The columns that all rows of one resource share."""
    labels = attributes(resource.attributes)
    return {"ServiceName": labels.get("service.name", ""), "ResourceAttributes": labels}


def hex_id(identifier: bytes, size: int) -> str:
    """A trace or span id in hex, or '' for one that is absent or invalid: of another size, or all zeros."""
    return identifier.hex() if len(identifier) == size and any(identifier) else ""


def event_time(claimed: int, arrival: int, marks: dict[str, str]) -> int:
    """The time to file a row under, in ns: what it claims, or its arrival when that is 0 or cannot be.

    More than a day ahead or before the year 2000 cannot be; the claim then goes to `marks`.
    """
    if claimed == 0 or _EARLIEST_NS <= claimed <= arrival + _DAY_NS:
        return claimed or arrival
    marks[ORIGINAL_TIMESTAMP] = rfc3339(claimed)
    return arrival


def _plain(value: AnyValue) -> object:
    match value.WhichOneof("value"):
        case "string_value":
            return clean(value.string_value)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode("ascii")
        case "array_value":
            return [_plain(item) for item in value.array_value.values]
        case "kvlist_value":
            return {clean(pair.key): _plain(pair.value) for pair in value.kvlist_value.values}
        case "bool_value" | "int_value" | "double_value" as kind:
            scalar: object = getattr(value, kind)
            return scalar
    return None
