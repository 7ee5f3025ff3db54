"""The logs server as a client meets it: its tools, its processes, and a store that comes and goes."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from mcp import Client
from mcp.types import CallToolResult
from tests.servers.process import on_http, on_stdio, over

from midwatch_store.writer import Writer

Story = Callable[..., dict[str, Any]]
HOUR = {"start": "2026-11-20T02:00:00Z", "end": "2026-11-20T03:00:00Z"}
ROLES = {
    "list_log_sources": "discover",
    "survey_logs": "survey",
    "search_logs": "drill_down",
    "get_trace_logs": "drill_down",
    "check_logs": "check",
}


def text_of(reply: CallToolResult) -> str:
    return reply.content[0].text  # type: ignore[union-attr]


async def test_the_tools_declare_their_roles_read_only_and_stay_short(log_client: Any) -> None:
    async with log_client() as client:
        tools = (await client.list_tools()).tools
    assert {tool.name: (tool.meta or {})["midwatch/role"] for tool in tools} == ROLES
    assert {(tool.meta or {})["midwatch/signal"] for tool in tools} == {"logs"}
    assert [tool.name for tool in tools if (tool.meta or {}).get("midwatch/key") == "trace_id"] == ["get_trace_logs"]
    assert all(tool.annotations and tool.annotations.read_only_hint and tool.output_schema for tool in tools)
    assert sum(len(tool.model_dump_json(by_alias=True, exclude_none=True)) for tool in tools) < 6_000


async def test_a_store_that_is_not_there_yet_or_goes_away_is_an_error_with_advice_until_it_is_back(
    log_row: Story, log_store: Any, log_client: Any, tmp_path: Path
) -> None:
    async with log_client() as client:
        for tool in ("survey_logs", "search_logs", "list_log_sources"):
            reply = await client.call_tool(tool, {})
            assert reply.is_error
            assert (reply.meta or {})["midwatch/error"] == "backend_down"
            assert "midwatch-store serve" in text_of(reply)
        checked = await client.call_tool("check_logs", {})
        assert not checked.is_error
        assert "FAIL store" in text_of(checked)
        log_store([log_row(1, "hello")])
        assert "matched=1" in text_of(await client.call_tool("search_logs", HOUR))
        shutil.move(tmp_path / "store", tmp_path / "elsewhere")
        assert (await client.call_tool("search_logs", HOUR)).is_error
        shutil.move(tmp_path / "elsewhere", tmp_path / "store")
        assert "matched=1" in text_of(await client.call_tool("search_logs", HOUR))


async def test_check_tells_the_extent_the_lag_and_damaged_files(
    log_row: Story, log_store: Any, log_client: Any, tmp_path: Path
) -> None:
    store = log_store([log_row(1, "hello")])
    with Writer(store) as writer:
        writer.append({"otel_logs": [log_row(0, "now", Timestamp=datetime.now(UTC))]})
    async with log_client() as client:
        well = await client.call_tool("check_logs", {})
        assert "FAIL" not in text_of(well)
        assert well.structured_content["lag_seconds"] < 60
        assert "from 2026-11-20T02:59:59Z" in text_of(well)
        first, *_ = (store / "otel_logs").rglob("*.parquet")
        first.write_bytes(b"torn")
        await client.call_tool("search_logs", {"start": "2026-11-20T02:00:00Z", "text": "hello"})
        assert f"left out: {first.name}" in text_of(await client.call_tool("check_logs", {}))


async def test_a_million_matching_lines_are_counted_exactly_within_the_budget(log_client: Any, tmp_path: Path) -> None:
    count = 1_000_000
    begin = int(datetime(2026, 11, 20, 2, tzinfo=UTC).timestamp()) * 10**9
    times = pa.array(range(begin, begin + count * 3_500_000, 3_500_000), pa.timestamp("ns"))
    bodies = pa.array([f"line {i}" for i in range(count)])
    with Writer(tmp_path / "store") as writer:
        writer.append_arrow("otel_logs", pa.table({"Timestamp": times, "Body": bodies}))
    async with log_client() as client:
        begun = time.monotonic()
        reply = await client.call_tool("search_logs", {**HOUR, "text": "line"})
        took = time.monotonic() - begun
    assert reply.structured_content["matched"] == count
    assert len(text_of(reply)) < 9_500
    assert reply.structured_content["lines"][0].endswith(f"line {count - 1}")
    assert took < 20  # about 1 s on an idle machine


@pytest.fixture
def listening(log_row: Story, log_store: Any, tmp_path: Path) -> Iterator[str]:
    """The address of a real server process over streamable HTTP, over a store with one line."""
    log_store([log_row(1, "hello")])
    with on_http("logs", over(tmp_path / "store")) as address:
        yield address


async def test_a_process_answers_over_streamable_http(listening: str) -> None:
    async with Client(listening) as client:
        assert "hello" in text_of(await client.call_tool("search_logs", HOUR))


async def test_a_process_answers_over_stdio(log_row: Story, log_store: Any) -> None:
    store = log_store([log_row(1, "hello")])
    async with Client(on_stdio("logs", over(store))) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == set(ROLES)
        assert "hello" in text_of(await client.call_tool("search_logs", HOUR))


def test_a_server_without_a_store_setting_ends_with_one_clear_line() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "MIDWATCH_STORE"}
    ended = subprocess.run(
        [sys.executable, "-m", "midwatch_logs"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert "MIDWATCH_STORE" in ended.stderr
