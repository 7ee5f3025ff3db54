"""An expression in a backend's own language, for who knows it: its series at moments within the window.

What such languages have in common is here: the tool, moments, pages, how a series reads. All series of an answer are
kept as evidence with the first page, and further pages are read from there, so that nothing is asked twice.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from inspect import Parameter
from typing import Annotated, Any, Final, Protocol, TypeAlias, runtime_checkable

from pydantic import Field, JsonValue

from midwatch_kit import Answer, EvidenceServer, Page, Window, open_page, parse_time, resolve_window
from midwatch_kit.native import choice_of, chosen, offer_with, readable
from midwatch_kit.reply import fitting
from midwatch_kit.short import kept_document
from midwatch_kit.text import printable

NAME: Final = "query_metrics"
MOST_SERIES: Final = 1_000
"""Series that one answer may have; what gives more is refused, since somebody should aggregate it."""
_MOST_SHOWN: Final = 1_000
_SHORTEST_STEP: Final = timedelta(seconds=1)
_MOMENT: Final = timedelta(milliseconds=1)

Points = Annotated[int, Field(ge=1, le=500)]
_Limit = Annotated[int, Field(ge=1, le=MOST_SERIES)]
Row: TypeAlias = dict[str, JsonValue]
"""A series: its labels (`metric`), and `value` at `time`, or `values` from `first` on, or `points` as they are kept."""


@dataclass(frozen=True)
class Moments:
    """`count` moments, `step` apart, the last of them `last`."""

    last: datetime
    step: timedelta
    count: int

    @property
    def first(self) -> datetime:
        """The earliest moment."""
        return self.last - (self.count - 1) * self.step


@dataclass(frozen=True)
class Found:
    """All series of an expression, in the backend's order, and the question as one would type it."""

    rows: Sequence[Row]
    query: str
    caveats: Sequence[str] = field(default_factory=tuple)
    hint: str | None = None


class Native(Protocol):
    """A backend's own language."""

    language: str

    def evaluate(self, expression: str, moments: Moments, window: Window) -> Found:
        """Return the series; raises `BadInput` with the backend's own words, or with advice for too many series."""


@runtime_checkable
class Speaks(Protocol):
    """A backend that has a language of its own."""

    native: Native


def offer_query_tool(server: EvidenceServer, backends: Mapping[str, object]) -> None:
    """Offer `query_metrics` over those of the backends that have a language of their own; nothing when none has."""
    natives = {name: backend.native for name, backend in backends.items() if isinstance(backend, Speaks)}
    if not natives:
        return
    asking = _Asking(server, natives)

    languages = ", ".join(sorted({native.language for native in natives.values()}))
    told = f"Series of an expression in the backend's own language ({languages})."
    offer_with(server, NAME, told, _parameters(natives), asking.answer)


def _parameters(natives: Mapping[str, Native]) -> list[tuple[str, Any, Any]]:
    points = Annotated[Points, Field(description="1: at end only")]
    return [
        ("expression", str, Parameter.empty),
        *choice_of(natives),
        ("start", str, "-15m"),
        ("end", str, "now"),
        ("points", points, 60),
        ("limit", _Limit, 100),
        ("cursor", str | None, None),
    ]


@dataclass(frozen=True)
class _Asking:
    """The tool, from arguments to an answer."""

    server: EvidenceServer
    natives: Mapping[str, Native]

    def answer(self, given: Mapping[str, Any]) -> Answer:
        """Ask the backend, or go on in what it gave before."""
        native = chosen(self.natives, given.get("backend", ""))
        asked = {name: value for name, value in given.items() if name not in {"limit", "cursor"}}
        page = open_page(given["cursor"], asked, lambda: _window(given["start"], given["end"]))
        if page.after:
            kept = kept_document(self.server.evidence, page, (self.server.name, NAME))
            return _shown(Found(kept["rows"], kept["query"]), kept["matched"], page, given["limit"])
        found = native.evaluate(readable(given["expression"]), _moments(page.window, given["points"]), page.window)
        kept_rows = fitting(found.rows)
        typed = f"{printable(found.query)[:_MOST_SHOWN]}{_told_alike(_alike(kept_rows))}"
        return _shown(replace(found, rows=kept_rows, query=typed), len(found.rows), page, given["limit"])


def _window(start: str, end: str) -> Window:
    """The window in whole milliseconds, as such backends keep time; a start that is the end is that one moment."""
    now = datetime.now(UTC)
    last = min(parse_time(end, now), now)
    if parse_time(start, now) == last:
        last = _whole(last)
        return Window(start=last - _MOMENT, end=last)
    window = resolve_window(start, end, now)
    return Window(start=min(_whole(window.start), _whole(window.end) - _MOMENT), end=_whole(window.end))


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _moments(window: Window, points: int) -> Moments:
    """Evenly, each at the end of its part of the window, so that the last is the window's end."""
    step = max(-(-window.length // (points * _MOMENT)) * _MOMENT, _SHORTEST_STEP)
    return Moments(window.end, step, max(window.length // step, 1))


def _shown(found: Found, matched: int, page: Page, limit: int) -> Answer:
    rows = found.rows
    alike = _alike(rows)
    begins = int(str(page.after[1])) if page.after else 0
    beyond = matched > len(rows)
    told = f"{matched} series answered, and {len(rows)} had room here: ask for fewer points, or aggregate."
    return Answer(
        query=found.query,
        rows=list[JsonValue](rows),
        lines=[_line(row, alike) for row in rows[: begins + limit]],
        matched=matched,
        window=page.window,
        page=page,
        begins=begins,
        more=beyond or begins + limit < len(rows),
        caveats=[*found.caveats, *([told] if beyond else [])],
        hint=found.hint,
    )


def _labels(row: Row) -> Mapping[str, JsonValue]:
    labels = row.get("metric")
    return labels if isinstance(labels, dict) else {}


def _alike(rows: Sequence[Row]) -> Mapping[str, JsonValue]:
    """The labels that all of several series have, which are told once."""
    if len(rows) < 2:
        return {}
    first, *others = map(_labels, rows)
    return {name: value for name, value in first.items() if all(one.get(name) == value for one in others)}


def _told_alike(alike: Mapping[str, JsonValue]) -> str:
    return f" -- all series: {_series(alike)}" if alike else ""


def _series(labels: Mapping[str, JsonValue]) -> str:
    """A series as one would type it."""
    pairs = [
        f"{name}={json.dumps(value, ensure_ascii=False)}"
        for name, value in sorted(labels.items())
        if name != "__name__"
    ]
    return f"{labels.get('__name__', '')}{{{', '.join(pairs)}}}" if pairs else str(labels.get("__name__", "{}"))


def _line(row: Row, alike: Mapping[str, JsonValue]) -> str:
    name = _series({label: value for label, value in _labels(row).items() if label not in alike})
    if "value" in row:
        return f"{name}: {_figure(row['value'], 10)}"
    points = row.get("points")
    if isinstance(points, list):
        return f"{name}: " + " ".join(f"{_figure(one[1])}@{one[0]}" for one in points if isinstance(one, list))
    values = row["values"]
    values = values if isinstance(values, list) else []
    known = [one for one in values if isinstance(one, int | float)]
    extent = f"{_figure(min(known))} to {_figure(max(known))}: " if known else ""
    return f"{name}: {extent}" + " ".join(map(_figure, values))


def _figure(value: JsonValue, digits: int = 4) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict):  # a histogram, whose buckets are in the evidence
        return f"(count {value.get('count')}, sum {value.get('sum')})"
    if isinstance(value, int | float) and math.isfinite(value):
        return f"{value:.{digits}g}"
    return str(value)
