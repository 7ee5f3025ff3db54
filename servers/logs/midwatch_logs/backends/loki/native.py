"""LogQL as somebody wrote it: kept within the server's selector and the window, weighed before, its answer as rows.

Of a query of lines the newest come first. A metric query has about sixty points in the window, at multiples of the
step, since Loki moves them there; one that uses `$__range` has one, at the window's end.
"""

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from midwatch_kit import BadInput, KitError, Window
from midwatch_kit.logs import ns_of, stamp
from midwatch_kit.native import Asked, Row, Table, refuse_sources
from midwatch_kit.text import near
from midwatch_logs.backends.loki.api import LokiApi
from midwatch_logs.backends.loki.logql import duration
from midwatch_logs.remote import Span

MOST_ENTRIES: Final = 5_000
"""Lines in one answer: what Loki gives unless it is set up otherwise (max_entries_limit_per_query)."""
_POINTS: Final = 60
_SECOND: Final = 10**9
_QUOTED: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"|`[^`]*`|#[^\n]*')
_RANGE: Final = re.compile(r"\[\s*([^\]\s]+)")
_OFFSET: Final = re.compile(r"\boffset\s+-?(\w+)", re.IGNORECASE)
_MATCHER: Final = re.compile(r'([A-Za-z_]\w*)\s*(=~|!=|!~|=)\s*("(?:[^"\\]|\\.)*"|`[^`]*`)')
_LENGTH: Final = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d|w|y)")
_DAY: Final = 86_400 * _SECOND
_NS: Final = {
    "ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": _SECOND, "m": 60 * _SECOND, "h": 3_600 * _SECOND,
    "d": _DAY, "w": 7 * _DAY, "y": 365 * _DAY,
}  # fmt: skip
_KEPT_NAMES: Final = ("time", "line")
_MONTH_NS: Final = 28 * _DAY


@dataclass(frozen=True)
class _Written:
    """A query of LogQL, its stream selectors, and how far before a moment it looks back (ns)."""

    text: str
    selectors: Sequence[str]
    back: int
    counts: bool


