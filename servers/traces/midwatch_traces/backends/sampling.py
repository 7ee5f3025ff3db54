"""Which traces to fetch where all are too many: all of those that begin in short pieces of time, spread evenly.

Reading time by pieces, and each piece whole, keeps rates, shares of errors and the mix of requests as they are; the
newest so many traces, or extra failed ones, would not. A piece is whole when fewer traces came than were asked for.
"""

import threading
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from midwatch_kit import BadInput
from midwatch_kit.parallel import Threads
from midwatch_traces.backends.fetched import Row

Piece = tuple[int, int]
"""A span of time `[start, end)` in ns since the epoch."""

SHORTEST_NS: Final = 1_000_000
"""A piece is not cut shorter than this: what a backend gives then is taken for all."""
MOST_PIECES: Final = 240
"""Pieces of a sample: as many as a survey has buckets, so that each of them holds some time that was read."""
_PROBES: Final = 8
_NARROWER: Final = 8
_IN_A_PIECE: Final = 50
"""Traces that one piece should hold where all are read: well below what one search gives."""
_SPARE: Final = 4
"""So many times more traces than were meant to be read are still read, where they come in a burst."""


@dataclass(frozen=True)
class Found:
    """Ids of traces with a matching span that began in a piece of time; `full` says that there may be more.

    `rows` are their spans, all of them, where the search gives these anyway.
    """

    ids: Sequence[str]
    full: bool
    rows: Sequence[Row] = ()


@dataclass(frozen=True)
class Counted:
    """How many spans started in some pieces of time, exactly, and of each service how many failed ones."""

    spans: int
    failed: Mapping[str, int]


Find = Callable[[int, int], Found]
"""A search over `[start, end)` in ns since the epoch; called in several threads."""


class FindBegun(Protocol):
    """The same, where `begins` says that only traces are wanted whose first span starts then."""

    def __call__(self, start: int, end: int, *, begins: bool) -> Found:
        """Return what was found."""


@dataclass
class Sampled:
    """What a sample holds: one trace in `every`, those that begin in `pieces`; with `every` 1 all that were found."""

    every: int = 1
    ids: dict[str, None] = field(default_factory=dict)
    rows: dict[str, list[Row]] = field(default_factory=dict)
    pieces: Sequence[Piece] = ()

    def keep(self, found: Found) -> None:
        """Add what one search found; a trace that reaches into two pieces is found in both, and kept once."""
        known = self.ids.keys() & set(found.ids)
        self.ids.update(dict.fromkeys(found.ids))
        for row in found.rows:
            if row["TraceId"] not in known:
                self.rows.setdefault(row["TraceId"], []).append(row)

    def inside(self, rows: Iterable[Row]) -> list[Row]:
        """Return the rows of traces that begin in a piece: those that only reach into one were not meant."""
        kept = list(rows)
        if self.every == 1:
            return kept
        begins: dict[str, int] = {}
        for row in kept:
            trace = row["TraceId"]
            begins[trace] = min(begins.get(trace, row["Timestamp"]), row["Timestamp"])
        starts = [start for start, _ in self.pieces]
        meant = {name for name, at in begins.items() if at < self.pieces[bisect_right(starts, at) - 1][1]}
        return [row for row in kept if row["TraceId"] in meant]


