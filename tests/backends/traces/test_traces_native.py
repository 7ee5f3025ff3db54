"""Queries in the backends' own languages: TraceQL of Tempo, filter expressions of X-Ray."""

import json
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from tests.backends.fakes.otlp import Row
from tests.backends.fakes.tempo import FakeTempo
from tests.backends.fakes.xray import FakeXRay
from tests.backends.serving import served

from midwatch_kit import rfc3339
from midwatch_store import from_ns, to_ns
from midwatch_traces.server import build
from midwatch_traces.settings import TracesSettings

LAST = {"start": "2026-11-20T02:47:45Z", "end": "2026-11-20T02:48:00Z"}
WHOLE = {"start": "2026-11-20T02:44:03Z", "end": "2026-11-20T02:48:00Z"}
Asking = Callable[..., AbstractAsyncContextManager[Client]]


def ns(told: str) -> int:
    """A time in RFC 3339 as ns since the epoch."""
    return to_ns(datetime.fromisoformat(told))


START, END = ns(LAST["start"]), ns(LAST["end"])

pytestmark = pytest.mark.xdist_group("trace backends")


@pytest.fixture
def asking(tmp_path: Path) -> Asking:
    """Returns a maker of clients of a traces server with some settings."""

    def make(**settings: Any) -> AbstractAsyncContextManager[Client]:
        return Client(build(TracesSettings(evidence_dir=tmp_path, **settings)).build())

    return make


async def answer(client: Client, query: str, **given: Any) -> dict[str, Any]:
    reply = await client.call_tool("query_traces", {**LAST, "query": query, **given})
    assert not reply.is_error, reply.content
    told: dict[str, Any] = reply.structured_content or {}
    return told


async def refusal(client: Client, query: str, **given: Any) -> str:
    reply = await client.call_tool("query_traces", {**LAST, "query": query, **given})
    assert reply.is_error, reply.content
    return str(getattr(reply.content[0], "text", ""))


async def evidence(client: Client, told: dict[str, Any]) -> list[Row]:
    page = await client.read_resource(f"midwatch://evidence/{told['evidence']}/page/0")
    rows: list[Row] = json.loads(page.contents[0].text)["rows"]  # type: ignore[union-attr]
    return rows


def failing(told: list[Row], service: str) -> dict[str, list[Row]]:
    """Failed spans of a service in the window, by their traces."""
    found: dict[str, list[Row]] = {}
    for row in told:
        if row["ServiceName"] == service and row["StatusCode"] == "Error" and START <= row["Timestamp"] < END:
            found.setdefault(row["TraceId"], []).append(row)
    return found


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("tempo", '{ resource.service.name = "pay" && status = error }'),
        ("xray", 'service("pay") { fault = true }'),
    ],
)
async def test_all_traces_of_the_window_come_once_over_all_pages_newest_first(
    name: str, query: str, told: list[Row], settings_of: Callable[[str], Any], asking: Asking
) -> None:
    seen: list[str] = []
    expected = failing(told, "pay")
    async with asking(**settings_of(name)) as client:
        told_last = await answer(client, query, limit=3)
        while True:
            assert (told_last["matched"], told_last["window"]) == (len(expected), f"{LAST['start']}/{LAST['end']}")
            seen += told_last["lines"]
            if not told_last["truncated"]:
                break
            told_last = await answer(client, query, limit=3, cursor=told_last["next_cursor"])
    assert len(seen) == len(expected) > 3
    assert {found[0] for line in seen if (found := re.search("[0-9a-f]{32}", line))} == expected.keys()
    assert seen == sorted(seen, reverse=True)


async def test_a_trace_has_its_matched_spans_with_what_the_query_selected(
    told: list[Row], settings_of: Callable[[str], Any], asking: Asking
) -> None:
    query = '{ resource.service.name = "pay" && status = error } | select(name, resource.service.instance.id)'
    async with asking(**settings_of("tempo")) as client:
        rows = await evidence(client, await answer(client, query))
    for row in rows:
        spans = failing(told, "pay")[row["trace_id"]]
        assert (row["service"], row["operation"], row["matched"]) == ("web", "POST", len(spans))
        assert {span["span"]: (span["name"], span["service.instance.id"]) for span in row["spans"]} == {
            span["SpanId"]: (span["SpanName"], span["ResourceAttributes"]["service.instance.id"]) for span in spans[:3]
        }


async def test_a_trace_of_x_ray_has_what_its_summary_says(
    told: list[Row], settings_of: Callable[[str], Any], asking: Asking
) -> None:
    async with asking(**settings_of("xray")) as client:
        rows = await evidence(client, await answer(client, 'service("pay") { fault = true }'))
    for row in rows:
        trace = [one for one in told if one["TraceId"] == row["trace_id"]]
        assert (row["service"], row["failed"]) == ("web", "fault")
        assert row["services"] == sorted({one["ServiceName"] for one in trace})
        lasted = max(one["Timestamp"] + one["Duration"] for one in trace) - min(one["Timestamp"] for one in trace)
        assert row["duration_ms"] == pytest.approx(lasted / 10**6, abs=0.6)


