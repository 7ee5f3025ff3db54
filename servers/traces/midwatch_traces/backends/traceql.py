"""TraceQL, the query language of Tempo, for the searches of the trace tools."""

import json
import re
from typing import Final

from midwatch_traces.backend import Search

_PLAIN: Final = re.compile(r"[A-Za-z_][\w.\-/]*")
_CONTROL: Final = re.compile(r"[\x00-\x1f]")
_BARE: Final = re.compile(r"-?\d+(\.\d+)?|true|false")


def spans_of(search: Search, also: str = "") -> str:
    """Return the set of spans that a search means; `also` is a condition that they have to meet besides."""
    instances = [f"resource.{name} = {quoted(search.instance)}" for name in ("service.instance.id", "k8s.pod.name")]
    conditions = [
        f"({also})" if also else "",
        f"resource.service.name = {quoted(search.service)}" if search.service else "",
        f"({' || '.join(instances)})" if search.instance else "",
        f"name =~ {quoted(f'(?i).*{re.escape(search.operation)}.*')}" if search.operation else "",
        "status = error" if search.errors else "",
        f"duration >= {int(search.least_ms * 1_000)}us" if search.least_ms else "",
        *(_equal(name, value) for name, value in search.attributes.items()),
    ]
    inside = " && ".join(filter(None, conditions))
    return f"{{ {inside} }}" if inside else "{ }"


def quoted(text: str) -> str:
    """Return a text as TraceQL writes it: as it is between backticks where it has more than quotes to escape."""
    if "`" not in text and _CONTROL.search(text):
        return f"`{text}`"
    return json.dumps(text, ensure_ascii=False)


def _equal(name: str, value: str) -> str:
    """Return that an attribute has a value, on the span or its resource; numbers and truths are told from texts."""
    key = name if _PLAIN.fullmatch(name) else _quoted_name(name)
    values = [quoted(value), *([value] if _BARE.fullmatch(value) else [])]
    return f"({' || '.join(f'{scope}.{key} = {told}' for told in values for scope in ('span', 'resource'))})"


def _quoted_name(name: str) -> str:
    """Return the name of an attribute in quotes; it knows two escapes, and takes all else as it is."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
