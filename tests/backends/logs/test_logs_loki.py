"""What is Loki's own: its labels, its limits, its bill, and lines of one and the same time."""

from collections.abc import Sequence
from typing import Any

import pytest
from tests.backends.fakes.loki import Entry, FakeLoki
from tests.backends.logs.conftest import Connect, loki_entry
from tests.backends.logs.story import HOUR, QUARTER, tell
from tests.backends.logs.test_logs_contract import answer
from tests.backends.serving import served

LATE = 1_795_143_300_000_000_000  # 2026-11-20T02:55:00Z


def named(labels: dict[str, str], lines: Sequence[str], metadata: dict[str, str] | None = None) -> list[Entry]:
    return [Entry(LATE + n, line, labels, metadata or {}) for n, line in enumerate(lines)]


async def test_labels_of_ones_own_are_named_by_settings(connect: Connect) -> None:
    entries = named({"app": "forge", "pod": "forge-a", "lvl": "critical"}, ["boom"])
    with served(FakeLoki(entries).app) as (url, _):
        async with connect(loki_url=url) as client:
            checked = await answer(client, "check_logs")
        settings = {"loki_service_label": "app", "loki_level_label": "lvl"}
        async with connect(loki_url=url, **settings) as client:
            told = await answer(client, "search_logs", **HOUR, services=["forge"], level="FATAL")
    assert (
        "no label service_name; there are app, lvl, pod → set MIDWATCH_LOKI_SERVICE_LABEL, to app"
        in checked["lines"][1]
    )
    assert told["lines"] == ["2026-11-20T02:55:00.000Z FATAL forge/forge-a boom"]


async def test_only_what_the_selector_takes_is_read(connect: Connect) -> None:
    entries = named({"service_name": "forge", "namespace": "shop"}, ["ours"])
    entries += named({"service_name": "forge", "namespace": "lab"}, ["theirs"])
    with served(FakeLoki(entries).app) as (url, _):
        async with connect(loki_url=url, loki_selector='namespace="shop"') as client:
            told = await answer(client, "search_logs", **HOUR)
    assert [line.split()[-1] for line in told["lines"]] == ["ours"]


async def test_a_trace_id_inside_of_a_line_finds_it(connect: Connect) -> None:
    lines = ['{"msg": "paid", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}', '{"msg": "idle"}']
    with served(FakeLoki(named({"service_name": "pay"}, lines)).app) as (url, _):
        async with connect(loki_url=url) as client:
            told = await answer(client, "get_trace_logs", **HOUR, trace_id="4bf92f3577b34da6a3ce929d0e0e4736")
    assert [line[0] for line in told["lines"]] == [">", " "]


async def test_lines_of_one_and_the_same_time_come_once_over_all_pages(connect: Connect) -> None:
    entries = [Entry(LATE + n // 400, f"line {n}", {"service_name": "forge"}, {}) for n in range(1_000)]
    with served(FakeLoki(entries).app) as (url, _):
        async with connect(loki_url=url, reply_chars=500_000) as client:
            for order in ("newest", "oldest"):
                asked = {**HOUR, "order": order, "limit": 130}
                told = await answer(client, "search_logs", **asked)
                lines = list(told["lines"])
                while told.get("next_cursor"):
                    told = await answer(client, "search_logs", **asked, cursor=told["next_cursor"])
                    lines += told["lines"]
                assert len(lines) == len(set(lines)) == told["matched"] == 1_000


async def test_more_than_may_be_read_is_refused_before_it_is(connect: Connect) -> None:
    loki = FakeLoki(named({"service_name": "forge"}, ["a"]), stored_bytes=200 * 2**30)
    with served(loki.app) as (url, _):
        async with connect(loki_url=url) as client:
            reply = await client.call_tool("survey_logs", QUARTER)
    assert reply.is_error
    assert "Loki would read up to 200.0 GiB in 12 chunks for this" in str(reply.content)
    assert not any("count_over_time" in query for query in loki.queries)


async def test_so_many_instances_that_loki_refuses_are_counted_together(connect: Connect) -> None:
    entries = [
        Entry(LATE + n, "up", {"service_name": "forge"}, {"service_instance_id": f"forge-{n}"}) for n in range(30)
    ]
    with served(FakeLoki(entries, most_series=20).app) as (url, _):
        async with connect(loki_url=url) as client:
            told = await answer(client, "list_log_sources", **HOUR)
    assert told["matched"] == 30
    assert told["lines"][0].startswith("service:forge: 30 lines, 0 errors")


async def test_a_refused_query_brings_loki_s_own_words(connect: Connect) -> None:
    with served(FakeLoki(named({"service_name": "forge"}, ["a"])).app) as (url, _):
        async with connect(loki_url=url) as client:
            reply = await client.call_tool("search_logs", {**HOUR, "text": "a(?=b)", "regex": True})
        async with connect(loki_url=url, loki_selector="namespace") as client:
            broken = await client.call_tool("search_logs", HOUR)
    assert "Loki refuses this: parse error" in str(reply.content)
    assert "syntax error: unexpected , -- in sum (count_over_time({namespace, service_name" in str(broken.content)


async def test_a_survey_of_more_lines_than_are_read_finds_what_is_new(connect: Connect) -> None:
    story = tell()
    rare = [line for line in story if line.body == "part is late"]
    settings: dict[str, Any] = {"logs_sample_lines": 100, "reply_chars": 50_000}
    with served(FakeLoki([loki_entry(line) for line in story]).app) as (url, _):
        async with connect(loki_url=url, **settings) as client:
            told = await answer(client, "survey_logs", **QUARTER)
    new = [line for line in told["lines"] if line.startswith("new_pattern")]
    assert rare
    assert any("unknown field 'finish'" in line and "since 02:48:00Z" in line for line in new)
    assert not any("part is late" in line or "took" in line for line in new), "known before, if not in the sample"
    assert "a sample of " in told["query"]


@pytest.mark.parametrize("forward", ["newest", "oldest"])
async def test_late_lines_and_later_ones_do_not_move_a_page(connect: Connect, forward: str) -> None:
    loki = FakeLoki(named({"service_name": "forge"}, [f"line {n}" for n in range(10)]))
    with served(loki.app) as (url, _):
        async with connect(loki_url=url) as client:
            asked = {"start": "2026-11-20T02:00:00Z", "end": "2026-11-29T00:00:00Z", "order": forward, "limit": 6}
            first = await answer(client, "search_logs", **asked)
            loki.entries += [Entry(2 * 10**18, "of the future", {"service_name": "forge"}, {})]
            second = await answer(client, "search_logs", **asked, cursor=first["next_cursor"])
    assert len({*first["lines"], *second["lines"]}) == 10
