"""What the deploys server answers, asked as a client asks, over a real store."""

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, types

from midwatch_kit import Observation, ObservationKind, TopologyFragment
from midwatch_kit.evidence import broken_citations
from midwatch_store.writer import Writer

Connect = Callable[..., AbstractAsyncContextManager[Client]]
Write = Callable[..., None]

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DIFF = "--- a/app/forge/blueprint.py\n+++ b/app/forge/blueprint.py\n@@ -1 +1 @@\n-    size: int\n+    finish: str\n"
IN_WINDOW = {"start": "2026-11-20T11:50:00Z", "end": "2026-11-20T12:10:00Z"}


def change(change_id: str, minutes: float, **fields: Any) -> dict[str, Any]:
    """Return a change, `minutes` after noon."""
    return {
        "Timestamp": NOON + timedelta(minutes=minutes),
        "ChangeId": change_id,
        "Kind": "deploy",
        "ServiceName": "forge",
        "Outcome": "succeeded",
        **fields,
    }


def deploy(change_id: str, minutes: float, version: str, previous: str, **fields: Any) -> dict[str, Any]:
    people = {"Author": "Ada Byron", "Repository": "https://git.example/robots/app.git"}
    return change(change_id, minutes, Version=version, PreviousVersion=previous, **{**people, **fields})


BAD = deploy(
    "d-3", 0, "3f2c1ab", "9a8b7c6", Title="Carry the finish through", Files=["app/forge/blueprint.py"], Diff=DIFF
)
SESSION = change(
    "s-1", 5, Kind="session", Instance="forge-2", Title="look at the cache", Author="Grace", Diff="$ rm cache.db\n"
)


