"""Grafana Tempo as a source of traces: TraceQL searches for ids, each trace by its id, TraceQL metrics for counts.

A search gives any of what matches unless it is asked for the most recent, so it always is. It takes whole seconds only;
what it says of each trace's beginning and length makes that finer. A fresh span can be read by id at once, and is found
by a search only seconds later.
"""

import re
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from midwatch_kit import BackendDown, BadInput, Check
from midwatch_kit.http import bearer
from midwatch_kit.parallel import Threads
from midwatch_traces.backend import KnownCalls, Search
from midwatch_traces.backends.api import JsonApi, Missing, Parameters
from midwatch_traces.backends.fetched import Row
from midwatch_traces.backends.otlp import labels, rows_of, trace_hex
from midwatch_traces.backends.remote import AskedTraces
from midwatch_traces.backends.sampling import Counted, Found, Piece
from midwatch_traces.backends.tempo_api import SECOND, SERVICES, asked, items, seconds, span_of
from midwatch_traces.backends.tempo_queries import TempoQueries
from midwatch_traces.backends.traceql import quoted, spans_of
from midwatch_traces.settings import TracesSettings

_PAGE: Final = 100
_AT_ONCE: Final = 8
_NARROW_SECONDS: Final = 2
_MOST_OF_NARROW: Final = 5_000
"""Traces that are asked for where a search can't be made any narrower, as it takes whole seconds."""
_AROUND_SECONDS: Final = 1_800
"""A trace is read from the blocks of so long before and after it: spans that came later are in later blocks."""
_MOST_KNOWN: Final = 50_000
_METRICS_SECONDS: Final = 3 * 3_600
"""Tempo gives metrics of no more than this at once, unless it is configured otherwise."""
_TOO_LARGE: Final = re.compile("exceeds max|too large", re.IGNORECASE)
_PERMISSION: Final = (
    "give it MIDWATCH_TEMPO_TOKEN, or MIDWATCH_TEMPO_USERNAME and MIDWATCH_TEMPO_PASSWORD, that may read traces "
    "(traces:read in Grafana Cloud), and its tenant in MIDWATCH_TEMPO_TENANT if it has several"
)
_METRICS_OFF: Final = "totals of samples are guesses"
_TURN_ON: Final = "turn on the local-blocks processor of Tempo's metrics generator, if you want them exact"


def tempo(settings: TracesSettings) -> AskedTraces:
    """Return the backend that the settings name."""
    tenant = {"X-Scope-OrgID": settings.tempo_tenant} if settings.tempo_tenant else {}
    password = settings.tempo_password
    api = JsonApi(
        "tempo",
        str(settings.tempo_url),
        permission=_PERMISSION,
        headers={"Accept": "application/json", **tenant, **bearer(settings.tempo_token)},
        login=(settings.tempo_username, password.get_secret_value()) if password else None,
        at_once=_AT_ONCE,
    )
    only, limit = settings.tempo_filter.strip(), settings.deadline_seconds * 0.9
    native = TempoQueries(api, only, limit)
    return AskedTraces(Tempo(api, only), native, most=settings.traces_most, page=_PAGE, seconds=limit)


