"""Searching traces and reading one: pages without loss or repeat, trees with their critical path, giants folded."""

import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from mcp import Client
from mcp.types import CallToolResult

from midwatch_store.writer import Writer
from midwatch_traces import answers
from midwatch_traces.backends.store import StoreTraces

Row = dict[str, object]
Span = Callable[..., Row]
RowsOf = Callable[[Client, CallToolResult], Awaitable[list[dict[str, Any]]]]
STORY = {"start": "2026-11-20T02:44:00Z", "end": "2026-11-20T02:48:00Z"}


def text_of(reply: CallToolResult) -> str:
    return reply.content[0].text  # type: ignore[union-attr]


def many(count: int) -> pa.Table:
    """Traces of one span each, two of them at every moment."""
    begin = int(datetime(2026, 11, 20, 2, 45, tzinfo=UTC).timestamp()) * 10**9
    return pa.table(
        {
            "Timestamp": pa.array([begin + i // 2 * 10_000_000 for i in range(count)], pa.timestamp("ns")),
            "TraceId": [f"{i * 7919 % count:032x}" for i in range(count)],
            "SpanId": [f"{i:016x}" for i in range(count)],
            "ServiceName": ["forge"] * count,
            "Duration": [1_000_000] * count,
        }
    )


async def test_ten_thousand_traces_are_paged_without_loss_or_repeat_while_more_arrive(
    traces_client: Any, span: Span, rows_of: RowsOf, tmp_path: Path
) -> None:
    seen: list[str] = []
    with Writer(tmp_path / "store") as writer:
        writer.append_arrow("otel_traces", many(10_000))
        async with traces_client(reply_chars=400_000) as client:
            asked = {**STORY, "limit": 1_000}
            while True:
                reply = await client.call_tool("search_traces", asked)
                seen += [
                    row["trace_id"] for row in (await rows_of(client, reply))[: reply.structured_content["returned"]]
                ]
                assert reply.structured_content["matched"] == 10_000
                if "next_cursor" not in reply.structured_content:
                    break
                asked["cursor"] = reply.structured_content["next_cursor"]
                writer.append(
                    {"otel_traces": [span(at=60 + 20 * random.Random(len(seen)).random()) for _ in range(50)]}
                )
            fresh = await client.call_tool("search_traces", STORY)
    assert len(seen) == len(set(seen)) == 10_000
    assert fresh.structured_content["matched"] == 10_000 + 50 * 9


async def test_a_search_finds_by_service_instance_operation_failure_duration_and_attributes(
    traces_client: Any, store_spans: Any, span: Span
) -> None:
    store_spans(
        [
            span(at=1, trace="a", name="GET /parts/{part}", attributes={"http.route": "/parts"}),
            span(at=2, trace="b", failed=True, status="no such part"),
            span(at=3, trace="c", ms=2_000),
            span(at=4, trace="d", service="web"),
        ]
    )
    filters: list[tuple[dict[str, object], str]] = [
        ({"service": "web"}, "d"),
        ({"service": "service:web"}, "d"),
        ({"service": "instance:web-1"}, "d"),
        ({"operation": "get /PARTS"}, "a"),
        ({"errors_only": True}, "b"),
        ({"min_duration_ms": 1_999}, "c"),
        ({"attributes": {"http.route": "/parts"}}, "a"),
        ({"attributes": {"service.instance.id": "web-1"}}, "d"),
    ]
    async with traces_client() as client:
        for asked, wanted in filters:
            [line] = (await client.call_tool("search_traces", {**STORY, **asked})).structured_content["lines"]
            assert f" {wanted} " in line
        everything = (await client.call_tool("search_traces", STORY)).structured_content["lines"]
        failed = text_of(await client.call_tool("search_traces", {**STORY, "errors_only": True}))
        unknown = text_of(await client.call_tool("search_traces", {**STORY, "service": "forgee"}))
    assert [line.split()[1] for line in everything] == ["d", "c", "b", "a"]
    assert "1 spans 1 failed, last in forge: no such part" in failed
    assert "these did: forge, web" in unknown


async def test_a_trace_reads_as_a_tree_with_own_times_and_the_critical_path(
    traces_client: Any, store_spans: Any, span: Span, rows_of: RowsOf
) -> None:
    rows = [
        span(at=1.000, trace="t", span="root", service="web", name="GET /", ms=100),
        span(at=1.010, trace="t", span="slow", parent="root", service="web", name="call pay", kind="Client", ms=80),
        span(at=1.010, trace="t", span="quick", parent="root", service="web", name="call cart", kind="Client", ms=20),
        span(at=1.020, trace="t", span="served", parent="slow", service="pay", name="POST /pay", ms=60, failed=True),
        span(at=1.095, trace="t", span="later", parent="root", service="ship", kind="Consumer", ms=500),
    ]
    store_spans(list(reversed(rows)))
    async with traces_client() as client:
        reply = await client.call_tool("get_trace", {"trace_id": "t", **STORY})
        found = {row["span_id"]: row for row in await rows_of(client, reply)}
    assert {name for name, row in found.items() if row["critical"]} == {"root", "slow", "served"}
    assert {name: row["own_ms"] for name, row in found.items()} == {
        "root": 20.0,
        "slow": 20.0,
        "quick": 20.0,
        "served": 60.0,
        "later": 500.0,
    }
    assert {"span_id", "parent_span_id", "service", "instance", "name", "status"} <= found["served"].keys()
    assert (found["served"]["parent_span_id"], found["served"]["status"]) == ("slow", "Error")
    head, *lines = reply.structured_content["lines"]
    assert head.startswith("5 spans, 1 failed, 595 ms")
    assert lines == [
        "* web[web-1] GET / +0 100 ms (20)",
        "    web[web-1] call cart +10 20 ms (20)",
        "  * web[web-1] call pay +10 80 ms (20)",
        "    * pay[pay-1] POST /pay +20 60 ms (60) FAILED",
        "    ship[ship-1] GET / +95 500 ms (500)",
    ]


async def test_a_failed_span_shows_what_it_threw_and_who_works_on_by_a_link(
    traces_client: Any, store_spans: Any, story: Any, trouble: Any, rows_of: RowsOf
) -> None:
    def fault(_: float, place: str, __: str) -> Any:
        return trouble(exception="FieldError", message="unknown field") if place == "pay" else None

    store_spans(story(fault=fault).tell(10))
    async with traces_client() as client:
        found = await client.call_tool("search_traces", {**STORY, "errors_only": True, "limit": 1})
        [row] = await rows_of(client, found)
        text = text_of(await client.call_tool("get_trace", {"trace_id": row["trace_id"], **STORY}))
    assert row["failed_service"] == "pay"
    assert row["failure"] == "FieldError: unknown field"
    assert "POST /pay" in text
    assert "FAILED FieldError: unknown field" in text
    assert "linked: ship process orders ok in trace" in text


def giant(span: Span, calls: int) -> list[Row]:
    rows = [span(at=1, trace="g", span="root", service="web", ms=9_000)]
    for i in range(calls):
        asked = span(
            at=1 + i / 1_000, trace="g", span=f"c{i}", parent="root", service="web", name="call", kind="Client"
        )
        served = span(at=1 + i / 1_000, trace="g", span=f"s{i}", parent=f"c{i}", service="pay", failed=i % 100 == 0)
        rows += [asked, served]
    return rows


async def test_a_giant_trace_is_folded_with_exact_counts(
    traces_client: Any, store_spans: Any, span: Span, rows_of: RowsOf
) -> None:
    store_spans(giant(span, 4_000))
    async with traces_client() as client:
        reply = await client.call_tool("get_trace", {"trace_id": "g", **STORY})
        kept = await rows_of(client, reply)
    told = text_of(reply)
    assert reply.structured_content["matched"] == 8_001
    assert "8,001 spans, 40 failed" in told
    assert "… 3,997 more web call: 39,970 ms together, 3,997 spans below, " in told
    shown = sum(" FAILED" in line for line in reply.structured_content["lines"])
    assert f"spans below, {40 - shown} failed" in told
    assert len(told) < 4_000
    assert len(kept) == answers.MOST_ROWS
    assert f"the evidence holds {answers.MOST_ROWS:,}" in told


def test_more_spans_than_are_read_of_one_trace_are_counted_all_the_same(store_spans: Any, span: Span) -> None:
    backend = StoreTraces(store_spans(giant(span, 3_000)), most_of_a_trace=5_500)
    found = answers.get(backend, "g", STORY["start"], STORY["end"])
    assert found.matched == 6_001
    assert "Of 6,001 spans the tree is of the first 5,500" in (found.hint or "")


@pytest.mark.parametrize("depth", [5_000])
async def test_a_very_deep_trace_keeps_its_lines_readable(
    traces_client: Any, store_spans: Any, span: Span, depth: int
) -> None:
    rows = [span(at=1 + i / 1e6, trace="d", span=f"n{i}", parent=f"n{i - 1}" if i else "") for i in range(depth)]
    store_spans(rows)
    async with traces_client(reply_chars=30_000) as client:
        reply = await client.call_tool("get_trace", {"trace_id": "d", **STORY})
    assert reply.structured_content["lines"][100].strip().startswith("[depth 99] * forge[forge-1] GET /")


async def test_orphans_circles_and_spans_out_of_order_all_appear_once(
    traces_client: Any, store_spans: Any, span: Span, rows_of: RowsOf
) -> None:
    rows = [
        span(at=3, trace="t", name="first", span="orphan", parent="gone"),
        span(at=4, trace="t", span="below", parent="orphan"),
        span(at=1, trace="t", name="second", span="one", parent="two"),
        span(at=2, trace="t", span="two", parent="one"),
        span(at=5, trace="t", name="third", span="self", parent="self"),
        span(at=0, trace="t", span="root"),
    ]
    store_spans([*rows, rows[1]])
    async with traces_client() as client:
        reply = await client.call_tool("get_trace", {"trace_id": "t", **STORY})
        read = [row["span_id"] for row in await rows_of(client, reply)]
    assert read == ["root", "one", "two", "orphan", "below", "self"]
    assert reply.structured_content["matched"] == 6
    assert sum(" orphan" in line for line in reply.structured_content["lines"]) == 3


async def test_an_unknown_trace_is_not_found_and_the_window_is_named(
    traces_client: Any, store_spans: Any, span: Span
) -> None:
    store_spans([span(at=1, trace="t")])
    async with traces_client() as client:
        reply = await client.call_tool("get_trace", {"trace_id": "f" * 32, **STORY})
    assert reply.is_error
    assert (reply.meta or {})["midwatch/error"] == "not_found"
    assert "from 2026-11-20T02:44:00Z to 2026-11-20T02:48:00Z" in text_of(reply)


def test_more_spans_than_one_survey_reads_are_sampled_by_trace_and_said_to_be(
    store_spans: Any, story: Any, trouble: Any
) -> None:
    def fault(at: float, place: str, _: str) -> Any:
        return trouble(exception="OSError", message="gone") if place == "pay" and at >= 200 else None

    rows: Sequence[Row] = story(fault=fault).tell()
    backend = StoreTraces(store_spans(rows), most_spans=4_000)
    asked = "2026-11-20T02:47:00Z", "2026-11-20T02:48:00Z", "2026-11-20T02:44:00Z", "2026-11-20T02:47:00Z"
    found = answers.survey(backend, *asked, ())
    assert found.matched == len(rows)
    assert "Read one trace in 3 (" in (found.hint or "")
    assert "% 3 = 0" in found.query
    begun = {one.finding.entity for one in found.findings or () if one.finding.subject == "error_origin"}
    assert "service:pay" in begun
