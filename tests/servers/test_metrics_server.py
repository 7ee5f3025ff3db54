"""The metrics server as a client meets it: catalogue, queries, alarms, processes, and a store that comes and goes."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.types import CallToolResult
from tests.servers.process import on_http, on_stdio, over

from midwatch_metrics.server import build
from midwatch_metrics.settings import MetricsSettings
from midwatch_store.writer import Writer

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
WINDOW = {"start": "2026-11-20T02:59:00Z", "end": "2026-11-20T03:00:00Z"}
HOUR = {"start": "2026-11-20T02:00:00Z", "end": "2026-11-20T03:00:00Z"}
ROLES = {
    "list_metrics": "discover",
    "survey_metrics": "survey",
    "query_metric": "drill_down",
    "list_alarms": "drill_down",
    "check_metrics": "check",
}
Connect = Callable[..., AbstractAsyncContextManager[Client]]
Rows = list[dict[str, Any]]


def point(ago: float, instance: str, metric: str, unit: str, **more: Any) -> dict[str, Any]:
    known = {"ServiceName": instance.rsplit("-", 1)[0], "ResourceAttributes": {"service.instance.id": instance}}
    return {**known, "TimeUnix": NOW - timedelta(seconds=ago), "MetricName": metric, "MetricUnit": unit, **more}


def story() -> dict[str, Rows]:
    """A minute of two instances of forge, once a second: a gauge, a counter of 2/s and 4/s, latencies of 10 ms."""
    tables: dict[str, Rows] = {"otel_metrics_gauge": [], "otel_metrics_sum": [], "otel_metrics_histogram": []}
    begun = NOW - timedelta(hours=1)
    for i in range(60):
        for k in (1, 2):
            name, ago = f"forge-{k}", 60 - i
            tables["otel_metrics_gauge"].append(point(ago, name, "jobs.depth", "{job}", Value=float(i * k)))
            cumulative = {"StartTimeUnix": begun, "AggregationTemporality": 2}
            hits = {**cumulative, "IsMonotonic": True, "Value": 900.0 + 2 * k * i, "Attributes": {"kind": f"k{k}"}}
            tables["otel_metrics_sum"].append(point(ago, name, "cache.hits", "{request}", **hits))
            counts = {"Count": 10 * i, "Sum": 0.1 * i, "BucketCounts": [0, 10 * i, 0], "ExplicitBounds": [0.005, 0.015]}
            tables["otel_metrics_histogram"].append(point(ago, name, "http.duration", "s", **cumulative, **counts))
    return tables


def alarm(ago: float, state: str, name: str = "GatewayErrors", service: str = "gateway") -> dict[str, Any]:
    moment = NOW - timedelta(seconds=ago)
    known = {"Timestamp": moment, "AlarmName": name, "State": state, "ServiceName": service}
    return {**known, "Reason": "share of 5xx", "Value": 0.31, "Threshold": 0.05}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with Writer(tmp_path / "store") as writer:
        writer.append({**story(), "alarms": [alarm(600, "ok"), alarm(20, "alarm")]})
    return tmp_path / "store"


@pytest.fixture
def connect(tmp_path: Path) -> Connect:
    """Returns a maker of clients of a metrics server over this test's store, wherever that is by then."""

    def client(**settings: Any) -> AbstractAsyncContextManager[Client]:
        chosen = {"store": tmp_path / "store", "evidence_dir": tmp_path / "evidence", **settings}
        return Client(build(MetricsSettings(**chosen)).build())

    return client


def text_of(reply: CallToolResult) -> str:
    return reply.content[0].text  # type: ignore[union-attr]


async def document(client: Client, reply: CallToolResult, part: str = "evidence") -> Any:
    kept = (reply.meta or {})[f"midwatch/{part}"]
    pages = [await client.read_resource(f"midwatch://evidence/{kept['id']}/page/{n}") for n in range(kept["pages"])]
    return json.loads("".join(page.contents[0].text for page in pages))  # type: ignore[union-attr]


async def query(connect: Connect, **arguments: Any) -> list[dict[str, Any]]:
    async with connect() as client:
        reply = await client.call_tool("query_metric", {**WINDOW, "points": 6, **arguments})
        assert not reply.is_error, text_of(reply)
        return list((await document(client, reply))["rows"])


async def refusal(connect: Connect, tool: str, **arguments: Any) -> str:
    async with connect() as client:
        reply = await client.call_tool(tool, {**WINDOW, **arguments})
    assert reply.is_error
    return text_of(reply)


async def test_the_tools_declare_their_roles_read_only_and_stay_short(connect: Connect) -> None:
    async with connect() as client:
        tools = (await client.list_tools()).tools
    assert {tool.name: (tool.meta or {})["midwatch/role"] for tool in tools} == ROLES
    assert {(tool.meta or {})["midwatch/signal"] for tool in tools} == {"metrics"}
    assert all(tool.annotations and tool.annotations.read_only_hint and tool.output_schema for tool in tools)
    assert sum(len(tool.model_dump_json(by_alias=True, exclude_none=True)) for tool in tools) < 5_000


