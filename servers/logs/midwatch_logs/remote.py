"""What log backends over the network share: the pin, samples for surveys, and the lines around a hit.

A pin is the moment it was taken, in ns: lines with a later time are left out of a scope. A line that arrives late, with
an earlier time, may still appear, unless the backend can tell (and says so).
"""

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from midwatch_kit import BadInput, Check, Window, rfc3339
from midwatch_kit.logs import Scope, ns_of, time_of
from midwatch_kit.logs.backend import (
    Around,
    Buckets,
    Filter,
    Found,
    PatternRow,
    RateRow,
    Seen,
    SourceRow,
    Step,
    StepRow,
    TraceSpan,
    Walk,
)
from midwatch_kit.logs.lines import MAX_MESSAGE, SEVERITIES, LogLine, level_name
from midwatch_kit.parallel import at_once
from midwatch_logs.sampled import Sampler

Span = tuple[int, int]
_TIES: Final = 20
_MOST_CHECKED: Final = 20
_NEIGHBOURHOOD_NS: Final = 60 * 10**9
_LEVELS: Final = {
    "TRACE": ("trace",),
    "DEBUG": ("debug",),
    "INFO": ("info", "notice"),
    "WARN": ("warn",),
    "ERROR": ("err", "severe"),
    "FATAL": ("fatal", "crit", "alert", "emerg", "panic"),
}
"""What the text of a level begins with, in any case of letters."""
_TRACE: Final = re.compile(r"\btrace[._]?id\W{1,4}([0-9a-f]{16,32})\b", re.IGNORECASE)


class RemoteLogs(ABC):
    """A backend that answers counts and lines itself; templates and ways of traces come from lines that it gives."""

    def __init__(self, sample_lines: int, most_checked: int = _MOST_CHECKED) -> None:
        self._sampler = Sampler(self, sample_lines, most_checked)

    @abstractmethod
    def describe(self, scope: Scope) -> str:
        """Return in a few words what the scope's lines are read from."""

    @abstractmethod
    def newest(self) -> int | None:
        """Return the time of the newest line in ns, or None when there is none."""

    @abstractmethod
    def sources(self, scope: Scope) -> Found[SourceRow]:
        """Return who wrote, how much."""

    @abstractmethod
    def rates(self, scope: Scope, buckets: Buckets) -> Found[RateRow]:
        """Return counts for each writer and bucket; buckets without a line are left out."""

    @abstractmethod
    def count(self, scope: Scope, wanted: Filter | Around) -> int:
        """Return exactly how many lines match."""

    @abstractmethod
    def lines(self, scope: Scope, wanted: Filter | Around, walk: Walk) -> Step:
        """Return the next lines in order, hits alone."""

    @abstractmethod
    def trace(self, scope: Scope, trace_id: str) -> TraceSpan | None:
        """Return where the lines of a trace are, or None when there are none."""

    @abstractmethod
    def checks(self) -> Sequence[Check]:
        """Look at the backend and say how it is; never raises for a backend that is down."""

    def pin(self, windows: Sequence[Window]) -> int:
        """Return now."""
        return time.time_ns()

    def patterns(self, scope: Scope, wanted: Filter, window_start: int) -> Found[PatternRow]:
        """Return masked texts with counts; see sampled."""
        return self._sampler.patterns(scope, wanted, window_start)

    def steps(self, scope: Scope, wanted: Filter, buckets: Buckets, every: int) -> Found[StepRow]:
        """Return what follows what in the lines of traces; see sampled."""
        return self._sampler.steps(scope, wanted, buckets, every)

    def step(self, scope: Scope, wanted: Filter | Around, walk: Walk, context: int = 0) -> Step:
        """Return the next lines in order; with `context`, that many lines of its writer on each side of a hit too."""
        found = self.lines(scope, wanted, walk)
        if not context or not found.seen:
            return found
        calls = [
            partial(self._beside, scope, seen.line, forward, context)
            for seen in found.seen
            for forward in (True, False)
        ]
        lines = {seen.line.place: Seen(seen.line, hit=False) for beside in at_once(calls) for seen in beside}
        lines |= {seen.line.place: seen for seen in found.seen}
        ordered = sorted(lines.values(), key=lambda seen: seen.line.place, reverse=not walk.forward)
        return Step(ordered, found.more, found.query)

    def _beside(self, scope: Scope, line: LogLine, forward: bool, context: int) -> Sequence[Seen]:
        """The lines that the writer of `line` wrote just after or just before it, at most a minute away."""
        first, last = line.time_ns - _NEIGHBOURHOOD_NS, line.time_ns + _NEIGHBOURHOOD_NS
        around = Around("", first, last, ((line.service, line.instance),))
        return self.lines(scope, around, Walk(context, forward, line.place)).seen


