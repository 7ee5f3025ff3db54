"""A Tempo that keeps spans in memory: its HTTP API, with the real one's manners; the TraceQL it reads is in traceql.

Times are strings, bounds whole seconds, ids of a search lack their leading zeros, those of a trace are base64; what it
cannot parse is a 400 in plain text. `/api/traces/ID` answers `batches`, `/api/v2/traces/ID` a `trace`. Without the hint
`most_recent` a search gives any of what matches. Written after what was seen on real servers, the pages of its API, and
modules/frontend/search_sharder.go of Tempo 2.8.
"""

from collections import Counter
from collections.abc import Callable, Collection
from typing import Any, Final, TypeVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from tests.backends.fakes.otlp import Row, in_base64, resource_spans
from tests.backends.fakes.traceql import Refused, label_of, read_counts, read_spans
from tests.backends.grammars import READ

Meaning = TypeVar("Meaning")
_SECOND: Final = 10**9
_LONGEST: Final = 168 * 3600
_MOST: Final = 262_144


class FakeTempo:
    """Spans given as rows of the store's table.

    `metrics` says whether TraceQL metrics are there ('instant', in an older one 'range' only, or 'off'), `v2` whether
    the API of 2.6 is; `headers` must come with each request; traces `too_large` are not given.
    """

    def __init__(
        self,
        rows: list[Row],
        *,
        metrics: str = "instant",
        v2: bool = True,
        headers: dict[str, str] | None = None,
        too_large: Collection[str] = (),
    ) -> None:
        self._headers, self._metrics, self._too_large = headers or {}, metrics, too_large
        self.traces: dict[str, list[Row]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        for row in rows:
            self.traces.setdefault(row["TraceId"], []).append(row)
        routes = [
            Route("/api/search", self._search),
            Route("/api/v2/search/tag/resource.service.name/values", self._services),
            Route("/api/status/buildinfo", lambda _: JSONResponse({"version": "2.8.2", "revision": "1"})),
            Route("/api/traces/{id}", self._get),
            Route("/api/metrics/query_range", self._range),
        ]
        routes += [Route("/api/v2/traces/{id}", self._get_v2)] if v2 else []
        routes += [Route("/api/metrics/query", self._instant)] if metrics != "range" else []
        self._routes = Starlette(routes=routes)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, if it has the headers that it must have."""
        request = Request(scope)
        if any(request.headers.get(name) != value for name, value in self._headers.items()):
            await PlainTextResponse("no org id", 401)(scope, receive, send)
            return
        self.asked.append((request.url.path, dict(request.query_params)))
        await self._routes(scope, receive, send)

    def _search(self, request: Request) -> Response:
        asked = request.query_params
        start, end, limit = int(asked["start"]), int(asked["end"]), int(asked.get("limit", "20"))
        if end - start > _LONGEST:
            words = f"range specified by start and end exceeds 168h0m0s. received start={start} end={end}"
            return PlainTextResponse(words, 400)
        if limit > _MOST:
            return PlainTextResponse(f"limit {limit} exceeds max limit {_MOST}", 400)
        try:
            test, hinted = _kept(read_spans, asked.get("q", "{}"))
        except Refused as error:
            return PlainTextResponse(f"invalid TraceQL query: {error}", 400)
        found = []
        for name, rows in self._inside(start * _SECOND, end * _SECOND):
            matching = [row["Timestamp"] for row in rows if test(row)]
            if matching:
                found.append((max(matching), name))
        order = sorted(found, reverse=True) if hinted else sorted(found, key=lambda one: one[1])
        told = [self._summary(name) for _, name in order[:limit]]
        return JSONResponse({"traces": told, "metrics": {"inspectedTraces": len(found), "inspectedBytes": "1"}})

    def _inside(self, start: int, end: int) -> list[tuple[str, list[Row]]]:
        """Traces that have some of a span of time."""
        return [
            (name, rows)
            for name, rows in self.traces.items()
            if any(row["Timestamp"] < end and row["Timestamp"] + row["Duration"] >= start for row in rows)
        ]

    def _summary(self, name: str) -> Row:
        first = min(self.traces[name], key=lambda row: row["Timestamp"])
        last = max(row["Timestamp"] + row["Duration"] for row in self.traces[name])
        lasting = (last - first["Timestamp"]) // 10**6
        return {
            "traceID": name.lstrip("0"),
            "rootServiceName": first["ServiceName"],
            "rootTraceName": first["SpanName"],
            "startTimeUnixNano": str(first["Timestamp"]),
            **({"durationMs": lasting} if lasting else {}),
            "spanSets": [{"spans": [], "matched": 1}],
        }

    def _services(self, request: Request) -> Response:
        test, _ = _kept(read_spans, request.query_params.get("q", "{}"))
        bounds = [int(request.query_params[name]) * _SECOND for name in ("start", "end")]
        names = sorted({row["ServiceName"] for _, rows in self._inside(*bounds) for row in rows if test(row)})
        return JSONResponse({"tagValues": [{"type": "string", "value": name} for name in names], "metrics": {}})

    def _rows_of(self, request: Request) -> list[Row] | Response:
        told = request.path_params["id"]
        if wrong := [at for at, letter in enumerate(told, 1) if letter not in "0123456789abcdefABCDEF"]:
            letter = told[wrong[0] - 1]
            words = f"trace IDs can only contain hex characters: invalid character '{letter}' at position {wrong[0]}"
            return PlainTextResponse(words, 400)
        name = told.lower().rjust(32, "0")
        if name in self._too_large:
            return PlainTextResponse("trace exceeds max size (max bytes: 5000000)", 422)
        return self.traces.get(name) or PlainTextResponse("", 404)

    def _get(self, request: Request) -> Response:
        rows = self._rows_of(request)
        if isinstance(rows, Response):
            return rows
        return JSONResponse({"batches": resource_spans(rows, in_base64, names=True)})

    def _get_v2(self, request: Request) -> Response:
        rows = self._rows_of(request)
        if isinstance(rows, Response):
            return rows
        spans = resource_spans(rows, in_base64, names=True)
        return JSONResponse({"trace": {"resourceSpans": spans}, "metrics": {"inspectedBytes": "1"}})

    def _instant(self, request: Request) -> Response:
        start, end = (int(request.query_params[name]) for name in ("start", "end"))
        return self._counted(request, start, end, lambda count: {"value": count})

    def _range(self, request: Request) -> Response:
        start, end = (int(request.query_params[name]) * _SECOND for name in ("start", "end"))
        assert request.query_params["step"] == "1s"
        return self._counted(request, start, end, lambda count: {"samples": [{"timestampMs": "1"}, {"value": count}]})

    def _counted(self, request: Request, start: int, end: int, shown: Any) -> Response:
        if self._metrics == "off":
            return PlainTextResponse("error querying generators: localblocks processor not found", 500)
        try:
            test, by = _kept(read_counts, request.query_params["q"])
        except Refused as error:
            return PlainTextResponse(f"invalid TraceQL query: {error}", 400)
        counts = Counter(
            tuple(label_of(row, name) for name in by)
            for rows in self.traces.values()
            for row in rows
            if start <= row["Timestamp"] < end and test(row)
        )
        series = [
            {
                "labels": [{"key": name, "value": {"stringValue": value}} for name, value in zip(by, key, strict=True)],
                **shown(count),
            }
            for key, count in sorted(counts.items())
        ]
        return JSONResponse({"series": series, "metrics": {"inspectedBytes": "1"}})


def _kept(read: Callable[[str], Meaning], query: str) -> Meaning:
    """Read a query; keeps whether that went well, for Grafana's own grammar to agree."""
    READ["traceql", query] = False
    meaning = read(query)
    READ["traceql", query] = True
    return meaning