class LogQlQueries:
    """Queries of one Loki; `selector` (matchers without braces) is what may be read at all, '' for everything."""

    languages = "LogQL"
    has_sources = False

    def __init__(self, api: LokiApi, selector: str, refuse_too_much: Callable[[Sequence[str], Span], None]) -> None:
        self._api, self._selector, self._refuse_too_much = api, selector, refuse_too_much

    def window(self, asked: Window) -> Window:
        """Return the window as it is: Loki keeps nanoseconds."""
        return asked

    def ask(self, asked: Asked) -> Table:
        """Return lines, newest first, or series; raises `BadInput` with Loki's own words, or `BackendDown`."""
        refuse_sources(asked, "LogQL", "by a stream selector")
        span = ns_of(asked.window.start), ns_of(asked.window.end)
        step = -(-(span[1] - span[0]) // (_POINTS * _SECOND)) * _SECOND
        once = "$__range" in asked.query
        query = _written(asked.query, self._selector, step, span)
        self._refuse_too_much(query.selectors, (span[0] - query.back, span[1]))
        if not query.counts:
            return self._lines(query, span, asked.most)
        found = self._once(query, span) if once else self._points(query, span, step)
        return self._table(found, query, len(found), asked.most, span)

    def _lines(self, query: _Written, span: Span, most: int) -> Table:
        size = min(most + 1, MOST_ENTRIES)
        kind, result = self._asked(
            "query_range", query, {"start": span[0], "end": span[1], "limit": size, "direction": "backward"}
        )
        if kind != "streams":  # a metric query without a range, as vector(1)
            found = _series(kind, result, [])
            return self._table(found, query, len(found), most, span)
        rows = sorted(_entries(result), key=lambda row: str(row["time"]), reverse=True)
        matched = len(rows) if len(rows) < size else self._counted(query, span)
        return self._table(rows, query, max(matched, len(rows)), most, span)

    def _counted(self, query: _Written, span: Span) -> int:
        counting = f"sum(count_over_time({query.text}\n[{duration(span[1] - span[0])}]))"
        _, result = self._asked("query", _Written(counting, (), 0, counts=True), {"time": span[1] - 1})
        return sum(round(float(one["value"][1])) for one in result)

    def _once(self, query: _Written, span: Span) -> list[Row]:
        return _series(*self._asked("query", query, {"time": span[1]}), [])

    def _points(self, query: _Written, span: Span, step: int) -> list[Row]:
        first, last = (span[0] // step + 1) * step, span[1] // step * step
        moments = range(first, last + 1, step)
        asked: dict[str, str | int] = {"start": first, "end": last, "step": f"{step // _SECOND}s"}
        return _series(*self._asked("query_range", query, asked), moments)

    def _asked(self, path: str, query: _Written, asked: Mapping[str, str | int]) -> tuple[str, Any]:
        try:
            told = self._api.get(f"/loki/api/v1/{path}", {"query": query.text, **asked})
        except BadInput as error:
            raise BadInput(f"{error} -- in {query.text[:600]}") from None
        data = told.get("data") if isinstance(told, dict) else None
        data = data if isinstance(data, dict) else {}
        return str(data.get("resultType", "")), data.get("result") or []

    def _table(self, rows: Sequence[Row], query: _Written, matched: int, most: int, span: Span) -> Table:
        hint = None if rows else self._unknown(query, span)
        return Table(rows[:most], matched, query.text, hint=hint)

    def _unknown(self, query: _Written, span: Span) -> str | None:
        """What of the selectors is not there, with what is near; None when everything is."""
        with suppress(KitError):  # it is only a hint
            labels = self._told("labels", (min(span[0], time.time_ns() - _MONTH_NS), span[1]))
            for name, sign, quoted in (found for one in query.selectors for found in _MATCHER.findall(one)):
                if name not in labels:
                    return f"No stream has a label {name!r}; there are {_near(name, labels)}."
                values = self._told(f"label/{name}/values", span) if sign == "=" else []
                if values and quoted[1:-1] not in values:
                    return f"No stream of this window has {name}={quoted}; there are {_near(quoted[1:-1], values)}."
        return None

    def _told(self, path: str, span: Span) -> list[str]:
        told = self._api.get(f"/loki/api/v1/{path}", {"start": span[0], "end": span[1]})
        return [str(name) for name in told.get("data") or []] if isinstance(told, dict) else []


def _written(text: str, selector: str, step: int, span: Span) -> _Written:
    """Return a query with Grafana's variables filled in and the selector put into each of its own."""
    variables = {"__auto": duration(step), "__interval": duration(step), "__range": duration(span[1] - span[0])}
    filled = re.sub(r"\$(__auto|__interval|__range)\b", lambda found: variables[found[1]], text)
    parts: list[str] = []
    selectors: list[str] = []
    at = 0
    for begin, end in _selectors(filled):
        own = filled[begin + 1 : end].strip()
        selectors.append("{" + ", ".join(part for part in (selector, own) if part) + "}")
        parts += [filled[at:begin], selectors[-1]]
        at = end + 1
    bare = _blank(filled)
    ranges = [_length(found) for found in _RANGE.findall(bare)]
    back = max(ranges, default=0) + max((_length(found) for found in _OFFSET.findall(bare)), default=0)
    return _Written("".join([*parts, filled[at:]]), selectors, back, bool(ranges))


def _selectors(query: str) -> Iterator[tuple[int, int]]:
    """Where the stream selectors of a query begin and end: nothing else in LogQL has braces, but texts and comments."""
    bare, at = _blank(query), 0
    while (begin := bare.find("{", at)) >= 0:
        end = bare.find("}", begin)
        if end < 0:
            raise BadInput(f"the stream selector at line {_place(query, begin)} has no end: close it with }}")
        yield begin, end
        at = end + 1


def _place(query: str, at: int) -> str:
    return f"{query.count(chr(10), 0, at) + 1}:{at - query.rfind(chr(10), 0, at)}"


def _blank(query: str) -> str:
    """A query of the same length without what stands in texts and comments."""
    return _QUOTED.sub(lambda found: " " * len(found[0]), query)


def _length(text: str) -> int:
    return sum(round(float(number) * _NS[unit]) for number, unit in _LENGTH.findall(text))


def _entries(streams: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    for stream in streams:
        labels = {f"label_{k}" if k in _KEPT_NAMES else k: v for k, v in sorted(stream["stream"].items())}
        for entry in stream["values"]:
            yield {"time": _clock(int(entry[0])), "line": entry[1], **labels}


def _series(kind: str, result: Any, moments: Sequence[int]) -> list[Row]:
    """A row for each series: its labels, and its values, at all moments where there are several."""
    if kind == "scalar":
        return [{"value": _number(result[1])}]
    if kind == "vector":
        return [{**one["metric"], "value": _number(one["value"][1])} for one in result]
    rows: list[Row] = []
    for one in result:
        at = {round(float(moment) * 1000): _number(value) for moment, value in one["values"]}
        times = [moment // 10**6 for moment in moments] or sorted(at)
        every = (times[1] - times[0]) / 1000 if len(times) > 1 else 0.0
        begins: Row = {"first": stamp(times[0] * 10**6, 3), "every_seconds": every}
        rows.append({**one["metric"], **begins, "values": [at.get(moment) for moment in times]})
    return rows


def _clock(instant: int) -> str:
    return stamp(instant, 9 if instant % 10**6 else 3)


def _number(text: str) -> float | str:
    """A value; what JSON has no number for stays as Loki writes it."""
    return value if math.isfinite(value := float(text)) else text


def _near(name: str, names: Sequence[str]) -> str:
    return ", ".join(near(name, names)) or "none at all"
