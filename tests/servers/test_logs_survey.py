"""What the survey of a store's logs finds, and what it leaves in peace."""

import json
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from mcp import Client

from midwatch_kit import Observation
from midwatch_kit.evidence import broken_citations
from midwatch_kit.logs import sql

Story = Callable[..., dict[str, Any]]


def background(log_row: Story, seed: int = 7, services: tuple[str, ...] = ("forge", "bot")) -> list[dict[str, Any]]:
    """An hour of two services at about a line a second each, with a warning now and then."""
    chance = random.Random(seed)
    rows = [
        log_row(
            chance.uniform(0, 3600), f"order {chance.randrange(10**9)} took {chance.randrange(90)} ms", service=name
        )
        for name in services
        for _ in range(3600)
    ]
    noise = [log_row(chance.uniform(0, 3600), f"cache is slow: {i} ms", severity=13) for i in range(120)]
    return rows + noise


def fault(log_row: Story, seconds: int, count: int, until: int = 0) -> list[dict[str, Any]]:
    exception = {"exception.type": "FieldError", "exception.message": "unknown field 'finish'"}
    return [
        log_row(
            until + (seconds - until) * (i + 1) / count - 0.001,
            "cannot read part",
            severity=17,
            instance="forge-2",
            LogAttributes=exception,
        )
        for i in range(count)
    ]


async def survey(client: Client, log_now: datetime, **arguments: Any) -> tuple[str, list[Observation]]:
    window = {"start": (log_now - timedelta(minutes=15)).isoformat(), "end": log_now.isoformat()}
    reply = await client.call_tool("survey_logs", {**window, **arguments})
    assert not reply.is_error, reply.content
    assert reply.meta is not None
    records = await read_document(client, reply.meta["midwatch/records"])
    observations = [Observation.model_validate(found) for found in json.loads(records)["observations"]]
    evidence = reply.meta["midwatch/evidence"]
    stored = {evidence["id"]: await read_document(client, evidence)}
    assert [fault for found in observations for fault in broken_citations(found, stored)] == []
    return reply.content[0].text, observations  # type: ignore[union-attr]


async def read_document(client: Client, kept: dict[str, Any]) -> bytes:
    pages = [
        (await client.read_resource(f"midwatch://evidence/{kept['id']}/page/{page}")).contents[0]
        for page in range(kept["pages"])
    ]
    return "".join(page.text for page in pages).encode()  # type: ignore[union-attr]


async def test_errors_that_begin_in_the_window_are_found_with_their_onset_and_the_new_template(
    log_row: Story, log_store: Any, log_client: Any, log_now: datetime
) -> None:
    log_store([*background(log_row), *fault(log_row, seconds=300, count=100)])
    async with log_client() as client:
        _, found = await survey(client, log_now)
    onset = log_now - timedelta(seconds=300)
    new = next(f for f in found if f.kind == "new_pattern")
    rise = next(f for f in found if f.subject == "error_logs" and f.kind == "spike")
    assert (new.entity, new.attributes["instance"], new.attributes["level"]) == ("service:forge", "forge-2", "ERROR")
    assert "unknown field 'finish'" in new.attributes["exemplar"]
    assert new.onset is not None
    assert abs(new.onset - (onset + timedelta(seconds=3))) < timedelta(seconds=4)
    assert rise.entity == "service:forge"
    assert rise.onset_earliest is not None
    assert rise.onset_latest is not None
    assert rise.onset_earliest <= onset <= rise.onset_latest
    assert rise.attributes["window_lines"] == "100"
    assert rise.ended is None
    assert [f.entity for f in found if f.kind == "normal"] == ["service:bot"]
    assert found.index(new) < found.index(next(f for f in found if f.kind == "normal"))


