"""Spans that were fetched from elsewhere, in a table with the store's columns, so that they are asked as the store is.

Names of databases, queues and peers, origins and clocks mean the same whatever backend the spans came from, because
there is one text of each question. The table lives in memory, and goes with this.
"""

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypedDict

import duckdb
import numpy as np

from midwatch_kit import Window
from midwatch_store import TABLES, from_ns
from midwatch_traces.backend import Failure, FoundTrace, FoundTraces, Loaded, Scope, Search
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
from midwatch_traces.spans import NO_SPANS, Place, spans_from

MOST_OPERATIONS: Final = 5_000
MOST_OF_A_TRACE: Final = 20_000
MOST_FOR_CLOCKS: Final = 200
_EVER: Final = 2**62
_TABLE: Final = TABLES["otel_traces"]


class Row(TypedDict, total=False):
    """One span under the names of the store's columns; times in ns since the epoch, ids in hex,."""

    Timestamp: int
    TraceId: str
    SpanId: str
    ParentSpanId: str
    SpanName: str
    SpanKind: str
    ServiceName: str
    ResourceAttributes: Mapping[str, str]
    SpanAttributes: Mapping[str, str]
    Duration: int
    StatusCode: str
    StatusMessage: str
    Events: Sequence[tuple[int, str, Mapping[str, str]]]
    Links: Sequence[tuple[str, str]]


class Fetched:
    """A few thousand traces at hand; any number of threads may ask."""

    def __init__(self, rows: Iterable[Row]) -> None:
        texts = np.array([json.dumps(_flat(row)) for row in rows], dtype=object)
        self.spans = len(texts)
        self._lock = threading.Lock()
        self._database = duckdb.connect(":memory:", config={"threads": 2})
        self._database.execute("SET TimeZone = 'UTC'")
        self._database.register("told", {"text": texts})
        self._database.execute(_CREATE if self.spans else _CREATE + " LIMIT 0")
        self._database.unregister("told")

    def load(self, scope: Scope, query: str, *, every: int = 1, total: int | None = None) -> Loaded:
        """Return the spans of a scope; `total` is how many there are elsewhere, if that was counted."""
        known = parameters_of(scope)
        here = int(self._ask(sql.COUNT, known, scope)[0][0])
        whole = here if every == 1 and not total else total
        counted, rounded = whole is not None, whole or here * every
        if not here:
            return Loaded(NO_SPANS, query, rounded, every, counted)
        few = self._ask(sql.OPERATIONS, {**known, "most": MOST_OPERATIONS}, scope)[0][0] < MOST_OPERATIONS
        asked, wanted = with_clocks(sql.NAMED, {**known, "every": 1, "operations": few}, scope)
        with self._cursor() as cursor:
            cursor.execute(f"CREATE TEMP TABLE named AS {asked}", wanted)
            columns = cursor.execute(sql.SPANS).fetchnumpy()
            places = {row[0]: Place(*row[1:]) for row in cursor.execute(sql.PLACES).fetchall()}
        links = link_keys(self._ask(sql.LINKS, {**known, "every": 1}, scope))
        return Loaded(spans_from(columns, places, links), query, rounded, every, counted)

    def failures(self, scope: Scope, spans: Sequence[int]) -> Mapping[int, Failure]:
        """Return what failed spans say of themselves, by their keys."""
        rows = self._ask(sql.FAILURES, {**parameters_of(scope), "spans": list(spans)}, scope)
        return {row[0]: Failure(*row[1:]) for row in rows}

    def clocks(self) -> Sequence[Apart]:
        """Return how the clocks of services differ by all the traces that are here."""
        ever = {"start": 0, "end": _EVER, "from": 0, "to": _EVER, "pin": 0, "most": MOST_FOR_CLOCKS}
        return [Apart(*row) for row in self._ask(sql.CLOCKS, ever)]

    def search(
        self, search: Search, window: Window, after: tuple[int, str] | None, limit: int, query: str, since: int | None
    ) -> FoundTraces:
        """Return the page of traces after a place, newest first; matches are looked for in the window alone."""
        wanted = {**bounds(window, 0), **filters_of(search)}
        traces, spans = self._ask(sql.FOUND_COUNT, wanted)[0]
        place = {"after_time": after[0] if after else None, "after_trace": after[1] if after else "", "limit": limit}
        rows = self._ask(sql.FOUND, {**wanted, **place})
        about = {"start": 0, "end": _EVER, "pin": 0, "traces": [row[1] for row in rows]}
        known = {row[0]: row for row in self._ask(sql.SUMMARIES, about)}
        page = tuple(summary_of(first, known[name], matching) for first, name, matching in rows)
        return FoundTraces(page, traces, spans, query, since)

    def trace(self, trace_id: str, window: Window, query: str) -> FoundTrace:
        """Return the spans of a trace that started in the window."""
        wanted = {**bounds(window, 0), "trace": trace_id}
        total = self._ask(sql.TRACE_COUNT, wanted)[0][0]
        rows = self._ask(sql.TRACE, {**wanted, "most": MOST_OF_A_TRACE})
        return FoundTrace([span_of(row) for row in rows], total, query)

    def _ask(self, text: str, parameters: Mapping[str, object], scope: Scope | None = None) -> list[tuple[Any, ...]]:
        asked, known = with_clocks(text, parameters, scope) if scope else (text, parameters)
        with self._cursor() as cursor:
            return cursor.execute(asked, known).fetchall()

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            return self._database.cursor()


def window_of(start: int, end: int) -> Window:
    """Return the window between two times in ns since the epoch."""
    return Window(start=from_ns(start), end=from_ns(end))


def _flat(row: Row) -> dict[str, object]:
    """Return a row as the table has it: events and links as lists side by side."""
    events, links = row.get("Events", ()), row.get("Links", ())
    flat = {name: value for name, value in row.items() if name not in {"Events", "Links"}}
    return {
        **flat,
        "Events.Timestamp": [at for at, _, _ in events],
        "Events.Name": [name for _, name, _ in events],
        "Events.Attributes": [dict(said) for _, _, said in events],
        "Links.TraceId": [trace for trace, _ in links],
        "Links.SpanId": [span for _, span in links],
    }


def _create() -> str:
    """Return the statement that makes the table of the JSON texts in `told`."""
    shape = {column.name: column.type.replace("TIMESTAMP_NS", "BIGINT") for column in _TABLE.columns}
    shape.pop("Seq", None)
    texts = [name for name, kind in shape.items() if kind == "VARCHAR"]
    replaced = ", ".join(
        [
            'make_timestamp_ns("Timestamp") AS "Timestamp"',
            'list_transform("Events.Timestamp", lambda t: make_timestamp_ns(t)) AS "Events.Timestamp"',
            *(f'coalesce("{name}", \'\') AS "{name}"' for name in texts),
        ]
    )
    told = f"SELECT unnest(from_json(text::VARCHAR, '{json.dumps(shape)}')) FROM told"  # noqa: S608
    return f"CREATE TABLE otel_traces AS SELECT * REPLACE ({replaced}), 0::BIGINT AS Seq FROM ({told})"  # noqa: S608


_CREATE: Final = _create()