def sample(find: FindBegun, look: Find, periods: Sequence[Piece], most: int, at_once: int) -> Sampled:
    """Return about `most` traces of some periods that don't overlap, all of them if they are no more.

    `look` is a search for few traces, cheap where there are many.
    """
    with Threads(at_once) as threads:
        whole = _together(threads, look, periods)
        if not any(found.full for found in whole):
            return _kept(Sampled(), whole)
        expected = _expected(threads, partial(find, begins=False), periods)
        every = max(1, -(-expected // most))
        pieces = _pieces(periods, every, -(-expected // (every * _IN_A_PIECE)))
        edges = frozenset() if every > 1 else frozenset(start for start, _ in periods)
        reading = _Reading(find, most * _SPARE, edges)
        whole = [found for piece in threads.map(reading.whole, pieces) for found in piece]
    return _thinned(_kept(Sampled(every, pieces=pieces), whole), most)


def newest(find: Find, window: Piece, enough: Callable[[int, Sampled], bool]) -> tuple[Sampled, int]:
    """Return traces from a window's end back, whole piece by whole piece, until there are `enough`, and since when.

    `enough` is told since when all are there, and which.
    """
    kept, since, waiting = Sampled(), window[1], [window]
    while waiting and not enough(since, kept):
        start, end = waiting.pop()
        found = find(start, end)
        if found.full and end - start > SHORTEST_NS:
            middle = (start + end) // 2
            waiting += [(start, middle), (middle, end)]
        else:
            kept.keep(found)
            since = start
    return kept, since


class _Reading:
    """Reads pieces whole, by halves where they are full, until that gets out of hand.

    What began before is looked for where a piece starts at one of the `edges`; elsewhere another piece has it.
    """

    def __init__(self, find: FindBegun, most: int, edges: Set[int]) -> None:
        self._find, self._left, self._lock, self._edges = find, most, threading.Lock(), edges

    def whole(self, piece: Piece) -> list[Found]:
        read, waiting = [], [piece]
        while waiting:
            start, end = waiting.pop()
            found = self._find(start, end, begins=start not in self._edges)
            if found.full and end - start > SHORTEST_NS:
                middle = (start + end) // 2
                waiting += [(start, middle), (middle, end)]
                continue
            self._count(len(found.ids))
            read.append(found)
        return read

    def _count(self, traces: int) -> None:
        with self._lock:
            self._left -= traces
            if self._left < 0:
                raise BadInput("too many traces come at once here: ask for a shorter window, and a baseline like it")


def _together(threads: Threads, find: Find, pieces: Sequence[Piece]) -> list[Found]:
    asked: list[Future[Found]] = [threads.submit(find, start, end) for start, end in pieces]
    return [answer.result() for answer in asked]


def _expected(threads: Threads, find: Find, periods: Sequence[Piece]) -> int:
    """Return about how many traces the periods hold, by a few short pieces spread over them."""
    length = sum(end - start for start, end in periods)
    spread = list(_spread(periods, _PROBES))
    width = max(SHORTEST_NS, length // MOST_PIECES)

    def dense(at: int) -> float:
        wide = width
        while (found := find(at, at + wide)).full and wide > SHORTEST_NS:
            wide = max(SHORTEST_NS, wide // _NARROWER)
        return len(found.ids) / wide

    return max(1, int(sum(threads.map(dense, spread)) / len(spread) * length))


def _spread(periods: Sequence[Piece], count: int) -> Iterator[int]:
    """Yield moments that lie evenly in the periods, one behind the other."""
    length = sum(end - start for start, end in periods)
    for number in range(count):
        at = length * (2 * number + 1) // (2 * count)
        for start, end in periods:
            if at < end - start:
                yield start + at
                break
            at -= end - start


def _pieces(periods: Sequence[Piece], every: int, fewest: int) -> list[Piece]:
    """Cut periods into slots of one length and return the middle of each, one part in `every` of it."""
    length = sum(end - start for start, end in periods)
    slots = MOST_PIECES if every > 1 else min(max(fewest, 2), MOST_PIECES)
    pieces = []
    for start, end in sorted(periods):
        count = max(1, slots * (end - start) // length)
        for number in range(count):
            first, last = (start + (end - start) * (number + more) // count for more in (0, 1))
            part = max(SHORTEST_NS, (last - first) // every)
            begin = first + (last - first - part) // 2
            pieces.append((begin, begin + part))
    return pieces


def _kept(sampled: Sampled, whole: Iterable[Found]) -> Sampled:
    for found in whole:
        sampled.keep(found)
    return sampled


def _thinned(sampled: Sampled, most: int) -> Sampled:
    """Take one trace in so many, by its id, where a guess was too low."""
    fewer = len(sampled.ids) // (most * 2) + 1
    if fewer > 1:
        sampled.ids = {name: None for name in sampled.ids if zlib.crc32(name.encode()) % fewer == 0}
        sampled.rows = {name: rows for name, rows in sampled.rows.items() if name in sampled.ids}
        sampled.every *= fewer
    return sampled
