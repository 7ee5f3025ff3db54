"""Times and names in the metadata of Kubernetes' objects. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime

from midwatch_kit.kubernetes import Json


def moment(text: str) -> datetime:
    """Return a time of the API in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def name_of(thing: Json) -> str:
    """Return `namespace/name`."""
    metadata = thing["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else str(metadata["name"])


def times_of(thing: Json, field: str = "") -> dict[str, datetime]:
    """Return when which program last wrote a thing, or a field of its spec, itself (its status left aside)."""
    found: dict[str, datetime] = {}
    for entry in thing["metadata"].get("managedFields") or []:
        owned = (entry.get("fieldsV1") or {}).get("f:spec") or {}
        if entry.get("subresource") != "status" and entry.get("time") and (not field or field in owned):
            manager, at = entry.get("manager", "?"), moment(entry["time"])
            found[manager] = max(at, found.get(manager, at))
    return found


def newest(times: Mapping[str, datetime]) -> datetime | None:
    """Return the latest of times; None when there is none."""
    return max(times.values(), default=None)
