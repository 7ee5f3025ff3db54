"""Spans as columns: the one value that surveys and maps are computed from, whatever backend it came from.

Ids are 64-bit hashes of trace and span ids: joins run on integers, and the texts are fetched for the few spans that
are shown. Texts that repeat (service, instance, operation, peer) are kept once each, as places.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Keys: TypeAlias = NDArray[np.uint64]
Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

NO_PARENT = 0
MS = 1_000_000
"""Nanoseconds in a millisecond."""


@dataclass(frozen=True, slots=True)
class Place:
    """What many spans share: who made them, of which kind, and which peer they speak to ('' for none).

    `action` is what the span does to its peer: calls, reads, writes, sends_to or receives_from. `address` is the
    peer's host, with its port unless that is a usual one; `operation` is kept for requests only. `response` says of a
    call whether the caller got one: arrived, missing, or '' where the span doesn't tell.
    """

    service: str
    instance: str
    version: str
    kind: str
    operation: str
    queue: str
    database: str
    address: str
    action: str
    response: str


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """Spans in columns of equal length, each span once, sorted by `span`.

    `start` is in ns since the epoch (UTC), `duration` in ns; `parent` is `NO_PARENT` for roots, `place` an index into
    `places`. `link_from[i]` (a span) is linked to `link_to[i]` (one that may lie outside).
    """

    trace: Keys
    span: Keys
    parent: Keys
    start: Ints
    duration: Ints
    failed: Bools
    place: Ints
    places: tuple[Place, ...]
    link_from: Keys
    link_to: Keys

    def __len__(self) -> int:
        return len(self.span)

    def rows_of(self, spans: Keys) -> Ints:
        """Return the row of each span by its key, -1 for those that are not here."""
        if not len(self.span):
            return np.full(len(spans), -1, dtype=np.int64)
        row = np.minimum(np.searchsorted(self.span, spans), len(self.span) - 1)
        return np.where(self.span[row] == spans, row, -1).astype(np.int64)

    def is_kind(self, *kinds: str) -> Bools:
        """Return which spans are of one of these kinds."""
        return self.has("kind", *kinds)

    def has(self, field: str, *values: str) -> Bools:
        """Return which spans have one of these values in one field of their places."""
        return np.array([getattr(place, field) in values for place in self.places], dtype=np.bool_)[self.place]

    def coded(self, field: str) -> tuple[tuple[str, ...], Ints]:
        """Return the distinct values of one field of the places, sorted, and each span's code among them."""
        values = [str(getattr(place, field)) for place in self.places]
        names = sorted(set(values))
        number = {name: code for code, name in enumerate(names)}
        return tuple(names), np.array([number[value] for value in values], dtype=np.int64)[self.place]


def spans_from(columns: Mapping[str, NDArray[Any]], places: Mapping[int, Place], links: tuple[Keys, Keys]) -> Spans:
    """Return spans from a backend's columns (trace, span, parent, start, duration, failed, place as a key).

    A span that was exported twice is taken once.
    """
    key, order = np.unique(np.asarray(columns["span"], dtype=np.uint64), return_index=True)
    known = np.array(sorted(places), dtype=np.uint64)
    return Spans(
        trace=np.asarray(columns["trace"][order], dtype=np.uint64),
        span=key,
        parent=np.asarray(columns["parent"][order], dtype=np.uint64),
        start=np.asarray(columns["start"][order], dtype=np.int64),
        duration=np.maximum(np.asarray(columns["duration"][order], dtype=np.int64), 0),
        failed=np.asarray(columns["failed"][order], dtype=np.bool_),
        place=np.searchsorted(known, np.asarray(columns["place"][order], dtype=np.uint64)).astype(np.int64),
        places=tuple(places[int(name)] for name in known),
        link_from=links[0],
        link_to=links[1],
    )


_NOTHING = dict.fromkeys(("trace", "span", "parent", "start", "duration", "failed", "place"), np.empty(0))
NO_SPANS = spans_from(_NOTHING, {}, (np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.uint64)))
