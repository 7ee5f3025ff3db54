"""What leaves an object before anybody sees it: secrets, and what only repeats it."""

import re
from collections.abc import Mapping
from typing import Any

from midwatch_cluster.state import Json

HIDDEN = "(hidden)"
_SECRET = re.compile(r"passw|secret|token|credential|api_?key|private_?key|access_?key|auth", re.IGNORECASE)
_IN_URL = re.compile(r"(?<=://)([^/@\s:]*):([^/@\s]+)@")
_REPEATS = "kubectl.kubernetes.io/last-applied-configuration"


def redacted(thing: Json) -> dict[str, Any]:
    """Return an object without the values of Secrets, of variables named as secrets are, and of passwords in URLs.

    What of an object is written only for machines (`managedFields`, the configuration that was last applied) goes too.
    """
    cleaned: dict[str, Any] = _cleaned(thing)
    metadata = cleaned.get("metadata")
    if isinstance(metadata, dict):
        metadata.pop("managedFields", None)
        annotations = metadata.get("annotations")
        if isinstance(annotations, dict):
            annotations.pop(_REPEATS, None)
    if cleaned.get("kind") == "Secret":
        for part in ("data", "stringData"):
            if isinstance(cleaned.get(part), dict):
                cleaned[part] = dict.fromkeys(cleaned[part], HIDDEN)
    return cleaned


def _cleaned(value: Any) -> Any:
    if isinstance(value, Mapping):
        if isinstance(value.get("name"), str) and isinstance(value.get("value"), str) and _SECRET.search(value["name"]):
            return {**value, "value": HIDDEN}
        return {name: _cleaned(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(each) for each in value]
    return _IN_URL.sub(rf"\1:{HIDDEN}@", value) if isinstance(value, str) and "://" in value else value
