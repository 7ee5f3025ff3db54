"""Systems that other MCP servers need, with the logs and metrics of a run in them: wire-true fakes of the tests.

Grafana leads to the run's real Prometheus and to the fake Loki. Routes that only peers ask are added here, in front of
the fakes.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send
from tests.backends.fakes.awsapi import KEY, aws
from tests.backends.fakes.cloudwatchlogs import FakeCloudWatchLogs
from tests.backends.fakes.elasticsearch import FakeElasticsearch
from tests.backends.fakes.grafana import READER, Grafana
from tests.backends.fakes.insights import Event
from tests.backends.serving import served
from tests.e2e.elsewhere import Row, rows

from midwatch_kit.logs import stamp

INDEX: Final = "logs-app-prod"
_TOKEN: Final = "glsa_of_the_bench"
_TYPES: Final = {
    "@timestamp": "date_nanos",
    "message": "match_only_text",
    "log.level": "keyword",
    "service.name": "keyword",
    "trace.id": "keyword",
}
_MEDIA: Final = "application/vnd.elasticsearch+json;compatible-with=8"


@contextmanager
def told_to_peers(run: Path, until_ns: int, settings: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Tell what a run had logged by a moment; yields environment variables, midwatch's and the peers' own."""
    logged = list(rows(run / "store", "otel_logs", until_ns))
    with ExitStack() as stack:
        grafana, _ = stack.enter_context(served(_grafana(settings)))
        elasticsearch, _ = stack.enter_context(served(_elasticsearch(logged)))
        amazon, _, _ = stack.enter_context(aws(FakeCloudWatchLogs([_event(row) for row in logged]).answers))
        yield {
            "GRAFANA_URL": grafana,
            "GRAFANA_SERVICE_ACCOUNT_TOKEN": _TOKEN,
            "MIDWATCH_ELASTICSEARCH_URL": elasticsearch,
            "MIDWATCH_CLOUDWATCH_LOG_GROUPS": json.dumps(["/ecs/*"]),
            "MIDWATCH_AWS_ENDPOINT_URL": amazon["aws_endpoint_url"],
            "MIDWATCH_AWS_REGION": amazon["aws_region"],
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": "secret",
        }


def _grafana(settings: Mapping[str, str]) -> Starlette:
    sources = {"prometheus": settings["MIDWATCH_PROMETHEUS_URL"], "loki": settings["MIDWATCH_LOKI_URL"]}
    listed = [
        {"id": number, "uid": kind, "name": kind, "type": kind, "url": url, "access": "proxy", "jsonData": {}}
        for number, (kind, url) in enumerate(sources.items(), 1)
    ]
    fake = Grafana({_TOKEN: READER}, sources, listed)

    async def by_uid(request: Request) -> Response:
        return JSONResponse(next(one for one in listed if one["uid"] == request.path_params["uid"]))

    async def resource(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].replace("/api/datasources/uid/", "/api/datasources/proxy/uid/")
        await fake.app({**scope, "path": path.replace("/resources/", "/", 1), "root_path": ""}, receive, send)

    own = [
        Route("/api/datasources/uid/{uid}", by_uid),
        Mount("/api/datasources/uid/", resource),  # where Prometheus' plug-in asks the same as its proxy does
        Mount("/", fake.app),
    ]
    return Starlette(routes=own)


def _elasticsearch(logged: list[Row]) -> Starlette:
    fake = FakeElasticsearch({INDEX: [_document(row) for row in logged]}, _TYPES)

    async def search(request: Request) -> Response:
        return await _same_as(fake, "_async_search", request)

    async def mapping(request: Request) -> Response:
        properties = {name: {"type": kind} for name, kind in _TYPES.items()}
        mapped = {INDEX: {"mappings": {"properties": properties}}}
        return _told(mapped, media=request.headers.get("accept", _MEDIA))

    own = [
        Route("/{index}/_search", search, methods=["POST"]),
        Route("/{index}/_mapping", mapping),
        Mount("/", fake.app),
    ]
    return Starlette(routes=own)


async def _same_as(fake: FakeElasticsearch, path: str, request: Request) -> Response:
    """Ask the fake's own route for searches, and give its answer as the plain one has it; clients of 9 are let in."""
    said: list[Any] = []

    async def send(message: Any) -> None:
        said.append(message)

    index = request.path_params["index"]
    headers = [(name, value.replace(b"compatible-with=9", b"compatible-with=8")) for name, value in request.headers.raw]
    asked = {**request.scope, "path": f"/{index}/{path}", "root_path": "", "headers": headers}
    await fake.app(asked, request.receive, send)
    body = json.loads(b"".join(message.get("body", b"") for message in said))
    media = request.headers.get("accept", _MEDIA)
    return _told(body.get("response", body), said[0]["status"], media)


def _told(document: Any, status: int = 200, media: str = _MEDIA) -> Response:
    return Response(json.dumps(document), status, {"X-Elastic-Product": "Elasticsearch"}, media)


def _document(row: Row) -> dict[str, Any]:
    return {
        "@timestamp": stamp(row["Timestamp"]),
        "message": row["Body"],
        "log": {"level": row["SeverityText"].lower()},
        "service": {"name": row["ServiceName"]},
        **({"trace": {"id": row["TraceId"]}} if row["TraceId"] else {}),
    }


def _event(row: Row) -> Event:
    told = {"level": row["SeverityText"], "message": row["Body"], "trace_id": row["TraceId"]}
    group = f"/ecs/{row['ServiceName']}"
    return Event(row["Timestamp"] // 10**6, group, f"ecs/{row['ServiceName']}/1", json.dumps(told))
