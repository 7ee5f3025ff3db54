"""The fakes of Loki and Tempo read no more than Grafana's grammars do, and both read all that the backends write."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, product
from typing import Final

import pytest
from tests.backends.fakes import loki, traceql
from tests.backends.grammars import Query, first_errors

from midwatch_kit.logs.backend import Around, Filter
from midwatch_logs.backends.loki.logql import LogQl, Names
from midwatch_traces.backend import Search
from midwatch_traces.backends.traceql import spans_of

AWKWARD: Final = (
    "shop",
    'say "so"',
    "back\\slash",
    "`tick`",
    "a{b}=c|d",
    "naïve 日本",
    "new\nline\ttab",
    "[x](y)*.+?^$",
)
NAMES: Final = Names("service_name", ("pod", "instance"), ("detected_level", "level"), "trace_id")


def log_queries() -> Iterator[str]:
    """What the Loki backend asks about services, instances and texts of any letters."""
    for selector, name in product(("", 'env="prod"'), AWKWARD):
        writes = LogQl(NAMES, selector)
        wanted: list[Filter | Around] = [
            Filter(services=(name, "forge"), severity=17),
            Filter(name, services=(name,), instances=(name, "")),
            Filter("a.*b|[c-d]{2}", regex=True, severity=9),
            Around("", 0, 1, ((name, name), ("forge", ""))),
        ]
        lines = [writes.lines(each) for each in wanted]
        lines += [writes.streams(), writes.streams([name]), writes.of_trace(name), writes.containing(name)]
        yield from lines
        yield from (writes.counted(each, by, 90 * 10**9, 10**6) for each in lines for by in ([], ["pod", "level"]))


def trace_queries() -> Iterator[str]:
    """What the Tempo backend asks about services, instances, operations and attributes of any letters."""
    for name, also in product(AWKWARD, ("", 'resource.env = "prod" || span.env = "prod"')):
        searches = [
            Search(service=name, instance=name, errors=True),
            Search(service="forge", operation=name, least_ms=1.5),
            Search(service="", attributes={"http.route": name, name: "500", "k8s/pod-x": "-1.5"}),
        ]
        spans = [spans_of(search, also) for search in searches]
        yield from spans
        yield from (f"{each} with (most_recent=true)" for each in spans)
        yield from (
            f"{each} | count_over_time(){by}" for each in spans for by in ("", " by (resource.service.name, status)")
        )


def readers() -> dict[str, Callable[[str], object]]:
    """How each fake reads; all raise what they refuse with."""

    def spans_or_counts(query: str) -> object:
        counts = re.search(r"\| (count_over_time|rate)", query)
        return traceql.read_counts(query) if counts else traceql.read_spans(query)

    return {"logql": lambda query: loki.LogQl(query).parse(), "traceql": spans_or_counts}


def is_read(language: str, text: str) -> bool:
    try:
        readers()[language](text)
    except (loki.Refused, traceql.Refused):
        return False
    return True


def damaged(query: str) -> Iterator[str]:
    """The query with each of its words or signs left out, said twice, or swapped with the next."""
    parts = re.findall(r'"(?:[^"\\]|\\.)*"|[\w.:/-]+|\S|\s+', query)
    for at, part in enumerate(parts):
        before, after = parts[:at], parts[at + 1 :]
        yield "".join([*before, *after])
        yield "".join([*before, part, " ", part, *after])
        yield "".join([*before, *after[:1], part, *after[1:]])


@pytest.mark.parametrize(("language", "written"), [("logql", log_queries), ("traceql", trace_queries)])
def test_all_that_a_backend_writes_is_well_formed_and_the_fake_reads_it(
    language: str, written: Callable[[], Iterator[str]]
) -> None:
    queries: Sequence[Query] = [(language, text) for text in dict.fromkeys(written())]
    places = first_errors(queries)
    assert [(text, place) for (_, text), place in zip(queries, places, strict=True) if place >= 0] == []
    assert [text for _, text in queries if not is_read(language, text)] == []


LOG_QUERIES: Final = (
    '{env="prod", service_name=~"forge|bot"} |~ "(?i)x" | (pod="a" and level=~"e.*") or pod=""',
    'sum by (pod, level) (count_over_time({service_name=~".+"} |= "x" | trace_id="1" [5m] offset 1h))',
    'sum (count_over_time({service_name!="", pod!~"a"} [30s]))',
)
TRACE_QUERIES: Final = (
    '{ (resource.service.name = "a" || span."b c" = "d") && status = error && duration >= 12us }',
    '{ name =~ "(?i).*x.*" && link:traceID = "ab" } with (most_recent=true)',
    "{ span.a = -1.5 || span.b = true } | count_over_time() by (resource.service.name, status)",
    '{ status = error } || { span.a = "b" } | select(name, span.http.route, status)',
    "{ } | rate() by (name)",
)


@pytest.mark.parametrize(("language", "whole"), [("logql", LOG_QUERIES), ("traceql", TRACE_QUERIES)])
def test_a_fake_reads_nothing_that_is_malformed(language: str, whole: Sequence[str]) -> None:
    assert all(is_read(language, text) for text in whole)
    read = [text for text in dict.fromkeys(chain.from_iterable(map(damaged, whole))) if is_read(language, text)]
    places = first_errors([(language, text) for text in read])
    assert [(text, place) for text, place in zip(read, places, strict=True) if place >= 0] == []
