"""Several backends answering as one: each is asked, what they say is merged, and what failed is a gap that is told.

A trace that two of them hold is taken once. Only when all of them fail is there an error.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from midwatch_kit import Check, Window
from midwatch_kit.parallel import ask_each
from midwatch_traces.backend import (
    Failure,
    Follower,
    FoundTrace,
    FoundTraces,
    KnownCalls,
    Loaded,
    Scope,
    Search,
    Span,
    TraceBackend,
    TraceSummary,
)
from midwatch_traces.clocks import Apart
from midwatch_traces.spans import Spans, spans_from

_Said = TypeVar("_Said")


class SeveralTraces:
    """All of `backends`, by name; the store's mark of what is stored is the only one that there is."""

    def __init__(self, backends: Mapping[str, TraceBackend]) -> None:
        self._backends = backends

    def pin(self) -> int:
        """Return the mark of the backend that has one."""
        return max(self._ask(lambda backend: backend.pin())[0].values())

    def compare_clocks(self, window: Window, pin: int) -> Sequence[Apart]:
        """Return how clocks differ by what each backend holds."""
        said, _ = self._ask(lambda backend: backend.compare_clocks(window, pin))
        return [pair for pairs in said.values() for pair in pairs]

    def load(self, scope: Scope) -> Loaded:
        """Return the spans of all backends; a span that two of them hold is there once."""
        said, gaps = self._ask(lambda backend: backend.load(scope))
        parts = list(said.values())
        return Loaded(
            spans=joined([part.spans for part in parts]),
            query=_queries({name: part.query for name, part in said.items()}),
            total=sum(part.total for part in parts),
            every=max(part.every for part in parts),
            counted=all(part.counted for part in parts),
            gaps=(*gaps, *(gap for part in parts for gap in part.gaps)),
        )

    def failures(self, scope: Scope, spans: Sequence[int]) -> Mapping[int, Failure]:
        """Return what failed spans say of themselves, from whoever has them."""
        said, _ = self._ask(lambda backend: backend.failures(scope, spans))
        return {key: failure for part in said.values() for key, failure in part.items()}

    def search(
        self, search: Search, window: Window, pin: int, after: tuple[int, str] | None, limit: int
    ) -> FoundTraces:
        """Return the newest of what all backends found; counts are of all, those of other pages as well."""
        said, gaps = self._ask(lambda backend: backend.search(search, window, pin, after, limit))
        found = list(said.values())
        best: dict[str, TraceSummary] = {}
        twice: list[TraceSummary] = []
        for trace in (trace for part in found for trace in part.page):
            if (known := best.get(trace.trace_id)) is not None:
                twice.append(min(known, trace, key=lambda one: one.spans))
            if known is None or known.spans < trace.spans:
                best[trace.trace_id] = trace
        newest = sorted(best.values(), key=lambda trace: (-trace.first_match, trace.trace_id))
        return FoundTraces(
            page=tuple(newest[:limit]),
            traces=sum(part.traces for part in found) - len(twice),
            spans=sum(part.spans for part in found) - sum(trace.matching for trace in twice),
            query=_queries({name: part.query for name, part in said.items()}),
            since=max((part.since for part in found if part.since is not None), default=None),
            gaps=(*gaps, *(gap for part in found for gap in part.gaps)),
        )

    def trace(self, trace_id: str, window: Window, pin: int) -> FoundTrace:
        """Return the spans of a trace from all that have some of it."""
        said, _ = self._ask(lambda backend: backend.trace(trace_id, window, pin))
        holding = {name: found for name, found in said.items() if found.spans} or said
        spans: dict[str, Span] = {span.span_id: span for found in holding.values() for span in found.spans}
        inside = sorted(spans.values(), key=lambda span: (span.start, span.span_id))
        total = max(len(inside), *(found.total for found in holding.values()))
        return FoundTrace(inside, total, _queries({name: found.query for name, found in holding.items()}))

    def followers(self, trace_id: str, window: Window, pin: int, limit: int) -> Sequence[Follower]:
        """Return spans that link to this trace, each once, in order of time."""
        said, _ = self._ask(lambda backend: backend.followers(trace_id, window, pin, limit))
        once = {(one.trace_id, one.span_id): one for part in said.values() for one in part}
        return sorted(once.values(), key=lambda one: (one.start, one.trace_id))[:limit]

    def services(self, window: Window) -> Sequence[str]:
        """Return the services that any backend knows."""
        said, _ = self._ask(lambda backend: backend.services(window))
        return sorted({name for names in said.values() for name in names})

    def known_calls(self, window: Window) -> Sequence[KnownCalls]:
        """Return what the backends counted by themselves."""
        said, _ = self._ask(lambda backend: backend.known_calls(window))
        return [calls for part in said.values() for calls in part]

    def newest(self) -> int | None:
        """Return the start of the newest span of all."""
        said, _ = self._ask(lambda backend: backend.newest())
        return max((at for at in said.values() if at is not None), default=None)

    def checks(self) -> Sequence[Check]:
        """Look at every backend; each check says whose it is."""
        said, gaps = self._ask(lambda backend: backend.checks())
        found = [
            check if check.name.startswith(name) else replace(check, name=f"{name} {check.name}")
            for name, checks in said.items()
            for check in checks
        ]
        return [*found, *(Check("backend", ok=False, detail=gap) for gap in gaps)]

    def _ask(self, question: Callable[[TraceBackend], _Said]) -> tuple[Mapping[str, _Said], Sequence[str]]:
        """Return what each backend says, in their order, and in words which could not; raises if none could."""
        asked = ask_each(self._backends, lambda _, backend: question(backend)).by_some()
        return asked.said, [f"{name} is missing from this answer: {error}" for name, error in asked.silent.items()]


def joined(parts: Sequence[Spans]) -> Spans:
    """Return the spans of several backends as one; keys are hashes of ids and so agree."""
    places = {place: number for number, place in enumerate({place: None for part in parts for place in part.places})}
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("trace", "span", "parent", "start", "duration", "failed")
    }
    numbers = [np.array([places[place] for place in part.places], dtype=np.uint64)[part.place] for part in parts]
    links = tuple(np.concatenate([getattr(part, name) for part in parts]) for name in ("link_from", "link_to"))
    known = {number: place for place, number in places.items()}
    return spans_from({**columns, "place": np.concatenate(numbers)}, known, (links[0], links[1]))


def _queries(by_name: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {query}" for name, query in by_name.items())
