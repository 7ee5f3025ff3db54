"""A Jaeger query service that keeps spans in memory: both of its APIs, with the real one's manners.

A search needs a service, gives whole traces, the newest so many. v3 speaks OTLP with ids in hex within `result`, and
answers 404 where it finds nothing; the older API counts in microseconds and keeps resources as tags of processes.
Without v3, its routes give the page of the user interface, as any unknown path does. Written after
cmd/query/app/{apiv3/http_gateway,query_parser,http_handler}.go of Jaeger 1.6x and 2.x, and api_v3 of jaeger-idl.
"""

import json
import re
from collections import Counter
from datetime import datetime
from typing import Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from tests.backends.fakes.otlp import Row, in_hex, resource_spans

_PAGE: Final = '<html><script>const JAEGER_VERSION = {"gitCommit":"0f3","gitVersion":"v2.11.0"};</script>'
_UNITS: Final = {"us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


class FakeJaeger:
    """Spans given as rows of the store's table; `token`, if any, must come with each request."""

    def __init__(self, rows: list[Row], *, v3: bool = True, token: str = "") -> None:
        self._token = token
        self.traces: dict[str, list[Row]] = {}
        self._of: dict[str, list[Row]] = {}
        self._texts: dict[str, str] = {}
        for row in rows:
            self.traces.setdefault(row["TraceId"], []).append(row)
            self._of.setdefault(row["ServiceName"], []).append(row)
        routes = [
            Route("/api/services", self._services),
            Route("/api/services/{service}/operations", self._operations),
            Route("/api/traces", self._find),
            Route("/api/traces/{id}", self._get),
            Route("/api/dependencies", self._dependencies),
        ]
        if v3:
            routes += [
                Route("/api/v3/services", self._services_v3),
                Route("/api/v3/traces", self._find_v3),
                Route("/api/v3/traces/{id}", self._get_v3),
            ]
        guard = [Middleware(BaseHTTPMiddleware, dispatch=self._guard)] if token else []
        page = Route("/{path:path}", lambda _: HTMLResponse(_PAGE))
        self.app = Starlette(routes=[*routes, page], middleware=guard)

    async def _guard(self, request: Request, onward: Any) -> Response:
        if request.headers.get("authorization") != f"Bearer {self._token}":
            return Response("Unauthorized", 401)
        response: Response = await onward(request)
        return response

    def _services(self, _: Request) -> Response:
        return _old(self._names())

    def _operations(self, request: Request) -> Response:
        wanted = request.path_params["service"]
        return _old(sorted({row["SpanName"] for row in self._rows() if row["ServiceName"] == wanted}))

    def _find(self, request: Request) -> Response:
        asked = request.query_params
        if not asked.get("service"):
            return _old_error(400, "parameter 'service' is required")
        if not re.fullmatch(r"\d+", asked.get("limit", "100")):
            return _old_error(400, "unable to parse param 'limit'")
        tags = json.loads(asked.get("tags", "{}"))
        found = self._matching(
            asked["service"],
            asked.get("operation", ""),
            (int(asked.get("start", "0")) * 1000, int(asked.get("end", str(2**60 // 1000))) * 1000 + 999),
            _duration(asked.get("minDuration", "")),
            tags,
        )
        return _old([_old_trace(self.traces[name]) for name in found[: int(asked.get("limit", "100"))]])

    def _get(self, request: Request) -> Response:
        wanted = request.path_params["id"].lower().rjust(32, "0")
        if not re.fullmatch(r"[0-9a-f]{32}", wanted):
            return _old_error(400, f"cannot parse traceID param: {wanted!r}")
        if wanted not in self.traces:
            return _old_error(404, "trace not found")
        return _old([_old_trace(self.traces[wanted])])

    def _dependencies(self, request: Request) -> Response:
        end = int(request.query_params["endTs"]) * 10**6
        start = end - int(request.query_params["lookback"]) * 10**6
        if not any(start <= row["Timestamp"] < end for row in self._rows()):
            return _old([])
        service = {row["SpanId"]: row["ServiceName"] for row in self._rows()}
        calls = Counter(
            (service[row["ParentSpanId"]], row["ServiceName"])
            for row in self._rows()
            if row["ParentSpanId"] in service and service[row["ParentSpanId"]] != row["ServiceName"]
        )
        calls["web", "ghost"] = 3  # seen on another day
        return _old([{"parent": by, "child": to, "callCount": count} for (by, to), count in sorted(calls.items())])

    def _services_v3(self, _: Request) -> Response:
        return JSONResponse({"services": self._names()})

    def _find_v3(self, request: Request) -> Response:
        asked = request.query_params
        if not (asked.get("query.start_time_min") and asked.get("query.start_time_max")):
            return _error_v3(400, "query.start_time_min and query.start_time_max are required")
        first, last = (_ns(asked[f"query.start_time_{end}"]) for end in ("min", "max"))
        found = self._matching(
            asked.get("query.service_name", ""),
            asked.get("query.operation_name", ""),
            (first, last),
            _seconds(asked.get("query.duration_min", "")),
            {},
        )
        return self._answer_v3(found[: int(asked.get("query.num_traces", "100"))])

    def _get_v3(self, request: Request) -> Response:
        wanted = request.path_params["id"]
        if not re.fullmatch(r"[0-9a-fA-F]{1,32}", wanted):
            return _error_v3(400, f"malformed parameter trace_id: parsing {wanted!r}: invalid syntax")
        return self._answer_v3([name for name in [wanted.rjust(32, "0")] if name in self.traces])

    def _answer_v3(self, names: list[str]) -> Response:
        if not names:
            return _error_v3(404, "No traces found")
        parts = ",".join(self._written(name) for name in names)
        return Response(f'{{"result":{{"resourceSpans":[{parts}]}}}}', media_type="application/json")

    def _written(self, name: str) -> str:
        """A trace's resource spans, written once: tests ask for thousands of traces again and again."""
        if name not in self._texts:
            self._texts[name] = json.dumps(resource_spans(self.traces[name], in_hex, names=False))[1:-1]
        return self._texts[name]

    def _matching(
        self, service: str, operation: str, piece: tuple[int, int], least: int, tags: dict[str, str]
    ) -> list[str]:
        """Ids of traces with a span that matches all of it, the newest first."""
        newest: dict[str, int] = {}
        for row in self._of.get(service, []):
            if (
                piece[0] <= row["Timestamp"] <= piece[1]
                and operation in ("", row["SpanName"])
                and row["Duration"] >= least
                and all(_told(row).get(key) == value for key, value in tags.items())
            ):
                newest[row["TraceId"]] = max(newest.get(row["TraceId"], 0), row["Timestamp"])
        return sorted(newest, key=lambda name: -newest[name])

    def _names(self) -> list[str]:
        return sorted(self._of)

    def _rows(self) -> list[Row]:
        return [row for rows in self.traces.values() for row in rows]


def _told(row: Row) -> dict[str, str]:
    failed = {"error": "true"} if row["StatusCode"] == "Error" else {}
    return {**row["ResourceAttributes"], **row["SpanAttributes"], **failed}


def _old(data: Any) -> Response:
    return JSONResponse({"data": data, "total": 0, "limit": 0, "offset": 0, "errors": None})


def _old_error(status: int, words: str) -> Response:
    return JSONResponse({"data": None, "total": 0, "errors": [{"code": status, "msg": words}]}, status)


def _error_v3(status: int, words: str) -> Response:
    return JSONResponse({"error": {"httpCode": status, "message": words}}, status)


def _old_trace(rows: list[Row]) -> Row:
    processes: dict[str, Row] = {}
    for row in rows:
        tags = [_tag(key, value) for key, value in row["ResourceAttributes"].items()]
        processes[_process(row)] = {"serviceName": row["ServiceName"], "tags": tags}
    spans = [_old_span(row) for row in rows]
    return {"traceID": rows[0]["TraceId"], "spans": spans, "processes": processes, "warnings": None}


def _process(row: Row) -> str:
    return f"p-{row['ServiceName']}-{row['ResourceAttributes'].get('service.instance.id')}"


def _old_span(row: Row) -> Row:
    tags = [_tag("span.kind", row["SpanKind"].lower())]
    tags += [_tag(key, value) for key, value in row["SpanAttributes"].items()]
    if row["StatusCode"] == "Error":
        tags += [{"key": "error", "type": "bool", "value": True}, _tag("otel.status_code", "ERROR")]
        tags.append(_tag("otel.status_description", row["StatusMessage"]))
    references = [{"refType": "CHILD_OF", "traceID": row["TraceId"], "spanID": row["ParentSpanId"]}]
    links = zip(row["Links.TraceId"], row["Links.SpanId"], strict=True)
    told = zip(row["Events.Timestamp"], row["Events.Name"], row["Events.Attributes"], strict=True)
    return {
        "traceID": row["TraceId"],
        "spanID": row["SpanId"],
        "operationName": row["SpanName"],
        "references": [
            *(references if row["ParentSpanId"] else []),
            *({"refType": "FOLLOWS_FROM", "traceID": of, "spanID": to} for of, to in links),
        ],
        "startTime": row["Timestamp"] // 1000,
        "duration": row["Duration"] // 1000,
        "tags": tags,
        "logs": [
            {"timestamp": at // 1000, "fields": [_tag("event", name), *(_tag(k, v) for k, v in said.items())]}
            for at, name, said in told
        ],
        "processID": _process(row),
        "warnings": None,
    }


def _tag(key: str, value: str) -> Row:
    return {"key": key, "type": "string", "value": value}


def _duration(told: str) -> int:
    """A length as Go writes it."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(us|ms|s)", told)
    assert found or not told, f"Jaeger refuses {told!r}"
    return round(float(found[1]) * _UNITS[found[2]]) if found else 0


def _seconds(told: str) -> int:
    """A length as the description of v3 has it: in seconds alone."""
    assert re.fullmatch(r"|(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,9})?s", told), f"v3 has no duration {told!r}"
    return _duration(told)


def _ns(told: str) -> int:
    moment = datetime.fromisoformat(told)
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000
