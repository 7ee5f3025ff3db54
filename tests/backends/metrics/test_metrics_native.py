"""Expressions in the backend's own language: the same PromQL to everything that speaks it, and what bounds it."""

import json
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.types import Tool
from tests.backends.metrics.asking import asked, document, refused
from tests.backends.metrics.conftest import Connect
from tests.backends.metrics.in_grafana import READERS_TOKEN
from tests.backends.metrics.story import STEP, Told
from tests.backends.metrics.unwell import Unwell, serving

from midwatch_metrics.backends.prometheus import native

pytestmark = pytest.mark.xdist_group("metrics_backends")

SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "prometheus": ("prometheus_url", {}),
    "victoria": ("prometheus_url", {}),
    "grafana": ("grafana_url", {"grafana_token": READERS_TOKEN}),
}
BY_CODE = 'sum by (code) (rate(http_requests_total{service="checkout"}[2m]))'
EMPTY = [
    ("http_request_total", "There is no metric 'http_request_total'; near: http_requests_total"),
    ("sum by (pod) (rate(job_queue_depth[5m])) > 3", "'job_queue_depth'; near: jobs_queue_depth"),
    ('up{servic="stock"}', "No series of up has a label 'servic'; near: service"),
    (
        'up + on (pod) jobs_queue_depth{service="stok"}',
        "No series of jobs_queue_depth has service='stok'; near: stock",
    ),
    ('{__name__="upp",service="stock"}', "There is no metric 'upp'; near: up"),
    ("count({service='chekout'})", "No series has service='chekout'; near: checkout"),
    ("jobs_queue_depth > 1e6", "Nothing matched."),
]
"""Expressions that match nothing, and what is said of it."""
TOOL = "query_metrics"


