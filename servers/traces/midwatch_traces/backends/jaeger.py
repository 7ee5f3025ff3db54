"""Jaeger's query service as a source of traces: its v3 API where it is there, and the API of its own page.

Jaeger searches by service only, so a question about all of them is asked of each. v3 gives nanoseconds and knows
resources, but can't search by tags: failed spans and attributes are searched for by the older API, which all have.
"""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

from midwatch_kit import BackendDown, BadInput, Check, rfc3339
from midwatch_kit.http import bearer
from midwatch_kit.parallel import Threads
from midwatch_store import from_ns
from midwatch_traces.backend import KnownCalls, Search
from midwatch_traces.backends.api import JsonApi, Missing, Parameters
from midwatch_traces.backends.fetched import Row
from midwatch_traces.backends.otlp import rows_of, trace_hex
from midwatch_traces.backends.remote import RemoteTraces
from midwatch_traces.backends.sampling import Counted, Found, Piece
from midwatch_traces.settings import TracesSettings

_PAGE: Final = 100
_AT_ONCE: Final = 8
_LIST_SECONDS: Final = 60.0
_MOST_OPERATIONS: Final = 10
"""With more operations that match a text than this, all of the service's traces are asked for and looked through."""
_SEEN_OFTEN: Final = 20
_PERMISSION: Final = (
    "give it a token in MIDWATCH_JAEGER_TOKEN or MIDWATCH_JAEGER_TOKEN_FILE that may GET /api/services, /api/traces, "
    "/api/dependencies and /api/v3 there"
)
_VERSION: Final = re.compile(r'"gitVersion"\s*:\s*"([^"]{1,40})"')


def jaeger(settings: TracesSettings) -> RemoteTraces:
    """Return the backend that the settings name."""
    api = JsonApi(
        "jaeger",
        str(settings.jaeger_url),
        permission=_PERMISSION,
        headers=bearer(settings.jaeger_token),
        at_once=_AT_ONCE,
    )
    return RemoteTraces(Jaeger(api), most=settings.traces_most, page=_PAGE, seconds=settings.deadline_seconds * 0.9)


