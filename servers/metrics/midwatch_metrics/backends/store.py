"""The metric backend on the embedded store: SQL in, values out. The SQL text itself is in `store_sql`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from midwatch_kit import Check, TopologyFragment, Window, rfc3339
from midwatch_metrics.backend import (
    AlarmState,
    Cells,
    Described,
    Floats,
    Form,
    Gathered,
    Ints,
    Selection,
    Series,
)
from midwatch_metrics.backends import store_sql as sql
from midwatch_metrics.timeline import Timeline, from_ns, to_ns
from midwatch_store.served import ServedStore

_SEND: Final = "see that midwatch-store runs and that applications send OTLP metrics to it"
_RECENT_NS: Final = 24 * 3600 * 10**9
_INSTANCE: Final = "ResourceAttributes['service.instance.id']"


class StoreMetrics:
    """Points and alarms out of the embedded store at `path`, which may be missing now and there later."""

    def __init__(self, path: Path) -> None:
        self._store = ServedStore(path, *sql.TABLES)

    def pin(self) -> int:
        """Return the largest sequence number that is stored now."""
        return self._store.pin()

    def gather(self, timeline: Timeline, selection: Selection, most_series: int) -> Gathered:
        """Return the selected series, the first `most_series` by name, and their cells in the timeline."""
        pin = self.pin()
        wanted = {**_bounds(timeline), **_selected(selection), "pin": pin}
        span = from_ns(int(wanted["earliest"])), from_ns(timeline.window_end)
        text, tables = _text(timeline, selection, pin), self._store.holding(sql.TABLES, *span)
        chosen = {
            "of_writers": bool(selection.services or selection.instances),
            "with_attributes": bool(selection.attributes),
        }
        rows = self._query(sql.series(tables, **chosen), wanted, span) if tables else []
        kept = rows[:most_series]
        if not kept:
            return Gathered((), _cells([], {}, 0), 0, 0, text)
        series = tuple(_series(row) for row in kept)
        numbers = {row[0]: i for i, row in enumerate(kept)}
        wanted |= {"series": list(numbers), "filled": max(len(one.bounds) + 1 if one.bounds else 0 for one in series)}
        figures = sql.figures(tables, **chosen)
        with self._store.excerpt("points", figures, _named(figures, wanted), start=span[0], end=span[1]) as points:
            parts = [points.columns(question, _named(question, wanted)) for question in _questions(kept)]
        matched = sum(row[8] for row in rows)
        return Gathered(series, _cells(parts, numbers, wanted["filled"]), matched, len(rows) - len(kept), text)

    def describe(self, window: Window) -> tuple[Sequence[Described], str]:
        """Return the metrics that have points in the window, by instance, and the query's text."""
        pin = self.pin()
        start, end = to_ns(window.start), to_ns(window.end)
        bounds = {"baseline_start": start, "baseline_end": start, "window_start": start, "window_end": end}
        tables = self._store.holding(sql.TABLES, window.start, window.end)
        wanted = {**bounds, "pin": pin, "metric": None}
        rows = self._query(sql.describe(tables), wanted, (window.start, window.end)) if tables else []
        text = f"SELECT * FROM otel_metrics_gauge|sum|histogram WHERE {_between(start, end, pin)}"  # noqa: S608
        return [_described(row) for row in rows], text

    def surroundings(self, window: Window) -> TopologyFragment:
        """Return nothing: the store knows of nobody but by what they sent."""
        return TopologyFragment()

    def sources(self) -> Sequence[tuple[str, str]]:
        """Return the (service, instance) pairs that sent a point in the last day of data, the newest first."""
        newest = self.newest()
        recent = from_ns(newest - _RECENT_NS) if newest else None
        return [(row[0], row[1]) for row in self._query(sql.SOURCES, {}, (recent, None))]

    def alarms(
        self,
        services: Sequence[str],
        names: Sequence[str],
        window: Window,
        pin: int,
        after: tuple[int, int] | None,
        limit: int,
    ) -> tuple[Sequence[AlarmState], int, str]:
        """Return state changes in the window, newest first from after a place; how many there are; the query's text."""
        start, end = to_ns(window.start), to_ns(window.end)
        wanted = {"start": start, "end": end, "pin": pin, "services": list(services), "names": list(names)}
        span = (window.start, window.end)
        place = {"after_time": after[0] if after else None, "after_seq": after[1] if after else 0, "limit": limit}
        matched = self._query(sql.ALARM_COUNT, wanted, span)[0][0]
        rows = self._query(sql.ALARMS, {**wanted, **place}, span)
        named = _any_of([("ServiceName", services), ("AlarmName", names)])
        between = _between(start, end, pin).replace("TimeUnix", "Timestamp")
        condition = " AND ".join(part for part in (between, named) if part)
        text = f"SELECT * FROM alarms WHERE {condition} ORDER BY Timestamp DESC, Seq DESC"  # noqa: S608 - to be read
        return [_alarm(row) for row in rows], matched, text

    def standing(self, before: int, pin: int) -> Sequence[AlarmState]:
        """Return the latest state of each alarm before a moment (ns)."""
        rows = self._query(sql.STANDING, {"before": before, "pin": pin}, (None, from_ns(before)))
        return [_alarm(row) for row in rows]

    def newest(self) -> int | None:
        """Return the time of the newest point in ns, None when there is none."""
        newest = self._store.newest()
        return to_ns(newest) if newest else None

    def checks(self) -> Sequence[Check]:
        """Look at the store: is it there, how old is its newest point, are files damaged."""
        return self._store.checks("points", _SEND)

    def _query(
        self, text: str, parameters: Mapping[str, object], span: tuple[datetime | None, datetime | None]
    ) -> list[tuple[Any, ...]]:
        return self._store.query(text, _named(text, parameters), start=span[0], end=span[1])


