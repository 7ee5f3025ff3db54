"""Queries in the backends' own languages: the same question in each, and what none of them may do."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from mcp import Client
from tests.backends.fakes.awsapi import aws
from tests.backends.fakes.cloudwatchlogs import FakeCloudWatchLogs, Group
from tests.backends.fakes.elasticsearch import FakeElasticsearch
from tests.backends.fakes.insights import Event
from tests.backends.fakes.loki import Entry, FakeLoki
from tests.backends.logs.conftest import ECS, Connect, Settings, give_up_on, loki_entry
from tests.backends.logs.story import END, HOUR, WHOLE, tell
from tests.backends.logs.test_logs_contract import answer
from tests.backends.serving import served

from midwatch_kit import parse_time
from midwatch_kit.logs import ns_of
from midwatch_kit.native import Asked
from midwatch_logs.backends.elasticsearch import ElasticsearchLogs
from midwatch_logs.settings import LogSettings

PART = {"start": "2026-11-20T02:50:00Z", "end": "2026-11-20T02:55:30Z"}
FAILING = {
    "loki": '{service_name="forge"} |= "cannot read part"',
    "elasticsearch": 'FROM logs-* | WHERE log.level == "error" | SORT @timestamp DESC | KEEP @timestamp, message',
    "elasticsearch-dsl": json.dumps(
        {"query": {"match": {"message": "cannot"}}, "sort": [{"@timestamp": {"order": "desc"}}]}
    ),
    "cloudwatch": "fields @timestamp, @message\n| filter @message like /cannot read part/\n| sort @timestamp desc",
}
BY_SERVICE = {
    "loki": "sum by (service_name) (count_over_time({service_name=~`.+`}[$__range]))",
    "elasticsearch": "FROM logs-* | STATS n = COUNT(*) BY service.name | SORT n DESC",
    "elasticsearch-dsl": '{"aggs": {"service": {"terms": {"field": "service.name"}}}}',
    "cloudwatch": "stats count(*) as n by @log",
}
LANGUAGES = sorted(FAILING)


def lines_between(first: str, last: str) -> list[str]:
    """The story's lines whose clock lies in [first, last)."""
    return [line.body for line in tell() if first <= f"{line.time:%H:%M:%S}" < last]


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def settings(language: str, told_backend: Any) -> Settings:
    """Returns those of the backend that has the language."""
    found: Settings = told_backend(language.removesuffix("-dsl"))
    return found


async def refused(client: Client, query: str, **arguments: Any) -> str:
    reply = await client.call_tool("query_logs", {**PART, "query": query, **arguments})
    assert reply.is_error, reply.content
    return str(getattr(reply.content[0], "text", ""))


async def refusal(connect: Connect, settings: Settings, query: str, **arguments: Any) -> str:
    async with connect(**settings) as client:
        return await refused(client, query, **arguments)


async def test_all_rows_of_the_window_come_once_over_all_pages(
    connect: Connect, language: str, settings: Settings
) -> None:
    expected = [body for body in lines_between("02:50:00", "02:55:30") if body.startswith("cannot")]
    asked = {**PART, "query": FAILING[language], "limit": 20}
    seen: list[str] = []
    async with connect(**settings) as client:
        told = await answer(client, "query_logs", **asked)
        while True:
            assert (told["matched"], told["window"]) == (len(expected), f"{PART['start']}/{PART['end']}")
            seen += told["lines"]
            if not told["truncated"]:
                break
            told = await answer(client, "query_logs", **asked, cursor=told["next_cursor"])
    assert len(seen) == len(expected)
    assert len({next(at for at, cell in enumerate(line.split(" | ")) if "cannot" in cell) for line in seen}) == 1
    for line, body in zip(seen, reversed(expected), strict=True):
        assert body in line, "newest first"


async def test_groups_are_counted_within_the_window(connect: Connect, language: str, settings: Settings) -> None:
    async with connect(**settings) as client:
        told = await answer(client, "query_logs", **PART, query=BY_SERVICE[language])
    counted = sorted(int(cell) for line in told["lines"] for cell in line.split(" | ") if cell.isdecimal())
    bots = sum("moved" in body for body in lines_between("02:50:00", "02:55:30"))
    assert counted == sorted([bots, len(lines_between("02:50:00", "02:55:30")) - bots])
    assert "columns: " in told["query"]