class Jaeger:
    """Traces of one Jaeger. What it lists (services, operations) is asked for once a minute."""

    name = "jaeger"
    at_once = _AT_ONCE

    def __init__(self, api: JsonApi) -> None:
        self._api = api
        self._lock = threading.Lock()
        self._listed: dict[str, tuple[float, Any]] = {}
        self._seen: Counter[str] = Counter()
        self._beginning: set[str] = set()

    def find(self, search: Search, start: int, end: int, most: int, *, until: float, begins: bool = False) -> Found:
        """Return traces of each service that is asked for, and whether one of them may have more."""
        known = self._services(until)
        asked = [search.service] if search.service else self._worth_asking(known) if begins else known
        wanted = [
            replace(search, service=name, operation=operation, instance="", attributes={**search.attributes, **tag})
            for name in asked
            for operation in self._operations(name, search, until)
            for tag in _instance_tags(search.instance)
        ]

        def one(exact: Search) -> tuple[list[Row], int]:
            rows = list(self._search(exact, (start, end), most, until))
            return rows, len({row["TraceId"] for row in rows})

        with Threads(self.at_once) as threads:
            answers = list(threads.map(one, wanted)) if len(wanted) > 1 else [one(exact) for exact in wanted]
        once = {(row["TraceId"], row["SpanId"]): row for rows, _ in answers for row in rows}
        self._learn(once.values())
        ids = list(dict.fromkeys(trace for trace, _ in once))
        return Found(ids, any(count >= most for _, count in answers), list(once.values()))

    def fetch(self, ids: Sequence[str], *, until: float) -> Sequence[Row]:
        """Return all spans of some traces."""
        with Threads(self.at_once) as threads:
            return [row for rows in threads.map(lambda name: self._trace(name, until), ids) for row in rows]

    def describe(self, search: Search, start: int, end: int) -> str:
        """Return the address of a search, as Jaeger's own page makes it."""
        named = replace(search, service=search.service or "*")
        told = _parameters(named, (start, end), 0)
        told.pop("limit")
        told |= {"instance": search.instance} if search.instance else {}
        return "/api/traces?" + "&".join(f"{name}={value}" for name, value in told.items())

    def count(self, _: Sequence[Piece], *, until: float) -> Counted | None:
        """Return None: Jaeger can't count."""
        return None

    def services(self, _: int, __: int, *, until: float) -> Sequence[str]:
        """Return the services that Jaeger lists, whenever they sent spans."""
        return self._services(until)

    def known_calls(self, start: int, end: int, *, until: float) -> Sequence[KnownCalls]:
        """Return the dependencies that Jaeger has: of a day or so where a job counts them, else of what it holds."""
        told: Parameters = {"endTs": end // 10**6, "lookback": max(1, (end - start) // 10**6)}
        try:
            said = self._api.get("/api/dependencies", told, until=until)
        except (Missing, BadInput, BackendDown):
            return []  # what the spans say is there all the same; `checks` tells that this is not
        return [
            KnownCalls(str(one["parent"]), str(one["child"]), int(one.get("callCount") or 0), self.name)
            for one in _data(said)
            if isinstance(one, dict) and one.get("parent") and one.get("child")
        ]

    def followers(self, _: str, __: int, ___: int, ____: int, *, until: float) -> Sequence[Row]:
        """Return nothing: Jaeger can't look for spans by what they link to."""
        return []

    def checks(self, *, until: float) -> Sequence[Check]:
        """Ask for each thing that the tools ask for."""
        names: Sequence[str] = []
        try:
            names = self._services(until)
            version = _VERSION.search(self._api.text("/", until=until))
        except Missing:
            version = None
        except (BackendDown, BadInput) as error:
            return [Check("jaeger", ok=False, detail=str(error), do="correct MIDWATCH_JAEGER_URL, or start Jaeger")]
        told = f"version {version[1]}" if version else "it doesn't tell its version"
        api = "v3 API" if self._has_v3(until) else "API of its page (no v3)"
        found = [Check("jaeger", ok=True, detail=f"{self._api.place}, {told}, {api}, {len(names)} services")]
        if not names:
            return [*found, Check("jaeger services", ok=False, detail="none yet", do="send it spans over OTLP")]
        return [*found, *self._may(names[0], until)]

    def _may(self, service: str, until: float) -> Iterator[Check]:
        now = int(time.time())
        asked: dict[str, tuple[str, Parameters]] = {
            "search": ("/api/traces", {"service": service, "limit": 1, "start": (now - 3600) * 10**6}),
            "dependencies": ("/api/dependencies", {"endTs": now * 1000, "lookback": 3_600_000}),
        }
        for name, (path, told) in asked.items():
            try:
                self._api.get(path, told, until=until)
                yield Check(f"jaeger {name}", ok=True, detail=f"GET {path} is allowed")
            except Missing:
                yield Check(f"jaeger {name}", ok=False, detail=f"GET {path} is not there", do="expose it at this URL")
            except (BackendDown, BadInput) as error:
                yield Check(f"jaeger {name}", ok=False, detail=str(error), do=_PERMISSION)

    def _search(self, search: Search, piece: Piece, most: int, until: float) -> Iterator[Row]:
        by_tags = search.errors or search.attributes
        try:
            if not by_tags and self._has_v3(until):
                told = _parameters_v3(search, piece, most)
                yield from rows_of(self._api.get("/api/v3/traces", told, until=until))
            else:
                told = _parameters(search, piece, most)
                yield from _old_rows(self._api.get("/api/traces", told, until=until))
        except Missing:
            return  # v3 says so where nothing was found

    def _trace(self, name: str, until: float) -> list[Row]:
        try:
            if self._has_v3(until):
                return list(rows_of(self._api.get(f"/api/v3/traces/{quote(name, safe='')}", until=until)))
            return list(_old_rows(self._api.get(f"/api/traces/{quote(name, safe='')}", until=until)))
        except Missing:
            return []

    def _services(self, until: float) -> list[str]:
        path = "/api/v3/services" if self._has_v3(until) else "/api/services"
        said = self._list(path, until)
        names = said.get("services") if path.startswith("/api/v3") else said.get("data")
        return sorted(str(name) for name in names or [])

    def _operations(self, service: str, search: Search, until: float) -> Sequence[str]:
        """Return the operations to ask for one by one, '' for all of them, or nothing where none matches."""
        if not search.operation:
            return [""]
        said = self._list(f"/api/services/{quote(service, safe='')}/operations", until)
        names = [str(name) for name in _data(said)]
        matching = [name for name in names if search.operation.lower() in name.lower()]
        return [""] if len(matching) > _MOST_OPERATIONS else matching

    def _has_v3(self, until: float) -> bool:
        """Whether the v3 API is there; a page that answers any path is none."""
        with self._lock:
            known = self._listed.get("v3")
        if known is None:
            try:
                there = "services" in self._api.get("/api/v3/services", until=until)
            except Missing:
                there = False
            except BackendDown as error:
                if "no JSON" not in str(error):
                    raise
                there = False
            known = (float("inf"), there)
            with self._lock:
                self._listed["v3"] = known
        return bool(known[1])

    def _list(self, path: str, until: float) -> Any:
        with self._lock:
            known = self._listed.get(path)
        if known is None or known[0] < time.monotonic():
            try:
                said = self._api.get(path, until=until)
            except Missing:
                raise BackendDown(
                    f"jaeger at {self._api.place} has no {path}: is MIDWATCH_JAEGER_URL the query service's, with its "
                    "base path?"
                ) from None
            known = (time.monotonic() + _LIST_SECONDS, said if isinstance(said, Mapping) else {})
            with self._lock:
                self._listed[path] = known
        return known[1]

    def _learn(self, rows: Iterable[Row]) -> None:
        """Remember in which services traces begin."""
        first: dict[str, Row] = {}
        through: dict[str, set[str]] = {}
        for row in rows:
            trace = row["TraceId"]
            through.setdefault(trace, set()).add(row["ServiceName"])
            if trace not in first or row["Timestamp"] < first[trace]["Timestamp"]:
                first[trace] = row
        with self._lock:
            self._beginning |= {row["ServiceName"] for row in first.values()}
            self._seen.update(name for names in through.values() for name in names)

    def _worth_asking(self, known: Sequence[str]) -> Sequence[str]:
        """Return the services in which traces begin: one that was in many, and began none, is only ever called."""
        with self._lock:
            return [name for name in known if name in self._beginning or self._seen[name] < _SEEN_OFTEN] or known


def _instance_tags(instance: str) -> Sequence[Mapping[str, str]]:
    return [{name: instance} for name in ("service.instance.id", "k8s.pod.name")] if instance else [{}]


def _parameters(search: Search, piece: Piece, most: int) -> dict[str, str | int]:
    tags = {**search.attributes, **({"error": "true"} if search.errors else {})}
    told: dict[str, str | int] = {"service": search.service, "limit": most}
    told |= {"start": piece[0] // 1000, "end": -(-piece[1] // 1000) - 1}
    told |= {"operation": search.operation} if search.operation else {}
    told |= {"minDuration": f"{int(search.least_ms * 1000)}us"} if search.least_ms else {}
    return told | ({"tags": json.dumps(tags)} if tags else {})


def _parameters_v3(search: Search, piece: Piece, most: int) -> dict[str, str | int]:
    told: dict[str, str | int] = {
        "query.service_name": search.service,
        "query.start_time_min": rfc3339(from_ns(piece[0])),
        "query.start_time_max": rfc3339(from_ns(piece[1])),
        "query.num_traces": most,
        "query.search_depth": most,  # its name since 2.3
        "query.raw_traces": "true",  # else Jaeger shifts times where it thinks that clocks are off, and does not say so
    }
    told |= {"query.operation_name": search.operation} if search.operation else {}
    return told | ({"query.duration_min": f"{search.least_ms / 1000:.6f}s"} if search.least_ms else {})


def _data(said: Any) -> list[Any]:
    found = said.get("data") if isinstance(said, Mapping) else None
    return found if isinstance(found, list) else []


def _old_rows(said: Any) -> Iterator[Row]:
    """Yield the spans of the older API's answer: times in microseconds, tags of the process beside those of spans."""
    for trace in _data(said):
        processes = {
            name: (str(process.get("serviceName") or ""), _tags(process.get("tags")))
            for name, process in (trace.get("processes") or {}).items()
        }
        for span in trace.get("spans") or []:
            yield _old_row(span, *processes.get(str(span.get("processID")), ("", {})))


def _old_row(span: Mapping[str, Any], service: str, resource: Mapping[str, str]) -> Row:
    tags = _tags(span.get("tags"))
    trace, references = trace_hex(str(span["traceID"])), span.get("references") or []
    pairs = [(trace_hex(str(one.get("traceID"))), str(one.get("spanID")), one.get("refType")) for one in references]
    parents = [name for of, name, kind in pairs if of == trace and kind == "CHILD_OF"]
    failed = tags.get("error") == "true" or tags.get("otel.status_code") == "ERROR"
    kind = tags.pop("span.kind", "internal")
    return Row(
        Timestamp=int(span["startTime"]) * 1000,
        TraceId=trace,
        SpanId=str(span["spanID"]),
        ParentSpanId=(parents or [name for of, name, _ in pairs if of == trace] or [""])[0],
        SpanName=str(span.get("operationName") or ""),
        SpanKind=kind.capitalize() if kind in _KINDS else "Internal",
        ServiceName=service,
        ResourceAttributes={"service.name": service, **resource},
        SpanAttributes=tags,
        Duration=int(span.get("duration") or 0) * 1000,
        StatusCode="Error" if failed else tags.get("otel.status_code", "unset").capitalize(),
        StatusMessage=tags.get("otel.status_description", ""),
        Events=[_event(log) for log in span.get("logs") or []],
        Links=[(of, name) for of, name, _ in pairs if name not in parents[:1]],
    )


_KINDS: Final = frozenset({"server", "client", "producer", "consumer", "internal"})


def _event(log: Mapping[str, Any]) -> tuple[int, str, Mapping[str, str]]:
    fields = _tags(log.get("fields"))
    return int(log.get("timestamp") or 0) * 1000, fields.pop("event", ""), fields


def _tags(told: Any) -> dict[str, str]:
    return {str(tag["key"]): _text(tag.get("value")) for tag in told or [] if "key" in tag}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
