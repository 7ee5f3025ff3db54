"""Parameters of the SQL questions, and values out of their rows; the store and `fetched` ask the same."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from midwatch_kit import Window
from midwatch_store import to_ns
from midwatch_traces.backend import Event, Scope, Search, Span, TraceSummary
from midwatch_traces.backends import sql
from midwatch_traces.spans import MS, Keys


def with_clocks(text: str, parameters: Mapping[str, object], span: Scope | Window) -> tuple[str, Mapping[str, object]]:
    """Ask of corrected times where clocks are known to be off; most questions stay as they are."""
    if not isinstance(span, Scope) or not span.clocks:
        return text, parameters
    return sql.corrected(text), {**parameters, "ahead_of": list(span.clocks), "ahead": list(span.clocks.values())}


def bounds(window: Window, pin: int) -> dict[str, object]:
    """Return the parameters of a question about one window."""
    return {"start": to_ns(window.start), "end": to_ns(window.end), "pin": pin}


def parameters_of(scope: Scope) -> dict[str, object]:
    """Return the parameters of a question about both windows of a scope."""
    before = {"baseline_start": to_ns(scope.baseline.start), "baseline_end": to_ns(scope.baseline.end)}
    return {**bounds(scope.window, scope.pin), **before}


def filters_of(search: Search) -> dict[str, object]:
    """Return the parameters of a search."""
    return {
        "service": search.service,
        "instance": search.instance,
        "operation": search.operation,
        "errors": search.errors,
        "least": int(search.least_ms * MS),
        "names": list(search.attributes),
        "values": list(search.attributes.values()),
    }


def link_keys(links: list[tuple[int, int]]) -> tuple[Keys, Keys]:
    """Return links between spans as two columns of keys."""
    table = np.array(links, dtype=np.uint64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def summary_of(first: int, row: tuple[Any, ...], matching: int) -> TraceSummary:
    """Return one line of a search: its first match, a row of `sql.SUMMARIES`, and the number of matches."""
    return TraceSummary(
        trace_id=row[0],
        matching=matching,
        first_match=first,
        start=row[1],
        end=row[2],
        spans=row[3],
        failed=row[4],
        services=tuple(row[5]),
        service=row[6],
        operation=row[7],
        has_root=row[8],
        failed_service=row[9],
        failure=row[10],
    )


def span_of(row: tuple[Any, ...]) -> Span:
    """Return one row of `sql.TRACE` as a span."""
    return Span(
        span_id=row[0],
        parent_id=row[1],
        start=row[2],
        duration=row[3],
        service=row[4],
        instance=row[5],
        name=row[6],
        kind=row[7],
        status=row[8],
        status_message=row[9],
        attributes=row[10] or {},
        events=tuple(Event(at, name, said or {}) for at, name, said in row[11] or ()),
        links=tuple(row[12] or ()),
    )
