"""Filter expressions of X-Ray as somebody wrote them: a trace a row, of those that began in the window."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from pydantic import JsonValue

from midwatch_kit import BadInput, Window, rfc3339
from midwatch_kit.native import Asked, Row, Table
from midwatch_kit.text import near
from midwatch_store import to_ns
from midwatch_traces.backends.written import blank, refuse_unbalanced
from midwatch_traces.ids import plain_id

_SERVICE: Final = re.compile(r'\bservice\(\s*"([^"\\]+)"')


class Searched(Protocol):
    """What is asked of X-Ray; times in ns since the epoch, `until` on the monotonic clock."""

    def summaries(self, expression: str, start: int, end: int, until: float) -> Iterator[Mapping[str, Any]]:
        """Yield summaries of traces that began then, in whole seconds."""

    def services(self, start: int, end: int, *, until: float) -> Sequence[str]:
        """Return the services of the graph."""


class XRayQueries:
    """Queries of traces that meet `only`, a filter expression; each takes `most_seconds` at most."""

    languages = "X-Ray filter expressions"
    has_sources = False

    def __init__(self, source: Searched, only: str, most_seconds: float) -> None:
        self._source, self._only, self._seconds = source, only, most_seconds

    def window(self, asked: Window) -> Window:
        """Return the window as it is: what X-Ray gives around it is left out."""
        return asked

    def ask(self, asked: Asked) -> Table:
        """Return traces, newest first; raises `BadInput` with X-Ray's own words, or `BackendDown`."""
        until = time.monotonic() + self._seconds
        expression = _within(asked.query, self._only) if self._only else asked.query
        start, end = to_ns(asked.window.start), to_ns(asked.window.end)
        rows: list[Row] = []
        for summary in self._source.summaries(expression, start, end, until):
            began = summary.get("StartTime")
            if not isinstance(began, datetime) or start <= to_ns(began) < end:
                rows.append(_row(summary))
            if len(rows) > asked.most:
                break
        more = len(rows) > asked.most
        hint = None if rows else self._unknown(asked.query, start, end, until)
        rows = sorted(rows[: asked.most], key=lambda row: str(row["time"]), reverse=True)
        return Table(rows, len(rows) + more, expression, more, hint=hint)

    def _unknown(self, query: str, start: int, end: int, until: float) -> str | None:
        wanted = _SERVICE.findall(query)
        known = self._source.services(start, end, until=until) if wanted else []
        unknown = [name for name in wanted if known and name not in known]
        if not unknown:
            return None
        there = ", ".join(near(unknown[0], known))
        return f"X-Ray's graph has no service {unknown[0]!r} in this window; there are {there}."


def _within(expression: str, only: str) -> str:
    """Return what both ask for; raises `BadInput` for an expression that might reach beyond `only`."""
    if strange := re.search("['`]", re.sub(r'"(?:[^"\\]|\\.)*"', "", expression)) or re.search('"', blank(expression)):
        raise BadInput(f"{strange[0]} cannot be read here: write texts in double quotes, and close them")
    refuse_unbalanced(expression)
    return f"({only}) AND ({expression})"


def _row(summary: Mapping[str, Any]) -> Row:
    began, http = summary.get("StartTime"), summary.get("Http") or {}
    failed = [kind.lower() for kind in ("Fault", "Error", "Throttle") if summary.get(f"Has{kind}")]
    told: dict[str, JsonValue] = {
        "method": http.get("HttpMethod"),
        "url": http.get("HttpURL"),
        "status": http.get("HttpStatus"),
        "failed": " ".join(failed),
        "services": list(dict.fromkeys(str(one.get("Name")) for one in summary.get("ServiceIds") or [])),
        "annotations": {name: _values(told) for name, told in (summary.get("Annotations") or {}).items()},
    }
    return {
        "time": rfc3339(began) if isinstance(began, datetime) else "",
        "trace_id": plain_id(str(summary.get("Id") or "")),
        "service": (summary.get("EntryPoint") or {}).get("Name") or "",
        "duration_ms": round(float(summary.get("Duration") or 0) * 1_000, 3),
        **{name: value for name, value in told.items() if value},
    }


def _values(told: Sequence[Mapping[str, Any]]) -> JsonValue:
    values = [value for one in told for value in (one.get("AnnotationValue") or {}).values()]
    return values[0] if len(values) == 1 else values