MALFORMED = {
    "loki": [
        (
            '{service_name="forge"}\n|= ',
            "Loki refuses this: parse error at line 1, col 26: syntax error: unexpected $end",
        ),
        ('{service_name="forge" |= "a"', "the stream selector at line 1:1 has no end"),
        (" ", "query is empty"),
    ],
    "elasticsearch": [
        ("FROM logs-*\n| WHER x", "line 2:3: mismatched input 'WHER'"),
        ('FROM logs-* | WHERE log.levl == "x"', "line 1:21: Unknown column [log.levl], did you mean [log.level]?"),
        ("FROM logs-ap-prod", "Unknown index [logs-ap-prod]; there are logs-app-prod"),
    ],
    "elasticsearch-dsl": [
        ('{"query": {', "the JSON body of a search, and this is none: Expecting property name"),
        ('{"query": {"mtch": {"a": "b"}}}', "Elasticsearch refuses this: unknown query [mtch] -- in"),
    ],
    "cloudwatch": [
        ("fields @message\n| filtr x", "Logs Insights refuses this: unexpected symbol found filtr at 2:3: 'filtr'"),
    ],
}
OUTSIDE = {
    "elasticsearch": [
        ("FROM hr-*", "this server reads logs-*, and 'hr-*' is not within it"),
        ('FROM logs-a, "*"', "this server reads logs-*, and '*' is not within it"),
        ("FROM logs-a /* x */ | EVAL a = 1 // |\n| FORK (FROM hr | LIMIT 1)", "'hr' is not within it"),
        ("PROMQL index=k8s x", "begins with FROM, not with 'PROMQL'"),
    ],
    "elasticsearch-dsl": [
        ('{"script_fields": {}}', "'script_fields' cannot be asked for here"),
        ('{"query": {"bool": {"must": [{"script": {}}]}}}', "/query/bool/must/0/script: scripts are not run here"),
        ('{"aggs": {"all": {"global": {}}}}', "/aggs/all/global: this would count outside of the window"),
        ('{"query": {"terms": {"u": {"index": "hr", "id": 1}}}}', "/query/terms/u: this would read another index"),
        ('{"size": 9000}', "size 9000 cannot be given: a number up to 5000"),
    ],
    "cloudwatch": [
        ("fields @message | DIFF previousWeek", "it reads outside of the window, and is billed for both"),
        ("SOURCE logGroups()\n| fields @message", "the log groups are those of the settings"),
        ("fields unmask(@message)", "what is masked stays so"),
    ],
}


async def test_a_malformed_query_brings_the_backend_s_own_words_and_the_place(
    connect: Connect, language: str, settings: Settings
) -> None:
    async with connect(**settings) as client:
        for query, said in MALFORMED[language]:
            assert said in await refused(client, query)


@pytest.mark.parametrize("language", OUTSIDE, indirect=True)
async def test_what_leads_out_of_the_window_or_of_the_settings_is_refused(
    connect: Connect, language: str, settings: Settings
) -> None:
    async with connect(**settings) as client:
        for query, said in OUTSIDE[language]:
            assert said in await refused(client, query)


async def test_only_what_has_a_language_offers_the_tool_and_says_which(
    connect: Connect, told_store: Settings, told_backend: Any
) -> None:
    loki, elasticsearch = told_backend("loki"), told_backend("elasticsearch")
    found: list[tuple[str | None, Sequence[str]]] = []
    for on in (told_store, {**told_store, **loki}, {**elasticsearch, **loki}):
        async with connect(**on) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            if tool := tools.get("query_logs"):
                found.append((tool.description, list(tool.input_schema["properties"])))
                assert (tool.meta or {})["midwatch/role"] == "drill_down"
    assert found == [
        (
            "Rows of a query in the backend's own language (LogQL), within the window.",
            ["query", "start", "end", "limit", "cursor"],
        ),
        (
            "Rows of a query in the backend's own language (loki: LogQL; elasticsearch: ES|QL, or a search body of "
            "query DSL), within the window.",
            ["query", "backend", "start", "end", "sources", "limit", "cursor"],
        ),
    ]


