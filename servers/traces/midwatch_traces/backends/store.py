"""The trace backend on the embedded store: SQL in, values out. The SQL text itself is in `sql`."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from midwatch_kit import Check, Window, rfc3339
from midwatch_store import from_ns, to_ns
from midwatch_store.reader import Excerpt
from midwatch_store.served import ServedStore
from midwatch_traces.backend import (
    Failure,
    Follower,
    FoundTrace,
    FoundTraces,
    KnownCalls,
    Loaded,
    Scope,
    Search,
    TraceSummary,
)
from midwatch_traces.backends import sql
from midwatch_traces.backends.questions import (
    bounds,
    filters_of,
    link_keys,
    parameters_of,
    span_of,
    summary_of,
    with_clocks,
)
from midwatch_traces.clocks import Apart
from midwatch_traces.spans import MS, NO_SPANS, Place, spans_from

_TABLE = "otel_traces"
MOST_OPERATIONS = 5_000
"""With more distinct operations than this, names were never templated: they say nothing and are left out."""
MOST_SPANS = 500_000
"""Spans that one survey reads; of more, it reads a sample of the traces."""
MOST_OF_A_TRACE = 20_000
MOST_FOR_CLOCKS = 200
"""Traces from which clocks are compared: a clock that is off is off in all of them."""
_MARGIN_NS = 600 * 10**9
"""A trace that is found by one span began and ended within this of it."""
_SEND = "see that midwatch-store runs and that applications send OTLP spans to it"


class StoreTraces:
    """Spans out of the embedded store at `path`, which may be missing now and there later."""

    def __init__(self, path: Path, *, most_spans: int = MOST_SPANS, most_of_a_trace: int = MOST_OF_A_TRACE) -> None:
        self._most_spans, self._most_of_a_trace = most_spans, most_of_a_trace
        self._store = ServedStore(path, _TABLE)
        self._last: tuple[Scope, Loaded] | None = None

    def pin(self) -> int:
        """Return the largest sequence number that is stored now."""
        return self._store.pin()

    def compare_clocks(self, window: Window, pin: int) -> Sequence[Apart]:
        """Return how the clocks of services differ by a sample of the window's traces, whatever times they tell."""
        start, end = to_ns(window.start), to_ns(window.end)
        around = Window(start=from_ns(start - _MARGIN_NS), end=from_ns(end + _MARGIN_NS))
        if not self._store.holding([_TABLE], around.start, around.end):
            return []
        wider = {"from": start - _MARGIN_NS, "to": end + _MARGIN_NS}
        rows = self._query(sql.CLOCKS, {**bounds(window, pin), **wider, "most": MOST_FOR_CLOCKS}, around)
        return [Apart(*row) for row in rows]

    def load(self, scope: Scope) -> Loaded:
        """Return the spans that started within the windows of a scope: all, or those of a sample of traces.

        What a scope holds never changes, so that of the last question is kept: a symptom is often surveyed first, and
        then everything around it.
        """
        last = self._last
        if last is None or last[0] != scope:
            self._last = last = scope, self._load(scope)
        return last[1]

    def failures(self, scope: Scope, spans: Sequence[int]) -> Mapping[int, Failure]:
        """Return what failed spans say of themselves, by their keys."""
        if not spans:
            return {}
        rows = self._query(sql.FAILURES, {**parameters_of(scope), "spans": list(spans)}, scope)
        return {row[0]: Failure(*row[1:]) for row in rows}

    def search(
        self, search: Search, window: Window, pin: int, after: tuple[int, str] | None, limit: int
    ) -> FoundTraces:
        """Return traces with a matching span in the window, newest first match first, then by trace id."""
        wanted = {**bounds(window, pin), **filters_of(search)}
        traces, spans = self._query(sql.FOUND_COUNT, wanted, window)[0]
        place = {"after_time": after[0] if after else None, "after_trace": after[1] if after else "", "limit": limit}
        rows = self._query(sql.FOUND, {**wanted, **place}, window)
        return FoundTraces(self._summaries(rows, pin), traces, spans, _selection(pin, window) + _conditions(search))

    def trace(self, trace_id: str, window: Window, pin: int) -> FoundTrace:
        """Return the spans of a trace that started in the window."""
        wanted = {**bounds(window, pin), "trace": trace_id}
        total = self._query(sql.TRACE_COUNT, wanted, window)[0][0]
        rows = self._query(sql.TRACE, {**wanted, "most": self._most_of_a_trace}, window)
        query = f"{_selection(pin, window)} AND TraceId = {_quoted(trace_id)}"
        return FoundTrace([span_of(row) for row in rows], total, query)

    def followers(self, trace_id: str, window: Window, pin: int, limit: int) -> Sequence[Follower]:
        """Return spans of other traces that link to this one, in order of time."""
        wanted = {**bounds(window, pin), "trace": trace_id, "limit": limit}
        return [Follower(*row) for row in self._query(sql.LINKING, wanted, window)]

    def services(self, window: Window) -> Sequence[str]:
        """Return the services that sent spans in the window, in the order of their names."""
        return [name for (name,) in self._query(sql.SERVICES, bounds(window, self.pin()), window)]

    def known_calls(self, _: Window) -> Sequence[KnownCalls]:
        """Return nothing: the store counts spans, and those are read."""
        return ()

    def newest(self) -> int | None:
        """Return the start of the newest span in ns since the epoch, or None when there is none."""
        newest = self._store.newest()
        return to_ns(newest) if newest else None

    def checks(self) -> Sequence[Check]:
        """Look at the store and say how it is."""
        return self._store.checks("spans", _SEND)

    def _load(self, scope: Scope) -> Loaded:
        known = parameters_of(scope)
        total = int(self._query(sql.COUNT, known, scope)[0][0])
        query = _selection(scope.pin, scope.window, scope.baseline)
        if not total:
            return Loaded(NO_SPANS, query, 0)
        every = max(1, -(-total // self._most_spans))
        few = self._query(sql.OPERATIONS, {**known, "most": MOST_OPERATIONS}, scope)[0][0] < MOST_OPERATIONS
        sampled = {**known, "every": every}
        named = {**sampled, "operations": few}
        with self._excerpt("named", sql.NAMED, named, scope) as spans:
            columns = spans.columns(sql.SPANS)
            places = {row[0]: Place(*row[1:]) for row in spans.query(sql.PLACES)}
        links = link_keys(self._query(sql.LINKS, sampled, scope))
        sample = f" AND hash(TraceId) % {every} = 0" if every > 1 else ""
        return Loaded(spans_from(columns, places, links), query + sample, total, every)

    def _summaries(self, rows: Sequence[tuple[Any, ...]], pin: int) -> tuple[TraceSummary, ...]:
        if not rows:
            return ()
        around = Window(start=from_ns(rows[-1][0] - _MARGIN_NS), end=from_ns(rows[0][0] + _MARGIN_NS))
        wanted = {**bounds(around, pin), "traces": [row[1] for row in rows]}
        known = {row[0]: row for row in self._query(sql.SUMMARIES, wanted, around)}
        return tuple(summary_of(first, known[name], matching) for first, name, matching in rows)

    def _query(self, text: str, parameters: Mapping[str, object], span: Scope | Window) -> list[tuple[Any, ...]]:
        start, end = _files(span)
        asked, known = with_clocks(text, parameters, span)
        return self._store.query(asked, known, start=start, end=end)

    def _excerpt(
        self, name: str, text: str, parameters: Mapping[str, object], scope: Scope
    ) -> AbstractContextManager[Excerpt]:
        start, end = _files(scope)
        asked, known = with_clocks(text, parameters, scope)
        return self._store.excerpt(name, asked, known, start=start, end=end)


def _files(span: Scope | Window) -> tuple[datetime, datetime]:
    if isinstance(span, Scope):
        off = [timedelta(microseconds=by // 1000) for by in (0, *span.clocks.values())]
        first, last = min(span.window.start, span.baseline.start), max(span.window.end, span.baseline.end)
        return first + min(off), last + max(off)
    return span.start, span.end


def _selection(pin: int, *windows: Window) -> str:
    """Return, as SQL that a person can run, which rows a question is about."""
    once = dict.fromkeys(windows)
    spans = [f"Timestamp >= '{rfc3339(w.start)}' AND Timestamp < '{rfc3339(w.end)}'" for w in once]
    inside = spans[0] if len(spans) == 1 else " OR ".join(f"({span})" for span in spans)
    return f"SELECT * FROM otel_traces WHERE {inside if len(spans) == 1 else f'({inside})'} AND Seq <= {pin}"  # noqa: S608


def _conditions(search: Search) -> str:
    instance = "ResourceAttributes['service.instance.id']"
    parts = [
        f"ServiceName = {_quoted(search.service)}" if search.service else "",
        f"{instance} = {_quoted(search.instance)}" if search.instance else "",
        f"contains(lower(SpanName), {_quoted(search.operation.lower())})" if search.operation else "",
        "StatusCode = 'Error'" if search.errors else "",
        f"Duration >= {int(search.least_ms * MS)}" if search.least_ms else "",
        *(_equals(_quoted(name), _quoted(value)) for name, value in search.attributes.items()),
    ]
    return "".join(f" AND {part}" for part in parts if part)


def _equals(name: str, value: str) -> str:
    return f"coalesce(SpanAttributes[{name}], ResourceAttributes[{name}]) = {value}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
