"""Which tools a model gets out of hundreds: a list that fits, what belongs to the matter, and a way to the rest."""

import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp import Client
from mcp.server import MCPServer
from pydantic import JsonValue
from tests.claude.catalogue import QUESTIONS, SERVERS

from midwatch.claude.agent import Ability
from midwatch.claude.masking import Mask
from midwatch.claude.menu import MENU_CHARS, Looking
from midwatch.claude.picking import name_of, picked
from midwatch.claude.ranking import Text, best_first
from midwatch.claude.shelf import Shelf
from midwatch.claude.untrusted import DataMark
from midwatch.inquiry import Inquiry, Limits
from midwatch.mcp_client.links import open_links
from midwatch.mcp_client.toolbox import Eyes, Tool
from midwatch.records import ToolCall
from midwatch.settings import ServerSpec
from midwatch.storage.journal import Journal
from midwatch_kit.evidence import EvidenceStore

VERBS = ("list", "get", "search")
ARGUMENTS = {
    "type": "object",
    "properties": {"query": {"type": "string", "description": "what to look for"}, "limit": {"type": "integer"}},
}


def sort_of(name: str) -> str:
    """Return of what sort of things a tool is, as server.sort."""
    server, _, tool = name.partition("-")
    return f"{server}.{tool.partition('_')[2]}"


def tool(server: str, name: str, said: str = "", **more: Any) -> Tool:
    defaults: dict[str, Any] = {"role": None, "signal": "", "key": None, "arguments": frozenset(), "read_only": True}
    return Tool(server, name, said=said, **{**defaults, "schema": ARGUMENTS, **more})


def catalogue() -> list[Tool]:
    return [
        tool(server, f"{verb}_{sort}", f"{verb.title()} {sort.replace('_', ' ')}s: {what}.")
        for server, sorts in SERVERS.items()
        for sort, what in sorts.items()
        for verb in VERBS
    ]


def sent(abilities: Sequence[Ability]) -> int:
    """Return how many characters a list of tools has as it is sent."""
    return sum(len(json.dumps(ability.block)) for ability in abilities)


def by_shared_words(tools: Sequence[Tool], about: str) -> list[str]:
    """Rank tools by how many words they share with a matter: what any ranking must beat."""
    wanted = set(re.findall(r"[a-z]{3,}", about.lower()))
    shared = {name_of(t): len(wanted & set(re.findall(r"[a-z]{3,}", f"{t.name} {t.said}".lower()))) for t in tools}
    return sorted(shared, key=lambda name: (-shared[name], name))


def test_the_ranking_finds_more_of_what_is_wanted_than_shared_words_do() -> None:
    tools = catalogue()
    texts = [Text(f"{t.server} {t.name}", t.said) for t in tools]
    found = {"by shared words": 0, "ranked": 0}
    for question in QUESTIONS:
        ranked = [name_of(tools[place]) for place in best_first(texts, question.about)]
        for name, order in (("by shared words", by_shared_words(tools, question.about)), ("ranked", ranked)):
            found[name] += len({sort_of(each) for each in order[:25]} & set(question.wants))
    assert found == {"by shared words": 26, "ranked": 32}
    assert sum(len(question.wants) for question in QUESTIONS) == 38


names = st.text("abcxyz_", min_size=1, max_size=20)
tools_of_any_kind = st.builds(
    tool,
    st.sampled_from([*SERVERS, "a server/with odd letters", "s" * 70]),
    names,
    st.text(max_size=400),
    ours=st.booleans(),
    schema=st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(names, st.just({"type": "string"}), max_size=6)}
    ),
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # of a busy machine
@given(st.lists(tools_of_any_kind, max_size=15), st.text(max_size=200), st.integers(0, 6_000))
def test_whatever_the_tools_the_list_never_exceeds_its_budget(tools: list[Tool], about: str, budget: int) -> None:
    chosen = picked(tools, about, budget)
    with_names = [Ability(name_of(t), t.said, t.schema, _nothing) for t in chosen if t.ours]
    assert sent(with_names) <= budget
    assert chosen == picked([*reversed(tools)], about, budget) or len({name_of(t) for t in tools}) < len(tools)


async def _nothing(_: Any) -> Any:
    raise AssertionError("it was used")


def test_the_suites_own_tools_leave_room_for_others() -> None:
    ours = [tool("logs", f"search_{n}", "Search logs. " * 30, ours=True) for n in range(40)]
    servers = {each.server for each in picked([*ours, *catalogue()], QUESTIONS[0].about, MENU_CHARS)}
    assert servers > {"logs"}
    assert {each.server for each in picked(ours, "", MENU_CHARS)} == {"logs"}


Reached = Callable[..., AbstractAsyncContextManager[tuple[Looking, dict[str, list[Any]]]]]


