"""TraceQL as somebody wrote it: a trace a row, or for its metrics a series; within the filter and the window.

Of a search the newest come first. Tempo stops at a limit and does not say how many more there are. Points of metrics
are at multiples of a step; a point stands for the step before it, in older Tempos for that after it, so the outermost
ones, which might reach out of the window, are left out.
"""

import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from pydantic import JsonValue

from midwatch_kit import BadInput, KitError, Window, rfc3339
from midwatch_kit.native import Asked, Row, Table
from midwatch_kit.text import near
from midwatch_store import from_ns, to_ns
from midwatch_traces.backends.api import JsonApi, Missing, Parameters
from midwatch_traces.backends.otlp import labels, trace_hex
from midwatch_traces.backends.sampling import Piece
from midwatch_traces.backends.tempo_api import SECOND, SERVICES, asked, items, seconds, span_of
from midwatch_traces.backends.written import blank, refuse_strange, refuse_unbalanced

_POINTS: Final = 60
_SPANS: Final = 3
"""Spans of a set that are told with a trace, as Tempo does by itself."""
_METRICS: Final = re.compile(r"(?<!\|)\|\s*(rate|compare|\w+_over_time)\s*\(")
_HINTED: Final = re.compile(r"\bwith\s*\([^()]*\)\s*$")
_NO_SET: Final = re.compile(r"(?:^|(?<!\w)\()\s*(?![\s({])")
_ATTRIBUTE: Final = re.compile(
    r"(?<![\w.\"])(?:parent\.)?(resource|span|event|link|instrumentation)?\.([A-Za-z_][\w.\-/]*)"
)
_SERVICE: Final = re.compile(r'resource\.service\.name\s*=\s*"([^"\\]+)"')