async def test_errors_that_stopped_within_the_window_are_said_to_have_ended(
    log_row: Story, log_store: Any, log_client: Any, log_now: datetime
) -> None:
    log_store([*background(log_row), *fault(log_row, seconds=600, count=200, until=300)])
    async with log_client() as client:
        _, found = await survey(client, log_now)
    rise = next(f for f in found if f.subject == "error_logs" and f.kind == "spike")
    assert rise.ended is not None
    assert abs(rise.ended - (log_now - timedelta(seconds=300))) <= timedelta(seconds=30)


async def test_a_trickle_of_errors_where_there_were_none_is_a_rise(
    log_row: Story, log_store: Any, log_client: Any, log_now: datetime
) -> None:
    log_store([*background(log_row), *fault(log_row, seconds=720, count=60)])
    async with log_client() as client:
        _, found = await survey(client, log_now)
    rise = next(f for f in found if f.subject == "error_logs" and f.kind == "spike")
    assert rise.onset is not None
    assert abs(rise.onset - (log_now - timedelta(seconds=720))) <= timedelta(seconds=45)


async def test_a_fault_of_the_last_twenty_seconds_is_seen(
    log_row: Story, log_store: Any, log_client: Any, log_now: datetime
) -> None:
    log_store([*background(log_row), *fault(log_row, seconds=20, count=60)])
    async with log_client() as client:
        _, found = await survey(client, log_now)
    rise = next(f for f in found if f.subject == "error_logs" and f.kind == "spike")
    assert rise.onset is not None
    assert abs(rise.onset - (log_now - timedelta(seconds=20))) <= timedelta(seconds=30)


async def test_the_noise_of_twenty_services_raises_nothing(
    log_row: Story, log_store: Any, log_client: Any, log_now: datetime
) -> None:
    services = tuple(f"service-{i}" for i in range(20))
    chance = random.Random(3)
    rows = [
        log_row(
            chance.uniform(0, 3600), f"{name} is slow: {chance.randrange(10**6)} ms", severity=severity, service=name
        )
        for i, name in enumerate(services)
        for severity in (13, 17)
        for _ in range(20 * (i + 1))
    ]
    log_store(rows)
    async with log_client() as client:
        _, found = await survey(client, log_now)
    assert {f.kind for f in found} == {"normal"}
    assert {f.entity for f in found} == {f"service:{name}" for name in services}


async def test_a_warning_that_was_there_before_is_not_new_and_a_service_gone_silent_is_absent(
    log_row: Story, log_store: Any, log_client: Any, log_now: datetime
) -> None:
    rows = [row for row in background(log_row) if row["ServiceName"] == "forge" or row["Timestamp"] < log_now]
    cut = log_now - timedelta(minutes=15)
    log_store([row for row in rows if row["ServiceName"] != "bot" or row["Timestamp"] < cut])
    async with log_client() as client:
        _, found = await survey(client, log_now)
    assert [f.entity for f in found if f.kind == "absence"] == ["service:bot"]
    assert not [f for f in found if f.kind in ("new_pattern", "spike")]


async def test_an_unknown_entity_is_absent_beside_known_ones_and_an_error_alone(
    log_row: Story, log_store: Any, log_client: Any, log_now: datetime
) -> None:
    log_store(background(log_row))
    async with log_client() as client:
        _, found = await survey(client, log_now, entities=["instance:nowhere", "bot"])
        assert [(f.kind, f.entity) for f in found] == [("normal", "service:bot"), ("absence", "instance:nowhere")][::-1]
        reply = await client.call_tool(
            "survey_logs", {"start": "2026-11-20T02:45:00Z", "end": "2026-11-20T03:00:00Z", "entities": ["nowhere"]}
        )
    assert reply.is_error
    assert "service:bot" in reply.content[0].text
    assert "service:nowhere" in reply.content[0].text


async def test_a_window_without_a_baseline_says_that_there_is_nothing_to_compare_with(
    log_row: Story, log_store: Any, log_client: Any, log_now: datetime
) -> None:
    log_store([log_row(i, "started", severity=17) for i in range(60)])
    async with log_client() as client:
        text, found = await survey(client, log_now)
        empty = await client.call_tool("survey_logs", {"start": "2026-11-19T00:00:00Z", "end": "2026-11-19T01:00:00Z"})
    assert found == []
    assert "nothing to compare with" in text
    assert not empty.is_error
    assert "matched=0" in empty.content[0].text


