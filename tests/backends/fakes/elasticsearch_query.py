"""What Elasticsearch's query DSL and composite aggregations mean, over documents in memory; for the fake server.

Wildcards and regular expressions are of whole terms, as Lucene's are; text fields are cut into words, and a runtime
field reads the document. A regular expression that Lucene would not take is refused.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

Document = Mapping[str, Any]
Test = Callable[[Document], bool]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WORDS: Final = re.compile(r"\w+")


class Refused(Exception):
    """An error with Elasticsearch's own body."""

    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(reason)
        cause = {"type": kind, "reason": reason}
        self.status = status
        self.body = {"error": {"root_cause": [cause], **cause}, "status": status}


class Queries:
    """Reads queries over fields that are mapped as `types` says; `aliases` are further names of fields."""

    def __init__(self, types: Mapping[str, str], aliases: Mapping[str, str]) -> None:
        self._types, self._aliases = types, aliases

    def value(self, document: Document, field: str) -> Any:
        """Return what a document has in a field, None for nothing."""
        return document.get(self._aliases.get(field, field))

    def test(self, query: Mapping[str, Any], runtime: Mapping[str, Sequence[str]]) -> Test:
        """Return a test of documents; `runtime` has the fields that each runtime field reads."""
        ((kind, asked),) = query.items()
        if kind in {"match_none", "match_all"}:
            return lambda document: kind == "match_all"
        if kind == "bool":
            return self._bool(asked, runtime)
        if kind == "exists":
            return lambda d: self.value(d, asked["field"]) is not None
        ((field, value),) = asked.items()
        return self._of_field(kind, field, value, runtime)

    def _of_field(self, kind: str, field: str, value: Any, runtime: Mapping[str, Sequence[str]]) -> Test:
        if kind == "range":
            return self._range(field, value)
        if kind in {"term", "terms"}:
            wanted = set(value if isinstance(value, list) else [value])
            return lambda d: self.value(d, field) in wanted
        if kind == "match_phrase":
            return self._phrase(field, value)
        if kind == "match":
            tests = [self._phrase(field, word) for word in _WORDS.findall(value)]
            return lambda d: any(test(d) for test in tests)
        if kind not in {"wildcard", "regexp"}:
            raise Refused(400, "parsing_exception", f"unknown query [{kind}]")
        return self._pattern(kind, field, value, runtime)

    def _bool(self, asked: Mapping[str, Any], runtime: Mapping[str, Sequence[str]]) -> Test:
        parts = {
            name: [self.test(one, runtime) for one in asked.get(name, [])]
            for name in ("filter", "must", "should", "must_not")
        }
        return lambda d: (
            all(test(d) for test in [*parts["filter"], *parts["must"]])
            and (not parts["should"] or any(test(d) for test in parts["should"]))
            and not any(test(d) for test in parts["must_not"])
        )

    def _range(self, field: str, value: Mapping[str, str]) -> Test:
        least, below, most = (_bound(value.get(name)) for name in ("gte", "lt", "lte"))
        return lambda d: (
            (least is None or ns_in(self.value(d, field)) >= least)
            and (below is None or ns_in(self.value(d, field)) < below)
            and (most is None or ns_in(self.value(d, field)) <= most)
        )

    def _phrase(self, field: str, words: str) -> Test:
        if self._type(field) == "keyword":
            return lambda d: bool(self.value(d, field) == words)
        wanted = f" {' '.join(_WORDS.findall(words.lower()))} "
        return lambda d: wanted in f" {' '.join(_WORDS.findall((self.value(d, field) or '').lower()))} "

    def _pattern(self, kind: str, field: str, asked: Mapping[str, Any], runtime: Mapping[str, Sequence[str]]) -> Test:
        pattern = _lucene(kind, asked["value"], asked.get("case_insensitive", False))
        if field in runtime:
            return lambda d: any(read in d and pattern.fullmatch(d[read]) is not None for read in runtime[field])
        if self._type(field) in {"text", "match_only_text"}:
            return lambda d: any(pattern.fullmatch(word) for word in _WORDS.findall(self.value(d, field) or ""))
        return lambda d: pattern.fullmatch(self.value(d, field) or "") is not None

    def _type(self, field: str) -> str:
        return self._types.get(self._aliases.get(field, field), "")

    def aggregate(self, agg: Mapping[str, Any], documents: Sequence[Document]) -> Any:
        """Return what an aggregation of `composite`, `terms`, `min` or `max` answers."""
        if "composite" in agg:
            return self._composite(agg, documents)
        if "terms" in agg:
            return self._terms(agg, documents)
        ((kind, asked),) = agg.items()
        times = [ns_in(document[asked["field"]]) for document in documents]
        chosen = (min if kind == "min" else max)(times, default=None)
        return {"value": None} if chosen is None else {"value": chosen / 1e6, "value_as_string": iso(chosen)}

    def _composite(self, agg: Mapping[str, Any], documents: Sequence[Document]) -> Any:
        groups: dict[tuple[Any, ...], list[Document]] = defaultdict(list)
        sources = [next(iter(source.items())) for source in agg["composite"]["sources"]]
        for document in documents:
            groups[tuple(self._source_value(source, document) for _, source in sources)].append(document)
        names = [name for name, _ in sources]
        ordered = sorted(groups, key=_nulls_first)
        if after := agg["composite"].get("after"):
            last = _nulls_first(tuple(after[name] for name in names))
            ordered = [key for key in ordered if _nulls_first(key) > last]
        page = ordered[: agg["composite"]["size"]]
        buckets = [
            {
                "key": dict(zip(names, key, strict=True)),
                "doc_count": len(groups[key]),
                **{name: self.aggregate(sub, groups[key]) for name, sub in agg.get("aggs", {}).items()},
            }
            for key in page
        ]
        return {"buckets": buckets, **({"after_key": buckets[-1]["key"]} if buckets else {})}

    def _terms(self, agg: Mapping[str, Any], documents: Sequence[Document]) -> Any:
        groups: dict[Any, list[Document]] = defaultdict(list)
        for document in documents:
            if (value := self.value(document, agg["terms"]["field"])) is not None:
                groups[value].append(document)
        ordered = sorted(groups, key=lambda key: (-len(groups[key]), key))
        size = agg["terms"].get("size", 10)
        subs = agg.get("aggs", {}).items()
        buckets = [
            {"key": key, "doc_count": len(groups[key]), **{n: self.aggregate(sub, groups[key]) for n, sub in subs}}
            for key in ordered[:size]
        ]
        other = sum(len(groups[key]) for key in ordered[size:])
        return {"doc_count_error_upper_bound": 0, "sum_other_doc_count": other, "buckets": buckets}

    def _source_value(self, source: Mapping[str, Any], document: Document) -> Any:
        ((kind, asked),) = source.items()
        if kind == "terms":
            return self.value(document, asked["field"])
        step, offset = (int(asked[name].removesuffix("ms")) for name in ("fixed_interval", "offset"))
        at = ns_in(document[asked["field"]]) // 10**6
        return (at - offset) // step * step + offset