async def test_of_several_backends_the_one_that_is_named_is_asked(connect: Connect, told_backend: Any) -> None:
    both = {**told_backend("elasticsearch"), **told_backend("loki")}
    async with connect(**both) as client:
        told = await answer(client, "query_logs", **PART, backend="loki", query=FAILING["loki"])
    assert told["matched"] > 0
    said = await refusal(connect, both, FAILING["loki"], backend="lokii")
    assert "no backend 'lokii' has a language of its own here: use loki" in said


@pytest.mark.parametrize(
    ("language", "query"), [("loki", '{service_name=~".+"}'), ("elasticsearch", "FROM logs-*")], indirect=["language"]
)
async def test_more_rows_than_are_fetched_are_counted_and_said_to_be_more(
    connect: Connect, settings: Settings, query: str
) -> None:
    asked = {**HOUR, "query": query, "limit": 600}
    async with connect(**settings, reply_chars=500_000) as client:
        first = await answer(client, "query_logs", **asked)
        last = await answer(client, "query_logs", **asked, cursor=first["next_cursor"])
    assert [(told["matched"], told["returned"], told["truncated"]) for told in (first, last)] == [
        (len(tell()), 600, True),
        (len(tell()), 400, True),
    ]
    assert "next_cursor" not in last
    assert f"{len(tell())} rows match, and 1000 were fetched: narrow the window" in last["caveats"][0]


async def test_what_all_rows_have_alike_is_told_once(connect: Connect, told_backend: Any) -> None:
    async with connect(**told_backend("loki")) as client:
        told = await answer(client, "query_logs", **PART, query=FAILING["loki"], limit=1)
        page = await client.read_resource(f"midwatch://evidence/{told['evidence']}/page/0")
    assert (
        "columns: time | line | trace_id; all rows: deployment_environment=prod, detected_level=error" in told["query"]
    )
    rows = json.loads(page.contents[0].text)["rows"]  # type: ignore[union-attr]
    assert rows[0]["service_name"] == "forge", "the evidence has all of it"


@pytest.mark.parametrize(
    ("language", "query", "said"),
    [
        ("loki", '{servce_name="forge"}', "No stream has a label 'servce_name'; there are service_name"),
        ("loki", '{service_name="forgee"}', "No stream of this window has service_name=\"forgee\"; there are forge"),
        ("elasticsearch-dsl", '{"query": {"term": {"servce.name": "a"}}}', "has no field 'servce.name'; there are "),
    ],
    indirect=["language"],
)  # fmt: skip
async def test_an_unknown_name_is_told_with_near_ones(
    connect: Connect, settings: Settings, query: str, said: str
) -> None:
    async with connect(**settings) as client:
        told = await answer(client, "query_logs", **PART, query=query)
    assert (told["matched"], said in told["hint"]) == (0, True), told["hint"]


async def test_an_unknown_log_group_is_told_with_near_ones(connect: Connect, told_backend: Any) -> None:
    said = await refusal(connect, told_backend("cloudwatch"), "fields @message", sources=["/ecs/forg"])
    assert "no log group of the settings matches '/ecs/forg'; there are /ecs/forge" in said


async def test_sources_narrow_what_is_read_and_what_it_costs(connect: Connect, told_backend: Any) -> None:
    async with connect(**told_backend("cloudwatch")) as client:
        told = await answer(client, "query_logs", **PART, query="stats count(*) as n", sources=["/ecs/bot"])
    assert told["lines"] == [str(sum("moved" in body for body in lines_between("02:50:00", "02:55:30")))]
    assert told["query"].partition(" -- ")[2].startswith("Insights read 0.0 MiB of /ecs/bot")
    async with connect(**told_backend("loki"), **told_backend("elasticsearch")) as client:
        for name in ("loki", "elasticsearch"):
            said = await refused(client, FAILING[name], backend=name, sources=["a"])
            assert "names what it reads itself" in said


