"""The query DSL: what is asked, as plain values, and nothing else.

A part of a text is looked for as a term of a `wildcard` field where there is one. Elsewhere texts are cut into words,
so a runtime field reads them whole from the document: exact, and slower.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from midwatch_kit import BadInput
from midwatch_kit.logs import stamp
from midwatch_kit.logs.backend import Around, Filter
from midwatch_logs.backends.elasticsearch.layout import TIME, Layout
from midwatch_logs.remote import Span, level_words, readable_pattern

RUNTIME: Final = "midwatch_text"
NANOS: Final = "strict_date_optional_time_nanos"
Query = dict[str, Any]
_MS: Final = 10**6
_UNKNOWN_TO_LUCENE: Final = re.compile(r"\(\?[^i)]|\\[bBAZzpP]|[*+?}][?+]")
_CLASS_OR_ESCAPE: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]")


def within(spans: Sequence[Span], layout: Layout) -> Query:
    """Lines of any of the spans."""
    ranges = [
        {"range": {TIME: {"gte": _edge(start, layout), "lt": _edge(end, layout), "format": NANOS}}}
        for start, end in spans
    ]
    return either(ranges) if ranges else {"match_none": {}}


def matching(wanted: Filter | Around, layout: Layout) -> tuple[list[Query], Query]:
    """The filters that a line must pass, and the runtime mappings that they need."""
    if isinstance(wanted, Around):
        return [either([_writer(writer, layout) for writer in wanted.writers])], {}
    filters: list[Query] = []
    runtime: Query = {}
    if wanted.text:
        cut = [name for name in layout.texts if name not in layout.whole]
        runtime = {RUNTIME: {"type": "keyword", "script": {"source": _script(cut)}}} if cut else {}
        fields = [*layout.whole.values(), *([RUNTIME] if cut else [])]
        test = _regexp(wanted.text) if wanted.regex else _substring(wanted.text)
        filters.append(either([{kind: {field: asked}} for field in fields for kind, asked in test.items()]))
    if wanted.severity:
        filters.append(_level(wanted.severity, layout))
    named = [_one_of(layout.service, wanted.services, "unknown_service")] if wanted.services else []
    named += [_one_of(layout.instance, wanted.instances)] if wanted.instances else []
    return [*filters, *([either(named)] if named else [])], runtime


def of_trace(trace_id: str, layout: Layout) -> Query:
    """The lines that have a trace's id in a field of its own."""
    return either([{"term": {field: trace_id}} for field in layout.trace])


def containing(words: str, layout: Layout) -> Query:
    """The lines whose message has these words in a row."""
    return either([{"match_phrase": {field: words}} for field in layout.message])


def either(queries: Sequence[Query]) -> Query:
    """Any of the queries; nothing for none."""
    if not queries:
        return {"match_none": {}}
    return queries[0] if len(queries) == 1 else {"bool": {"should": list(queries), "minimum_should_match": 1}}


def _edge(instant: int, layout: Layout) -> str:
    """A bound of a span: a field of milliseconds would cut off what is finer, so that is rounded up."""
    return stamp(instant if layout.nanos else -(-instant // _MS) * _MS)


def _one_of(fields: Sequence[str], names: Sequence[str], unnamed: str | None = None) -> Query:
    """Documents in which the first of the fields that they have is one of the names."""
    found: list[Query] = []
    for number, field in enumerate(fields):
        first = {"terms": {field: list(names)}}
        found.append(_without(fields[:number], first))
    if unnamed in names:
        found.append(_without(fields))
    return either(found)


def _without(fields: Sequence[str], query: Query | None = None) -> Query:
    absent = [{"exists": {"field": field}} for field in fields]
    if query and not absent:
        return query
    return {"bool": {**({"filter": [query]} if query else {}), "must_not": absent}}


def _writer(writer: tuple[str, str], layout: Layout) -> Query:
    service, instance = writer
    of_instance = _one_of(layout.instance, [instance]) if instance else _without(layout.instance)
    filters = [_one_of(layout.service, [service], "unknown_service")] if layout.service else []
    return {"bool": {"filter": [*filters, *([of_instance] if layout.instance else [])]}}


def _level(severity: int, layout: Layout) -> Query:
    pattern = "|".join(f"{word}.*" for word in level_words(severity))
    asked = {"value": pattern, "case_insensitive": True, "flags": "NONE"}
    return either([_without(layout.level[:n], {"regexp": {f: asked}}) for n, f in enumerate(layout.level)])


def _substring(text: str) -> Query:
    plain = re.sub(r"([*?\\])", r"\\\1", text)
    return {"wildcard": {"value": f"*{plain}*", "case_insensitive": True}}


def _regexp(pattern: str) -> Query:
    """A regular expression as Lucene has it: of a whole text, so with anything before and behind."""
    readable_pattern(pattern)
    own = pattern.removeprefix("(?i)")
    if found := _UNKNOWN_TO_LUCENE.search(own):
        raise BadInput(f"Elasticsearch's regular expressions have no {found[0]!r} (at {found.start()}): do without")
    value = "|".join(_anchored(part) for part in _alternatives(own))
    return {"regexp": {"value": value, "case_insensitive": pattern.startswith("(?i)"), "flags": "NONE"}}


def _anchored(pattern: str) -> str:
    bare = _CLASS_OR_ESCAPE.sub(lambda found: "x" * len(found[0]), pattern)
    begin, end = bare.startswith("^"), bare.endswith("$")
    core = pattern[begin : len(pattern) - end]
    if found := re.search(r"[\^$]", bare[begin : len(pattern) - end]):
        raise BadInput(f"Elasticsearch's regular expressions have {found[0]!r} only at an end: not in {pattern[:80]!r}")
    quoted = re.sub(r"\\.|\"", lambda found: '\\"' if found[0] == '"' else found[0], core)
    return f"{'' if begin else '.*'}({quoted}){'' if end else '.*'}"


def _alternatives(pattern: str) -> list[str]:
    """The parts of a pattern that `|` divides outside of brackets."""
    bare = _CLASS_OR_ESCAPE.sub(lambda found: "x" * len(found[0]), pattern)
    parts, depth, begin = [], 0, 0
    for place, sign in enumerate(bare):
        depth += (sign == "(") - (sign == ")")
        if sign == "|" and not depth:
            parts.append(pattern[begin:place])
            begin = place + 1
    return [*parts, pattern[begin:]]


def _script(fields: Sequence[str]) -> str:
    """A script that emits the texts of a document whole."""
    return " ".join(
        f"{{ def v = params._source; {_steps(field)} if (v != null) {{ emit(v.toString()) }} }}" for field in fields
    )


def _steps(field: str) -> str:
    """Each step into a document: the next name, or all that is left as one, since dots may be names or nesting."""
    names = field.split(".")
    return " ".join(
        f"if (v instanceof Map) {{ v = v.containsKey('{rest}') ? v.get('{rest}') : v.get('{name}') }}"
        for name, rest in ((name, ".".join(names[number:])) for number, name in enumerate(names))
    )