async def test_the_survey_shows_the_sources_as_services_on_instances(
    log_row: Story, log_store: Any, log_client: Any, log_now: datetime
) -> None:
    log_store([*background(log_row), *fault(log_row, seconds=100, count=10)])
    async with log_client() as client:
        reply = await client.call_tool(
            "list_log_sources", {"start": "2026-11-20T02:00:00Z", "end": log_now.isoformat()}
        )
        assert reply.meta is not None
        fragment = json.loads(await read_document(client, reply.meta["midwatch/records"]))["fragment"]
    assert {entity["id"] for entity in fragment["entities"]} == {
        "service:forge", "service:bot", "instance:forge-1", "instance:forge-2", "instance:bot-1"
    }  # fmt: skip
    assert ("service:forge", "runs_on", "instance:forge-2") in {
        (r["source"], r["kind"], r["target"]) for r in fragment["relations"]
    }
    assert {b["selector"].get("service") for b in fragment["bindings"]} >= {"forge", "bot"}


async def test_a_line_that_always_followed_another_and_no_longer_does_is_told_by_its_place_in_the_code(
    log_row: Story, log_store: Any, log_client: Any, log_now: datetime
) -> None:
    def request(number: int, ago: float, numbers: tuple[int, ...]) -> list[dict[str, Any]]:
        said = [
            {
                "TraceId": f"{number:032x}",
                "LogAttributes": {"code.file.path": "parts.py", "code.line.number": str(line)},
            }
            for line in numbers
        ]
        return [log_row(ago - 0.01 * i, f"part {chr(97 + number % 26)}", **more) for i, more in enumerate(said)]

    sound = [request(n, 3600 - 12 * n, (10, 14, 20)) for n in range(250)]
    turned = [request(n, 3600 - 12 * n, (10, 20)) for n in range(250, 299)]
    log_store([*background(log_row), *(row for rows in (*sound, *turned) for row in rows)])
    async with log_client() as client:
        _, found = await survey(client, log_now)
    (turn,) = [f for f in found if f.subject == "log_sequence"]
    assert (turn.entity, turn.attributes["after"]) == ("service:forge", "parts.py:10")
    assert turn.onset is not None
    assert abs(turn.onset - (log_now - timedelta(seconds=600))) <= timedelta(seconds=30)
    assert "service:forge" not in [f.entity for f in found if f.kind == "normal"]


async def test_where_behaviour_stays_no_turn_is_told(
    log_row: Story, log_store: Any, log_client: Any, log_now: datetime
) -> None:
    requests = [
        log_row(3600 - 6 * n - 0.01 * i, said, TraceId=f"{n:032x}")
        for n in range(590)
        for i, said in enumerate(["begin", f"took {n} ms", "end"] if n % 7 else ["begin", "end"])
    ]
    log_store([*background(log_row), *requests])
    async with log_client() as client:
        _, found = await survey(client, log_now)
    assert [f for f in found if f.subject == "log_sequence"] == []


async def test_lines_of_more_kinds_than_are_told_apart_are_counted_all_the_same(
    log_row: Story, log_store: Any, log_client: Any, log_now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "MOST_DISTINCT", 2)
    kinds = ["a one", "b two", "c three four", "d five six", "e seven eight"]
    log_store([*background(log_row), *(log_row(60, text, severity=17) for text in kinds for _ in range(20))])
    async with log_client() as client:
        text, observations = await survey(client, log_now)
    further = [o for o in observations if "further lines of 3 words" in o.statement]
    assert [(o.entity, o.attributes["template"]) for o in further] == [("service:forge", "<further lines of 3 words>")]
    assert "lines were of too many kinds to tell apart" in text