@pytest.fixture
def looking(journal: Journal, tmp_path: Path) -> Reached:
    """Return a function that reaches ten servers with thirty tools each; gives how a model looks, and what is heard."""

    @asynccontextmanager
    async def reached(**changed: Any) -> AsyncIterator[tuple[Looking, dict[str, list[Any]]]]:
        heard: dict[str, list[Any]] = {}

        def serve(server: str) -> MCPServer[Any]:
            made: MCPServer[Any] = MCPServer(server)
            for each in (each for each in catalogue() if each.server == server):

                def answer(query: str = "", name: str = each.name) -> str:
                    heard.setdefault(f"{server}.{name}", []).append(query)
                    return f"{name} says {query}"

                made.add_tool(answer, name=each.name, description=each.said, structured_output=False)
            return made

        @asynccontextmanager
        async def reach(spec: ServerSpec, seconds: float, log: Path) -> AsyncIterator[Client]:
            async with Client(serve(str(spec.command))) as client:
                yield client

        every = {server: tuple(t.name for t in catalogue() if t.server == server) for server in SERVERS}
        specs = {name: ServerSpec(command=name, allow=every[name]) for name in SERVERS}
        specs |= {name: specs[name].model_copy(update=more) for name, more in changed.items()}
        kept = EvidenceStore(tmp_path / "evidence", 2**30)
        async with open_links(specs, 20, tmp_path, reach=reach) as links:
            inquiry = Inquiry("one", journal, Eyes(links, kept), kept, Limits(60, 50, 10))
            yield Looking("tester", inquiry, Shelf(kept), Mask(), DataMark()), heard

    return reached


def named(abilities: Sequence[Ability], name: str) -> Ability:
    return next(ability for ability in abilities if ability.name == name)


async def test_of_three_hundred_tools_those_of_the_matter_are_listed_and_the_others_can_be_found(
    looking: Reached, journal: Journal
) -> None:
    async with looking() as (look, heard):
        abilities = look.abilities(QUESTIONS[10].about)
        assert MENU_CHARS * 0.9 < sent(abilities) <= MENU_CHARS
        assert {sort_of(ability.name) for ability in abilities} >= {"postgres.lock", "postgres.slow_query"}
        assert "confluence-search_runbook" not in {ability.name for ability in abilities}
        use = named(abilities, "use_tool")
        asked: dict[str, JsonValue] = {"tool": "confluence-search_runbook", "arguments": {"query": "checkout"}}
        assert "find it first" in (await use.do(asked)).text
        found = await named(abilities, "find_tools").do({"words": "what to do, step by step, when an alarm rings"})
        assert "confluence-search_runbook" in found.text
        assert len(found.text) < 5_000
        told = await use.do(asked)
    assert "search_runbook says checkout" in told.text
    assert told.text.startswith("[E1] confluence.search_runbook: 1 matched")
    assert heard == {"confluence.search_runbook": ["checkout"]}
    assert [call.tool for call in journal.values("one", ToolCall)] == ["search_runbook"]


async def test_what_the_settings_do_not_allow_is_neither_listed_nor_found(looking: Reached) -> None:
    changed = {"jira": {"allow": ("get_ticket",)}, "postgres": {"models": ("list_lock",)}, "sentry": {"models": ()}}
    async with looking(**changed) as (look, heard):
        for words in ("jira sprint epic ticket", "postgres lock slow query", "sentry error group", "lock"):
            abilities = look.abilities(words)
            found = await named(abilities, "find_tools").do({"words": words})
            shown = " ".join([*(ability.name for ability in abilities), found.text])
            assert set(re.findall(r"(?:jira|postgres|sentry)-\w+", shown)) <= {"jira-get_ticket", "postgres-list_lock"}
        told = await named(look.abilities(""), "use_tool").do({"tool": "postgres-get_lock", "arguments": {}})
    assert told.failed
    assert heard == {}


async def test_nothing_is_to_be_found_where_all_is_listed(looking: Reached) -> None:
    none = {name: {"models": ()} for name in SERVERS}
    async with looking(**{**none, "jira": {"models": ("get_ticket",)}}) as (look, _):
        assert [ability.name for ability in look.abilities("")] == ["jira-get_ticket", "read_evidence"]


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_words_can_be_looked_for(words: str) -> None:
    assert set(best_first([Text("search_logs", "Finds lines."), Text("getTrace", "One trace.")], words)) <= {0, 1}


def test_joined_names_are_several_words_and_words_count_by_their_stems() -> None:
    texts = [Text("listReleases", ""), Text("search_logs", "")]
    assert best_first(texts, "was it released") == [0]
    assert best_first(texts, "a log line") == [1]
    assert best_first(texts, '"OR" NEAR(*) -:') == []
