"""Templates and ways of traces, of a backend that has neither: over lines that are read once and asked with SQL.

Each period, the window and the baseline, is read whole when it has few enough lines. Otherwise it is cut into slices;
of each slice the first lines are read, as many as its share of all of them, and the lines of WARN and worse are read by
themselves, whole or in slices too. Counts are then scaled by what the backend counted exactly. A kind of line that
seems new because the baseline was not read whole is looked for in all of the baseline by its words before it is told.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Protocol

import duckdb

from midwatch_kit import Window
from midwatch_kit.logs import Scope, SqlLogs, ns_of, time_of
from midwatch_kit.logs.backend import Buckets, Filter, Found, PatternRow, RateRow, Step, StepRow, Walk
from midwatch_kit.logs.lines import WARN, LogLine, level_name
from midwatch_kit.parallel import at_once
from midwatch_logs.constant import constant_part

_SLICES: Final = 10
_EDGE_NS: Final = 10**9
_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "threads": "1",
    "memory_limit": "512MB",
    "enable_external_access": "false",
}
_LINES: Final = """CREATE TABLE lines AS SELECT make_timestamp_ns(unnest($time)::BIGINT) AS time,
    unnest($seq)::BIGINT AS seq, unnest($severity)::INTEGER AS severity, unnest($service)::VARCHAR AS service,
    unnest($instance)::VARCHAR AS instance, unnest($message)::VARCHAR AS message,
    unnest($trace_id)::VARCHAR AS trace_id, unnest($attributes)::MAP(VARCHAR, VARCHAR) AS attributes"""


class Sampled(Protocol):
    """What a backend has to answer for its lines to be sampled."""

    def rates(self, scope: Scope, buckets: Buckets) -> Found[RateRow]:
        """Return exact counts."""

    def lines(self, scope: Scope, wanted: Filter, walk: Walk) -> Step:
        """Return the next lines in order."""

    def count(self, scope: Scope, wanted: Filter) -> int:
        """Return exactly how many lines match."""


@dataclass(frozen=True)
class Stretch:
    """Lines that were read in a row, and whether they are all there are in `[start_ns, end_ns)`."""

    lines: Sequence[LogLine]
    start_ns: int
    end_ns: int
    whole: bool


@dataclass(frozen=True)
class Part:
    """Lines of one period that count for `lines` of them each as often as `scale` says."""

    lines: Sequence[LogLine]
    in_all: int
    in_window: bool

    @property
    def scale(self) -> float:
        """How many lines one that was read stands for."""
        return self.in_all / len(self.lines) if self.lines else 0.0

    @property
    def whole(self) -> bool:
        """Whether every line was read."""
        return len(self.lines) >= self.in_all


@dataclass(frozen=True)
class Sample:
    """What was read of the window and of the baseline."""

    parts: Sequence[Part]
    stretches: Sequence[Stretch]

    @property
    def told(self) -> str:
        """How much of what was read, for the query's text."""
        read, there = sum(len(part.lines) for part in self.parts), sum(part.in_all for part in self.parts)
        return f"all {there} lines" if read >= there else f"a sample of {read} of {there} lines, counts scaled"


@dataclass(frozen=True)
class _Slice:
    """A stretch of a period: its time (ns), and how many lines, mild and of WARN and worse, the backend counted."""

    start: int
    end: int
    mild: int
    bad: int


