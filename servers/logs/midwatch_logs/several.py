"""Several backends that are on at once, as one: each is asked everything, and what they say is put together.

A place in the order of lines is `(time, seq * backends + number)`, so that one walk goes through all of them; a pin
holds every backend's own, 64 bits each. A backend that does not answer fails the question and is named: a count that
leaves one out would look exact.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final, TypeVar

from midwatch_kit import Check, Window
from midwatch_kit.logs.backend import (
    Around,
    Buckets,
    Filter,
    Found,
    LogBackend,
    PatternRow,
    RateRow,
    Scope,
    Seen,
    SourceRow,
    Step,
    StepRow,
    TraceSpan,
    Walk,
)
from midwatch_kit.parallel import ask_each

RowT = TypeVar("RowT")
ResultT = TypeVar("ResultT")
_PIN_BITS: Final = 64


class SeveralLogs:
    """The log tools' questions, put to every backend."""

    def __init__(self, backends: Mapping[str, LogBackend]) -> None:
        self._backends = dict(backends)

    def pin(self, windows: Sequence[Window]) -> int:
        """Return all marks in one number."""
        pins = self._each(lambda _, backend: backend.pin(windows))
        return sum(pin << (_PIN_BITS * number) for number, pin in enumerate(pins))

    def describe(self, scope: Scope) -> str:
        """Return what each reads, by name."""
        return "; ".join(
            f"{name}: {backend.describe(self._own(scope, number))}"
            for number, (name, backend) in enumerate(self._backends.items())
        )

    def newest(self) -> int | None:
        """Return the time of the newest line of any."""
        return max((time for time in self._each(lambda _, b: b.newest()) if time is not None), default=None)

    def sources(self, scope: Scope) -> Found[SourceRow]:
        """Return who wrote, how much; who wrote to several backends is counted once."""
        found = self._found(lambda number, b: b.sources(self._own(scope, number)))
        writers = sorted(found.rows, key=_writer)
        return Found([_together(list(rows)) for _, rows in groupby(writers, key=_writer)], found.query)

    def rates(self, scope: Scope, buckets: Buckets) -> Found[RateRow]:
        """Return counts for each writer, bucket and backend."""
        return self._found(lambda number, b: b.rates(self._own(scope, number), buckets))

    def patterns(self, scope: Scope, wanted: Filter, window_start: int) -> Found[PatternRow]:
        """Return masked texts with counts, of each backend."""
        return self._found(lambda number, b: b.patterns(self._own(scope, number), wanted, window_start))

    def steps(self, scope: Scope, wanted: Filter, buckets: Buckets, every: int) -> Found[StepRow]:
        """Return what follows what in the lines of traces, in each backend."""
        return self._found(lambda number, b: b.steps(self._own(scope, number), wanted, buckets, every))

    def count(self, scope: Scope, wanted: Filter | Around) -> int:
        """Return exactly how many lines match."""
        return sum(self._each(lambda number, b: b.count(self._own(scope, number), wanted)))

    def step(self, scope: Scope, wanted: Filter | Around, walk: Walk, context: int = 0) -> Step:
        """Return the next lines of all backends in order."""
        steps = self._each(
            lambda number, b: b.step(self._own(scope, number), wanted, self._walk(walk, number), context)
        )
        parts = [self._renumbered(step, number) for number, step in enumerate(steps)]
        sign = 1 if walk.forward else -1
        hits = sorted((seen.line.place for part in parts for seen in part if seen.hit), reverse=not walk.forward)
        more = any(step.more for step in steps) or len(hits) > walk.limit
        last = hits[: walk.limit][-1] if hits else None
        kept = [seen for part in parts for seen in _up_to(part, last, walk.forward, context)]
        kept.sort(key=lambda seen: tuple(sign * part for part in seen.line.place))
        return Step(kept, more, self._joined([step.query for step in steps]))

    def trace(self, scope: Scope, trace_id: str) -> TraceSpan | None:
        """Return where the lines of a trace are in all backends together."""
        spans = [span for span in self._each(lambda n, b: b.trace(self._own(scope, n), trace_id)) if span]
        if not spans:
            return None
        writers = sorted({writer for span in spans for writer in span.writers})
        first, last = min(span.first_ns for span in spans), max(span.last_ns for span in spans)
        return TraceSpan(first, last, sum(span.lines for span in spans), tuple(writers))

    def checks(self) -> list[Check]:
        """Look at every backend; each check has the backend's name before its own."""
        return [
            replace(check, name=f"{name} {check.name}" if check.name != name else name)
            for name, checks in ask_each(self._backends, lambda _, backend: backend.checks()).by_all().items()
            for check in checks
        ]

    def _each(self, ask: Callable[[int, LogBackend], ResultT]) -> list[ResultT]:
        numbers = {name: number for number, name in enumerate(self._backends)}
        return list(ask_each(self._backends, lambda name, backend: ask(numbers[name], backend)).by_all().values())

    def _found(self, ask: Callable[[int, LogBackend], Found[RowT]]) -> Found[RowT]:
        found = self._each(ask)
        return Found([row for each in found for row in each.rows], self._joined([each.query for each in found]))

    def _joined(self, queries: Sequence[str]) -> str:
        return " || ".join(f"{name}: {query}" for name, query in zip(self._backends, queries, strict=True))

    def _own(self, scope: Scope, number: int) -> Scope:
        return Scope(scope.windows, scope.pin >> (_PIN_BITS * number) & (2**_PIN_BITS - 1))

    def _walk(self, walk: Walk, number: int) -> Walk:
        """The same place as one backend numbers its lines: what lies beyond it here lies beyond it there."""
        if walk.after is None:
            return walk
        time, seq = walk.after
        ahead = seq - number
        own = ahead // len(self._backends) if walk.forward else -(-ahead // len(self._backends))
        return replace(walk, after=(time, own))

    def _renumbered(self, step: Step, number: int) -> list[Seen]:
        count = len(self._backends)
        return [Seen(replace(seen.line, seq=seen.line.seq * count + number), seen.hit) for seen in step.seen]


def _writer(row: SourceRow) -> tuple[str, str]:
    return row.service, row.instance


def _together(rows: Sequence[SourceRow]) -> SourceRow:
    first, last = min(row.first_ns for row in rows), max(row.last_ns for row in rows)
    lines, warn, error = (sum(getattr(row, name) for row in rows) for name in ("lines", "warn", "error"))
    return SourceRow(*_writer(rows[0]), lines, warn, error, first, last)


def _up_to(part: Sequence[Seen], last: tuple[int, int] | None, forward: bool, context: int) -> list[Seen]:
    """The lines of one backend up to the last hit that is shown, and that hit's context behind it."""
    kept: list[Seen] = []
    beyond = 0
    for seen in part:
        past = last is not None and (seen.line.place > last if forward else seen.line.place < last)
        if past and (seen.hit or beyond >= context):
            break
        beyond += past
        kept.append(seen)
    return kept