class Tempo:
    """Traces of one Tempo, or of one tenant of it; of those with a span that meets `only`, a condition in TraceQL."""

    name = "tempo"
    at_once = _AT_ONCE

    def __init__(self, api: JsonApi, only: str = "") -> None:
        self._api, self._only = api, only
        self._lock = threading.Lock()
        self._v2: bool | None = None
        self._seen: dict[str, Piece] = {}

    def find(self, search: Search, start: int, end: int, most: int, *, until: float, begins: bool = False) -> Found:
        """Return ids of traces that lie in `[start, end)` or, with `begins`, that begin there."""
        bounds = seconds(start, end)
        narrow = bounds["end"] - bounds["start"] <= _NARROW_SECONDS
        most = max(most, _MOST_OF_NARROW) if narrow else most
        query = f"{spans_of(search, self._only)} with (most_recent=true)"
        traces = self._search(query, {"limit": most, **bounds}, until)
        if narrow and len(traces) >= most:
            raise BadInput(
                f"tempo has more than {most:,} traces in {_NARROW_SECONDS} seconds, too many to take an even sample: "
                "search for one service, or let MIDWATCH_TEMPO_FILTER name a part of the system"
            )
        inside = [name for name, span in traces.items() if span is None or _is_meant(span, start, end, begins=begins)]
        return Found(inside, len(traces) >= most)

    def fetch(self, ids: Sequence[str], *, until: float) -> Sequence[Row]:
        """Return all spans of some traces."""
        with Threads(self.at_once) as threads:
            return [row for rows in threads.map(lambda name: self._trace(name, until), ids) for row in rows]

    def describe(self, search: Search, start: int, end: int) -> str:
        """Return the TraceQL of a search, with its bounds."""
        bounds = seconds(start, end)
        return f"{spans_of(search, self._only)} start={bounds['start']} end={bounds['end']}"

    def count(self, pieces: Sequence[Piece], *, until: float) -> Counted | None:
        """Return how many spans started in pieces of time, by TraceQL metrics; None where these are not on."""
        if self._only:
            return None  # whole traces are read, of which a condition may count only some spans
        try:
            return self._count(pieces, until)
        except (Missing, BadInput, BackendDown):
            return None  # the sample is there all the same; `checks` tells that these are not

    def services(self, start: int, end: int, *, until: float) -> Sequence[str]:
        """Return the services that sent spans then."""
        told: Parameters = {**seconds(start, end), **({"q": f"{{ {self._only} }}"} if self._only else {})}
        said = asked(self._api, SERVICES, told, until)
        return [str(one["value"]) for one in items(said, "tagValues") if one.get("value")]

    def known_calls(self, _: int, __: int, *, until: float) -> Sequence[KnownCalls]:
        """Return nothing: Tempo's service graph is in metrics that it writes to a Prometheus."""
        return []

    def followers(self, trace_id: str, start: int, end: int, most: int, *, until: float) -> Sequence[Row]:
        """Return spans that link to a trace; an older Tempo does not know links, and gives none."""
        query = f"{{ link:traceID = {quoted(trace_hex(trace_id))} }}"
        try:
            traces = self._search(query, {"limit": most, **seconds(start, end)}, until)
        except BadInput:
            return []
        return self.fetch([*traces], until=until)

    def checks(self, *, until: float) -> Sequence[Check]:
        """Ask for each thing that the tools ask for."""
        now = int(time.time()) * SECOND
        recent = now - 3_600 * SECOND, now
        try:
            services = self.services(*recent, until=until)
        except (BackendDown, BadInput) as error:
            return [Check("tempo", ok=False, detail=str(error), do="correct MIDWATCH_TEMPO_URL, or start Tempo")]
        detail = f"{self._api.place}, {self._version(until)}, {len(services)} services in the last hour"
        return [Check("tempo", ok=True, detail=detail), *self._may(recent, until)]

    def _may(self, recent: Piece, until: float) -> Iterator[Check]:
        late = "it finds a span some seconds after Tempo got it"
        try:
            traces = self._search(f"{spans_of(Search(), self._only)} with (most_recent=true)", seconds(*recent), until)
            yield Check("tempo search", ok=True, detail=f"GET /api/search is allowed; {late}")
            if traces:
                self.fetch([next(iter(traces))], until=until)
                path = "/api/v2/traces" if self._v2 else "/api/traces"
                yield Check("tempo trace", ok=True, detail=f"GET {path} is allowed")
        except (BackendDown, BadInput) as error:
            yield Check("tempo search", ok=False, detail=str(error), do=_PERMISSION)
        yield self._counts(recent, until)

    def _counts(self, recent: Piece, until: float) -> Check:
        """Say whether there are TraceQL metrics, without which all works but for exact totals of samples."""
        name = "tempo metrics"
        if self._only:
            return Check(name, ok=True, detail=f"not asked, because of MIDWATCH_TEMPO_FILTER: {_METRICS_OFF}")
        try:
            spans = self._count([recent], until).spans
        except Missing:
            return Check(
                name, ok=True, detail=f"this Tempo has none: {_METRICS_OFF}", do="update Tempo to 2.4 or later"
            )
        except (BackendDown, BadInput) as error:
            off = "localblocks" in str(error)
            told = "TraceQL metrics are off" if off else f"TraceQL metrics fail ({error})"
            return Check(name, ok=True, detail=f"{told}: {_METRICS_OFF}", do=_TURN_ON if off else "")
        return Check(name, ok=True, detail=f"TraceQL metrics are on, and count {spans:,} spans in the last hour")

    def _version(self, until: float) -> str:
        try:
            said = self._api.get("/api/status/buildinfo", until=until)
        except (Missing, BackendDown, BadInput):
            said = None
        version = said.get("version") if isinstance(said, Mapping) else None
        return f"version {version}" if version else "it doesn't tell its version"

    def _search(self, query: str, told: Mapping[str, int], until: float) -> dict[str, Piece | None]:
        """Return traces by their ids, each with its beginning and end in ns, as far as Tempo says."""
        said = asked(self._api, "/api/search", {"q": query, "spss": 1, **told}, until)
        traces = {trace_hex(str(one["traceID"])): span_of(one) for one in items(said, "traces") if one.get("traceID")}
        with self._lock:
            if len(self._seen) > _MOST_KNOWN:
                self._seen.clear()
            self._seen.update({name: span for name, span in traces.items() if span})
        return traces

    def _trace(self, name: str, until: float) -> list[Row]:
        """Return the spans of a trace, none where Tempo says that it has no such trace, or that it is too large."""
        with self._lock:
            span, known = self._seen.get(name), self._v2
        told = seconds(span[0], span[1], _AROUND_SECONDS) if span else {}
        for version in ("/v2", "") if known is None else ("/v2",) if known else ("",):
            try:
                said = self._api.get(f"/api{version}/traces/{quote(name, safe='')}", told, until=until)
            except Missing:
                continue
            except (BackendDown, BadInput) as error:
                if _TOO_LARGE.search(str(error)):
                    return []
                raise
            with self._lock:
                self._v2 = bool(version)
            return list(rows_of(said))
        return []

    def _count(self, pieces: Iterable[Piece], until: float) -> Counted:
        spans, failed = 0, Counter[str]()
        for start, end in _cut(pieces):
            for series in self._series(start, end, until):
                many = int(float(series.get("value") or 0)) + sum(
                    int(float(sample.get("value") or 0)) for sample in items(series, "samples")
                )
                said = labels(items(series, "labels"))
                spans += many
                if said.get("status") == "error":
                    failed[said.get("resource.service.name", "")] += many
        return Counted(spans, failed)

    def _series(self, start: int, end: int, until: float) -> Sequence[Mapping[str, Any]]:
        """Return counts by service and status: in one figure each, or an older Tempo's in one for each second."""
        told: Parameters = {"q": "{ } | count_over_time() by (resource.service.name, status)"}
        try:
            said = self._api.get("/api/metrics/query", {**told, "start": start, "end": end}, until=until)
        except Missing:
            told = {**told, **seconds(start, end), "step": "1s"}
            said = self._api.get("/api/metrics/query_range", told, until=until)
        return items(said, "series")


def _cut(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Yield pieces of time, none longer than Tempo gives metrics of."""
    for start, end in pieces:
        for begin in range(start, end, _METRICS_SECONDS * SECOND):
            yield begin, min(end, begin + _METRICS_SECONDS * SECOND)


def _is_meant(span: Piece, start: int, end: int, *, begins: bool) -> bool:
    return start <= span[0] < end if begins else span[0] < end and span[1] >= start