async def test_more_than_may_be_read_is_refused_before_it_is(connect: Connect) -> None:
    fake = FakeLoki([Entry(0, "a", {"service_name": "a"}, {})], stored_bytes=30 * 2**30)
    with served(fake.app) as (url, trouble):
        said = await refusal(connect, {"loki_url": url}, '{a="b"} != `}` or {service_name="a"}')
        assert "Loki would read up to 60.0 GiB in 24 chunks for this" in said
        assert not any(path.endswith(("query", "query_range")) for path in trouble.paths)
        async with connect(loki_url=url) as client:
            await answer(client, "query_logs", **PART, query="sum(count_over_time({a=~`.+`}[90m] offset 1d))")
    ago = timedelta(minutes=90, days=1)
    assert int(fake.weighed[-1]["start"]) == ns_of(parse_time(PART["start"], END) - ago), (
        "as far as the query looks back"
    )
    events = [Event(1_795_143_300_000, "/ecs/forge", "s", "a")]
    with aws(FakeCloudWatchLogs(events, {"/ecs/forge": Group(10**15)}).answers) as (settings, _, _):
        said = await refusal(connect, {**settings, "cloudwatch_log_groups": ["*"]}, "fields @message")
    assert "Logs Insights would read about" in said


async def test_the_selector_of_the_settings_is_put_into_every_stream_selector(connect: Connect) -> None:
    entries = [loki_entry(line) for line in tell()[:10]]
    entries[0].stream["deployment_environment"] = "test"
    with served((fake := FakeLoki(entries)).app) as (url, _):
        async with connect(loki_url=url, loki_selector='deployment_environment="prod"') as client:
            told = await answer(client, "query_logs", **HOUR, query="{service_name=~`.{2,}`} |~ `{|`")
    assert fake.queries == ['{deployment_environment="prod", service_name=~`.{2,}`} |~ `{|`']
    assert told["matched"] == 9


async def test_series_have_a_row_each_with_points_inside_of_the_window(connect: Connect) -> None:
    times = [*range(0, 600, 10)]
    begin = round(END.timestamp()) - 600
    entries = [Entry((begin + t) * 10**9 + 1, "x", {"service_name": "a"}, {}) for t in times]
    entries.append(Entry((begin + 601) * 10**9, "after the window", {"service_name": "a"}, {}))
    with served(FakeLoki(entries).app) as (url, _):
        async with connect(loki_url=url) as client:
            query = 'sum by (service_name) (count_over_time({service_name="a"}[$__auto]))'
            told = await answer(
                client, "query_logs", start="2026-11-20T02:50:03Z", end="2026-11-20T03:00:00Z", query=query
            )
    assert told["matched"] == 1
    first, every, values = told["lines"][0].split(" | ")[-3:]
    assert (first, float(every)) == ("2026-11-20T02:50:10.000Z", 10.0)
    assert values.split() == ["1"] * 60


async def test_buckets_that_are_left_out_are_told(connect: Connect, told_backend: Any) -> None:
    query = json.dumps({"aggs": {"who": {"terms": {"field": "service.name", "size": 1}, "aggs": {
        "at": {"terms": {"field": "log.level"}}, "last": {"max": {"field": "@timestamp"}}}}}})  # fmt: skip
    async with connect(**told_backend("elasticsearch")) as client:
        told = await answer(client, "query_logs", **HOUR, query=query, sources=["logs-app-*"])
    assert [line.split(" | ")[-1] for line in told["lines"]] == ["info", "error", "warn"]
    assert "columns: doc_count | at; all rows: who=forge, last=2026-11-20T02:59:5" in told["query"]
    assert told["caveats"][0].startswith("who leaves out buckets of ")


def test_a_tool_that_is_given_up_stops_its_query() -> None:
    fake = FakeElasticsearch({"logs-1": []}, ECS)
    fake.held = True
    with served(fake.app) as (url, _):
        logs = ElasticsearchLogs(LogSettings(elasticsearch_url=url), 1_000)
        give_up_on(lambda: logs.native.ask(Asked("FROM logs-1", WHOLE, (), 10)), fake.begun)
    assert fake.deleted.is_set()
    assert fake.running == {}


async def test_a_cursor_of_another_tool_s_rows_or_of_another_query_is_refused(
    connect: Connect, told_backend: Any
) -> None:
    asked = {**PART, "limit": 20}
    async with connect(**told_backend("loki")) as client:
        told = await answer(client, "query_logs", **asked, query=FAILING["loki"])
        cursor = told["next_cursor"]
        reply = await client.call_tool("query_logs", {**asked, "query": '{service_name="bot"}', "cursor": cursor})
    assert "the cursor belongs to another query" in str(reply.content)
