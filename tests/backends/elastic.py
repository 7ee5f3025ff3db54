"""Elastic's own description of its API, as much of it as the fake offers, and whether an exchange keeps to it.

`fakes/elasticsearch.json` is made of the specification in npm's `@elastic/request-converter` 9.5.0 (Apache-2.0), whose
types it holds as JSON Schema: `npm pack @elastic/request-converter@9.5.0`, unpack, then
`python -m tests.backends.elastic package/dist/schema.json > tests/backends/fakes/elasticsearch.json`. What it calls a
type parameter may be anything here, and of queries and aggregations it has those that are used.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema

_DESCRIBED: Final = Path(__file__).parent / "fakes" / "elasticsearch.json"
ENDPOINTS: Final = (
    "async_search.delete",
    "async_search.get",
    "async_search.submit",
    "close_point_in_time",
    "esql.async_query",
    "esql.async_query_delete",
    "esql.async_query_get",
    "field_caps",
    "indices.resolve_index",
    "info",
    "open_point_in_time",
    "security.has_privileges",
)
_USED: Final = {
    "_types.query_dsl:QueryContainer": {
        "bool", "exists", "match", "match_all", "match_none", "match_phrase", "range", "regexp", "term", "terms",
        "wildcard",
    },
    "_types.aggregations:AggregationContainer": {"aggregations", "composite", "min", "max", "terms"},
    "_types.aggregations:CompositeAggregationSource": {"terms", "date_histogram"},
    "async_search._types:AsyncSearch": {
        "_shards", "aggregations", "hits", "num_reduce_phases", "pit_id", "timed_out", "took"
    },
    "async_search.submit:Request": {
        "aggregations", "fields", "pit", "query", "runtime_mappings", "search_after", "size", "sort", "_source",
        "track_total_hits",
    },
    "_global.search._types:Hit": {"_index", "_id", "_score", "_source", "fields", "sort"},
    "_types.aggregations:Aggregate": {"CompositeAggregate", "MinAggregate", "MaxAggregate", "StringTermsAggregate"},
}  # fmt: skip
_BUILT_IN: Final[Mapping[str, Any]] = {
    "string": {"type": "string"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "null": {"type": "null"},
}


@dataclass(frozen=True)
class Exchange:
    """One question to Elasticsearch by its name in the specification, and what it answered."""

    endpoint: str
    method: str
    path: str
    query: Mapping[str, str]
    asked: Any
    status: int
    told: Any


def faults(exchange: Exchange) -> list[str]:
    """Return what of an exchange is not as the description has it; answers that refuse are described as one kind."""
    described = _description()["endpoints"][exchange.endpoint]
    found = [] if [exchange.method, exchange.path] in described["urls"] else [f"{exchange.method} {exchange.path}"]
    found += [f"?{name}" for name in exchange.query if name not in described["query"]]
    if exchange.asked is not None:
        found += _faults(exchange.asked, described["asked"])
    return found + _faults(exchange.told, described["told"] if exchange.status == 200 else _description()["error"])


def privileges_for(endpoint: str) -> dict[str, list[str]]:
    """Return the privileges of which one is needed, by `cluster` or `index`; none where none are described."""
    return dict(_description()["endpoints"][endpoint]["privileges"])


@cache
def _description() -> Mapping[str, Any]:
    described: Mapping[str, Any] = json.loads(_DESCRIBED.read_text())
    return described


def _faults(value: Any, schema: Mapping[str, Any]) -> list[str]:
    validator = jsonschema.Draft202012Validator({**schema, "$defs": _description()["$defs"]})
    return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(value)]


class Reduction:
    """Turns the types that endpoints need into JSON Schema."""

    def __init__(self, specification: Mapping[str, Any]) -> None:
        self._types = {_name(of["name"]): of for of in specification["types"]}
        self._endpoints = {of["name"]: of for of in specification["endpoints"]}
        self._found: dict[str, Any] = {}

    def reduce(self) -> dict[str, Any]:
        """Return endpoints with what is asked and told, and the types that those name."""
        endpoints = {name: self._endpoint(self._endpoints[name]) for name in ENDPOINTS}
        error = self._of({"kind": "instance_of", "type": {"namespace": "_types", "name": "ErrorResponseBase"}})
        return {"endpoints": endpoints, "error": error, "$defs": dict(sorted(self._found.items()))}

    def _endpoint(self, endpoint: Mapping[str, Any]) -> dict[str, Any]:
        request, response = (self._types[_name(endpoint[name])] for name in ("request", "response"))
        return {
            "urls": [[method, url["path"]] for url in endpoint["urls"] for method in url["methods"]],
            "query": [parameter["name"] for parameter in request["query"]],
            "asked": self._body(request),
            "told": self._body(response),
            "privileges": endpoint.get("privileges", {}),
        }

    def _body(self, of: Mapping[str, Any]) -> dict[str, Any]:
        body = of["body"]
        if body["kind"] == "value":
            return self._of(body["value"])
        return self._object({**of, "properties": body.get("properties", [])}) if body["kind"] == "properties" else {}

    def _of(self, kind: Mapping[str, Any]) -> dict[str, Any]:
        match kind["kind"]:
            case "instance_of":
                return self._named(_name(kind["type"]))
            case "array_of":
                return {"type": "array", "items": self._of(kind["value"])}
            case "dictionary_of":
                one = {"maxProperties": 1} if kind["singleKey"] else {}
                return {"type": "object", "additionalProperties": self._of(kind["value"]), **one}
            case "union_of":
                return {"anyOf": [self._of(item) for item in kind["items"]]}
            case "literal_value":
                return {"const": kind["value"]}
        return {}

    def _named(self, name: str) -> dict[str, Any]:
        namespace, _, short = name.partition(":")
        if namespace == "_builtins":
            return dict(_BUILT_IN.get(short, {}))
        if name not in self._types:
            return {}
        if name not in self._found:
            self._found[name] = {}
            self._found[name] = self._definition(self._types[name], _USED.get(name))
        return {"$ref": f"#/$defs/{name}"}

    def _definition(self, of: Mapping[str, Any], used: set[str] | None) -> dict[str, Any]:
        if of["kind"] == "enum":
            names = [name for member in of["members"] for name in (member["name"], *member.get("aliases", []))]
            return {"type": "string"} if of.get("isOpen") else {"enum": names}
        if of["kind"] == "type_alias":
            items = of["type"].get("items", []) if used else []
            chosen = [item for item in items if item["type"]["name"] in (used or ())]
            return self._of({**of["type"], "items": chosen} if chosen else of["type"])
        return self._object(of)

    def _object(self, of: Mapping[str, Any]) -> dict[str, Any]:
        used = _USED.get(_name(of["name"]))
        properties = [p for p in self._properties(of) if used is None or p["name"] in used]
        open_ended = any("AdditionalPropert" in b for b in self._behaviours(of))
        schema = {
            "type": "object",
            "properties": {
                name: self._of(p["type"]) for p in properties for name in (p["name"], *p.get("aliases", []))
            },
            "required": [p["name"] for p in properties if p["required"]],
            **({} if open_ended else {"additionalProperties": False}),
        }
        short = next((p for p in properties if p["name"] == of.get("shortcutProperty")), None)
        return {"anyOf": [schema, self._of(short["type"])]} if short else schema

    def _properties(self, of: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        if "inherits" in of and (parent := self._types.get(_name(of["inherits"]["type"]))):
            yield from self._properties(parent)
        yield from of["properties"]

    def _behaviours(self, of: Mapping[str, Any]) -> list[str]:
        own = [*of.get("attachedBehaviors", []), *(b["type"]["name"] for b in of.get("behaviors", []))]
        parent = self._types.get(_name(of["inherits"]["type"])) if "inherits" in of else None
        return own + (self._behaviours(parent) if parent else [])


def _name(of: Mapping[str, str]) -> str:
    return f"{of['namespace']}:{of['name']}"


if __name__ == "__main__":
    json.dump(Reduction(json.loads(Path(sys.argv[1]).read_text())).reduce(), sys.stdout, separators=(",", ":"))