@pytest.mark.usefixtures("store")
async def test_the_catalogue_lists_metrics_and_gives_a_topology_fragment(connect: Connect) -> None:
    async with connect() as client:
        reply = await client.call_tool("list_metrics", WINDOW)
        fragment = (await document(client, reply, "records"))["fragment"]
    assert "cache.hits counter [{request}]: 2 series of forge-1, forge-2; by kind" in text_of(reply)
    assert "alarm:GatewayErrors on service:gateway: alarm since 2026-11-20T02:59:40Z" in text_of(reply)
    relations = {(one["source"], one["kind"], one["target"]) for one in fragment["relations"]}
    assert relations == {
        ("service:forge", "runs_on", "instance:forge-1"),
        ("service:forge", "runs_on", "instance:forge-2"),
        ("service:gateway", "alarmed_by", "alarm:GatewayErrors"),
    }
    assert {one["entity"] for one in fragment["bindings"]} == {"service:forge", "instance:forge-1", "instance:forge-2"}
    assert {one["id"] for one in fragment["entities"]} >= {"alarm:GatewayErrors", "service:forge"}


@pytest.mark.usefixtures("store")
async def test_a_gauge_has_an_average_extremes_and_a_sum_over_its_series(connect: Connect) -> None:
    (average,) = await query(connect, name="jobs.depth")
    assert average["values"] == [6.75 + 15 * bucket for bucket in range(6)]  # the mean of i and 2 i over ten seconds
    (highest,) = await query(connect, name="jobs.depth", aggregation="max")
    assert highest["values"] == [2 * (9 + 10 * bucket) for bucket in range(6)]
    (lowest,) = await query(connect, name="jobs.depth", aggregation="min")
    assert lowest["values"] == [10 * bucket for bucket in range(6)]
    (total,) = await query(connect, name="jobs.depth", aggregation="sum")
    assert total["values"] == [13.5 + 30 * bucket for bucket in range(6)]


@pytest.mark.usefixtures("store")
async def test_a_counter_has_a_rate_whatever_it_stood_at_before(connect: Connect) -> None:
    rows = await query(connect, name="cache.hits", group_by=["instance", "kind"])
    assert [(row["group"], row["unit"]) for row in rows] == [
        ({"instance": "forge-1", "kind": "k1"}, "1/s"),
        ({"instance": "forge-2", "kind": "k2"}, "1/s"),
    ]
    assert [row["values"] for row in rows] == [[2.0] * 6, [4.0] * 6]
    (both,) = await query(connect, name="cache.hits", filters={"service": "forge"})
    assert both["values"] == [6.0] * 6


async def test_a_counter_that_falls_without_a_new_start_began_again_at_nothing(
    connect: Connect, tmp_path: Path
) -> None:
    known = {"StartTimeUnix": NOW - timedelta(hours=1), "AggregationTemporality": 2, "IsMonotonic": True}
    values = [900.0 + 2 * i if i < 30 else 2.0 * (i - 29) for i in range(60)]
    rows = [point(60 - i, "bot-1", "jobs.done", "{job}", Value=value, **known) for i, value in enumerate(values)]
    with Writer(tmp_path / "store") as writer:
        writer.append({"otel_metrics_sum": rows})
    (rate,) = await query(connect, name="jobs.done", points=60)
    assert rate["values"] == [None, *[2.0] * 59]  # what came before the first point is unknown


@pytest.mark.usefixtures("store")
async def test_a_histogram_has_percentiles_an_average_and_a_rate(connect: Connect) -> None:
    (p50,) = await query(connect, name="http.duration", aggregation="p50")
    assert (p50["values"], p50["unit"]) == ([10.0] * 6, "ms")
    (mean,) = await query(connect, name="http.duration", aggregation="avg")
    assert mean["values"] == pytest.approx([10.0] * 6)
    (rate,) = await query(connect, name="http.duration", aggregation="rate", filters={"instance": "forge-1"})
    assert rate["values"] == [10.0] * 6


@pytest.mark.usefixtures("store")
async def test_the_lines_of_a_query_read_as_a_plot_would(connect: Connect) -> None:
    async with connect() as client:
        arguments = {**WINDOW, "name": "cache.hits", "group_by": ["instance"], "points": 3}
        reply = await client.call_tool("query_metric", arguments)
    assert "instance=forge-1 [1/s], every 20 s, 2/s to 2/s: 2 2 2" in text_of(reply)
    assert (reply.structured_content or {})["matched"] == 120


@pytest.mark.usefixtures("store")
async def test_what_cannot_be_asked_is_refused_with_what_can(connect: Connect) -> None:
    assert "use avg, max, min, sum" in await refusal(connect, "query_metric", name="jobs.depth", aggregation="p95")
    assert "there are cache.hits" in await refusal(connect, "query_metric", name="cache.hit")
    filtered = await refusal(connect, "query_metric", name="cache.hits", filters={"kind": "k9"})
    assert "no series with kind=k9" in filtered
    assert "use service:NAME or alarm:NAME" in await refusal(connect, "list_alarms", entities=["database:x"])
    assert "aggregation" in await refusal(connect, "query_metric", name="cache.hits", aggregation="median")
    assert "in the past" in await refusal(connect, "survey_metrics", start="2126-01-01T00:00:00Z")