@pytest.fixture(params=SETTINGS)
def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What turns on each backend that has the story and speaks PromQL."""
    setting, further = SETTINGS[request.param]
    return {setting: request.getfixturevalue(request.param), **further}


async def tool_of(client: Client) -> Tool | None:
    return next((one for one in (await client.list_tools()).tools if one.name == TOOL), None)


async def test_an_expression_has_a_figure_of_each_series_at_even_moments_up_to_the_end(
    connect: Connect, settings: dict[str, Any], told: Told
) -> None:
    begins, ends = (told.end - timedelta(minutes=minutes, seconds=7) for minutes in (15, 0))  # no multiple of the step
    window = {"start": begins.isoformat(), "end": ends.isoformat(), "expression": BY_CODE}
    async with connect(**settings) as client:
        found = await document(client, TOOL, **window, points=60)
        page = await asked(client, TOOL, **window, points=5)
    of = {row["metric"]["code"]: row for row in found["rows"]}
    assert found["matched"] == len(of) == 2
    for row in of.values():
        assert datetime.fromisoformat(row["first"]) == begins + timedelta(seconds=15)
        assert (row["every_seconds"], len(row["values"])) == (15, 60)
    assert of["200"]["values"][:40] == pytest.approx([20.0] * 40)
    assert of["500"]["values"][30] is None
    assert of["500"]["values"][-1] == pytest.approx(6)
    assert f"# query: {BY_CODE} from " in page
    assert 'step 180s\n{code="200"}: ' in page
    assert '{code="500"}: ' in page


async def test_one_point_is_the_figure_at_the_end_and_so_is_a_start_that_is_the_end(
    connect: Connect, settings: dict[str, Any], told: Told
) -> None:
    at = (told.fault - timedelta(minutes=1)).isoformat()
    depth = "sort_desc(max by (pod) (jobs_queue_depth))"
    async with connect(**settings) as client:
        one = await document(client, TOOL, expression=depth, start=told.start.isoformat(), end=at, points=1)
        same = await document(client, TOOL, expression=depth, start=at, end=at)
        scalar = await asked(client, TOOL, expression="scalar(sum(up{service=~'checkout|stock'}))", start=at, end=at)
    assert [(row["metric"]["pod"], row["value"]) for row in one["rows"]] == [("stock-2", 5), ("stock-1", 4)]
    assert {row["time"] for row in one["rows"]} == {at.replace("+00:00", "Z")}
    assert same["rows"] == one["rows"]
    assert "matched=1 " in scalar
    assert scalar.endswith(": 4")


async def test_pages_go_on_in_the_series_of_the_first(connect: Connect, settings: dict[str, Any], told: Told) -> None:
    given = {"expression": "up{service=~'checkout|stock'}", "start": told.window["start"], "end": told.window["end"]}
    seen: list[str] = []
    cursor = None
    async with connect(**settings) as client:
        while True:
            reply = await client.call_tool(TOOL, {**given, "limit": 3, "points": 15, "cursor": cursor})
            page = reply.structured_content or {}
            seen += page["lines"]
            cursor = page.get("next_cursor")
            assert page["matched"] == 4
            assert page["query"].endswith(" -- all series: up")
            if not page["truncated"]:
                break
    assert sorted(line.partition('pod="')[2].partition('"')[0] for line in seen) == [
        "checkout-1",
        "checkout-2",
        "stock-1",
        "stock-2",
    ]


async def test_an_empty_answer_says_what_is_not_there_and_what_is_near(
    connect: Connect, settings: dict[str, Any], told: Told
) -> None:
    async with connect(**settings) as client:
        pages = [await asked(client, TOOL, **told.window, expression=expression) for expression, _ in EMPTY]
    for page, (expression, words) in zip(pages, EMPTY, strict=True):
        assert "matched=0" in page, expression
        assert words in page, expression


@pytest.mark.parametrize(
    ("expression", "further", "words"),
    [
        ("sum(rate(up[5m])", {}, "1:17: parse error: unclosed left parenthesis"),
        ("up\n  +* up", {"points": 1}, "2:4: parse error: unexpected <op:*>"),
        ("up[5m]", {}, 'range vector" for range query, must be Scalar or instant Vector -- with points=1'),
        (" ", {}, "query is empty"),
        ("up", {"start": "now", "end": "-5m"}, "the window"),
    ],
)
async def test_an_expression_that_is_none_gets_prometheus_own_complaint_with_its_place(
    connect: Connect, prometheus: str, expression: str, further: dict[str, Any], words: str
) -> None:
    async with connect(prometheus_url=prometheus) as client:
        code, said = await refused(client, TOOL, expression=expression, **further)
    assert code == "bad_input"
    assert words in said


async def test_a_range_has_its_samples_as_they_are_kept(connect: Connect, prometheus: str, told: Told) -> None:
    expression = 'jobs_queue_depth{pod="stock-1"}[1m]'
    async with connect(prometheus_url=prometheus) as client:
        found = await document(client, TOOL, expression=expression, **told.window, points=1)
        page = await asked(client, TOOL, expression=expression, **told.window, points=1)
    (row,) = found["rows"]
    times = [datetime.fromisoformat(at) for at, _ in row["points"]]
    assert [value for _, value in row["points"]] == [40, 41, 40, 41]
    assert [b - a for a, b in pairwise(times)] == [timedelta(seconds=STEP)] * 3
    assert f"41@{times[-1].isoformat().replace('+00:00', 'Z')}" in page


async def test_more_series_than_may_be_are_refused_with_advice_and_counted(
    connect: Connect, prometheus: str, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "MOST_SERIES", 2)
    async with connect(prometheus_url=prometheus) as client:
        code, said = await refused(client, TOOL, **told.window, expression='up{service=~"checkout|stock"}')
        assert "matched=2" in await asked(client, TOOL, **told.window, expression='up{service="stock"}')
    assert code == "bad_input"
    assert "gives 4 series, and 2 is the most: aggregate (sum by (label)" in said


async def test_a_server_that_left_series_out_as_it_was_told_to_is_not_taken_at_its_word(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "MOST_SERIES", 2)
    result = [{"metric": {"job": job}, "value": [1700000000, "1"]} for job in "abc"]
    told = {"status": "success", "data": {"resultType": "vector", "result": result}, "warnings": ["results truncated"]}
    with serving(Unwell(body=json.dumps(told).encode())) as fake:
        async with connect(prometheus_url=fake.url) as client:
            code, said = await refused(client, TOOL, expression="up", points=1)
    assert (code, "gives more than 2 series" in said) == ("bad_input", True)


async def test_the_time_and_the_series_are_bounded_in_the_question_and_remarks_come_with_the_answer(
    connect: Connect,
) -> None:
    histogram = {"count": "12", "sum": "3.5", "buckets": [[0, "0.25", "0.5", "12"]]}
    told = {
        "status": "success",
        "data": {"resultType": "vector", "result": [{"metric": {"job": "a"}, "histogram": [1700000000, histogram]}]},
        "warnings": ["store a.example:10901 did not answer"],
        "infos": ['PromQL info: metric might not be a counter: "x" (1:6)'],
    }
    with serving(Unwell(body=json.dumps(told).encode())) as fake:
        async with connect(prometheus_url=fake.url, deadline_seconds=20) as client:
            page = await asked(client, TOOL, expression="rate(x[5m])", points=1)
            row = (await document(client, TOOL, expression="rate(x[5m])", points=1))["rows"][0]
    assert '{job="a"}: (count 12.0, sum 3.5)' in page
    assert "store a.example:10901 did not answer\nPromQL info: metric might not be a counter" in page
    assert row["value"] == {"count": 12, "sum": 3.5, "buckets": [[0, "0.25", "0.5", "12"]]}
    assert {"timeout=9.500", "limit=1001", "query=rate%28x%5B5m%5D%29"} <= set(fake.sent[0].split("&"))


async def test_a_query_that_prometheus_gave_up_is_not_called_an_outage(connect: Connect) -> None:
    given_up = {"status": "error", "errorType": "timeout", "error": "query timed out in expression evaluation"}
    body = json.dumps(given_up).encode()
    with serving(Unwell(status=503, body=body, headers={"retry-after": "0"})) as fake:
        async with connect(prometheus_url=fake.url) as client:
            code, said = await refused(client, TOOL, expression="rate(x[5m])")
    assert code == "bad_input"
    assert "gave the query up (query timed out in expression evaluation): name a service or a metric" in said


async def test_the_tool_is_offered_where_a_backend_has_a_language_and_names_those_that_have(
    connect: Connect, prometheus: str, grafana: str, told: Told, tmp_path: Path
) -> None:
    async with connect(store=tmp_path, cloudwatch_namespaces="Shop") as client:
        assert await tool_of(client) is None
    both = {"store": tmp_path, "prometheus_url": prometheus, "grafana_url": grafana, "grafana_token": READERS_TOKEN}
    async with connect(**both) as client:
        tool = await tool_of(client)
        code, said = await refused(client, TOOL, expression="up", backend="prometheos")
        page = await asked(client, TOOL, expression="count(up)", backend="grafana", **told.window, points=1)
    assert tool is not None
    assert "PromQL" in str(tool.description)
    assert tool.input_schema["properties"]["backend"]["enum"] == ["prometheus", "grafana"]
    assert (code, said.endswith("use prometheus")) == ("bad_input", True)
    assert "matched=1 " in page
