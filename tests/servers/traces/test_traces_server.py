"""The traces server as a client meets it: its tools, its map, its processes, and a store that comes and goes."""

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.types import CallToolResult
from tests.servers.process import on_http, on_stdio, over

from midwatch_kit import TopologyFragment

Row = dict[str, object]
ROLES = {
    "map_services": "discover",
    "survey_traces": "survey",
    "search_traces": "drill_down",
    "get_trace": "drill_down",
    "check_traces": "check",
}
STORY = {"start": "2026-11-20T02:44:00Z", "end": "2026-11-20T02:48:00Z"}


def text_of(reply: CallToolResult) -> str:
    return reply.content[0].text  # type: ignore[union-attr]


async def test_the_tools_declare_their_roles_read_only_and_stay_short(traces_client: Any) -> None:
    async with traces_client() as client:
        tools = (await client.list_tools()).tools
    assert {tool.name: (tool.meta or {})["midwatch/role"] for tool in tools} == ROLES
    assert {(tool.meta or {})["midwatch/signal"] for tool in tools} == {"traces"}
    assert [tool.name for tool in tools if (tool.meta or {}).get("midwatch/key") == "trace_id"] == ["get_trace"]
    assert all(tool.annotations and tool.annotations.read_only_hint and tool.output_schema for tool in tools)
    assert sum(len(tool.model_dump_json(by_alias=True, exclude_none=True)) for tool in tools) < 6_000


async def fragment_of(client: Client, reply: CallToolResult) -> TopologyFragment:
    kept = (reply.meta or {})["midwatch/records"]
    pages = [
        (await client.read_resource(f"midwatch://evidence/{kept['id']}/page/{page}")).contents[0]
        for page in range(kept["pages"])
    ]
    text = "".join(page.text for page in pages)  # type: ignore[union-attr]
    return TopologyFragment.model_validate(json.loads(text)["fragment"])


async def test_the_map_has_services_instances_databases_queues_hosts_and_who_does_what_to_whom(
    traces_client: Any, store_spans: Any, story: Any
) -> None:
    rows = story().tell(60)
    store_spans(rows)
    async with traces_client() as client:
        reply = await client.call_tool("map_services", STORY)
        fragment = await fragment_of(client, reply)
    found = {(one.source, one.kind, one.target) for one in fragment.relations}
    assert {one for one in found if one[1] != "runs_on"} == {
        ("service:web", "calls", "service:cart"),
        ("service:web", "calls", "service:pay"),
        ("service:cart", "sends_to", "queue:orders"),
        ("service:ship", "receives_from", "queue:orders"),
        ("service:pay", "reads", "database:shop"),
        ("service:pay", "calls", "external:bank.example.com"),
    }
    assert ("service:pay", "runs_on", "instance:pay-3") in found
    ends = {end for source, _, target in found for end in (source, target)}
    assert {one.id for one in fragment.entities} == ends
    bound = {one.entity: one.selector for one in fragment.bindings}
    assert bound["service:pay"] == {"service": "pay"}
    assert reply.structured_content["matched"] == len(rows)
    assert " OR " not in reply.structured_content["query"]


async def test_a_service_that_calls_itself_and_a_numbered_database_get_no_false_names(
    traces_client: Any, store_spans: Any, span: Callable[..., Row]
) -> None:
    inner = {"server.address": "forge.internal", "server.port": "8080"}
    redis = {"db.system.name": "redis", "db.namespace": "0", "server.address": "cache.internal"}
    store_spans(
        [
            span(at=1, trace="t", span="outer"),
            span(at=1, trace="t", span="call", parent="outer", kind="Client", attributes=inner),
            span(at=1, trace="t", span="inner", parent="call"),
            span(at=1, trace="t", span="cache", parent="inner", kind="Client", name="GET", attributes=redis),
        ]
    )
    async with traces_client() as client:
        fragment = await fragment_of(client, await client.call_tool("map_services", STORY))
    assert {(one.source, one.kind, one.target) for one in fragment.relations} == {
        ("service:forge", "reads", "database:cache.internal"),
        ("service:forge", "runs_on", "instance:forge-1"),
    }