def spans_of(scope: Scope, wanted: Filter | Around | None = None) -> list[Span]:
    """Return the scope's time as spans [start, end) in ns: in order, joined where they touch, up to the pin."""
    spans: list[Span] = []
    least, most = (wanted.first_ns, wanted.last_ns + 1) if isinstance(wanted, Around) else (0, 2**63)
    most = min(most, scope.pin + 1) if scope.pin else most
    for window in sorted(scope.windows, key=lambda w: w.start):
        start, end = max(ns_of(window.start), least), min(ns_of(window.end), most)
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        elif start < end:
            spans.append((start, end))
    return spans


def shown_spans(scope: Scope) -> str:
    """Return the scope's time for people."""
    return " or ".join(f"[{_clock(start)}, {_clock(end)})" for start, end in spans_of(scope)) or "no time at all"


def ahead(spans: Sequence[Span], walk: Walk) -> Iterator[Span]:
    """Return what of the spans a walk has yet to see, in its direction; the time of the last line is seen again."""
    least = walk.after[0] if walk.after and walk.forward else 0
    most = walk.after[0] + 1 if walk.after and not walk.forward else 2**63
    for start, end in spans if walk.forward else reversed(spans):
        if max(start, least) < min(end, most):
            yield max(start, least), min(end, most)


def walk_span(
    read: Callable[[Span, int], list[LogLine]], span: Span, walk: Walk, wanted: int, most: int
) -> list[LogLine]:
    """Return the lines of a span beyond `walk.after`, at least `wanted` of them if there are as many.

    `read` gives so many lines of a span in the walk's direction; when there are as many as asked for, those of the last
    time may not be all. `most` is what it may be asked for at once.
    """
    found: list[LogLine] = []
    start, end = span
    while start < end and len(found) < wanted:
        asked = min(wanted - len(found) + _TIES, most)
        batch = read((start, end), asked)
        whole = len(batch) < asked
        if not whole:
            edge = batch[-1].time_ns
            sure = [line for line in batch if line.time_ns != edge]
            batch = sure or read((edge, edge + 1), most)
            beyond = edge if sure else edge + 1 if walk.forward else edge - 1
            start, end = (beyond, end) if walk.forward else (start, beyond + 1)
        found += [line for line in batch if is_beyond(line, walk)]
        if whole:
            break
    return found


def is_beyond(line: LogLine, walk: Walk) -> bool:
    """Return whether a walk has yet to come to a line."""
    return walk.after is None or (line.place > walk.after if walk.forward else line.place < walk.after)


def literal(text: str) -> str:
    """Return a text as an RE2 expression that takes exactly it."""
    return "".join(f"\\{c}" if c in "\\.+*?()|[]{}^$" else c for c in text)


def severity_in(level: str) -> int:
    """Return the severity number of a level's text, 0 when it names none."""
    name = next((name for name, words in _LEVELS.items() if level.lower().startswith(words)), "")
    return SEVERITIES.get(name, 0)


def level_words(severity: int) -> list[str]:
    """Return what the texts of levels begin with that are as severe as this number, or more."""
    names = list(_LEVELS)
    return [word for name in names[names.index(level_name(severity)) :] for word in _LEVELS[name]]


def trace_in(message: str) -> str:
    """Return the trace id that a message tells by name, '' for none."""
    found = _TRACE.search(message)
    return found[1] if found else ""


def clip(message: str) -> tuple[str, int]:
    """Return what of a message goes into evidence, and how many characters that leaves out."""
    return message[:MAX_MESSAGE], max(0, len(message) - MAX_MESSAGE)


def with_exception(message: str, kind: str | None, text: str | None) -> str:
    """Return a line's message with its exception: `body | KeyError: 'finish'`, as every backend of logs writes it."""
    told = ": ".join(part for part in (kind, text) if part)
    return message if not kind or told in message else f"{message} | {told}" if message else told


def readable_pattern(pattern: str) -> str:
    """Return a regular expression that can be read; raises `BadInput` with the place where it cannot."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise BadInput(f"cannot read the regular expression {pattern[:80]!r}: {error}") from None
    return pattern


def _clock(instant: int) -> str:
    return rfc3339(time_of(instant))