def _named(text: str, parameters: Mapping[str, object]) -> dict[str, object]:
    """Return the parameters that a question names; DuckDB refuses any other."""
    return {name: value for name, value in parameters.items() if f"${name}" in text}


def _questions(series: Sequence[tuple[Any, ...]]) -> list[str]:
    """Return what is to be asked for the cells of series: each question is about another form of points."""
    forms = {
        sql.GAUGES: any(row[2] == Form.GAUGE for row in series),
        sql.DELTAS: any(row[2] != Form.GAUGE and row[10] for row in series),
        sql.RUNS: any(row[2] != Form.GAUGE and row[8] > row[10] for row in series),
    }
    return [question for question, wanted in forms.items() if wanted]


def _bounds(timeline: Timeline) -> dict[str, Any]:
    return {
        "baseline_start": timeline.baseline_start,
        "baseline_end": timeline.baseline_end,
        "window_start": timeline.window_start,
        "window_end": timeline.window_end,
        "before": timeline.before,
        "width": timeline.width,
        "earliest": timeline.baseline_start if timeline.before else timeline.window_start,
    }


def _selected(selection: Selection) -> dict[str, Any]:
    return {
        "metric": selection.metric,
        "services": list(selection.services),
        "instances": list(selection.instances),
        "names": list(selection.attributes),
        "values": list(selection.attributes.values()),
    }


def _described(row: tuple[Any, ...]) -> Described:
    metric, form, unit, description, service, instance, series, points, attributes, first, last = row
    names = tuple(attributes or ())
    return Described(metric, Form(form), unit, description, service, instance, series, points, names, first, last)


def _alarm(row: tuple[Any, ...]) -> AlarmState:
    at, seq, name, state, service, reason, value, threshold, attributes = row
    return AlarmState(at, seq, name, state, service, reason, value, threshold, attributes or {})


def _series(row: tuple[Any, ...]) -> Series:
    attributes = tuple(sorted((row[6] or {}).items()))
    return Series(row[1], Form(row[2]), row[3] or "", row[4], row[5], attributes, tuple(row[7] or ()), row[9] or "")


def _cells(parts: Sequence[Mapping[str, Any]], numbers: Mapping[int, int], width: int) -> Cells:
    """Cells from what the queries gave; increases that fall were reset without a word, and begin again at 0."""
    value, before, count, count_before, seconds, low, high = (
        _floats(parts, name) for name in ("value", "value_before", "count", "count_before", "seconds", "low", "high")
    )
    reset = (value < before) | (count < count_before)
    filled, filled_before = _filled(parts, "filled", width), _filled(parts, "filled_before", width)
    return Cells(
        series=np.array([numbers[key] for part in parts for key in part["series"].tolist()], dtype=np.int64),
        bucket=_whole(parts, "bucket"),
        value=value - np.where(reset, 0, before),
        count=count - np.where(reset, 0, count_before),
        seconds=seconds,
        low=low,
        high=high,
        last=_whole(parts, "last"),
        filled=np.maximum(filled - np.where(reset[:, None], 0, filled_before), 0),
    )


def _floats(parts: Sequence[Mapping[str, Any]], name: str) -> Floats:
    columns = [np.ma.filled(np.ma.asarray(part[name], dtype=np.float64), np.nan) for part in parts]
    return np.concatenate(columns) if columns else np.zeros(0)


def _whole(parts: Sequence[Mapping[str, Any]], name: str) -> Ints:
    return np.concatenate([np.asarray(part[name], dtype=np.int64) for part in parts] or [np.zeros(0, np.int64)])


def _filled(parts: Sequence[Mapping[str, Any]], name: str, width: int) -> Floats:
    lists = [one for part in parts for one in part[name]]
    return np.concatenate([*lists, np.zeros(0)]).astype(np.float64).reshape(len(lists), width)


def _text(timeline: Timeline, selection: Selection, pin: int) -> str:
    """Return, as SQL that a person can run for each table, which points a question was about."""
    start = timeline.baseline_start if timeline.before else timeline.window_start
    parts = [
        _between(start, timeline.window_end, pin),
        f"MetricName = {_quoted(selection.metric)}" if selection.metric else "",
        _any_of([("ServiceName", selection.services), (_INSTANCE, selection.instances)]),
        *(f"Attributes[{_quoted(name)}] = {_quoted(value)}" for name, value in selection.attributes.items()),
    ]
    condition = " AND ".join(part for part in parts if part)
    return f"SELECT * FROM otel_metrics_gauge|sum|histogram WHERE {condition}"  # noqa: S608 - to be read, never run


def _any_of(choices: Sequence[tuple[str, Sequence[str]]]) -> str:
    """A condition that one of the columns has one of its values; '' when no column has any."""
    parts = [f"{column} IN ({', '.join(map(_quoted, values))})" for column, values in choices if values]
    return f"({' OR '.join(parts)})" if parts else ""


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _between(start: int, end: int, pin: int) -> str:
    first, last = rfc3339(from_ns(start)), rfc3339(from_ns(end))
    return f"TimeUnix >= '{first}' AND TimeUnix < '{last}' AND Seq <= {pin}"