async def test_a_store_that_is_not_there_yet_or_goes_away_is_an_error_with_advice_until_it_is_back(
    traces_client: Any, store_spans: Any, span: Callable[..., Row], tmp_path: Path
) -> None:
    async with traces_client() as client:
        for tool in ("survey_traces", "search_traces", "map_services"):
            reply = await client.call_tool(tool, {})
            assert (reply.meta or {})["midwatch/error"] == "backend_down"
            assert "midwatch-store serve" in text_of(reply)
        checked = await client.call_tool("check_traces", {})
        assert not checked.is_error
        assert "FAIL store" in text_of(checked)
        store_spans([span(at=1, trace="t")])
        assert "matched=1" in text_of(await client.call_tool("search_traces", STORY))
        shutil.move(tmp_path / "store", tmp_path / "elsewhere")
        assert (await client.call_tool("search_traces", STORY)).is_error
        assert "FAIL store" in text_of(await client.call_tool("check_traces", {}))
        shutil.move(tmp_path / "elsewhere", tmp_path / "store")
        assert "matched=1" in text_of(await client.call_tool("search_traces", STORY))


async def test_check_tells_the_extent_the_lag_and_damaged_files(
    traces_client: Any, store_spans: Any, span: Callable[..., Row]
) -> None:
    store = store_spans([span(at=1, trace="t")])
    store_spans([{**span(at=1), "Timestamp": datetime.now(UTC)}])
    async with traces_client() as client:
        well = await client.call_tool("check_traces", {})
        assert "FAIL" not in text_of(well)
        assert well.structured_content["lag_seconds"] < 60
        assert "from 2026-11-20T02:44:01Z" in text_of(well)
        first, *_ = (store / "otel_traces").rglob("*.parquet")
        first.write_bytes(b"torn")
        await client.call_tool("search_traces", {"start": "2026-11-20T02:00:00Z"})
        assert first.name in text_of(await client.call_tool("check_traces", {}))


async def test_an_empty_window_is_no_error_and_says_what_to_do(
    traces_client: Any, store_spans: Any, span: Callable[..., Row]
) -> None:
    store_spans([span(at=1, trace="t")])
    hour = {"start": "2026-11-01T00:00:00Z", "end": "2026-11-01T01:00:00Z"}
    async with traces_client() as client:
        for tool in ("survey_traces", "search_traces", "map_services"):
            reply = await client.call_tool(tool, hour)
            assert not reply.is_error
            assert reply.structured_content["matched"] == 0
            assert reply.structured_content["hint"]


async def test_a_survey_of_unknown_entities_alone_names_those_that_there_are(
    traces_client: Any, store_spans: Any, span: Callable[..., Row]
) -> None:
    store_spans([span(at=1, trace="t")])
    async with traces_client() as client:
        reply = await client.call_tool("survey_traces", {**STORY, "entities": ["nowhere"]})
    assert (reply.meta or {})["midwatch/error"] == "not_found"
    assert "service:forge" in text_of(reply)


@pytest.fixture
def listening(store_spans: Any, span: Callable[..., Row]) -> Iterator[str]:
    """The address of a real server process over streamable HTTP, over a store with one span."""
    store = store_spans([span(at=1, trace="t", name="GET /parts")])
    with on_http("traces", over(store)) as address:
        yield address


async def test_a_process_answers_over_streamable_http(listening: str) -> None:
    async with Client(listening) as client:
        assert "GET /parts" in text_of(await client.call_tool("search_traces", STORY))


async def test_a_process_answers_over_stdio(store_spans: Any, span: Callable[..., Row]) -> None:
    store = store_spans([span(at=1, trace="t", name="GET /parts")])
    async with Client(on_stdio("traces", over(store))) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == set(ROLES)
        assert "GET /parts" in text_of(await client.call_tool("get_trace", {"trace_id": "t", **STORY}))
