"""The same questions to every backend of logs: what each answers is what the embedded store answers."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from mcp import Client
from tests.backends.logs.conftest import Connect, Settings
from tests.backends.logs.story import HOUR, QUARTER, TRACE

BACKENDS = ("cloudwatch", "elasticsearch", "elasticsearch-otel", "loki")
Ask = Callable[..., Any]


async def answer(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    reply = await client.call_tool(tool, arguments)
    assert not reply.is_error, reply.content
    assert reply.structured_content is not None
    told: dict[str, Any] = reply.structured_content
    return told


@pytest.fixture(scope="module")
def known() -> dict[str, dict[str, Any]]:
    """What the store answered so far; it is asked once for all backends."""
    return {}


@pytest.fixture(params=BACKENDS)
def both(
    request: pytest.FixtureRequest,
    connect: Connect,
    told_store: Settings,
    told_backend: Any,
    known: dict[str, dict[str, Any]],
) -> Ask:
    """Returns a function that puts one question to the store and to a backend and returns both answers."""
    settings = told_backend(request.param)

    async def ask(tool: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        question = json.dumps([tool, arguments], sort_keys=True)
        if question not in known:
            async with connect(**told_store) as store:
                known[question] = await answer(store, tool, **arguments)
        async with connect(**settings, reply_chars=500_000) as backend:
            return known[question], await answer(backend, tool, **arguments)

    return ask


def bodies(told: dict[str, Any]) -> list[str]:
    return sorted(told["lines"])


async def test_who_writes_and_how_much(both: Ask) -> None:
    expected, told = await both("list_log_sources", **HOUR)
    assert told["lines"] == expected["lines"]
    assert told["matched"] == expected["matched"]


async def test_a_survey_finds_the_same(both: Ask) -> None:
    expected, told = await both("survey_logs", **QUARTER)
    assert told["lines"] == expected["lines"]
    assert any("unknown field 'finish'" in line for line in told["lines"])


async def test_a_survey_of_an_odd_window_counts_the_same(both: Ask) -> None:
    odd = {"start": "2026-11-20T02:41:07.3Z", "end": "2026-11-20T02:59:01.123Z"}
    expected, told = await both("survey_logs", **odd, entities=["forge"])
    assert told["lines"] == expected["lines"]
    assert told["matched"] == expected["matched"]


@pytest.mark.parametrize(
    "asked",
    [
        {"text": "FINISH"},
        {"text": "unknown field 'finish'", "level": "ERROR", "order": "oldest"},
        {"text": 'ünfinished "part"\\n'},
        {"text": ". at (once)"},
        {"text": "order 2[0-9]+ took [0-9] ms", "regex": True},
        {"level": "WARN", "services": ["instance:forge-2"]},
        {"services": ["bot", "instance:forge-1"], "order": "oldest"},
        {"text": "nowhere to be found"},
        {"services": ["forge"], "level": "INFO", "text": "late"},
    ],
    ids=str,
)
async def test_a_search_finds_and_counts_the_same(both: Ask, asked: dict[str, Any]) -> None:
    expected, told = await both("search_logs", **HOUR, **asked, limit=40)
    assert told["matched"] == expected["matched"]
    assert len(told["lines"]) == min(40, expected["matched"])
    assert {line[:20] for line in told["lines"]} >= {line[:20] for line in expected["lines"]}


async def test_all_lines_come_once_over_all_pages(connect: Connect, told_store: Settings, told_backend: Any) -> None:
    for order in ("newest", "oldest"):
        expected = sorted(await _walk(connect, told_store, order))
        for name in BACKENDS:
            walked = await _walk(connect, told_backend(name), order)
            assert sorted(walked) == expected
            times = [line[:24] for line in walked]
            assert times == sorted(times, reverse=order == "newest")


async def _walk(connect: Connect, settings: Settings, order: str) -> list[str]:
    asked: dict[str, Any] = {**QUARTER, "services": ["forge"], "order": order, "limit": 190}
    lines: list[str] = []
    async with connect(**settings, reply_chars=500_000) as client:
        told = await answer(client, "search_logs", **asked)
        lines += told["lines"]
        while told.get("next_cursor"):
            told = await answer(client, "search_logs", **asked, cursor=told["next_cursor"])
            lines += told["lines"]
    return lines


async def test_lines_around_a_hit_are_of_its_writer(both: Ask) -> None:
    expected, told = await both("search_logs", **HOUR, text="closes", context=2)
    assert [line[0] for line in told["lines"]] == [line[0] for line in expected["lines"]]
    assert bodies(told) == bodies(expected)


async def test_the_lines_of_a_trace_and_around_it(both: Ask) -> None:
    expected, told = await both("get_trace_logs", **HOUR, trace_id=TRACE, margin_seconds=5)
    assert bodies(told) == bodies(expected)
    assert told["hint"] == expected["hint"]
    _, nothing = await both("get_trace_logs", **HOUR, trace_id="f" * 32)
    assert "No line carries trace" in nothing["hint"]


async def test_who_wrote_nothing_is_named_with_who_did(both: Ask) -> None:
    _, told = await both("search_logs", **HOUR, services=["forgery"])
    assert re.search(r"forgery wrote no line in this window; .*\bforge\b", told["hint"])


@pytest.mark.parametrize("name", BACKENDS)
async def test_every_way_a_regex_can_be_wrong_is_told(connect: Connect, told_backend: Any, name: str) -> None:
    async with connect(**told_backend(name)) as client:
        reply = await client.call_tool("search_logs", {**HOUR, "text": "(part", "regex": True})
    assert reply.is_error
    assert "unterminated subpattern at position 0" in str(reply.content)


@pytest.mark.parametrize("name", BACKENDS)
async def test_the_check_says_that_it_is_up_and_how_old_its_newest_line_is(
    connect: Connect, told_backend: Any, name: str
) -> None:
    async with connect(**told_backend(name)) as client:
        told = await answer(client, "check_logs")
    assert told["lines"][0].startswith(f"ok   {name.partition('-')[0]}")
    assert any("2026-11-20T02:59:" in line for line in told["lines"])