async def test_what_is_found_around_the_window_is_left_out(
    told: list[Row], settings_of: Callable[[str], Any], asking: Asking
) -> None:
    traces: dict[str, list[int]] = {}
    for row in told:
        if row["ServiceName"] == "web" and row["Timestamp"] < END:
            traces.setdefault(row["TraceId"], []).append(row["Timestamp"])
    cut = next(times for times in traces.values() if min(times) >= START)
    begin = max(cut) // 1_000 * 1_000 + 1_000
    window = {"start": rfc3339(from_ns(begin)), "limit": 500}
    async with asking(**settings_of("tempo"), **settings_of("xray")) as client:
        query = '{ resource.service.name = "web" }'
        in_tempo = await evidence(client, await answer(client, query, **window, backend="tempo"))
        in_xray = await evidence(client, await answer(client, 'service("web")', **window, backend="xray"))
    of = {row["SpanId"]: row["Timestamp"] for row in told}
    assert all(begin <= of[span["span"]] < END for row in in_tempo for span in row["spans"])
    assert {row["trace_id"] for row in in_tempo} == {name for name, times in traces.items() if max(times) >= begin}
    assert {row["trace_id"] for row in in_xray} == {name for name, times in traces.items() if min(times) >= begin}
    assert cut not in [traces[row["trace_id"]] for row in [*in_tempo, *in_xray]]


@pytest.mark.parametrize("metrics", ["instant", "range"])
async def test_a_metrics_query_has_a_row_a_series_with_points_of_the_window_only(
    metrics: str, told: list[Row], asking: Asking
) -> None:
    with served(FakeTempo(told, metrics=metrics).app) as (url, _):
        async with asking(tempo_url=url) as client:
            given = await answer(client, "{ } | count_over_time() by (resource.service.name)", **WHOLE)
            rows = await evidence(client, given)
    by_size = sorted(rows, key=lambda row: -sum(row["values"]))
    assert rows == by_size
    assert given["matched"] == len({row["ServiceName"] for row in told})
    start, end = (ns(WHOLE[name]) // 10**9 for name in ("start", "end"))
    for row in rows:
        first, step = ns(row["first"]) // 10**9, row["every_seconds"]
        assert (step, len(row["values"])) == (4, 58)
        assert start <= first - step < first + 58 * step <= end
        spans = [one["Timestamp"] for one in told if one["ServiceName"] == row["resource.service.name"]]
        early = step if metrics == "instant" else 0
        assert row["values"][0] == sum(first - early <= at / 10**9 < first - early + step for at in spans)


async def test_rates_are_per_second_and_series_that_tempo_leaves_out_are_told(told: list[Row], asking: Asking) -> None:
    fake = FakeTempo(told)
    fake.most_series = 2
    with served(fake.app) as (url, _):
        async with asking(tempo_url=url) as client:
            given = await answer(client, '{ resource.service.name = "web" } | rate()', **WHOLE)
            cut = await answer(client, "{ } | rate() by (resource.service.name)", **WHOLE)
            [row] = await evidence(client, given)
    web = sum(one["ServiceName"] == "web" for one in told)
    assert sum(row["values"]) * 4 == pytest.approx(web, rel=0.1)
    assert (cut["matched"], cut["truncated"]) == (2, True)
    assert "Response exceeds maximum series limit of 2" in cut["caveats"][0]
    assert "At least 2 rows match" in cut["caveats"][1]


@pytest.mark.parametrize(("kind", "query"), [("tempo", "{ }"), ("xray", "duration >= 0")])
async def test_more_traces_than_are_fetched_are_told_as_the_least(
    kind: str, query: str, told: list[Row], asking: Asking
) -> None:
    root = next(row for row in told if not row["ParentSpanId"] and row["ServiceName"] == "web")
    many = [
        {**root, "TraceId": f"{number:032x}", "Timestamp": START + number * 10**6, "Links.TraceId": []}
        for number in range(1, 1_301)
    ]
    app = FakeTempo(many).app if kind == "tempo" else FakeXRay(many).app
    with served(app) as (url, _):
        on = {"tempo_url": url} if kind == "tempo" else {"xray": True, "aws_endpoint_url": url}
        async with asking(**on) as client:
            given = await answer(client, query, limit=2)
    assert (given["matched"], given["truncated"]) == (1_001, True)
    assert given["caveats"] == [
        "At least 1001 rows match, and 1000 were fetched: narrow the window, filter or aggregate, or raise limit "
        "(at most 5000)."
    ]


async def test_a_malformed_query_brings_the_backend_s_own_words_and_the_place(
    settings_of: Callable[[str], Any], asking: Asking
) -> None:
    async with asking(**settings_of("tempo"), **settings_of("xray")) as client:
        said = await refusal(client, "{ status = }", backend="tempo")
        assert "invalid TraceQL query: parse error at line 1, col 1: syntax error: unexpected" in said
        assert said.endswith("-- in { status = } with (most_recent=true)")
        assert "Invalid filter expression near: status" in await refusal(client, "status == 1", backend="xray")
        assert "query is empty" in await refusal(client, " ", backend="tempo")
        assert "no backend 'jaeger' has a language of its own here" in await refusal(client, "{ }", backend="jaeger")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ('{ span.http.stauts = "500" }', "Tempo names no attribute span.http.stauts in this window; there are span."),
        ('{ span.service.name = "pay" }', "no attribute span.service.name in this window; there are resource.service"),
        ('{ resource.service.name = "pya" }', "Tempo names no service 'pya' in this window; there are pay"),
        ('{ resource.service.name = "pya" } | rate()', "Tempo names no service 'pya' in this window; there are pay"),
        ('service("pya")', "X-Ray's graph has no service 'pya' in this window; there are pay"),
    ],
)
async def test_an_unknown_name_is_told_with_near_ones(
    query: str, said: str, settings_of: Callable[[str], Any], asking: Asking
) -> None:
    async with asking(**settings_of("tempo" if query.startswith("{") else "xray")) as client:
        given = await answer(client, query)
    assert (given["matched"], said in given["hint"]) == (0, True), given["hint"]


