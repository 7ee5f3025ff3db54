"""What there is in all, and how the sources are: counted now and then, for the words "out of how many" and for checks.

A count looks at most at `MOST_LISTED` objects of a source and is kept for a minute; it decides nothing about which
objects a question reads.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from midwatch_byo.cache import ObjectCache
from midwatch_byo.layout import Layout, Partition
from midwatch_byo.manifest import fits
from midwatch_byo.mapping import Source
from midwatch_byo.places import Place, StoredObject
from midwatch_kit import Check, KitError, rfc3339
from midwatch_kit.logs import ns_of, time_of

MOST_LISTED: Final = 20_000
_KEPT_SECONDS: Final = 60.0
_STALE_SECONDS: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class Totals:
    """Objects and bytes of all sources, written with a `+` where there are more than were looked at."""

    objects: str
    bytes: str


@dataclass(frozen=True, slots=True)
class _Listed:
    fitting: tuple[tuple[StoredObject, Partition], ...]
    strangers: int
    cut: bool


class Census:
    """Counts of every source."""

    def __init__(self, sources: Mapping[str, Source], places: Mapping[str, Place]) -> None:
        self._sources = sources
        self._places = places
        self._lock = threading.Lock()
        self._counted: tuple[float, Totals] | None = None

    def totals(self) -> Totals:
        """Return how much there is in all, as of at most a minute ago."""
        with self._lock:
            if self._counted is None or time.monotonic() - self._counted[0] > _KEPT_SECONDS:
                self._counted = (time.monotonic(), self._count())
            return self._counted[1]

    def checks(self, cache: ObjectCache) -> list[Check]:
        """Look at each source: can it be listed, do names fit the layout, can its newest object be read."""
        return [check for name in self._sources for check in self._check(name, cache)]

    def _count(self) -> Totals:
        found = [self._list(name) for name in self._sources]
        more = "+" if any(listed.cut for listed in found) else ""
        sizes = [listed.size for source in found for listed, _ in source.fitting]
        return Totals(f"{len(sizes)}{more}", f"{sum(sizes)}{more}")

    def _list(self, name: str) -> _Listed:
        source = self._sources[name]
        layout = Layout(source.layout)
        listed = list(islice(self._places[name].objects(""), MOST_LISTED + 1))
        read = [(found, fits(source, layout, found)) for found in listed]
        fitting = tuple((found, partition) for found, partition in read if partition)
        return _Listed(fitting, len(listed) - len(fitting), len(listed) > MOST_LISTED)

    def _check(self, name: str, cache: ObjectCache) -> list[Check]:
        source = self._sources[name]
        try:
            listed = self._list(name)
        except KitError as error:
            return [Check(name, ok=False, detail=str(error), do="see to that, then check again")]
        size = sum(found.size for found, _ in listed.fitting) / 2**20
        more = "+" if listed.cut else ""
        detail = f"{source.location}: {len(listed.fitting)}{more} objects, {size:.1f}{more} MiB{_span(listed)}"
        strangers = f"; {listed.strangers} objects are not of this source (name, layout or empty)"
        found = Check(
            name,
            ok=bool(listed.fitting),
            detail=detail + (strangers if listed.strangers else ""),
            do="" if listed.fitting else f"compare layout {source.layout!r} and files {source.files!r} with a key",
        )
        if not listed.fitting:
            return [found]
        return [found, *self._check_newest(name, listed, cache), *_strays(source, listed, cache)]

    def _check_newest(self, name: str, listed: _Listed, cache: ObjectCache) -> list[Check]:
        newest, _ = max(
            listed.fitting, key=lambda pair: (pair[1].start or datetime.min.replace(tzinfo=UTC), pair[0].modified)
        )
        try:
            (kept,) = cache.read([newest], self._sources, self._places)
        except KitError as error:
            return [Check(f"{name} newest object", ok=False, detail=str(error), do="see to that, then check again")]
        parsed = kept.parsed
        if parsed.last_ns is None:
            why = parsed.fault or f"{parsed.unreadable} lines, none of which can be read"
            advice = "compare format, pattern, fields and time_format in the mapping with a line of it"
            return [Check(f"{name} newest object", ok=False, detail=f"{newest.key}: {why}", do=advice)]
        lag = (ns_of(datetime.now(UTC)) - parsed.last_ns) / 1e9
        fresh = lag < _STALE_SECONDS
        odd = f", {parsed.giant} cut for length, {parsed.undecodable} with bytes that are not text"
        detail = f"{newest.key}: {parsed.lines} lines, {parsed.unreadable} unreadable{odd}"
        advice = "" if fresh else "see whether logs still arrive there"
        late = f"newest line is {lag:.0f} s old ({rfc3339(time_of(parsed.last_ns))})"
        return [
            Check(f"{name} newest object", ok=True, detail=detail),
            Check(f"{name} lag", ok=fresh, detail=late, do=advice),
        ]


def _span(listed: _Listed) -> str:
    starts = [partition.start for _, partition in listed.fitting if partition.start]
    ends = [partition.end for _, partition in listed.fitting if partition.end]
    return f", partitions from {rfc3339(min(starts))} to {rfc3339(max(ends))}" if starts and ends else ""


def _strays(source: Source, listed: _Listed, cache: ObjectCache) -> list[Check]:
    """A complaint when objects that were read hold lines outside their partition, which a window may then miss."""
    strays = 0
    for found, partition in listed.fitting:
        parsed = cache.known(found, source)
        if not (parsed and parsed.first_ns and parsed.last_ns and partition.start and partition.end):
            continue
        first, last = time_of(parsed.first_ns), time_of(parsed.last_ns)
        strays += first < partition.start - source.slack or last >= partition.end + source.slack
    if not strays:
        return []
    detail = f"{strays} objects hold lines outside their partition, which a window may miss"
    return [Check(f"{source.name} partitions", ok=False, detail=detail, do="set slack in the mapping (such as PT10M)")]
