"""An Elasticsearch that keeps documents in memory: what the official client needs to accept it, and the API used here.

A point in time sees what was there when it was opened and is gone when it is closed; `_shard_doc` is a document's
number in it. Errors have the bodies of the real one. `exchanges` holds all that was asked and answered, to be checked
against Elastic's own description of the API; see elastic.
"""

import json
import re
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from tests.backends.elastic import Exchange, privileges_for
from tests.backends.fakes.elasticsearch_query import Document, Queries, Refused, flat, iso, ns_in, runtime_fields
from tests.backends.fakes.esql import EsqlQuery

MEDIA: Final = re.compile(r"application/vnd\.elasticsearch\+json; ?compatible-with=8")
_ACTIONS: Final = {
    "info": "cluster:monitor/main",
    "open_point_in_time": "indices:data/read/open_point_in_time",
    "async_search.submit": "indices:data/read/async_search/submit",
    "esql.async_query": "indices:data/read/esql",
    "field_caps": "indices:data/read/field_caps",
    "indices.resolve_index": "indices:admin/resolve/index",
}
_OF_A_SEARCH: Final = {"index": ["read"]}
"""The description has no privilege for a search that goes on, but has it for one that does not."""


class FakeElasticsearch:
    """Data streams by name, each with documents; `types` says how each field is mapped, `aliases` its other names.

    With `granted` (values of the Authorization header, and the privileges of each) it has security. While `held`, no
    search ends; `begun` is set when one is asked after, `deleted` when it is stopped, `closed` when a point in time is.
    """

    def __init__(
        self,
        streams: Mapping[str, Sequence[Document]],
        types: Mapping[str, str],
        aliases: Mapping[str, str] | None = None,
        granted: Mapping[str, set[str]] | None = None,
    ) -> None:
        self.sources = {name: list(documents) for name, documents in streams.items()}
        self.types, self.aliases, self.granted = types, aliases or {}, granted
        self.queries = Queries(types, self.aliases)
        self._flat: dict[int, Document] = {}
        self.snapshots: dict[str, list[Any]] = {}
        self.opened = 0
        self.held = False
        self.shards: dict[str, Any] = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
        self.begun, self.deleted, self.closed = threading.Event(), threading.Event(), threading.Event()
        self.running: dict[str, Any] = {}
        self.exchanges: list[Exchange] = []
        self.app = Starlette(
            routes=[
                self._route("info", "/", self.info, "GET"),
                self._route("async_search.submit", "/_async_search", self.search, "POST"),
                self._route("async_search.submit", "/{index}/_async_search", self.search, "POST"),
                self._route("async_search.get", "/_async_search/{id}", self.go_on, "GET"),
                self._route("async_search.delete", "/_async_search/{id}", self.delete, "DELETE"),
                self._route("esql.async_query", "/_query/async", self.query, "POST"),
                self._route("esql.async_query_get", "/_query/async/{id}", self.go_on_querying, "GET"),
                self._route("esql.async_query_delete", "/_query/async/{id}", self.delete, "DELETE"),
                self._route("open_point_in_time", "/{index}/_pit", self.open, "POST"),
                self._route("close_point_in_time", "/_pit", self.close, "DELETE"),
                self._route("field_caps", "/{index}/_field_caps", self.field_caps, "POST"),
                self._route("indices.resolve_index", "/_resolve/index/{name}", self.resolve, "GET"),
                self._route("security.has_privileges", "/_security/user/_has_privileges", self.privileges, "POST"),
            ]
        )

    async def info(self, request: Request, body: Any) -> Any:
        """Who this is."""
        version = {
            "number": "8.19.3",
            "build_flavor": "default",
            "build_type": "docker",
            "build_hash": "0",
            "build_date": "2025-08-07T03:19:00.000Z",
            "build_snapshot": False,
            "lucene_version": "9.12.2",
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0",
        }
        names = {"name": "n1", "cluster_name": "fake", "cluster_uuid": "u1"}
        return {**names, "version": version, "tagline": "You Know, for Search"}

    async def open(self, request: Request, body: Any) -> Any:
        """Open a point in time."""
        found = self._of(request.path_params["index"])
        self.opened += 1
        name = f"pit-{self.opened}"
        self.snapshots[name] = found
        return {"id": name, "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0}}

    async def close(self, request: Request, body: Any) -> Any:
        """Close a point in time."""
        there = self.snapshots.pop(body["id"], None) is not None
        self.closed.set()
        return {"succeeded": there, "num_freed": int(there)}

    async def field_caps(self, request: Request, body: Any) -> Any:
        """How fields are mapped in the indices that have documents."""
        documents = self._of(request.path_params["index"])
        types = {**self.types, **{alias: self.types[name] for alias, name in self.aliases.items()}}
        fields = {
            name: {
                kind: {"type": kind, "metadata_field": False, "searchable": True, "aggregatable": "text" not in kind}
            }
            for name, kind in types.items()
            if name in body["fields"] or "*" in body["fields"]
        }
        return {"indices": [name for name, found in self.sources.items() if found and documents], "fields": fields}

    async def resolve(self, request: Request, body: Any) -> Any:
        """Which data streams there are."""
        streams = [{"name": name, "backing_indices": [], "timestamp_field": "@timestamp"} for name in self.sources]
        return {"indices": [], "aliases": [], "data_streams": streams}

    async def privileges(self, request: Request, body: Any) -> Any:
        """Which of the privileges that are asked for the caller has."""
        if self.granted is None:
            raise Refused(400, "illegal_argument_exception", f"no handler found for uri [{request.url.path}]")
        has = self.granted[request.headers["authorization"]]
        index = {
            name: {privilege: privilege in has for privilege in of["privileges"]}
            for of in body["index"]
            for name in of["names"]
        }
        everything = all(granted for of in index.values() for granted in of.values())
        return {"username": "m1", "has_all_requested": everything, "cluster": {}, "index": index, "application": {}}

    async def search(self, request: Request, body: Any) -> Any:
        """Hits and aggregations at once, or the number of a search that goes on."""
        answer = self._searched(request, body)
        if not self.held:
            return {"is_partial": False, "is_running": False, **_times(), "response": answer}
        number = f"search-{len(self.exchanges)}"
        self.running[number] = answer
        return self._part(number)

    async def go_on(self, request: Request, body: Any) -> Any:
        """What a search has found by now."""
        number = request.path_params["id"]
        if number not in self.running:
            raise Refused(404, "resource_not_found_exception", number)
        self.begun.set()
        if self.held:
            await anyio.sleep(0.05)
            return self._part(number)
        answer = self.running.pop(number)
        return {"id": number, "is_partial": False, "is_running": False, **_times(), "response": answer}

    async def query(self, request: Request, body: Any) -> Any:
        """The rows of a query in ES|QL, or its number while it goes on."""
        answer = self._queried(body)
        if not self.held:
            return {**answer, "is_running": False}
        number = f"query-{len(self.exchanges)}"
        self.running[number] = answer
        return _part_of_rows(number)

    async def go_on_querying(self, request: Request, body: Any) -> Any:
        """The rows of a query by now."""
        number = request.path_params["id"]
        self.begun.set()
        if self.held:
            await anyio.sleep(0.05)
            return _part_of_rows(number)
        return {"id": number, **self.running.pop(number), "is_running": False}

    def _queried(self, body: Mapping[str, Any]) -> Any:
        types = {**self.types, **{alias: self.types[name] for alias, name in self.aliases.items()}}
        query = EsqlQuery(body["query"], types)
        try:
            found = self._of(query.indices)
        except Refused:
            raise Refused(400, "verification_exception", f"Unknown index [{query.indices}]") from None
        test = self.queries.test(body["filter"], {})
        documents = [d for d, _ in found if test(d)]
        return query.answer([{name: self.queries.value(d, name) for name in types} for d in documents])

    async def delete(self, request: Request, body: Any) -> Any:
        """Stop a search."""
        there = self.running.pop(request.path_params["id"], None) is not None
        self.deleted.set()
        return {"acknowledged": there}

    def _part(self, number: str) -> Any:
        shards = {"total": 1, "successful": 0, "skipped": 0, "failed": 0}
        response = {"took": 1, "timed_out": False, "_shards": shards, "hits": {"max_score": None, "hits": []}}
        return {"id": number, "is_partial": True, "is_running": True, **_times(), "response": response}

    def _searched(self, request: Request, body: Mapping[str, Any]) -> Any:
        documents = self._source(request, body)
        test = self.queries.test(body["query"], runtime_fields(body.get("runtime_mappings", {})))
        found = [(number, d, source) for number, (d, source) in enumerate(documents) if test(d)]
        hits: dict[str, Any] = {"max_score": None, "hits": self._hits(found, body) if body.get("size", 10) else []}
        if body.get("track_total_hits") is not False:
            hits["total"] = {"value": len(found), "relation": "eq"}
        aggregated = {n: self.queries.aggregate(a, [d for _, d, _ in found]) for n, a in body.get("aggs", {}).items()}
        return {
            "took": 1,
            "timed_out": False,
            "_shards": self.shards,
            "hits": hits,
            **({"aggregations": aggregated} if aggregated else {}),
            **({"pit_id": body["pit"]["id"]} if "pit" in body else {}),
        }

    def _source(self, request: Request, body: Mapping[str, Any]) -> Sequence[Any]:
        if body.get("size", 10) + body.get("from", 0) > 10_000:
            raise Refused(400, "illegal_argument_exception", "Result window is too large")
        if "pit" not in body:
            return self._of(request.path_params["index"])
        if "index" in request.path_params:
            raise Refused(400, "action_request_validation_exception", "[indices] cannot be used with point in time")
        if body["pit"]["id"] not in self.snapshots:
            raise Refused(404, "search_context_missing_exception", "No search context found for id [7]")
        return self.snapshots[body["pit"]["id"]]

    def _of(self, pattern: str) -> list[Any]:
        names = [n for n in self.sources if any(fnmatchcase(n, part) for part in pattern.split(","))]
        if not names and "*" not in pattern:
            raise Refused(404, "index_not_found_exception", f"no such index [{pattern}]")
        documents = [document for name in names for document in self.sources[name]]
        self._flat |= {id(document): flat(document) for document in documents if id(document) not in self._flat}
        return [(self._flat[id(document)], document) for document in documents]

    def _hits(self, found: Sequence[tuple[int, Any, Any]], body: Mapping[str, Any]) -> list[dict[str, Any]]:
        (time, by), *tie = (next(iter(one.items())) for one in body.get("sort", [{"@timestamp": {"order": "asc"}}]))
        backward = by["order"] == "desc"
        placed = sorted(((ns_in(d[time]), n, d, s) for n, d, s in found), key=lambda p: p[:2], reverse=backward)
        if after := body.get("search_after"):
            place = (ns_in(after[0]), after[1])
            placed = [p for p in placed if (p[:2] < place if backward else p[:2] > place)]
        return [
            {
                "_index": "i",
                "_id": str(number),
                "_score": None,
                **({} if body.get("_source") is False else {"_source": source}),
                "fields": self._fields(document, body.get("fields", [])),
                "sort": [iso(ns), number][: len(tie) + 1],
            }
            for ns, number, document, source in placed[: body["size"]]
        ]

    def _fields(self, document: Document, names: Sequence[str]) -> dict[str, list[Any]]:
        values = {name: self.queries.value(document, name) for name in names}
        return {name: [value] for name, value in values.items() if value is not None}

    def _route(self, name: str, path: str, answer: Callable[[Request, Any], Awaitable[Any]], method: str) -> Route:
        async def answered(request: Request) -> Response:
            body = json.loads(await request.body() or b"null")
            status, told = 200, None
            try:
                _refuse_media(request, body is not None)
                self._refuse_stranger(request, name)
                told = await answer(request, body)
            except Refused as refused:
                status, told = refused.status, refused.body
            asked = dict(request.query_params)
            self.exchanges.append(Exchange(name, method, path, asked, body, status, told))
            media = "application/vnd.elasticsearch+json;compatible-with=8"
            return Response(json.dumps(told), status, {"X-Elastic-Product": "Elasticsearch"}, media)

        return Route(path, answered, methods=[method])

    def _refuse_stranger(self, request: Request, name: str) -> None:
        if self.granted is None:
            return
        key = request.headers.get("authorization", "")
        if key not in self.granted:
            reason = f"unable to authenticate user [m1] for REST request [{request.url.path}]"
            raise Refused(401, "security_exception", reason)
        needed = _OF_A_SEARCH if name == "async_search.submit" else privileges_for(name)
        for level, privileges in needed.items():
            if set(privileges) & self.granted[key]:
                continue
            on = f" on indices [{request.path_params.get('index', '*')}]" if level == "index" else ""
            reason = (
                f"action [{_ACTIONS[name]}] is unauthorized for user [m1] with effective roles [r1]{on}, this action "
                f"is granted by the {level} privileges [{','.join(privileges)},all]"
            )
            raise Refused(403, "security_exception", reason)


def _refuse_media(request: Request, has_body: bool) -> None:
    for name in ("accept", *(["content-type"] if has_body else [])):
        if not MEDIA.match(request.headers.get(name, "")):
            raise Refused(406, "media_type_header_exception", f"Invalid media-type value on headers [{name}]")


def _part_of_rows(number: str) -> dict[str, Any]:
    return {"id": number, "is_running": True, "is_partial": True, "took": 1, "columns": [], "values": []}


def _times() -> dict[str, int]:
    return {"start_time_in_millis": 1_795_143_300_000, "expiration_time_in_millis": 1_795_575_300_000}
