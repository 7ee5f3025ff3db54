"""A search's body in the query DSL, as somebody wrote it: what of it is sent, and its answer as rows.

Only what reads documents of the window is let through: no scripts, no `global` aggregation, nothing of other indices.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import JsonValue

from midwatch_kit import BadInput
from midwatch_kit.native import MOST_ROWS, Row

_ALLOWED: Final = (
    "query", "aggs", "aggregations", "size", "from", "sort", "fields", "_source", "docvalue_fields", "post_filter",
    "min_score", "track_total_hits",
)  # fmt: skip
_SCRIPTS: Final = {"script", "script_score", "scripted_metric", "script_fields", "runtime_mappings"}
_ONE_FIELD: Final = {
    "term", "terms", "match", "match_phrase", "match_phrase_prefix", "match_bool_prefix", "range", "prefix", "wildcard",
    "regexp", "fuzzy",
}  # fmt: skip
_OPTIONS: Final = {"boost", "_name"}
_FIRST: Final = ("@timestamp", "message", "body.text")
_NO_SUBS: Final = {"key", "from", "to", "meta"}


def read_body(text: str) -> dict[str, Any]:
    """Return the body that a text holds; raises `BadInput` with the place of what is not allowed, or no JSON."""
    try:
        body = json.loads(text)
    except ValueError as error:
        raise BadInput(f"a query that begins with {{ is the JSON body of a search, and this is none: {error}") from None
    if unknown := [name for name in body if name not in _ALLOWED]:
        raise BadInput(f"{unknown[0]!r} cannot be asked for here: a search's body may have {', '.join(_ALLOWED)}")
    size = body.get("size", 0)
    if not isinstance(size, int) or size > MOST_ROWS:
        raise BadInput(f"size {size!r} cannot be given: a number up to {MOST_ROWS}")
    for path, name, value in _members(body, ""):
        _refuse(path, name, value)
    return {name: value for name, value in body.items() if name != "track_total_hits"}


def within(body: Mapping[str, Any], window: Mapping[str, Any], most: int) -> dict[str, Any]:
    """Return the body to send: its query within the window, and all hits counted."""
    size = body.get("size", 0 if _aggregations(body) else most)
    query = {"bool": {"must": [body.get("query", {"match_all": {}})], "filter": [window]}}
    return {**body, "query": query, "size": size, "track_total_hits": True}


def fields_of(body: Any) -> list[str]:
    """Return the fields that a body names, in its order."""
    found: dict[str, None] = {}
    for _, name, value in _members(body, ""):
        if name == "field" and isinstance(value, str):
            found[value] = None
        elif name in _ONE_FIELD and isinstance(value, Mapping) and "field" not in value:
            found |= dict.fromkeys(field for field in value if field not in _OPTIONS)
    return list(found)


def rows_of(sent: Mapping[str, Any], answer: Mapping[str, Any]) -> tuple[list[Row], int]:
    """Return buckets and hits as rows, and how many there are of both, however many hits were asked for."""
    buckets = list(_bucket_rows(answer.get("aggregations", {}), {})) if _aggregations(sent) else []
    hits = [_hit_row(hit) for hit in answer["hits"]["hits"]]
    return [*buckets, *hits], len(buckets) + (answer["hits"]["total"]["value"] if sent["size"] else 0)


def left_out(aggregations: Mapping[str, Any]) -> Iterator[str]:
    """Tell of aggregations whose buckets are not all, or not exact."""
    for name, found in aggregations.items():
        if not isinstance(found, Mapping):
            continue
        if found.get("sum_other_doc_count"):
            yield f"{name} leaves out buckets of {found['sum_other_doc_count']} documents: raise its size."
        if found.get("doc_count_error_upper_bound"):
            yield f"counts of {name} may be {found['doc_count_error_upper_bound']} too low."


def _aggregations(body: Mapping[str, Any]) -> Any:
    return body.get("aggs") or body.get("aggregations")


def _members(value: Any, path: str) -> Iterator[tuple[str, str, Any]]:
    """Every member of every object, with the way to it."""
    pairs = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in pairs:
        if isinstance(name, str):
            yield f"{path}/{name}", name, inner
        yield from _members(inner, f"{path}/{name}")


def _refuse(path: str, name: str, value: Any) -> None:
    if name in _SCRIPTS:
        raise BadInput(f"{path}: scripts are not run here; ES|QL computes (FROM … | EVAL …)")
    if name == "global":
        raise BadInput(f"{path}: this would count outside of the window: use a filter, or a longer window")
    if isinstance(value, Mapping) and {"index", "_index"} & value.keys() and {"id", "_id"} & value.keys():
        raise BadInput(f"{path}: this would read another index: name the values themselves")


def _bucket_rows(aggregations: Mapping[str, Any], outer: Row) -> Iterator[Row]:
    """A row for each innermost bucket, with the keys of those around it; figures go with the bucket they are of."""
    own, groups = dict(outer), list[tuple[str, Mapping[str, Any]]]()
    for name, found in aggregations.items():
        if "buckets" in found or "doc_count" in found:
            groups.append((name, found))
        else:
            own[name] = _figure(found)
    if not groups:
        yield own
    for name, found in groups:
        for key, bucket in _buckets(name, found):
            inner = {n: v for n, v in bucket.items() if isinstance(v, Mapping) and n not in _NO_SUBS}
            yield from _bucket_rows(inner, {**own, **key, "doc_count": bucket["doc_count"]})


def _buckets(name: str, found: Mapping[str, Any]) -> Iterator[tuple[Row, Mapping[str, Any]]]:
    buckets = found.get("buckets")
    if buckets is None:  # of one bucket, as filter and missing are
        yield {}, found
    elif isinstance(buckets, Mapping):
        yield from (({name: key}, bucket) for key, bucket in buckets.items())
    else:
        for bucket in buckets:
            key = bucket.get("key_as_string", bucket.get("key"))
            yield (dict(key) if isinstance(key, Mapping) else {name: key}), bucket


def _figure(found: Mapping[str, Any]) -> JsonValue:
    value: JsonValue = found.get("value_as_string", found.get("value", found.get("values")))
    return value if "value" in found or "values" in found else {n: v for n, v in found.items() if n != "meta"}


def _hit_row(hit: Mapping[str, Any]) -> Row:
    found = dict(_leaves(hit.get("_source") or {}, ""))
    for name, values in (hit.get("fields") or {}).items():
        found[name] = values[0] if isinstance(values, Sequence) and len(values) == 1 else values
    return {**{name: found[name] for name in _FIRST if name in found}, **found}


def _leaves(source: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, JsonValue]]:
    for name, value in source.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
