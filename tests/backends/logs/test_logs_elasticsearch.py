"""What is Elasticsearch's own: layouts of fields, snapshots, searches that are stopped, privileges, its words."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from pydantic import SecretStr
from tests.backends import elastic
from tests.backends.fakes.elasticsearch import FakeElasticsearch
from tests.backends.logs.conftest import (
    ECS,
    Connect,
    Settings,
    give_up_on,
    told_elasticsearch,
    told_elasticsearch_both,
    told_elasticsearch_otel,
)
from tests.backends.logs.story import HOUR, QUARTER, TRACE, WHOLE
from tests.backends.logs.test_logs_contract import answer
from tests.backends.serving import served

from midwatch_kit.logs import Scope
from midwatch_kit.logs.backend import Filter
from midwatch_kit.native import Asked
from midwatch_logs.backends.elasticsearch import ElasticsearchLogs, backend, groups
from midwatch_logs.settings import LogSettings

LATE = "2026-11-20T02:55:00.{:03}Z"


def document(number: int, message: str, **more: Any) -> dict[str, Any]:
    return {"@timestamp": LATE.format(number), "message": message, "service": {"name": "forge"}, **more}


def forge(*messages: str, types: dict[str, str] | None = None) -> FakeElasticsearch:
    documents = [document(number, message) for number, message in enumerate(messages)]
    return FakeElasticsearch({"logs-app-prod": documents}, {**ECS, **(types or {})})


def messages_of(told: dict[str, Any]) -> list[str]:
    return [line.split(" ", 3)[3] for line in told["lines"]]


@pytest.mark.parametrize("told", [told_elasticsearch, told_elasticsearch_otel], ids=["ecs", "otel"])
async def test_all_that_is_asked_and_answered_is_as_elastic_describes_it(
    connect: Connect, told: Callable[[], FakeElasticsearch]
) -> None:
    fake = told()
    fake.granted = {"ApiKey k": {"read", "view_index_metadata", "monitor"}}
    with served(fake.app) as (url, _):
        async with connect(elasticsearch_url=url, elasticsearch_api_key="k") as client:
            await answer(client, "list_log_sources", **HOUR)
            await answer(client, "survey_logs", **QUARTER)
            await answer(client, "get_trace_logs", **HOUR, trace_id=TRACE)
            await answer(client, "check_logs")
            asked: dict[str, Any] = {
                **HOUR,
                "text": "(late|took)$",
                "regex": True,
                "level": "INFO",
                "services": ["forge"],
            }
            first = await answer(client, "search_logs", **asked, limit=20)
            await answer(client, "search_logs", **asked, limit=20, cursor=first["next_cursor"])
            await answer(client, "search_logs", **HOUR, text="late", context=1)
            by_level = '{"query": {"match": {"message": "part"}}, "aggs": {"level": {"terms": {"field": "log.level"}}}}'
            for query in ("FROM logs-*", "FROM logs-* | STATS n = COUNT(*) BY log.level", by_level, '{"size": 3}'):
                assert (await answer(client, "query_logs", **HOUR, query=query))["matched"]
            await client.call_tool("query_logs", {**HOUR, "query": 'FROM logs-*\n| WHERE nobody == "x"'})
        fake.held = True
        logs = ElasticsearchLogs(LogSettings(elasticsearch_url=url, elasticsearch_api_key=SecretStr("k")), 1_000)
        give_up_on(lambda: logs.count(Scope((WHOLE,)), Filter()), fake.begun)
        fake.begun.clear()
        give_up_on(lambda: logs.native.ask(Asked("FROM logs-*", WHOLE, (), 10)), fake.begun)
        async with connect(elasticsearch_url=url, elasticsearch_api_key="k", elasticsearch_index="log") as client:
            await client.call_tool("search_logs", HOUR)
    asked_of = {exchange.endpoint for exchange in fake.exchanges}
    assert asked_of == {*elastic.ENDPOINTS}
    assert [(exchange, found) for exchange in fake.exchanges if (found := elastic.faults(exchange))] == []


async def test_both_layouts_behind_one_pattern_are_read_as_one(connect: Connect, told_store: Settings) -> None:
    with served(told_elasticsearch_both().app) as (url, _):
        async with connect(**told_store) as store, connect(elasticsearch_url=url) as client:
            for tool, asked in (
                ("list_log_sources", HOUR),
                ("survey_logs", QUARTER),
                ("search_logs", {**HOUR, "level": "WARN", "services": ["instance:forge-2"]}),
            ):
                expected, told = await answer(store, tool, **asked), await answer(client, tool, **asked)
                assert (told["matched"], told["lines"]) == (expected["matched"], expected["lines"])


async def test_fields_of_ones_own_are_named_by_settings(connect: Connect) -> None:
    types = {"@timestamp": "date", **dict.fromkeys(("msg", "app", "box", "lvl", "tid"), "keyword")}
    row = {"@timestamp": LATE.format(1), "msg": "boom", "app": "forge", "box": "b-7", "lvl": "critical", "tid": "t1"}
    named = {"service": "app", "instance": "box", "level": "lvl", "trace": "tid", "message": "msg"}
    settings = {f"elasticsearch_{role}_field": field for role, field in named.items()}
    with served(FakeElasticsearch({"logs-1": [row]}, types).app) as (url, _):
        async with connect(elasticsearch_url=url) as client:
            refused = await client.call_tool("search_logs", HOUR)
        async with connect(elasticsearch_url=url, **settings) as client:
            told = await answer(client, "search_logs", **HOUR, services=["forge"], level="FATAL", text="OO")
            assert (await answer(client, "get_trace_logs", **HOUR, trace_id="t1"))["matched"] == 1
    assert "none has @timestamp and one of message, body.text, body" in str(refused.content)
    assert told["lines"] == ["2026-11-20T02:55:00.001Z FATAL forge/b-7 trace=t1 boom"]


async def test_a_part_of_a_text_is_looked_for_by_a_wildcard_field_where_there_is_one(connect: Connect) -> None:
    wild = {"message": "wildcard", "error.message": "wildcard", "error.type": "wildcard"}
    for types, by_script in ((wild, False), ({}, True)):
        fake = forge("cannot finish", "done", types=types)
        with served(fake.app) as (url, _):
            async with connect(elasticsearch_url=url) as client:
                told = await answer(client, "search_logs", **HOUR, text="FINI")
        assert [line.rsplit(" ", 2)[1:] for line in told["lines"]] == [["cannot", "finish"]]
        assert any("runtime_mappings" in (exchange.asked or {}) for exchange in fake.exchanges) is by_script


async def test_an_exception_is_told_and_found_with_its_line(connect: Connect) -> None:
    failed = document(1, "cannot read part", error={"type": "FieldError", "message": "unknown field 'finish'"})
    with served(FakeElasticsearch({"logs-1": [failed]}, ECS).app) as (url, _):
        async with connect(elasticsearch_url=url) as client:
            told = await answer(client, "search_logs", **HOUR, text="unknown FIELD")
    assert told["lines"][0].endswith("cannot read part | FieldError: unknown field 'finish'")


async def test_a_trace_id_inside_of_a_message_finds_it(connect: Connect) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    with served(forge(f'{{"msg": "paid", "trace_id": "{trace}"}}', '{"msg": "idle"}').app) as (url, _):
        async with connect(elasticsearch_url=url) as client:
            told = await answer(client, "get_trace_logs", **HOUR, trace_id=trace)
    assert [line[0] for line in told["lines"]] == [">", " "]


async def test_lines_of_one_and_the_same_time_come_once_over_all_pages(connect: Connect) -> None:
    documents = [document(number // 400, f"line {number}") for number in range(1_000)]
    fake = FakeElasticsearch({"logs-1": documents}, ECS)
    with served(fake.app) as (url, _):
        async with connect(elasticsearch_url=url, reply_chars=500_000) as client:
            for order in ("newest", "oldest"):
                asked = {**HOUR, "order": order, "limit": 130}
                told = await answer(client, "search_logs", **asked)
                lines = list(told["lines"])
                while told.get("next_cursor"):
                    told = await answer(client, "search_logs", **asked, cursor=told["next_cursor"])
                    lines += told["lines"]
                assert len(lines) == len(set(lines)) == told["matched"] == 1_000
    assert not any("from" in (exchange.asked or {}) for exchange in fake.exchanges)


async def test_what_is_stored_later_moves_no_page_and_the_snapshot_is_closed_after_the_last(connect: Connect) -> None:
    fake = forge(*(f"line {number}" for number in range(10)))
    with served(fake.app) as (url, _):
        async with connect(elasticsearch_url=url) as client:
            first = await answer(client, "search_logs", **HOUR, limit=6)
            fake.sources["logs-app-prod"].append(document(3, "came late"))
            assert len(fake.snapshots) == 1
            second = await answer(client, "search_logs", **HOUR, limit=6, cursor=first["next_cursor"])
            assert fake.closed.wait(10)
    assert sorted([*messages_of(first), *messages_of(second)]) == [f"line {number}" for number in range(10)]
    assert fake.snapshots == {}


async def test_a_cursor_whose_snapshot_has_ended_says_so(connect: Connect) -> None:
    fake = forge(*(f"line {number}" for number in range(10)))
    with served(fake.app) as (url, _):
        async with connect(elasticsearch_url=url) as client:
            first = await answer(client, "search_logs", **HOUR, limit=6)
            fake.snapshots.clear()
            reply = await client.call_tool("search_logs", {**HOUR, "limit": 6, "cursor": first["next_cursor"]})
            assert (await answer(client, "search_logs", **HOUR))["matched"] == 10
    assert "has ended (5m after its last page): search again without the cursor" in str(reply.content)


def test_a_tool_that_is_given_up_stops_its_search_and_closes_its_snapshot() -> None:
    fake = forge("a")
    fake.held = True
    with served(fake.app) as (url, _):
        logs = ElasticsearchLogs(LogSettings(elasticsearch_url=url), 1_000)
        give_up_on(lambda: logs.count(Scope((WHOLE,)), Filter()), fake.begun)
        assert fake.closed.wait(60)
    assert fake.deleted.is_set()
    assert (fake.running, fake.snapshots) == ({}, {})


async def test_an_unknown_index_is_told_with_near_ones(connect: Connect) -> None:
    with served(forge("a").app) as (url, _):
        for index in ("logs-ap-prod", "logz-*"):
            async with connect(elasticsearch_url=url, elasticsearch_index=index) as client:
                reply = await client.call_tool("search_logs", HOUR)
            assert "there are logs-app-prod: set MIDWATCH_ELASTICSEARCH_INDEX" in str(reply.content)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ('say "part"', ['say "part" 7']),
        ("^order|closed$", ["order 7 took 3 ms", "shop closed"]),
        ("(?i)ORDER [0-9]+ took", ["order 7 took 3 ms"]),
        ("[$^]5", ["costs $5"]),
        (r"costs \$5", ["costs $5"]),
        ("7$", ['say "part" 7']),
    ],
)
async def test_a_regular_expression_means_the_same_as_elsewhere(
    connect: Connect, pattern: str, found: Sequence[str]
) -> None:
    fake = forge("order 7 took 3 ms", 'say "part" 7', "shop closed", "costs $5")
    with served(fake.app) as (url, _):
        async with connect(elasticsearch_url=url) as client:
            told = await answer(client, "search_logs", **HOUR, text=pattern, regex=True, order="oldest")
    assert messages_of(told) == list(found)


async def test_what_lucene_has_not_is_refused_with_its_place(connect: Connect) -> None:
    with served(forge("a").app) as (url, _):
        async with connect(elasticsearch_url=url) as client:
            for pattern, said in (("ab(?=c)", "have no '(?=' (at 2)"), ("a(^b)", "have '^' only at an end")):
                reply = await client.call_tool("search_logs", {**HOUR, "text": pattern, "regex": True})
                assert said in str(reply.content)


async def test_so_many_instances_that_counting_would_not_end_are_counted_together(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "PAGE", 5)
    monkeypatch.setattr(groups, "PAGE", 5)
    monkeypatch.setattr(backend, "_MOST_GROUPS", 20)
    documents = [document(n, "up", host={"name": f"forge-{n}"}) for n in range(30)]
    with served(FakeElasticsearch({"logs-1": documents}, {**ECS, "host.name": "keyword"}).app) as (url, _):
        async with connect(elasticsearch_url=url) as client:
            told = await answer(client, "list_log_sources", **HOUR)
    assert told["lines"] == ["service:forge: 30 lines, 0 errors, 0 warnings, newest 2026-11-20T02:55:00.029Z"]


async def test_groups_beyond_a_page_are_all_counted(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "PAGE", 7)
    monkeypatch.setattr(groups, "PAGE", 7)
    documents = [document(n, "up", host={"name": f"forge-{n}"}) for n in range(30)]
    with served(FakeElasticsearch({"logs-1": documents}, {**ECS, "host.name": "keyword"}).app) as (url, _):
        async with connect(elasticsearch_url=url) as client:
            told = await answer(client, "list_log_sources", **HOUR)
    assert told["matched"] == 30
    assert told["lines"][0].startswith("service:forge: 30 lines")