class TempoQueries:
    """Queries of one Tempo, of spans that meet `only`, a condition in TraceQL; each takes `most_seconds` at most."""

    languages = "TraceQL, also metrics"
    has_sources = False

    def __init__(self, api: JsonApi, only: str, most_seconds: float) -> None:
        self._api, self._only, self._seconds = api, only, most_seconds

    def window(self, asked: Window) -> Window:
        """Return the window as it is: what Tempo finds around it is left out."""
        return asked

    def ask(self, asked: Asked) -> Table:
        """Return traces, newest first, or series, largest first; raises `BadInput` with Tempo's own words."""
        until = time.monotonic() + self._seconds
        query = within(asked.query, self._only) if self._only else asked.query
        span = to_ns(asked.window.start), to_ns(asked.window.end)
        answer = self._series if _METRICS.search(blank(query)) else self._traces
        return answer(query, span, asked.most, until)

    def _traces(self, query: str, span: Piece, most: int, until: float) -> Table:
        sent = query if _HINTED.search(blank(query)) else f"{query} with (most_recent=true)"
        bounds = seconds(*span)
        said = self._asked("/api/search", sent, {"limit": most + 1, "spss": _SPANS, **bounds}, until)
        found = items(said, "traces")
        rows = sorted(_rows(found, span), key=lambda row: str(row["time"]), reverse=True)
        hint = None if rows else self._unknown(query, span, until)
        shown = f"{sent} start={bounds['start']} end={bounds['end']}"
        return Table(rows[:most], len(rows), shown, len(found) > most, _partly(said), hint)

    def _series(self, query: str, span: Piece, most: int, until: float) -> Table:
        step = -(-(span[1] - span[0]) // (_POINTS * SECOND)) * SECOND
        first, last = -(-span[0] // step) * step, span[1] // step * step
        moments = range(first + step, last, step)
        if not moments:
            raise BadInput("metrics have whole seconds, and none lies in this window with its step: 4 s is the least")
        bounds: dict[str, str | int] = {
            "start": first // SECOND, "end": last // SECOND, "step": f"{step // SECOND}s"
        }  # fmt: skip
        said = self._asked("/api/metrics/query_range", query, bounds, until)
        rows = [row for series in items(said, "series") if (row := _points(series, moments))]
        rows.sort(key=_largest_first)
        hint = None if rows else self._unknown(query, span, until)
        shown = f"{query} start={bounds['start']} end={bounds['end']} step={bounds['step']}"
        partly = _partly(said)
        return Table(rows[:most], len(rows), shown, bool(partly), partly, hint)

    def _asked(self, path: str, query: str, told: Mapping[str, str | int], until: float) -> Any:
        try:
            return asked(self._api, path, {"q": query, **told}, until)
        except BadInput as error:
            raise BadInput(f"{error} -- in {query[:600]}") from None

    def _unknown(self, query: str, span: Piece, until: float) -> str | None:
        """What of the query Tempo has no name for in the window, with what is near; None when it has all of them."""
        told: Parameters = {**seconds(*span), **({"q": f"{{ {self._only} }}"} if self._only else {})}
        with suppress(KitError, Missing):  # it is only a hint, and an older Tempo has no such route
            said = self._api.get("/api/v2/search/tags", told, until=until)
            known = {(str(one.get("name")), str(tag)) for one in items(said, "scopes") for tag in one.get("tags") or []}
            for scope, name in _ATTRIBUTE.findall(blank(query)) if known else []:
                if not any(tag == name and scope in {"", held} for held, tag in known):
                    return f"Tempo names no attribute {scope}.{name} in this window; there are {_near(name, known)}."
            said = self._api.get(SERVICES, told, until=until)
            services = [str(one["value"]) for one in items(said, "tagValues") if one.get("value")]
            for service in _SERVICE.findall(query):
                if service not in services:
                    there = ", ".join(near(service, services)) or "none"
                    return f"Tempo names no service {service!r} in this window; there are {there}."
        return None


def within(query: str, only: str) -> str:
    """Return a query whose every set of spans meets `only` besides; raises `BadInput` for one that might not."""
    bare = blank(query)
    refuse_strange(query)
    if _NO_SET.search(re.sub(r"(\w)\s+\(", r"\1(", re.sub(r"\{[^}]*\}", "{}", bare))):
        raise BadInput("this server reads some spans only: begin with a set of spans, { … }, also within parentheses")
    parts: list[str] = []
    at = 0
    while (begin := bare.find("{", at)) >= 0:
        end = bare.find("}", begin)
        if end < 0:
            raise BadInput(f"the set of spans that begins at character {begin + 1} has no end: close it with }}")
        own = query[begin + 1 : end].strip()
        refuse_unbalanced(own)
        parts += [query[at:begin], f"{{ ({only}) && ({own}) }}" if own else f"{{ {only} }}"]
        at = end + 1
    return "".join([*parts, query[at:]])


def _rows(found: Sequence[Mapping[str, Any]], span: Piece) -> Iterator[Row]:
    """Traces of the window: of those whose spans are all told, those of which one began in it."""
    for trace in found:
        lasts = span_of(trace)
        if lasts and not (lasts[0] < span[1] and lasts[1] >= span[0]):
            continue
        sets = items(trace, "spanSets") or [trace.get("spanSet") or {}]
        told = [one for each in sets for one in items(each, "spans")]
        inside = [one for one in told if span[0] <= int(one.get("startTimeUnixNano") or span[0]) < span[1]]
        matched = sum(int(each.get("matched") or 0) for each in sets)
        if told and not inside and matched <= len(told):
            continue
        row: Row = {
            "time": rfc3339(from_ns(lasts[0])) if lasts else "",
            "trace_id": trace_hex(str(trace.get("traceID") or "")),
            "service": trace.get("rootServiceName") or "",
            "operation": trace.get("rootTraceName") or "",
            "duration_ms": int(trace.get("durationMs") or 0),
            "matched": matched,
            "spans": [_span(one) for one in inside],
        }
        if any(items(each, "attributes") for each in sets):  # what by() grouped, and what count() and such gave
            row["sets"] = [{**labels(items(each, "attributes")), "matched": each.get("matched")} for each in sets]
        yield row


def _span(told: Mapping[str, Any]) -> JsonValue:
    name: dict[str, JsonValue] = {"name": told["name"]} if told.get("name") else {}
    took = round(int(told.get("durationNanos") or 0) / 10**6, 3)
    return {"span": str(told.get("spanID") or ""), **name, "ms": took, **labels(items(told, "attributes"))}


def _points(series: Mapping[str, Any], moments: range) -> Row | None:
    """A row of a series, None for one without a point at any of the moments (ns)."""
    at = {int(sample.get("timestampMs") or 0): _number(sample.get("value") or 0) for sample in items(series, "samples")}
    values = [at.get(moment // 10**6) for moment in moments]
    if all(value is None for value in values):
        return None
    begins: Row = {"first": rfc3339(from_ns(moments[0])), "every_seconds": moments.step // SECOND}
    return {**labels(items(series, "labels")), **begins, "values": [*values]}


def _number(told: str | float) -> float | None:
    value = float(told)
    return value if math.isfinite(value) else None


def _largest_first(row: Row) -> tuple[float, str]:
    values = row["values"] if isinstance(row["values"], list) else []
    return -sum(value for value in values if isinstance(value, float)), str(row)


def _partly(said: Any) -> list[str]:
    """What Tempo says of an answer that is not whole."""
    whole = not isinstance(said, Mapping) or said.get("status") in {None, 0, "COMPLETE"}
    return [] if whole else [f"Tempo answered in part: {str(said.get('message') or 'it says no more')[:300]}"]


def _near(name: str, known: set[tuple[str, str]]) -> str:
    """Attributes of the same name elsewhere, or of a similar one."""
    names = {tag: held for held, tag in sorted(known) if held != "intrinsic"}
    alike = [name] if name in names else near(name, names)
    return ", ".join(f"{names[tag]}.{tag}" for tag in alike)
