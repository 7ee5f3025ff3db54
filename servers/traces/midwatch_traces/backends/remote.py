"""The trace backend on any system that can find traces and fetch them: a `Source` does that, and this all the rest.

Nothing is pinned: such a system has no mark of what is stored. What a question fetched is kept for a minute, since a
symptom is often surveyed first, and then everything around it.
"""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, Protocol

from midwatch_kit import Check, Window, lag_of, rfc3339
from midwatch_kit.native import Native
from midwatch_store import from_ns, to_ns
from midwatch_traces.backend import (
    Failure,
    Follower,
    FoundTrace,
    FoundTraces,
    KnownCalls,
    Loaded,
    Scope,
    Search,
)
from midwatch_traces.backends.fetched import Fetched, Row, window_of
from midwatch_traces.backends.sampling import Counted, Found, Piece, Sampled, newest, sample
from midwatch_traces.clocks import Apart

STALE_SECONDS: Final = 300.0
_KEPT_SECONDS: Final = 60.0
_KEPT: Final = 2
_FOR_CLOCKS: Final = 60
_FEW: Final = 20
_MISSED: Final = 5
_RECENT: Final = (timedelta(minutes=10), timedelta(hours=24))
ANY: Final = Search()


class Source(Protocol):
    """A system with traces; each call ends before `until` on the monotonic clock, or raises `BackendDown`."""

    name: str
    at_once: int

    def find(self, search: Search, start: int, end: int, most: int, *, until: float, begins: bool = False) -> Found:
        """Return traces with a matching span that starts in `[start, end)` ns; more than match may be given.

        `begins` says that only those are wanted whose first span starts then: there is less to ask for.
        """

    def fetch(self, ids: Sequence[str], *, until: float) -> Sequence[Row]:
        """Return all spans of some traces; of those that are not there, none."""

    def describe(self, search: Search, start: int, end: int) -> str:
        """Return the query as the system's own users would write it."""

    def count(self, pieces: Sequence[Piece], *, until: float) -> Counted | None:
        """Return how many spans started in pieces of time, exactly; None where the system can't count."""

    def services(self, start: int, end: int, *, until: float) -> Sequence[str]:
        """Return the services that are known there, at least those that sent spans then."""

    def known_calls(self, start: int, end: int, *, until: float) -> Sequence[KnownCalls]:
        """Return the calls that the system counted."""

    def followers(self, trace_id: str, start: int, end: int, most: int, *, until: float) -> Sequence[Row]:
        """Return spans of other traces that link to one; none where the system can't look for links."""

    def checks(self, *, until: float) -> Sequence[Check]:
        """Say whether the system is up, which version it is, and what the credentials may do."""


