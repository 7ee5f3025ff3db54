"""Grafana's HTTP API over a socket: data sources, whose proxy leads to a real Prometheus, alert rules with the
annotations that tell their changes, and the search for dashboards.

Answers are as Grafana 11 gives them, after its documentation and sources: what a role may read, the words of refusals,
which methods the proxy lets through to a Prometheus, the text of an alert's annotation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

Json: TypeAlias = dict[str, Any]

_POSTED: Final = ("query", "query_range", "series", "labels", "query_exemplars")
VIEWER: Final = frozenset({"datasources:query", "alert.rules:read", "annotations:read", "dashboards:read"})
READER: Final = VIEWER | {"datasources:read"}


@dataclass
class Grafana:
    """What it has; `tokens` says what each service account may do, `asked` keeps methods and paths."""

    tokens: Mapping[str, frozenset[str]]
    sources: Mapping[str, str] = field(default_factory=dict)
    listed: list[Json] = field(default_factory=list)
    groups: list[Json] = field(default_factory=list)
    annotations: list[Json] = field(default_factory=list)
    dashboards: list[Json] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def app(self) -> ASGIApp:
        """What answers."""
        proxied = Route("/api/datasources/proxy/uid/{uid}/{path:path}", self._proxied, methods=["GET", "POST", "PUT"])
        plain = {
            "/api/datasources": self._datasources,
            "/api/prometheus/grafana/api/v1/rules": self._rules,
            "/api/annotations": self._annotations,
            "/api/search": self._search,
        }
        return Starlette(routes=[Route("/api/health", self._health), proxied, *(Route(*one) for one in plain.items())])

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"database": "ok", "version": "11.6.0", "commit": "abc"})

    async def _datasources(self, request: Request) -> Response:
        return self._refusal(request, "datasources:read") or JSONResponse(self.listed)

    async def _proxied(self, request: Request) -> Response:
        refusal = self._refusal(request, "datasources:query")
        if refusal:
            return refusal
        uid, path = request.path_params["uid"], request.path_params["path"]
        if uid not in self.sources:
            return _said(404, "Data source not found")
        if request.method != "GET" and not (request.method == "POST" and path.removeprefix("api/v1/") in _POSTED):
            return _said(403, f"non allow-listed {request.method}s not allowed on proxied Prometheus datasource")
        sent = {"content-type": request.headers["content-type"]} if "content-type" in request.headers else {}
        async with httpx2.AsyncClient(timeout=30) as client:
            try:
                answer = await client.request(
                    request.method,
                    f"{self.sources[uid]}/{path}",
                    params=request.url.query,
                    content=await request.body(),
                    headers=sent,
                )
            except httpx2.HTTPError:
                return _said(502, "Bad Gateway")
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

    async def _rules(self, request: Request) -> Response:
        answer = {"status": "success", "data": {"groups": self.groups, "totals": {}}}
        return self._refusal(request, "alert.rules:read") or JSONResponse(answer)

    async def _annotations(self, request: Request) -> Response:
        asked = request.query_params
        found = [
            one
            for one in self.annotations
            if int(asked.get("from", 0)) <= one["time"] <= int(asked.get("to", 10**15))
            and (asked.get("type") != "alert" or one["alertId"])
        ]
        found.sort(key=lambda one: -int(one["time"]))
        return self._refusal(request, "annotations:read") or JSONResponse(found[: int(asked.get("limit", 100))])

    async def _search(self, request: Request) -> Response:
        asked = request.query_params
        found = [one for one in self.dashboards if asked.get("type") in (None, one["type"])]
        return self._refusal(request, "dashboards:read") or JSONResponse(found[: int(asked.get("limit", 1000))])

    def _refusal(self, request: Request, needed: str) -> Response | None:
        self.asked.append(f"{request.method} {request.url.path}")
        may = self.tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        if may is None:
            return _said(401, "Invalid API key")
        if needed in may:
            return None
        words = f"You'll need additional permissions to perform this action. Permissions needed: {needed}"
        return JSONResponse({"accessErrorId": "ACE1", "message": words, "title": "Access denied"}, 403)


def rule(name: str, state: str, *alerts: Json, **labels: str) -> Json:
    """An alert rule as its state is told, with the alerts that it has."""
    return {
        "name": name,
        "uid": name.lower(),
        "type": "alerting",
        "state": state,
        "health": "ok",
        "query": "[]",
        "duration": 60,
        "labels": labels,
        "annotations": {"summary": f"{name} by Grafana"},
        "alerts": list(alerts),
    }


def changed(name: str, at: float, before: str, after: str, labels: Mapping[str, str], **values: float) -> Json:
    """The annotation of a change of state, at a second since the epoch."""
    told = ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))
    figures = ", ".join(f"{key}={value:f}" for key, value in sorted(values.items()))
    return {
        "id": int(at),
        "alertId": 7,
        "alertName": name,
        "newState": after,
        "prevState": before,
        "time": round(at * 1000),
        "timeEnd": round(at * 1000),
        "text": f"{name} {{{told}}} - {figures}",
        "tags": [],
        "data": {"values": values},
    }


def _said(status: int, message: str) -> Response:
    return JSONResponse({"message": message}, status)
