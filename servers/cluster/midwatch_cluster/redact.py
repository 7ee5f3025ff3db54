"""What leaves an object before anybody sees it: secrets, and what only repeats it."""

import re
from collections.abc import Mapping
from typing import Any

from midwatch_cluster.state import Json
from midwatch_kit.secrets import HIDDEN, without_known_secrets

_SECRET = re.compile(r"passw|secret|token|credential|api_?key|private_?key|access_?key|auth", re.IGNORECASE)
_IN_FLAG = re.compile(r"(--?[\w.-]*(?:passw|secret|token|credential|api-?key)[\w.-]*=)\S+", re.IGNORECASE)
_REPEATS = "kubectl.kubernetes.io/last-applied-configuration"


def redacted(thing: Json) -> dict[str, Any]:
    """Return an object without secrets: values of Secrets, of what is named so, and what has the form of one.

    Named so can be a variable, a flag of a command, or a key of a ConfigMap.

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
    settings = cleaned.get("data") if cleaned.get("kind") == "ConfigMap" else None
    if isinstance(settings, dict):
        cleaned["data"] = {name: HIDDEN if _SECRET.search(name) else value for name, value in settings.items()}
    return cleaned


def _cleaned(value: Any) -> Any:
    if isinstance(value, Mapping):
        if isinstance(value.get("name"), str) and isinstance(value.get("value"), str) and _SECRET.search(value["name"]):
            return {**value, "value": HIDDEN}
        return {name: _cleaned(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(each) for each in value]
    return _IN_FLAG.sub(rf"\1{HIDDEN}", without_known_secrets(value)) if isinstance(value, str) else value