class RemoteTraces:
    """A source behind the tools; a question fetches `most` traces or so, and takes `seconds` at most."""

    def __init__(self, source: Source, *, most: int, page: int, seconds: float) -> None:
        self._source, self._most, self._page, self._seconds = source, most, page, seconds
        self._lock = threading.Lock()
        self._kept: dict[tuple[Piece, ...], _Kept] = {}
        self._newest: tuple[float, int | None] | None = None

    def pin(self) -> int:
        """Return 0: there is no mark of what is stored."""
        return 0

    def compare_clocks(self, window: Window, _: int) -> Sequence[Apart]:
        """Return how the clocks of services differ by a few of the window's traces."""
        start, end, until = to_ns(window.start), to_ns(window.end), self._until()
        found = self._source.find(ANY, start, end, _FOR_CLOCKS, until=until)
        some = found.ids[:: -(-len(found.ids) // _FOR_CLOCKS) or 1]
        return Fetched(self._rows(some, found.rows, until)).clocks()

    def load(self, scope: Scope) -> Loaded:
        """Return the spans of a scope: all, or those of a sample of traces."""
        kept = self._fetched(scope)
        sampled = kept.sampled
        query = " and ".join(self._source.describe(ANY, *period) for period in _periods(scope))
        if sampled.every > 1:
            query += f" (traces that begin in {len(sampled.pieces)} pieces of it, one part in {sampled.every})"
        return replace(kept.fetched.load(scope, query, every=sampled.every, total=kept.total), gaps=kept.gaps)

    def failures(self, scope: Scope, spans: Sequence[int]) -> Mapping[int, Failure]:
        """Return what failed spans say of themselves, by their keys."""
        return self._fetched(scope).fetched.failures(scope, spans) if spans else {}

    def search(self, search: Search, window: Window, _: int, after: tuple[int, str] | None, limit: int) -> FoundTraces:
        """Return traces with a matching span in the window, newest first match first, then by trace id.

        They are read from the window's end back, no further than the page needs: counts are of those.
        """
        start, end, until = to_ns(window.start), to_ns(window.end), self._until()
        below = end if after is None else max(after[0], start + 1_000)

        def find(first: int, last: int) -> Found:
            return self._source.find(search, first, last, self._page, until=until)

        def enough(since: int, kept: Sampled) -> bool:
            if len(kept.ids) > self._most:
                return True
            return since < below and self._matching(kept, search, (start, below), limit, until) >= limit

        kept, since = newest(find, (start, end), enough)
        rows = self._rows(list(kept.ids), _flatten(kept), until)
        query = self._source.describe(search, start, end)
        read = window if since <= start else window_of(since, end)
        found = Fetched(rows).search(search, read, after, limit, query, since if since > start else None)
        return replace(found, gaps=self._unread(kept.ids, rows))

    def trace(self, trace_id: str, window: Window, _: int) -> FoundTrace:
        """Return the spans of a trace that started in the window."""
        rows = self._source.fetch([trace_id], until=self._until())
        name = rows[0]["TraceId"] if rows else trace_id
        return Fetched(rows).trace(name, window, f"{self._source.name} trace {trace_id[:80]}")

    def followers(self, trace_id: str, window: Window, _: int, limit: int) -> Sequence[Follower]:
        """Return spans of other traces that link to this one, where the source can look for them."""
        rows = self._source.followers(trace_id, to_ns(window.start), to_ns(window.end), limit, until=self._until())
        found = [
            Follower(
                row["TraceId"],
                row["SpanId"],
                row["ServiceName"],
                row["SpanName"],
                row["StatusCode"] == "Error",
                row["Timestamp"],
            )
            for row in rows
            if row["TraceId"] != trace_id and any(linked == trace_id for linked, _ in row["Links"])
        ]
        return sorted(found, key=lambda one: (one.start, one.trace_id))[:limit]

    def services(self, window: Window) -> Sequence[str]:
        """Return the services that are known to the source, in the order of their names."""
        return sorted(self._source.services(to_ns(window.start), to_ns(window.end), until=self._until()))

    def known_calls(self, window: Window) -> Sequence[KnownCalls]:
        """Return the calls that the source itself counted."""
        return self._source.known_calls(to_ns(window.start), to_ns(window.end), until=self._until())

    def newest(self) -> int | None:
        """Return the start of the newest span of the last day in ns since the epoch, or None when there is none."""
        with self._lock:
            known = self._newest
        if known is None or known[0] < time.monotonic():
            known = time.monotonic() + _KEPT_SECONDS / 4, self._look_for_newest()
            with self._lock:
                self._newest = known
        return known[1]

    def checks(self) -> Sequence[Check]:
        """Look at the source and say how it is, and how far behind its newest span."""
        found = list(self._source.checks(until=self._until()))
        if not all(check.ok for check in found):
            return found
        newest_at = self._look_for_newest()
        advice = f"see that applications send spans, and that what stores them in {self._source.name} keeps up"
        if newest_at is None:
            return [*found, Check("spans", ok=False, detail="none in the last 24 hours", do=advice)]
        lag = lag_of(from_ns(newest_at)) or 0.0
        fresh = lag <= STALE_SECONDS
        detail = f"the newest is {lag:.1f} s old, of {rfc3339(from_ns(newest_at))}"
        return [*found, Check("lag", ok=fresh, detail=detail, do="" if fresh else advice)]

    def _fetched(self, scope: Scope) -> "_Kept":
        """Return the traces of a scope, of late or anew."""
        periods, now = _periods(scope), time.monotonic()
        with self._lock:
            self._kept = {key: kept for key, kept in self._kept.items() if kept.until > now}
            known = self._kept.get(periods)
        if known is None:
            known = self._fetch(periods)
            with self._lock:
                self._kept = dict([*self._kept.items(), (periods, known)][-_KEPT:])
        return known

    def _fetch(self, periods: Sequence[Piece]) -> "_Kept":
        until = self._until()
        source = self._source

        def find(start: int, end: int, *, begins: bool) -> Found:
            return source.find(ANY, start, end, self._page, until=until, begins=begins)

        sampled = sample(find, partial(self._find_few, until), periods, self._most, source.at_once)
        read = self._rows(list(sampled.ids), _flatten(sampled), until)
        rows = sampled.inside(read)
        counted = source.count(periods, until=until) if sampled.every > 1 else None
        gaps = (*self._unread(sampled.ids, read), *(self._unseen(counted, rows) if counted else ()))
        total = counted.spans if counted else None
        return _Kept(time.monotonic() + _KEPT_SECONDS, Fetched(rows), sampled, total, gaps)

    def _unread(self, ids: Iterable[str], rows: Sequence[Row]) -> tuple[str, ...]:
        """Return in words how many traces were found, and could then not be read."""
        lost = len(set(ids) - {row["TraceId"] for row in rows})
        gone = (
            f"{lost:,} traces that {self._source.name} found are left out: it no longer has them, or they are too large"
        )
        return (gone,) if lost else ()

    def _unseen(self, counted: Counted, rows: Sequence[Row]) -> tuple[str, ...]:
        """Return in words which services have failed spans, by the count of all, and none in the sample."""
        seen = {row["ServiceName"] for row in rows if row["StatusCode"] == "Error"}
        missed = sorted((-many, name) for name, many in counted.failed.items() if many and name not in seen)
        told = ", ".join(f"{name} ({-less:,})" for less, name in missed[:_MISSED])
        more = f" and {len(missed) - _MISSED} more" if len(missed) > _MISSED else ""
        words = f"{self._source.name} counts failed spans that the sample has none of: {told}{more}; search_traces with"
        return (f"{words} errors_only finds them",) if missed else ()

    def _rows(self, ids: Sequence[str], known: Sequence[Row], until: float) -> Sequence[Row]:
        """Return the spans of traces, fetching those that a search did not give."""
        wanted = set(ids)
        have = {row["TraceId"] for row in known}
        missing = [name for name in ids if name not in have]
        fetched = self._source.fetch(missing, until=until) if missing else []
        return [*(row for row in known if row["TraceId"] in wanted), *fetched]

    def _matching(self, kept: Sampled, search: Search, window: Piece, limit: int, until: float) -> int:
        """Return how many traces really match, once there are enough that may."""
        if len(kept.ids) < limit:
            return 0
        have = kept.rows.keys()
        if missing := [name for name in kept.ids if name not in have]:
            for row in self._source.fetch(missing, until=until):
                kept.rows.setdefault(row["TraceId"], []).append(row)
        fetched = Fetched(_flatten(kept))
        return fetched.search(search, window_of(*window), None, limit, "", None).traces

    def _look_for_newest(self) -> int | None:
        now, until = to_ns(datetime.now(UTC)), self._until()
        for back in _RECENT:
            window = now - int(back.total_seconds()) * 10**9, now
            kept, _ = newest(partial(self._find_few, until), window, lambda _, kept: bool(kept.ids))
            starts = [row["Timestamp"] for row in self._rows(list(kept.ids), _flatten(kept), until)]
            if starts:
                return max((at for at in starts if at <= now), default=None)
        return None

    def _find_few(self, until: float, start: int, end: int) -> Found:
        return self._source.find(ANY, start, end, _FEW, until=until)

    def _until(self) -> float:
        return time.monotonic() + self._seconds


class AskedTraces(RemoteTraces):
    """A source that has a query language of its own besides, in which it can be asked."""

    def __init__(self, source: Source, native: Native, *, most: int, page: int, seconds: float) -> None:
        super().__init__(source, most=most, page=page, seconds=seconds)
        self.native = native


@dataclass(frozen=True)
class _Kept:
    """The traces of a question, until when they are kept, how many spans there are in all, and what is missing."""

    until: float
    fetched: Fetched
    sampled: Sampled
    total: int | None
    gaps: tuple[str, ...]


def _periods(scope: Scope) -> tuple[Piece, ...]:
    pieces = {(to_ns(window.start), to_ns(window.end)) for window in (scope.baseline, scope.window)}
    return tuple(sorted(pieces))


def _flatten(sampled: Sampled) -> list[Row]:
    return [row for rows in sampled.rows.values() for row in rows]