@pytest.mark.usefixtures("store")
async def test_a_name_with_quotes_is_a_name(connect: Connect) -> None:
    assert "no metric" in await refusal(connect, "query_metric", name="x' OR 1=1 --", filters={"a'b": "c'd"})


@pytest.mark.usefixtures("store")
async def test_alarms_are_told_newest_first_with_what_set_them_off(connect: Connect) -> None:
    async with connect() as client:
        reply = await client.call_tool("list_alarms", HOUR)
        before = await client.call_tool("list_alarms", {"start": "2026-11-20T02:52:00Z", "end": "2026-11-20T02:53:00Z"})
    lines = (reply.structured_content or {})["lines"]
    assert lines[0].startswith("2026-11-20T02:59:40Z GatewayErrors on gateway: alarm (value 0.31, threshold 0.05)")
    assert (len(lines), (reply.structured_content or {})["matched"]) == (2, 2)
    hint = (before.structured_content or {})["hint"]
    assert "Before it: 2026-11-20T02:50:00Z GatewayErrors on gateway: ok" in hint


async def test_ten_thousand_alarms_are_paged_without_loss_or_repeat_while_more_arrive(
    connect: Connect, tmp_path: Path
) -> None:
    rows = [alarm(3_000 - i // 4, "alarm", name=f"A{i}") for i in range(10_000)]
    seen: list[str] = []
    with Writer(tmp_path / "store") as writer:
        writer.append({"alarms": rows})
        async with connect(reply_chars=200_000) as client:
            cursor: str | None = None
            while True:
                arguments = {**HOUR, "limit": 2_000, "cursor": cursor}
                found = (await client.call_tool("list_alarms", arguments)).structured_content or {}
                assert found["matched"] == 10_000
                seen += [line.split()[1] for line in found["lines"]]
                writer.append({"alarms": [alarm(1_000, "ok", name="late")]})
                if not (cursor := found.get("next_cursor")):
                    break
    assert len(seen) == 10_000
    assert set(seen) == {f"A{i}" for i in range(10_000)}


async def test_a_store_that_is_not_there_yet_or_goes_away_is_an_error_with_advice_until_it_is_back(
    connect: Connect, tmp_path: Path
) -> None:
    async with connect() as client:
        for tool, arguments in (("survey_metrics", {}), ("list_metrics", {}), ("query_metric", {"name": "x"})):
            reply = await client.call_tool(tool, arguments)
            assert (reply.meta or {})["midwatch/error"] == "backend_down"
            assert "midwatch-store serve" in text_of(reply)
        checked = await client.call_tool("check_metrics", {})
        assert not checked.is_error
        assert "FAIL store" in text_of(checked)
        with Writer(tmp_path / "store") as writer:
            writer.append(story())
        assert "matched=360" in text_of(await client.call_tool("list_metrics", WINDOW))
        shutil.move(tmp_path / "store", tmp_path / "elsewhere")
        assert (await client.call_tool("list_metrics", WINDOW)).is_error
        shutil.move(tmp_path / "elsewhere", tmp_path / "store")
        assert "matched=360" in text_of(await client.call_tool("list_metrics", WINDOW))


async def test_check_tells_the_extent_the_lag_and_damaged_files(store: Path, connect: Connect) -> None:
    with Writer(store) as writer:
        fresh = point(0, "bot-1", "up", "1", Value=1.0) | {"TimeUnix": datetime.now(UTC)}
        writer.append({"otel_metrics_gauge": [fresh]})
    async with connect() as client:
        well = await client.call_tool("check_metrics", {})
        assert "FAIL" not in text_of(well)
        assert (well.structured_content or {})["lag_seconds"] < 60
        assert "from 2026-11-20T02:59:00Z" in text_of(well)
        first, *_ = (store / "otel_metrics_sum").rglob("*.parquet")
        first.write_bytes(b"torn")
        assert not (await client.call_tool("list_metrics", WINDOW)).is_error
        assert f"left out: {first.name}" in text_of(await client.call_tool("check_metrics", {}))


@pytest.fixture
def listening(store: Path) -> Iterator[str]:
    """The address of a real server process over streamable HTTP."""
    with on_http("metrics", over(store)) as address:
        yield address


async def test_a_process_answers_over_streamable_http(listening: str) -> None:
    async with Client(listening) as client:
        assert "cache.hits" in text_of(await client.call_tool("list_metrics", WINDOW))


async def test_a_process_answers_over_stdio(store: Path) -> None:
    async with Client(on_stdio("metrics", over(store))) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == set(ROLES)
        assert "cache.hits" in text_of(await client.call_tool("list_metrics", WINDOW))
