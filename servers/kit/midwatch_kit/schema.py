"""JSON Schemas without noise: every character of a tool list is paid for by every client, in every conversation."""

from typing import Any


def lean(schema: dict[str, Any], *without: str) -> dict[str, Any]:
    """Return `schema` without titles, with each nullable type as an optional one, and without the keys `without`."""
    kept: dict[str, Any] = {
        name: _lean_value(name, value) for name, value in schema.items() if _needed(name, value) and name not in without
    }
    alternatives = kept.get("anyOf")
    if isinstance(alternatives, list) and len(kinds := [a for a in alternatives if a != {"type": "null"}]) == 1:
        del kept["anyOf"]
        kept = {**kinds[0], **kept}
    return kept


def _needed(name: str, value: object) -> bool:
    return not (name == "title" and isinstance(value, str)) and not (name == "default" and value is None)


def _lean_value(name: str, value: Any) -> Any:
    if name in ("properties", "$defs"):  # names here are the caller's own: a property may well be called `title`
        return {key: lean(inner) for key, inner in value.items()}
    if isinstance(value, dict):
        return lean(value)
    if isinstance(value, list):
        return [lean(item) if isinstance(item, dict) else item for item in value]
    return value