async def told(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return result.structured_content or {}


async def refusal(client: Client, tool: str, **arguments: Any) -> tuple[str, str]:
    result = await client.call_tool(tool, arguments)
    [content] = result.content
    assert isinstance(content, types.TextContent)
    return (result.meta or {}).get("midwatch/error", "none"), content.text


async def stored(client: Client, found: dict[str, Any]) -> bytes:
    pages = [
        (await client.read_resource(f"midwatch://evidence/{found['id']}/page/{n}")).contents[0]
        for n in range(found["pages"])
    ]
    return "".join(page.text for page in pages if isinstance(page, types.TextResourceContents)).encode()


async def observed(client: Client, **arguments: Any) -> list[Observation]:
    """Return a survey's observations, each with citations that hold."""
    meta = (await client.call_tool("survey_changes", arguments)).meta or {}
    document = await stored(client, meta["midwatch/evidence"])
    records = json.loads(await stored(client, meta["midwatch/records"]))["observations"]
    seen = [Observation.model_validate(record) for record in records]
    assert not [fault for each in seen for fault in broken_citations(each, {meta["midwatch/evidence"]["id"]: document})]
    return seen


async def test_each_change_is_a_finding_with_its_facts_newest_first(
    change_store: Write, change_client: Connect
) -> None:
    change_store(BAD, SESSION)
    async with change_client() as client:
        session, bad = await observed(client, **IN_WINDOW)
    assert (session.subject, session.entity, session.related) == ("session", "instance:forge-2", "service:forge")
    assert (bad.subject, bad.entity, bad.related, bad.onset) == ("deploy", "service:forge", None, NOON)
    assert bad.statement == 'deploy of forge 3f2c1ab by Ada Byron: "Carry the finish through" (1 file)'
    assert bad.kind is ObservationKind.CHANGE
    assert bad.attributes == {
        "change_id": "d-3",
        "title": "Carry the finish through",
        "author": "Ada Byron",
        "version": "3f2c1ab",
        "previous_version": "9a8b7c6",
        "files": "app/forge/blueprint.py",
        "repository": "https://git.example/robots/app.git",
        "outcome": "succeeded",
    }


async def test_a_rollouts_step_names_its_new_instances(change_store: Write, change_client: Connect) -> None:
    change_store(deploy("d-4", 1, "3f2c1ab", "9a8b7c6", Attributes={"instances": "forge-4,forge-5"}))
    async with change_client() as client:
        (step,) = await observed(client, **IN_WINDOW)
    assert step.attributes["instances"] == "forge-4,forge-5"


async def test_changes_of_the_baseline_are_surveyed_and_older_or_later_ones_are_not(
    change_store: Write, change_client: Connect
) -> None:
    change_store(*(change(name, minutes) for name, minutes in [("old", -71), ("before", -69), ("in", 9), ("late", 10)]))
    async with change_client() as client:
        assert [seen.attributes["change_id"] for seen in await observed(client, **IN_WINDOW)] == ["in", "before"]
        reply = await told(
            client,
            "survey_changes",
            **IN_WINDOW,
            baseline_start="2026-11-20T10:00:00Z",
            baseline_end="2026-11-20T10:30:00Z",
        )
    assert [line.rsplit("id=")[1] for line in reply["lines"]] == ["in", "before", "old"]


async def test_a_session_that_began_long_ago_and_is_not_over_by_the_baseline_is_in(
    change_store: Write, change_client: Connect
) -> None:
    change_store({**SESSION, "Timestamp": NOON - timedelta(days=2), "EndTime": NOON - timedelta(minutes=30)})
    async with change_client() as client:
        assert [seen.attributes["change_id"] for seen in await observed(client, **IN_WINDOW)] == ["s-1"]


async def test_a_change_recorded_at_its_start_and_at_its_end_is_one_change(
    change_store: Write, change_client: Connect
) -> None:
    change_store({**BAD, "Outcome": "running"}, {**BAD, "Outcome": "failed", "EndTime": NOON + timedelta(minutes=1)})
    async with change_client() as client:
        reply = await told(client, "survey_changes", **IN_WINDOW)
    assert (reply["matched"], len(reply["lines"])) == (1, 1)
    assert "(1 file), failed" in reply["lines"][0]


async def test_records_without_an_id_are_changes_of_their_own(change_store: Write, change_client: Connect) -> None:
    change_store(change("", 1, Title="one"), change("", 2, Title="two"))
    async with change_client() as client:
        seen = await observed(client, **IN_WINDOW)
        reread = await told(client, "get_change", change_id=seen[1].attributes["change_id"])
    assert "title: one" in reread["lines"]


async def test_entities_choose_changes_and_those_without_any_are_said_to_have_none(
    change_store: Write, change_client: Connect
) -> None:
    change_store(change("b", -300, ServiceName="bot"), BAD, SESSION, change("all", 1, ServiceName=""))
    async with change_client() as client:
        seen = await observed(client, **IN_WINDOW, entities=["bot", "instance:forge-2", "database:bots"])
        only = await observed(client, **IN_WINDOW, entities=["service:forge"])
    assert [(each.entity, each.kind.value) for each in seen] == [
        ("instance:forge-2", "change"),
        ("service:*", "change"),
    ]
    assert [each.attributes["change_id"] for each in only] == ["s-1", "all", "d-3"]


async def test_an_entity_with_no_change_is_normal_and_one_never_changed_is_absent(
    change_store: Write, change_client: Connect
) -> None:
    change_store(change("b", -300, ServiceName="bot"), BAD)
    async with change_client() as client:
        bot, froge = await observed(client, **IN_WINDOW, entities=["service:bot", "service:froge"])
        reply = await told(client, "survey_changes", **IN_WINDOW, entities=["service:froge"])
    assert (bot.kind, bot.entity, bot.magnitude) == (ObservationKind.NORMAL, "service:bot", 0)
    assert bot.statement.endswith("; the last was at 2026-11-20T07:00:00Z")
    assert (froge.kind, froge.entity) == (ObservationKind.ABSENCE, "service:froge")
    assert reply["hint"] == "Nothing changed: changes on record are of bot, forge"


async def test_people_and_repositories_choose_changes_too(change_store: Write, change_client: Connect) -> None:
    change_store(BAD, SESSION)
    async with change_client() as client:
        by_grace = await observed(client, **IN_WINDOW, entities=["person:Grace"])
        from_app = await observed(client, **IN_WINDOW, entities=["repository:app"])
    assert [seen.attributes["change_id"] for seen in [*by_grace, *from_app]] == ["s-1", "d-3"]


async def test_a_title_of_any_length_leaves_a_statement_that_fits(change_store: Write, change_client: Connect) -> None:
    change_store({**BAD, "Title": "very " * 1000, "Author": "A" * 300}, change("two\nlines", 1, Title="a\nb"))
    async with change_client() as client:
        two, long = await observed(client, **IN_WINDOW)
    assert len(long.statement) <= 200
    assert long.statement.endswith('…" (1 file)')
    assert '"a b"' in two.statement


async def test_a_window_without_changes_is_no_error(change_store: Write, change_client: Connect) -> None:
    change_store(BAD)
    async with change_client() as client:
        reply = await told(client, "survey_changes", start="2026-11-01T00:00:00Z", end="2026-11-02T00:00:00Z")
    assert (reply["matched"], reply["lines"], reply["hint"]) == (
        0,
        [],
        "Nothing changed. No change is on record here: check_deploys says what to do.",
    )


@pytest.mark.parametrize("entity", ["", " ", "service:", ":forge"])
async def test_what_is_no_entity_is_refused(change_store: Write, change_client: Connect, entity: str) -> None:
    change_store(BAD)
    async with change_client() as client:
        assert await refusal(client, "survey_changes", **IN_WINDOW, entities=[entity]) == (
            "bad_input",
            f"{entity!r} is not an entity: give service:NAME, instance:NAME or a service's name",
        )


async def test_one_change_comes_with_every_field_and_its_diff_whole_in_the_evidence(
    change_store: Write, change_client: Connect
) -> None:
    giant = DIFF + "+x = 1\n" * 20_000
    change_store({**BAD, "Diff": giant, "Url": "https://git.example/c/3f2c1ab", "Attributes": {"revision": "3f2c1ab0"}})
    async with change_client() as client:
        result = await client.call_tool("get_change", {"change_id": "d-3"})
        reply, meta = result.structured_content or {}, result.meta or {}
        [row] = json.loads(await stored(client, meta["midwatch/evidence"]))["rows"]
    assert (row["diff"], row["attributes"], row["files"]) == (
        giant,
        {"revision": "3f2c1ab0"},
        ["app/forge/blueprint.py"],
    )
    assert (reply["url"], reply["truncated"]) == ("https://git.example/c/3f2c1ab", True)
    assert reply["lines"][reply["lines"].index("diff:") + 4] == "-    size: int"


async def test_an_unknown_change_is_not_found_and_the_latest_are_named(
    change_store: Write, change_client: Connect
) -> None:
    change_store(change("one", 0), change("two", 1))
    async with change_client() as client:
        assert await refusal(client, "get_change", change_id="three") == (
            "not_found",
            "there is no change 'three': latest two, one",
        )


async def test_the_last_good_version_is_the_one_before_the_latest_deploy(
    change_store: Write, change_client: Connect
) -> None:
    change_store(deploy("d-2", -120, "9a8b7c6", "1111111"), BAD)
    async with change_client() as client:
        reply = await told(client, "get_last_good_version", service="service:forge")
        earlier = await told(client, "get_last_good_version", service="forge", before="2026-11-20T11:00:00Z")
    assert reply["lines"] == [
        'last good: 9a8b7c6 since 2026-11-20T10:00:00Z until 2026-11-20T12:00:00Z (2:00:00), by d-2: ""',
        'current: 3f2c1ab since 2026-11-20T12:00:00Z, by d-3: "Carry the finish through"',
    ]
    assert earlier["lines"][0] == "last good: 1111111 since before the record until 2026-11-20T10:00:00Z"


async def test_a_version_that_was_rolled_back_is_not_good_and_a_failed_deploy_never_served(
    change_store: Write, change_client: Connect
) -> None:
    change_store(
        deploy("d-2", -120, "9a8b7c6", "1111111"),
        BAD,
        deploy("r-1", 3, "9a8b7c6", "3f2c1ab", Attributes={"rolls_back": "3f2c1ab"}),
        deploy("d-4", 4, "4444444", "9a8b7c6", Outcome="failed"),
    )
    async with change_client() as client:
        reply = await told(client, "get_last_good_version", service="forge")
    assert [line.split(" since ")[0] for line in reply["lines"]] == ["last good: 1111111", "current: 9a8b7c6"]


async def test_a_service_without_deploys_is_not_found_and_those_with_are_named(
    change_store: Write, change_client: Connect
) -> None:
    change_store(BAD, change("s", 1, ServiceName="bot", Kind="session"))
    async with change_client() as client:
        assert await refusal(client, "get_last_good_version", service="bot") == (
            "not_found",
            "no deploy of 'bot' is on record: deploys are of forge",
        )


async def test_the_map_ties_services_to_repositories_people_teams_and_instances(
    change_store: Write, change_client: Connect
) -> None:
    change_store(
        deploy("d-1", -60, "1111111", "", Author="Grace", Attributes={"team": "Makers"}),
        deploy("d-2", -30, "9a8b7c6", "1111111"),
        BAD,
        SESSION,
    )
    async with change_client() as client:
        result = await client.call_tool("map_deployments", {})
        records = json.loads(await stored(client, (result.meta or {})["midwatch/records"]))
    fragment = TopologyFragment.model_validate(records["fragment"])
    assert {(tie.source, tie.kind, tie.target, tie.basis.value) for tie in fragment.relations} == {
        ("service:forge", "runs_on", "instance:forge-2", "observed"),
        ("service:forge", "deployed_from", "repository:app", "observed"),
        ("service:forge", "owned_by", "person:Ada Byron", "inferred"),
        ("service:forge", "owned_by", "team:Makers", "declared"),
    }
    [line] = (result.structured_content or {})["lines"]
    assert line.startswith("forge: version 3f2c1ab since 2026-11-20T12:00:00Z was 9a8b7c6 from https://git.example")
    assert [binding.selector for binding in fragment.bindings] == [{"service": "forge"}]


async def test_the_map_is_of_the_time_asked_for(change_store: Write, change_client: Connect) -> None:
    change_store(deploy("d-2", -30, "9a8b7c6", "1111111"), BAD)
    async with change_client() as client:
        reply = await told(client, "map_deployments", end="2026-11-20T11:45:00Z")
    assert reply["lines"][0].startswith("forge: version 9a8b7c6")


async def test_a_server_whose_store_is_not_there_says_what_to_do_and_recovers_when_it_is(
    tmp_path: Path, change_store: Write, change_client: Connect
) -> None:
    async with change_client() as client:
        code, text = await refusal(client, "survey_changes")
        [line] = (await told(client, "check_deploys"))["lines"]
        change_store(BAD)
        found = await told(client, "survey_changes", **IN_WINDOW)
    assert code == "backend_down"
    assert "midwatch-store serve --dir" in text
    assert line.startswith("FAIL store: there is no telemetry store at")
    assert found["matched"] == 1


async def test_a_store_that_vanishes_midway_is_told_and_its_return_is_noticed(
    tmp_path: Path, change_store: Write, change_client: Connect
) -> None:
    change_store(BAD)
    async with change_client() as client:
        assert (await told(client, "survey_changes", **IN_WINDOW))["matched"] == 1
        (tmp_path / "store").rename(tmp_path / "away")
        assert (await refusal(client, "survey_changes", **IN_WINDOW))[0] == "backend_down"
        (tmp_path / "away").rename(tmp_path / "store")
        assert (await told(client, "survey_changes", **IN_WINDOW))["matched"] == 1


async def test_the_check_says_what_is_on_record_and_what_to_do_when_nothing_is(
    tmp_path: Path, change_store: Write, change_client: Connect
) -> None:
    Writer(tmp_path / "store").close()
    async with change_client() as client:
        empty = (await told(client, "check_deploys"))["lines"]
        change_store({**BAD, "Outcome": "running"}, BAD)
        lines = (await told(client, "check_deploys"))["lines"]
    assert empty[1].startswith("FAIL changes: none yet → let the deployer POST")
    assert lines[1] == "ok   changes: from 2026-11-20T12:00:00Z to 2026-11-20T12:00:00Z"
    assert lines[2].startswith("ok   lag: the newest is ")
    assert lines[3] == "ok   count: 1 on record"


async def test_five_thousand_changes_are_counted_exactly_when_the_newest_are_shown(
    change_client: Connect, tmp_path: Path
) -> None:
    with Writer(tmp_path / "store") as writer:
        writer.append({"changes": [change(f"c-{number}", number / 1000) for number in range(5_200)]})
    async with change_client() as client:
        reply = await told(client, "survey_changes", **IN_WINDOW)
    assert (reply["matched"], reply["truncated"]) == (5_200, True)
    assert reply["lines"][0].endswith("id=c-5199")
    assert reply["hint"] == "200 older changes are left out: narrow the window."