def runtime_fields(mappings: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the fields that the scripts of runtime fields read whole, whatever of their dots is nesting."""
    return {
        name: [
            max(re.findall(r"containsKey\('([^']+)'\)", block), key=len)
            for block in re.findall(r"\{ def v = params\._source; (.*?) if \(v != null\)", mapping["script"]["source"])
        ]
        for name, mapping in mappings.items()
    }


@cache
def ns_in(text: str) -> int:
    """Return a time in nanoseconds since the epoch."""
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    whole = (datetime.fromisoformat(f"{seconds}+00:00") - _EPOCH) // timedelta(seconds=1)
    return whole * 10**9 + int(fraction.ljust(9, "0") or 0)


def iso(ns: int) -> str:
    """Return a time as `strict_date_optional_time_nanos` writes it."""
    return f"{(_EPOCH + timedelta(seconds=ns // 10**9)):%Y-%m-%dT%H:%M:%S}.{ns % 10**9:09d}Z"


def flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of a document by their dotted names."""
    found: dict[str, Any] = {}
    for name, value in document.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found


def _nulls_first(key: Sequence[Any]) -> tuple[tuple[bool, Any], ...]:
    return tuple((value is not None, "" if value is None else value) for value in key)


@cache
def _lucene(kind: str, value: str, any_case: bool) -> "re.Pattern[str]":
    flags = re.DOTALL | (re.IGNORECASE if any_case else 0)
    if kind == "regexp":
        bare = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "", value)
        if '"' in bare:
            raise Refused(400, "illegal_argument_exception", f"expected '\"' at position {len(value)}")
        return re.compile(re.sub(r"\\.|[\^$]", lambda m: f"\\{m[0]}" if len(m[0]) == 1 else m[0], value), flags)
    parts = re.findall(r"\\.|[*?]|[^\\*?]+", value)
    translated = {"*": ".*", "?": "."}
    return re.compile("".join(translated.get(p) or re.escape(p[1:] if p[0] == "\\" else p) for p in parts), flags)


def _bound(value: str | None) -> int | None:
    return None if value is None else 2**62 if value == "now" else ns_in(value)
