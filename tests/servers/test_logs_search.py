"""Searching a store's logs: what matches, how it reads, and walking to the end while more arrives."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client

from midwatch_kit.logs.lines import LogLine, stamp, text_of, time_of
from midwatch_kit.text import printable
from midwatch_store.writer import Writer

Story = Callable[..., dict[str, Any]]
HOUR = {"start": "2026-11-20T02:00:00Z", "end": "2026-11-20T03:00:00Z"}


async def ask(client: Client, tool: str = "search_logs", **arguments: Any) -> dict[str, Any]:
    reply = await client.call_tool(tool, {**HOUR, **arguments})
    assert not reply.is_error, reply.content
    assert reply.structured_content is not None
    answer: dict[str, Any] = reply.structured_content
    return answer


async def refusal(client: Client, tool: str = "search_logs", **arguments: Any) -> str:
    reply = await client.call_tool(tool, {**HOUR, **arguments})
    assert reply.is_error
    return str(reply.content[0].text)  # type: ignore[union-attr]


async def test_text_matches_in_any_case_and_a_regex_as_it_is_written(
    log_row: Story, log_store: Any, log_client: Any
) -> None:
    log_store([log_row(3, "Disk FULL on /data"), log_row(2, "disk full"), log_row(1, "all is well")])
    async with log_client() as client:
        assert (await ask(client, text="disk full"))["matched"] == 2
        assert (await ask(client, text="^disk f.ll", regex=True))["matched"] == 1
        assert (await ask(client, text="(?i)^disk f.ll", regex=True))["matched"] == 2
        assert (await ask(client, text="100%_"))["matched"] == 0


async def test_a_regex_that_cannot_be_read_is_refused_in_words(log_row: Story, log_store: Any, log_client: Any) -> None:
    log_store([log_row(1, "x")])
    async with log_client() as client:
        assert "unterminated subpattern at position 0" in await refusal(client, text="(", regex=True)
        assert "(?=" in await refusal(client, text="a(?=b)", regex=True)
        assert "TRACE, DEBUG, INFO, WARN, ERROR, FATAL" in await refusal(client, level="LOUD")
        assert "database:stock" in await refusal(client, services=["database:stock"])


async def test_level_and_service_and_instance_narrow_a_search(log_row: Story, log_store: Any, log_client: Any) -> None:
    log_store(
        [
            log_row(4, "a", severity=13, service="bot"),
            log_row(3, "b", severity=17, service="forge", instance="forge-2"),
            log_row(2, "c", severity=0, SeverityText="critical", service="forge"),
            log_row(1, "d", severity=9, service="forge"),
        ]
    )
    async with log_client() as client:

        async def bodies(**arguments: Any) -> list[str]:
            return [line.split()[-1] for line in (await ask(client, **arguments))["lines"]]

        assert await bodies(level="warning") == ["c", "b", "a"]
        assert await bodies(level="ERROR") == ["c", "b"]
        assert await bodies(services=["service:forge"], order="oldest") == ["b", "c", "d"]
        assert await bodies(services=["instance:forge-2"]) == ["b"]
        assert await bodies(services=["bot", "instance:forge-2"]) == ["b", "a"]
        nobody = await ask(client, services=["gateway"])
    assert "gateway wrote no line" in nobody["hint"]
    assert "bot" in nobody["hint"]


async def test_an_exception_is_found_by_its_message_and_shown_with_the_line(
    log_row: Story, log_store: Any, log_client: Any
) -> None:
    attributes = {"exception.type": "KeyError", "exception.message": "'finish'", "exception.stacktrace": "…"}
    log_store([log_row(1, "cannot read part", severity=17, LogAttributes=attributes)])
    async with log_client() as client:
        found = await ask(client, text="finish")
    assert found["lines"][0].endswith("cannot read part | KeyError: 'finish'")


async def test_context_shows_the_lines_of_the_same_instance_on_each_side(
    log_row: Story, log_store: Any, log_client: Any
) -> None:
    rows = [log_row(30 - i, f"step {i}") for i in range(20)]
    others = [log_row(30.5 - i, f"elsewhere {i}", instance="forge-2") for i in range(20)]
    log_store([*rows, *others])
    async with log_client() as client:
        found = await ask(client, text="step 7", context=2, order="oldest")
    assert found["matched"] == 1
    assert [(line[:2], line[-6:].strip()) for line in found["lines"]] == [
        ("  ", "step 5"), ("  ", "step 6"), ("> ", "step 7"), ("  ", "step 8"), ("  ", "step 9")
    ]  # fmt: skip


async def test_pages_hold_every_line_once_while_a_writer_appends(
    log_row: Story, log_store: Any, log_client: Any, tmp_path: Path
) -> None:
    # Many lines share a time, and late ones land in the middle of what is being paged.
    log_store([log_row(1 + i // 7 % 3000, f"line {i}") for i in range(12_000)])
    seen: list[int] = []
    with Writer(tmp_path / "store") as writer:
        async with log_client(reply_chars=100_000) as client:
            cursor, late = None, 0
            while True:
                page = await ask(client, text="line", limit=2_000, **({"cursor": cursor} if cursor else {}))
                seen += [int(line.rsplit(" ", 1)[1]) for line in page["lines"]]
                assert page["matched"] == 12_000
                batch = [log_row(1 + late * 7 + i, f"line {100_000 + late}") for i in range(20)]
                await anyio.to_thread.run_sync(writer.append, {"otel_logs": batch})
                late += 1
                if (cursor := page.get("next_cursor")) is None:
                    break
            assert (await ask(client, text="line"))["matched"] == 12_000 + late * 20
    assert len(seen) == 12_000
    assert set(seen) == set(range(12_000))


async def test_pages_with_context_hold_every_match_once_in_the_smallest_replies(
    log_row: Story, log_store: Any, log_client: Any
) -> None:
    log_store([log_row(500 - i, f"{'match' if i % 5 == 0 else 'other'} {i} {'x' * 300}") for i in range(100)])
    for budget in (600, 3_000):
        hits: list[str] = []
        async with log_client(reply_chars=budget) as client:
            cursor = None
            for _ in range(200):
                page = await ask(client, text="match", context=3, **({"cursor": cursor} if cursor else {}))
                hits += [line.split(" ")[-2] for line in page["lines"] if not line.startswith("  ")]
                if (cursor := page.get("next_cursor")) is None:
                    break
        assert hits == [str(i) for i in range(95, -1, -5)]


async def test_a_trace_comes_with_what_its_writers_logged_around_it(
    log_row: Story, log_store: Any, log_client: Any
) -> None:
    own = [log_row(100, "in", service="bot", TraceId="a1"), log_row(99, "out", TraceId="a1")]
    around = [log_row(100.4, "before"), log_row(98.7, "after", service="bot"), log_row(99.5, "aside", service="action")]
    log_store([*own, *around, log_row(90, "later")])
    async with log_client() as client:
        found = await ask(client, "get_trace_logs", trace_id="a1", margin_seconds=0.5)
        alone = await ask(client, "get_trace_logs", trace_id="a1", margin_seconds=0)
        missing = await ask(client, "get_trace_logs", trace_id="b2")
        empty = await refusal(client, "get_trace_logs", trace_id=" ")
    assert [(line[0], line.split()[-1]) for line in found["lines"]] == [
        (" ", "before"), (">", "in"), (">", "out"), (" ", "after")
    ]  # fmt: skip
    assert alone["matched"] == 2
    assert missing["matched"] == 0
    assert "b2" in missing["hint"]
    assert "trace_id is empty" in empty


async def test_giant_lines_and_control_characters_stay_one_short_line_each(
    log_row: Story, log_store: Any, log_client: Any
) -> None:
    log_store([log_row(2, "giant " + "y" * 200_000), log_row(1, "bell \x07 nul \x00 two\nlines")])
    async with log_client() as client:
        found = await ask(client)
        reply = await client.call_tool("search_logs", {**HOUR, "text": "giant"})
        assert reply.meta is not None
        kept = reply.meta["midwatch/evidence"]
        parts = [
            (await client.read_resource(f"midwatch://evidence/{kept['id']}/page/{page}")).contents[0].text
            for page in range(kept["pages"])
        ]
    assert "bell \\x07 nul" in found["lines"][0]
    assert "two\\nlines" in found["lines"][0]
    assert len(found["lines"][1]) < 700
    row = json.loads("".join(parts))["rows"][0]
    assert len(row["message"]) + row["cut_characters"] >= 65_536


async def test_a_cursor_belongs_to_its_own_search(log_row: Story, log_store: Any, log_client: Any) -> None:
    log_store([log_row(i, f"line {i}") for i in range(50)])
    async with log_client() as client:
        cursor = (await ask(client, limit=10))["next_cursor"]
        assert "another query" in await refusal(client, limit=10, text="line", cursor=cursor)
        assert "damaged" in await refusal(client, limit=10, cursor=cursor[:-6] + "AAAAAA")


@given(st.text())
def test_any_text_reads_as_one_printable_line(text: str) -> None:
    line = text_of(LogLine(0, 1, 9, "forge", "", text, ""))
    assert "\n" not in line
    assert printable(line) == line


@given(st.integers(min_value=0, max_value=4_000_000_000 * 10**9))
def test_a_stamp_is_the_instant_to_the_nanosecond(instant: int) -> None:
    assert stamp(instant).endswith("Z")
    assert datetime.fromisoformat(stamp(instant, 6)) == time_of(instant)
    assert int(stamp(instant)[20:29]) == instant % 10**9
    assert time_of(instant) - time_of(0) <= timedelta(microseconds=instant // 1000)
