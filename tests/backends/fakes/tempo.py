"""A Tempo that keeps spans in memory: its HTTP API, with the real one's manners; the TraceQL it reads is in traceql.

Times are strings, bounds whole seconds, ids of a search lack their leading zeros, those of a trace are base64; what it
cannot parse is a 400 in plain text. `/api/traces/ID` answers `batches`, `/api/v2/traces/ID` a `trace`. Without the hint
`most_recent` a search gives any of what matches. Written after what was seen on real servers, the pages of its API, and
modules/frontend/search_sharder.go of Tempo 2.8.
"""

from collections import Counter
from collections.abc import Callable, Collection
from typing import Final, TypeVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from tests.backends.fakes.otlp import Row, in_base64, resource_spans
from tests.backends.fakes.traceql import Refused, Spans, label_of, read_counts, read_spans
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
        self.most_series = 1_000
        self.traces: dict[str, list[Row]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        for row in rows:
            self.traces.setdefault(row["TraceId"], []).append(row)
        routes = [
            Route("/api/search", self._search),
            Route("/api/v2/search/tag/resource.service.name/values", self._services),
            Route("/api/v2/search/tags", self._tags),
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
            spans = _kept(read_spans, asked.get("q", "{}"))
        except Refused as error:
            return PlainTextResponse(f"invalid TraceQL query: {error}", 400)
        found = []
        for name, rows in self._inside(start * _SECOND, end * _SECOND):
            matching = [row for row in rows if spans.test(row)]
            if matching:
                found.append((max(row["Timestamp"] for row in matching), name, matching))
        found.sort(key=lambda one: (-one[0], one[1]) if spans.hinted else one[1])
        most = int(asked.get("spss", "3"))
        told = [
            {**self._summary(name), "spanSets": [_span_set(matching, spans, most)]}
            for _, name, matching in found[:limit]
        ]
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
        }

    def _services(self, request: Request) -> Response:
        names = sorted({row["ServiceName"] for row in self._asked_for(request)})
        return JSONResponse({"tagValues": [{"type": "string", "value": name} for name in names], "metrics": {}})

    def _tags(self, request: Request) -> Response:
        rows = self._asked_for(request)
        held = {
            "resource": {"service.name", *(name for row in rows for name in row["ResourceAttributes"])}
            if rows
            else set(),
            "span": {name for row in rows for name in row["SpanAttributes"]},
            "intrinsic": {"duration", "name", "status"},
        }
        scopes = [{"name": scope, "tags": sorted(names)} for scope, names in held.items()]
        return JSONResponse({"scopes": scopes, "metrics": {}})

    def _asked_for(self, request: Request) -> list[Row]:
        test = _kept(read_spans, request.query_params.get("q", "{}")).test
        bounds = [int(request.query_params[name]) * _SECOND for name in ("start", "end")]
        return [row for _, rows in self._inside(*bounds) for row in rows if test(row)]

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

        def told(times: list[int], _: bool) -> Row:
            return {"value": sum(start <= at < end for at in times)}

        return self._counted(request, told)

    def _range(self, request: Request) -> Response:
        """A point is about the step before it, and there is one before the first; in an older Tempo that after it."""
        asked = request.query_params
        step = int(asked["step"].removesuffix("s"))
        first, last = int(asked["start"]) // step * step, -(-int(asked["end"]) // step) * step
        older = self._metrics == "range"

        def told(times: list[int], rate: bool) -> Row:
            counts = Counter(
                at // _SECOND // step * step if older else -(-at // _SECOND // step) * step for at in times
            )
            samples = [
                {
                    "timestampMs": str(at * 1000),
                    **({"value": counts[at] / (step if rate else 1)} if counts[at] else {}),
                }
                for at in range(first, last + (not older), step)
            ]
            return {"samples": samples if any("value" in one for one in samples) else []}

        return self._counted(request, told)

    def _counted(self, request: Request, told: Callable[[list[int], bool], Row]) -> Response:
        if self._metrics == "off":
            return PlainTextResponse("error querying generators: localblocks processor not found", 500)
        try:
            test, by, rate = _kept(read_counts, request.query_params["q"])
        except Refused as error:
            return PlainTextResponse(f"invalid TraceQL query: {error}", 400)
        times: dict[tuple[str, ...], list[int]] = {}
        for row in (row for rows in self.traces.values() for row in rows if test(row)):
            times.setdefault(tuple(label_of(row, name) for name in by), []).append(row["Timestamp"])
        series = [
            {
                "labels": [{"key": name, "value": {"stringValue": value}} for name, value in zip(by, key, strict=True)],
                **shown,
            }
            for key, each in sorted(times.items())
            if any((shown := told(each, rate)).values())
        ]
        partly = {
            "status": "PARTIAL",
            "message": f"Response exceeds maximum series limit of {self.most_series}, a partial response is returned.",
        }
        cut = {"series": series[: self.most_series], "metrics": {"inspectedBytes": "1"}}
        return JSONResponse({**cut, **partly} if len(series) > self.most_series else cut)


def _span_set(rows: list[Row], spans: Spans, most: int) -> Row:
    """A set of spans with what the search had to read of them: keys have no scope, a name is no attribute."""
    told = [
        {
            "spanID": row["SpanId"],
            "startTimeUnixNano": str(row["Timestamp"]),
            "durationNanos": str(row["Duration"]),
            **({"name": row["SpanName"]} if "name" in spans.fields else {}),
            "attributes": [
                {"key": field.partition(".")[2] or field, "value": {"stringValue": value}}
                for field in spans.fields
                if field != "name" and (value := label_of(row, field))
            ],
        }
        for row in rows[:most]
    ]
    return {"spans": told, "matched": len(rows)}


def _kept(read: Callable[[str], Meaning], query: str) -> Meaning:
    """Read a query; keeps whether that went well, for Grafana's own grammar to agree."""
    READ["traceql", query] = False
    meaning = read(query)
    READ["traceql", query] = True
    return meaning
