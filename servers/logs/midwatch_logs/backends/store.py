"""Log lines in the embedded store, as the relation that the shared SQL asks. It plans no query and renders nothing.

A line's message is its body and, when it carries one, its exception: `body | KeyError: 'finish'`, so that a search
and a template see both; the stack trace stays among the attributes. Lines whose source gave no severity number get
one by their level's text.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from midwatch_kit import BackendDown, Check, KitError, Window, rfc3339
from midwatch_kit.logs import Scope, ns_of, severity_of, time_of
from midwatch_store.served import ServedStore

_TABLE: Final = "otel_logs"
_LINES: Final = """WITH lines AS (SELECT "Timestamp" AS time, "Seq" AS seq,
    CASE WHEN "SeverityNumber" > 0 THEN "SeverityNumber" ELSE {severity} END AS severity,
    coalesce(nullif("ServiceName", ''), 'unknown_service') AS service,
    coalesce("ResourceAttributes"['service.instance.id'], '') AS instance,
    CASE WHEN "LogAttributes"['exception.type'] IS NULL THEN coalesce("Body", '')
    ELSE concat_ws(' | ', "Body", concat_ws(': ', "LogAttributes"['exception.type'],
    "LogAttributes"['exception.message'])) END AS message,
    coalesce("TraceId", '') AS trace_id, "LogAttributes" AS attributes
    FROM otel_logs WHERE {condition}) {question}"""
_SEND: Final = "see that midwatch-store runs and that applications send OTLP logs to it"


class StoredLogs:
    """The store's log lines; it opens the store when first asked, so that a server may start before its store."""

    def __init__(self, path: Path) -> None:
        self._store = ServedStore(path, _TABLE)

    def run(self, sql: str, parameters: Mapping[str, object], scope: Scope) -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT over `lines`; raises `BackendDown` or `BadInput`."""
        condition, bounds = _within(scope)
        start = min(window.start for window in scope.windows)
        end = max(window.end for window in scope.windows)
        statement = _LINES.format(severity=severity_of('"SeverityText"'), condition=condition, question=sql)
        return self._store.query(statement, {**bounds, **parameters}, start=start, end=end)

    def describe(self, scope: Scope) -> str:
        """Return which part of the store `lines` is."""
        spans = " or ".join(f"[{rfc3339(window.start)}, {rfc3339(window.end)})" for window in _merged(scope.windows))
        return f"{_TABLE} with Timestamp in {spans}, Seq <= {scope.pin}"

    def pin(self, windows: Sequence[Window]) -> int:
        """Return the largest Seq so far."""
        return self._store.pin()

    def newest(self) -> int | None:
        """Return the time of the newest line in ns, from file names alone; None when there is no line or no store."""
        with suppress(BackendDown):
            newest = self._store.newest()
            return ns_of(newest) if newest else None
        return None

    def checks(self) -> list[Check]:
        """Look at the store: is it there, does it answer, how old is its newest line, are files damaged."""
        found = self._store.checks("lines", _SEND)
        newest = self._store.newest() if found[0].ok else None
        return [*found, *(self._answers(newest) if newest else ())]

    def _answers(self, last: datetime) -> list[Check]:
        window = Window(start=time_of(ns_of(last) - 10**9), end=time_of(ns_of(last) + 1000))
        try:
            self.run("SELECT count(*) FROM lines", {}, Scope((window,), 2**62))
        except KitError as error:
            return [Check("query", ok=False, detail=str(error), do="look at the store's files and its disk")]
        return [Check("query", ok=True, detail="the newest second can be read")]


def _merged(windows: Sequence[Window]) -> list[Window]:
    """The same spans of time, those that touch joined: one range lets DuckDB skip what lies outside."""
    merged: list[Window] = []
    for window in sorted(windows, key=lambda w: w.start):
        if merged and window.start <= merged[-1].end:
            merged[-1] = Window(start=merged[-1].start, end=max(window.end, merged[-1].end))
        else:
            merged.append(window)
    return merged


def _within(scope: Scope) -> tuple[str, dict[str, object]]:
    spans: list[str] = []
    bounds: dict[str, object] = {"pin": scope.pin}
    for i, window in enumerate(_merged(scope.windows)):
        spans.append(f'("Timestamp" >= make_timestamp_ns($from{i}) AND "Timestamp" < make_timestamp_ns($to{i}))')
        bounds |= {f"from{i}": ns_of(window.start), f"to{i}": ns_of(window.end)}
    return f'({" OR ".join(spans)}) AND "Seq" <= $pin', bounds


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300]