async def test_the_filter_of_the_settings_is_put_into_every_set_of_spans(told: list[Row], asking: Asking) -> None:
    only = 'resource.service.instance.id = "pay-1"'
    with served((fake := FakeTempo(told)).app) as (url, _):
        async with asking(tempo_url=url, tempo_filter=only) as client:
            rows = await evidence(client, await answer(client, '{ status = error || name =~ "}{" } || { }'))
            await answer(client, '{ resource.service.name = "web" }')
    assert fake.asked[0][1]["q"] == (
        f'{{ ({only}) && (status = error || name =~ "}}{{") }} || {{ {only} }} with (most_recent=true)'
    )
    assert fake.asked[-1][1]["q"] == f"{{ {only} }}", "names for hints are of the filter as well"
    service = {row["SpanId"]: row["ResourceAttributes"]["service.instance.id"] for row in told}
    assert {service[span["span"]] for row in rows for span in row["spans"]} == {"pay-1"}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("{ status = error) || (true }", "parentheses do not match"),
        ("count() > 0", "begin with a set of spans"),
        ("({ }) && ( by (name) | count() > 0)", "begin with a set of spans"),
        ("{ span.a` = 1 } || { name = ` }", "cannot be read here"),
        ('/* " */ { } /* " */', "cannot be read here"),
        ("{ name = '\"' } || { name = '\"' }", "cannot be read here"),
        ('{ name = "a', "cannot be read here"),
        ("{ name", "has no end: close it with }"),
    ],
)
async def test_no_query_leads_out_of_the_filter(query: str, said: str, told: list[Row], asking: Asking) -> None:
    with served((fake := FakeTempo(told)).app) as (url, _):
        async with asking(tempo_url=url, tempo_filter='resource.env = "prod"') as client:
            assert said in await refusal(client, query)
    assert fake.asked == []


async def test_no_filter_expression_leads_out_of_that_of_the_settings(told: list[Row], asking: Asking) -> None:
    with served((fake := FakeXRay(told)).app) as (url, _):
        async with asking(xray=True, aws_endpoint_url=url, xray_filter='service("ship")') as client:
            for query in ('fault = true) OR (service("pay")', "a = '\" ) OR ( \"'", "a = `) OR (`", 'a = "'):
                await refusal(client, query)
            assert fake.asked == []
            await answer(client, 'service("pay") OR fault = true')
    assert fake.asked[0][1]["FilterExpression"] == '(service("ship")) AND (service("pay") OR fault = true)'


@pytest.mark.parametrize("kind", ["stall", "500", "garbage", "cut"])
async def test_trouble_is_an_error_in_words_before_the_deadline(kind: str, told: list[Row], asking: Asking) -> None:
    with served(FakeTempo(told).app) as (url, trouble):
        trouble.kind = kind
        async with asking(tempo_url=url, deadline_seconds=0.6) as client:
            assert "tempo at 127.0.0.1" in await refusal(client, "{ }")


async def test_only_what_has_a_language_offers_the_tool_and_says_which(
    settings_of: Callable[[str], Any], asking: Asking
) -> None:
    found = []
    on = [("store", "jaeger"), ("store", "tempo"), ("tempo", "xray")]
    for names in on:
        async with asking(**{k: v for name in names for k, v in settings_of(name).items()}) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            if tool := tools.get("query_traces"):
                found.append((tool.description, list(tool.input_schema["properties"])))
                assert (tool.title, (tool.meta or {})["midwatch/role"]) == ("Query traces", "drill_down")
    words = "Rows of a query in the backend's own language"
    assert found == [
        (f"{words} (TraceQL, also metrics), within the window.", ["query", "start", "end", "limit", "cursor"]),
        (
            f"{words} (tempo: TraceQL, also metrics; xray: X-Ray filter expressions), within the window.",
            ["query", "backend", "start", "end", "limit", "cursor"],
        ),
    ]