class Sampler:
    """Answers `patterns` and `steps` for one backend; keeps the last sample, since a survey asks both of the same."""

    def __init__(self, backend: Sampled, most: int, most_checked: int) -> None:
        self._backend = backend
        self._most = most
        self._most_checked = most_checked
        self._last: tuple[Scope, Filter, Sample] | None = None

    def patterns(self, scope: Scope, wanted: Filter, window_start: int) -> Found[PatternRow]:
        """Return masked texts with counts, scaled where not all lines were read."""
        sample = self._sample(scope, wanted, window_start)
        rows = [row for part in sample.parts if part.lines for row in _patterns_of(part, scope, window_start)]
        before = [part for part in sample.parts if not part.in_window]
        checked = ""
        if not all(part.whole for part in before):
            rows, asked, left_out = self._checked(rows, scope, wanted, window_start)
            checked = f", {asked} that seemed new looked for in all of the baseline"
            checked += f", {left_out} more left out" if left_out else ""
        return Found(rows, f"templates{_shown(wanted)} over {sample.told}{checked}")

    def steps(self, scope: Scope, wanted: Filter, buckets: Buckets, every: int) -> Found[StepRow]:
        """Return what follows what in traces; of traces at the edges of a stretch that is not whole nothing is told."""
        sample = self._sample(scope, wanted, buckets.window_start)
        lines = [line for stretch in sample.stretches for line in _inner(stretch)]
        told = sum(len(stretch.lines) for stretch in sample.stretches)
        query = f"steps within traces{_shown(wanted)} over {told} lines"
        if not lines:
            return Found([], query)
        with duckdb.connect(config=_CONFIG) as database:
            logs = SqlLogs(_Table(database, lines))
            return Found(logs.steps(scope, Filter(), buckets, every).rows, query)

    def _sample(self, scope: Scope, wanted: Filter, window_start: int) -> Sample:
        if self._last and self._last[:2] == (scope, wanted):
            return self._last[2]
        periods = [(window, ns_of(window.start) >= window_start) for window in scope.windows]
        read = at_once([partial(self._read, scope, window, wanted, now) for window, now in periods], 2)
        sample = Sample([part for each in read for part in each.parts], [s for each in read for s in each.stretches])
        self._last = (scope, wanted, sample)
        return sample

    def _read(self, scope: Scope, window: Window, wanted: Filter, in_window: bool) -> Sample:
        """Read one period: whole, or in slices with what is bad by itself."""
        slices = self._slices(scope, window, wanted)
        mild, bad = sum(s.mild for s in slices), sum(s.bad for s in slices)
        if mild + bad <= self._most:
            stretch = self._stretch(scope, wanted, ns_of(window.start), ns_of(window.end), self._most)
            return Sample([Part(stretch.lines, len(stretch.lines), in_window)], [stretch])
        share = min(1.0, self._most / (mild + bad))
        stretches = at_once(
            [
                partial(self._stretch, scope, wanted, s.start, s.end, max(1, round((s.mild + s.bad) * share)))
                for s in slices
            ]
        )
        worse = replace(wanted, severity=max(wanted.severity, WARN))
        bad_share = min(1.0, self._most / bad) if bad else 0.0
        bad_lines = at_once(
            [
                partial(self._stretch, scope, worse, s.start, s.end, max(1, -int(-s.bad * bad_share // 1)))
                for s in slices
                if s.bad
            ]
        )
        mild_lines = [line for stretch in stretches for line in stretch.lines if line.severity < WARN]
        parts = [
            Part(mild_lines, mild, in_window),
            Part([line for stretch in bad_lines for line in stretch.lines], bad, in_window),
        ]
        return Sample([part for part in parts if part.in_all], stretches)

    def _slices(self, scope: Scope, window: Window, wanted: Filter) -> list[_Slice]:
        """The slices of a period that have lines; a filter's text is never asked for here."""
        start, end = ns_of(window.start), ns_of(window.end)
        width = max(-(-(end - start) // (_SLICES * 10**6)) * 10**6, 10**6)
        buckets = Buckets(width, start, 0, start, -(-(end - start) // width))
        counted = [row for row in self._backend.rates(Scope((window,), scope.pin), buckets).rows if _is_of(row, wanted)]
        slices = []
        for number in range(buckets.after):
            rows = [row for row in counted if row.bucket == number]
            bad = sum(row.warn * (wanted.severity <= WARN) + row.error for row in rows)
            mild = 0 if wanted.severity >= WARN else sum(row.lines - row.warn - row.error for row in rows)
            at = start + number * width
            slices.append(_Slice(at, min(at + width, end), mild, bad))
        return [s for s in slices if s.mild + s.bad]

    def _stretch(self, scope: Scope, wanted: Filter, start: int, end: int, most: int) -> Stretch:
        window = Window(start=time_of(start), end=time_of(end))
        step = self._backend.lines(Scope((window,), scope.pin), wanted, Walk(most, forward=True))
        return Stretch([seen.line for seen in step.seen], start, end, not step.more)

    def _checked(
        self, rows: Sequence[PatternRow], scope: Scope, wanted: Filter, window_start: int
    ) -> tuple[list[PatternRow], int, int]:
        """The rows, with what the whole baseline and window have of those that seem new; and how many were, or not."""
        known = {row.text for row in rows if not row.in_window}
        seeming = sorted(
            (r for r in rows if r.in_window and r.text not in known), key=lambda r: (-r.severity, -r.count)
        )
        texts = list(dict.fromkeys(row.text for row in seeming))
        exemplars = {row.text: row for row in reversed(seeming)}
        kept = [exemplars[text] for text in texts[: self._most_checked] if constant_part(exemplars[text].text)]
        before = Scope(tuple(w for w in scope.windows if ns_of(w.start) < window_start), scope.pin)
        now = Scope(tuple(w for w in scope.windows if ns_of(w.start) >= window_start), scope.pin)
        looked = at_once([partial(self._looked_up, row, before, now, wanted) for row in kept])
        sure = {row.text: found for row, found in zip(kept, looked, strict=True)}
        result = [row for row in rows if not row.in_window or row.text in known]
        result += [replace(row, first_ns=sure[row.text][1]) for row in seeming if row.text in sure]
        result += [replace(exemplars[text], in_window=False, count=count) for text, (count, _) in sure.items() if count]
        return result, len(sure), len(texts) - len(sure)

    def _looked_up(self, row: PatternRow, before: Scope, now: Scope, wanted: Filter) -> tuple[int, int]:
        """How often the baseline has the constant words of a template, and when the window first has."""
        said = Filter(constant_part(row.text), severity=wanted.severity, services=(row.service,))
        count = self._backend.count(before, said)
        first = self._backend.lines(now, said, Walk(1, forward=True)).seen
        return count, first[0].line.time_ns if first else row.first_ns


class _Table:
    """Lines in memory, as the relation that the shared SQL asks."""

    def __init__(self, database: duckdb.DuckDBPyConnection, lines: Sequence[LogLine]) -> None:
        self._database = database
        columns = ("severity", "service", "instance", "message", "trace_id")
        values: dict[str, list[Any]] = {name: [getattr(line, name) for line in lines] for name in columns}
        values["time"] = [line.time_ns for line in lines]
        values["seq"] = list(range(len(lines)))
        values["attributes"] = [_code_place(line.attributes) for line in lines]
        database.execute(_LINES, values)

    def run(self, sql: str, parameters: Mapping[str, object], scope: Scope) -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT over `lines`, which are those of the scope already."""
        return self._database.execute(sql, dict(parameters)).fetchall()

    def describe(self, scope: Scope) -> str:
        """Return nothing worth telling."""
        return "lines in memory"

    def pin(self, windows: Sequence[Window]) -> int:
        """Return that nothing is added."""
        return 0

    def newest(self) -> int | None:
        """Return None: nobody asks."""
        return None

    def checks(self) -> list[Any]:
        """Return nothing: nobody asks."""
        return []


def _patterns_of(part: Part, scope: Scope, window_start: int) -> Iterator[PatternRow]:
    with duckdb.connect(config=_CONFIG) as database:
        rows = SqlLogs(_Table(database, part.lines)).patterns(scope, Filter(), window_start).rows
    for row in rows:
        yield replace(row, count=max(1, round(row.count * part.scale)), in_window=part.in_window)


def _inner(stretch: Stretch) -> list[LogLine]:
    """The lines of traces that lie within the stretch, so that their first and last lines are known."""
    if stretch.whole or not stretch.lines:
        return list(stretch.lines)
    first, last = stretch.lines[0].time_ns + _EDGE_NS, stretch.lines[-1].time_ns - _EDGE_NS
    torn = {line.trace_id for line in stretch.lines if not first < line.time_ns < last}
    return [line for line in stretch.lines if line.trace_id and line.trace_id not in torn]


def _is_of(row: RateRow, wanted: Filter) -> bool:
    everyone = not (wanted.services or wanted.instances)
    return everyone or row.service in wanted.services or row.instance in wanted.instances


def _code_place(attributes: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in attributes.items() if name.startswith("code")}


def _shown(wanted: Filter) -> str:
    level = f" of {level_name(wanted.severity)} and worse" if wanted.severity else ""
    who = [*wanted.services, *wanted.instances]
    return f"{level}{' of ' + ', '.join(who[:5]) if who else ''}"
