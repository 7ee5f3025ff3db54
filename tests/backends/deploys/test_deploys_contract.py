"""The same questions for every backend of the deploys server, and the same shapes of answers."""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack
from pathlib import Path

import pytest
from mcp import Client
from tests.backends.deploys.asking import observed, refusal, rows, told
from tests.backends.deploys.worlds import AT, IN_WINDOW, SECRET, WORLDS, World

from midwatch_kit import ObservationKind

Connect = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture(params=sorted(WORLDS))
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """The story, told to one backend after the other."""
    with ExitStack() as stack:
        yield WORLDS[request.param](tmp_path, stack)


async def test_what_changed_for_a_service_is_told_with_its_time_its_author_and_its_link(
    world: World, deploys: Connect
) -> None:
    async with deploys(**world.settings) as client:
        seen = await observed(client, **IN_WINDOW, entities=["forge"])
        (row,) = await rows(client, "survey_changes", **IN_WINDOW, entities=["forge"])
    (change,) = seen
    assert (change.kind, change.entity, change.onset) == (ObservationKind.CHANGE, "service:forge", AT)
    assert (change.subject, change.attributes.get("author", "")) == (world.kind, world.author)
    assert world.title in change.statement
    assert (row["url"], row["service"]) == (world.link, "forge")


async def test_a_service_that_changed_before_the_window_alone_is_normal_and_an_unknown_one_never_changed(
    world: World, deploys: Connect
) -> None:
    async with deploys(**world.settings) as client:
        bot, nobody = await observed(client, **IN_WINDOW, entities=["bot", "nobody"])
    assert (bot.kind, bot.entity) == (ObservationKind.NORMAL, "service:bot")
    assert "the last was at 2026-11-19T02:40:00Z" in bot.statement
    assert (nobody.kind, nobody.entity) == (ObservationKind.ABSENCE, "service:nobody")


async def test_a_change_in_full_shows_what_it_did_and_no_secret(world: World, deploys: Connect) -> None:
    async with deploys(**world.settings) as client:
        ((survey),) = await rows(client, "survey_changes", **IN_WINDOW, entities=["forge"])
        reply = await told(client, "get_change", change_id=survey["change_id"])
        (row,) = await rows(client, "get_change", change_id=survey["change_id"])
    assert world.shows in reply["lines"]
    assert reply.get("url", "") == world.link
    assert SECRET not in str(row)
    assert SECRET not in str(reply)
    assert "(hidden)" in str(row)


async def test_a_window_in_which_nothing_changed_is_an_answer(world: World, deploys: Connect) -> None:
    async with deploys(**world.settings) as client:
        reply = await told(client, "survey_changes", start="2026-11-18T00:00:00Z", end="2026-11-18T01:00:00Z")
    assert (reply["matched"], reply["lines"]) == (0, [])
    assert reply["hint"].startswith("Nothing changed")


async def test_changes_are_told_newest_first_and_each_once(world: World, deploys: Connect) -> None:
    async with deploys(**world.settings) as client:
        reply = await told(client, "survey_changes", start="2026-11-19T00:00:00Z", end="2026-11-20T03:00:00Z")
    assert reply["matched"] == 2
    assert [line[:20] for line in reply["lines"]] == ["2026-11-20T02:40:00Z", "2026-11-19T02:40:00Z"]


async def test_an_unknown_change_is_not_found_and_known_ones_are_named(world: World, deploys: Connect) -> None:
    async with deploys(**world.settings, lookback_days=3_000) as client:
        code, words = await refusal(client, "get_change", change_id="no-such-change")
        (row,) = await rows(client, "survey_changes", **IN_WINDOW, entities=["forge"])
    assert code == "not_found"
    assert row["change_id"] in words


async def test_the_map_ties_services_to_where_they_come_from(world: World, deploys: Connect) -> None:
    async with deploys(**world.settings, lookback_days=3_000) as client:
        reply = await told(client, "map_deployments", end="2026-11-20T03:00:00Z")
    assert [line.partition(":")[0] for line in reply["lines"]] == ["bot", "forge"]


async def test_the_check_finds_the_backend_well(world: World, deploys: Connect) -> None:
    async with deploys(**world.settings) as client:
        lines = (await told(client, "check_deploys"))["lines"]
    assert lines
    assert [line for line in lines if not line.startswith("ok")] == []
