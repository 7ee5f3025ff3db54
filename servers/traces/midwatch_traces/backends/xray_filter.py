"""Filter expressions, the query language of AWS X-Ray, for the searches of the trace tools.

X-Ray indexes services, how they answered, and annotations. What it can't search for is left out of the expression: more
traces are then read than match, and looked through.
"""

import re
from collections.abc import Iterator
from typing import Final

from midwatch_traces.backend import Search

_PLAIN: Final = re.compile(r"\w+")
_BARE: Final = re.compile(r"-?\d+(\.\d+)?|true|false")
_OF_EC2: Final = re.compile("i-[0-9a-f]{8,17}")
_DERIVED: Final = re.compile(
    r"(http|url|server|client|db|messaging|rpc|cloud|faas|service|k8s|net|user|aws\.(request_id|s3|xray))\."
)
_FAILED: Final = "service() { fault = true OR error = true OR throttle = true }"
"""Without `service()` only failures that the first caller saw are found."""


def filter_of(search: Search, also: str = "") -> str:
    """Return a filter expression, '' for all traces; `also` is one that they have to meet besides."""
    return " AND ".join(_parts(search, also))


def _parts(search: Search, also: str) -> Iterator[str]:
    if also:
        yield f"({also})"
    if search.service:
        yield f"service({_quoted(search.service)})"
    if _OF_EC2.fullmatch(search.instance):
        yield f"instance.id = {_quoted(search.instance)}"
    if search.errors:
        yield _FAILED
    if search.least_ms:
        yield f"duration >= {search.least_ms / 1_000:g}"
    for name, value in search.attributes.items():
        yield from _attribute(name, value)


def _attribute(name: str, value: str) -> Iterator[str]:
    """Yield what asks for an annotation; of status, URL and such X-Ray indexes only those of the first request."""
    if not _DERIVED.match(name):
        key = f"annotation.{name}" if _PLAIN.fullmatch(name) else f"annotation[{name}]"
        told = [_quoted(value), *([value] if _BARE.fullmatch(value) else [])]
        yield f"({' OR '.join(f'{key} = {one}' for one in told)})"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
