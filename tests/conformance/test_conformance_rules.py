"""Each rule of the contract, broken by a small server that breaks it and little else: the check says which."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp import types
from mcp.server import MCPServer
from pydantic import JsonValue
from tests.conformance.conftest import marked

from midwatch.conformance import Mark, check_server
from midwatch_kit import (
    Answer,
    Check,
    CitedFinding,
    Entity,
    EvidenceServer,
    Finding,
    ObservationKind,
    Role,
    Window,
    open_page,
    resolve_baseline,
    resolve_window,
)

if TYPE_CHECKING:
    from tests.conformance.conftest import MakePlan, Serve

Break = Callable[[EvidenceServer], None]
TOKEN = "s3cret-token"


def level(name: str, statement: str = "as before") -> Finding:
    return Finding(entity=f"service:{name}", kind=ObservationKind.NORMAL, subject="fish", statement=statement)


def offer_whole(server: EvidenceServer) -> None:
    """Offer a tool of each role that keeps every rule."""
    offer_map(server)

    @server.survey("Survey ponds")
    def survey_ponds(window: Window) -> Iterator[tuple[JsonValue, Finding]]:
        """Count fish."""
        if window.start.year > 2001:
            yield {"pond": "north", "fish": 3}, level("north")

    offer_search(server)


def offer_map(server: EvidenceServer) -> None:
    @server.discover("List ponds")
    def list_ponds() -> list[Entity]:
        """Which ponds there are."""
        return [Entity(id="service:north", kind="service", name="north")]


def offer_search(server: EvidenceServer) -> None:
    @server.drill_down("Search fish")
    def search_fish(text: str = "") -> list[str]:
        """Look for fish."""
        return [f"{text} fish {number} " + "o" * 400 for number in range(40)]

    @server.check("Check ponds")
    def check_ponds() -> Check:
        """Is there water."""
        return Check("water", ok=True, detail="deep")


def of_survey(tell: Callable[[Window, tuple[str, ...]], list[tuple[JsonValue, Finding]]]) -> Break:
    """Return a server whose survey tells what it should not."""

    def offer(server: EvidenceServer) -> None:
        offer_map(server)
        offer_search(server)

        @server.survey("Survey ponds")
        def survey_ponds(window: Window, entities: tuple[str, ...]) -> list[tuple[JsonValue, Finding]]:
            """Count fish."""
            return tell(window, entities)

    return offer


def of_search(answer: Callable[[str | None], Answer]) -> Break:
    """Return a server with a drill-down that answers any cursor."""

    def offer(server: EvidenceServer) -> None:
        offer_whole(server)

        @server.tool(Role.DRILL_DOWN, "Read fish")
        async def read_fish(cursor: str | None = None) -> Answer:
            """Read fish."""
            return answer(cursor)

    return offer


def pages(cursor: str | None, matched: int) -> Answer:
    """Return one of two pages with two rows each, of as many as it says."""
    rows: list[JsonValue] = [1, 2] if cursor is None else [3, 4]
    page = open_page(None, {}, lambda: resolve_window("-15m", "now"))
    return Answer("", rows, ["a", "b"], matched, page=page, positions=[(1,), (2,)], more=cursor is None)


def endless(_: str | None) -> Answer:
    """Return the same page again and again."""
    return pages(None, 40)


COUNTER = itertools.count()


def fickle(window: Window, _: tuple[str, ...]) -> list[tuple[JsonValue, Finding]]:
    return [({"asked": next(COUNTER), "start": str(window.start)}, level("north"))]


def invents(window: Window, entities: tuple[str, ...]) -> list[tuple[JsonValue, Finding]]:
    return [({"pond": name}, level(name.partition(":")[2])) for name in entities or ("service:north",)]


def offer_windowless(server: EvidenceServer) -> None:
    offer_map(server)
    offer_search(server)

    @server.tool(Role.SURVEY, "Survey ponds")
    async def survey_ponds(start: str = "-15m", end: str = "now") -> Answer:
        """Count fish, whatever the window."""
        window = resolve_window("-15m", "now")
        found = [CitedFinding(level("north"), ["/rows/0"])]
        return Answer("", [1], [], 1, window=window, baseline=resolve_baseline(window, None, None), findings=found)


def offer_slow(server: EvidenceServer) -> None:
    offer_whole(server)

    @server.tool(Role.DRILL_DOWN, "Dredge", deadline_seconds=60)
    async def dredge_pond() -> Answer:
        """Take long."""
        await anyio.sleep(30)
        return Answer("", [], [], 0)


def offer_talkative(server: EvidenceServer) -> None:
    offer_whole(server)

    @server.drill_down("Show settings")
    def show_settings() -> list[str]:
        """Show what the server was given."""
        return [f"token={TOKEN}"]


def offer_verbose(server: EvidenceServer) -> None:
    offer_whole(server)
    server.settings = server.settings.model_copy(update={"reply_chars": 100_000})


def offer_silent_check(server: EvidenceServer) -> None:
    offer_map(server)

    @server.check("Check ponds")
    def check_ponds() -> Check:
        """Is there water."""
        return Check("water", ok=False, detail="dry")


@pytest.mark.parametrize(
    ("offer", "rule", "seen"),
    [
        (of_survey(fickle), "the same question has the same answer", "survey_ponds gave other rows when asked again"),
        (of_survey(invents), "an unknown entity is told", "found for service:no-such-service-3f9a: as before"),
        (offer_windowless, "survey echoes its windows", "survey_ponds was asked for window 2026-11-20T02:47:12Z"),
        (offer_windowless, "survey takes what a host fills", "lacks baseline_start, baseline_end, entities"),
        (offer_slow, "calls are answered in time", "dredge_pond did not answer within 1.5 s"),
        (offer_talkative, "secrets are not told", "show_settings told one that was handed to it"),
        (offer_verbose, "answers are bounded", "search_fish gave 16"),
        (offer_silent_check, "check gives a verdict", "check_ponds gave"),
        (offer_silent_check, "roles are declared", "no tool is to survey; no tool is to drill_down"),
        (
            of_search(lambda cursor: pages(cursor, 9)),
            "drill-downs page to the end",
            "read_fish matched 9, but its 2 pages show 4",
        ),
        (of_search(lambda cursor: pages(cursor, next(COUNTER))), "drill-downs page to the end", " and then "),
        (of_search(endless), "drill-downs page to the end", "read_fish matched 40, but its 40 pages show 80"),
        (
            of_search(lambda cursor: pages(cursor, 4)),
            "a damaged cursor is refused",
            "read_fish went on as if nothing were wrong",
        ),
    ],
)
async def test_a_rule_that_a_server_breaks_is_named_with_what_was_seen(
    serve: Serve, make_plan: MakePlan, pond: EvidenceServer, offer: Break, rule: str, seen: str
) -> None:
    offer(pond)
    async with serve(pond.build()) as spec:
        report = await check_server(spec, make_plan(call_seconds=1.5, secrets=[TOKEN]))
    broken = marked(report, Mark.BROKEN)
    assert seen in broken[rule]
    assert not report.kept
    assert TOKEN not in json.dumps(report.as_json())


async def test_a_server_of_the_kit_with_a_tool_of_each_role_keeps_the_contract(
    serve: Serve, make_plan: MakePlan, pond: EvidenceServer
) -> None:
    offer_whole(pond)
    async with serve(pond.build()) as spec:
        report = await check_server(spec, make_plan(secrets=[TOKEN]))
    assert marked(report, Mark.BROKEN) == {}
    assert marked(report, Mark.UNTRIED) == {}
    assert marked(report, Mark.KEPT)["drill-downs page to the end"] == "search_fish: 40 rows in 3 pages"


async def test_of_a_server_that_declares_nothing_no_tool_is_called_and_it_is_told_what_it_lacks(
    serve: Serve, make_plan: MakePlan
) -> None:
    called: list[str] = []
    server: MCPServer[Any] = MCPServer("plain")

    @server.tool()
    def feed(pond: str) -> str:
        called.append(pond)
        return "fed"

    @server.tool(annotations=types.ToolAnnotations(read_only_hint=True))
    def look_around() -> str:
        """Look."""
        called.append("look")
        return "water"

    async with serve(server) as spec:
        report = await check_server(spec, make_plan(arguments={"pond": "north"}))
    assert called == []
    broken = marked(report, Mark.BROKEN)
    assert broken["tools are described"] == "feed has no description"
    assert broken["names read as verb_noun"] == "feed does not"
    assert broken["tools say whether they read"] == "feed does not say"
    assert broken["roles are declared"].startswith(
        "feed declares none; look_around declares none; no tool is to discover"
    )
    assert "feed, look_around" in marked(report, Mark.UNTRIED)["what was not called"]
    assert report.pins == ()


async def test_a_server_that_takes_anything_for_good_is_told_so(serve: Serve, make_plan: MakePlan) -> None:
    server: MCPServer[Any] = MCPServer("careless")
    reads = types.ToolAnnotations(read_only_hint=True)
    declared = {"midwatch/role": "survey", "midwatch/signal": "metrics"}

    @server.tool(annotations=reads, meta=declared)
    def survey_ponds(start: str = "-15m", fish: int = 3) -> str:
        """Count fish."""
        return f"{fish} fish since {start}"

    async with serve(server) as spec:
        report = await check_server(spec, make_plan())
    broken = marked(report, Mark.BROKEN)
    assert broken["a bad time is refused in words"] == "survey_ponds took {'start': 'half past nonsense'} for good"
    assert "survey_ponds said only" in broken["a wrong type is refused in words"]
    assert "gave an answer without evidence" in broken["evidence can be read and has the hash that names it"]
    assert "survey_ponds gave no query" in broken["answers say what was asked and counted"]
    assert "gave an answer without evidence" in broken["survey answers"]
