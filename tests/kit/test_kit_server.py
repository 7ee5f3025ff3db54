"""A server of the kit as its client meets it: declarations, refusals, errors, the deadline, the way to the bytes."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError, types

from midwatch_kit import (
    Answer,
    BackendDown,
    CitedFinding,
    Entity,
    EvidenceServer,
    Finding,
    ObservationKind,
    Role,
    TopologyFragment,
    Window,
    given_up,
)
from midwatch_kit.evidence import broken_citations, evidence_id
from midwatch_kit.records import Observation

NOTHING = Answer(query="", rows=[], lines=[], matched=0)


@pytest.fixture
def fish(make_server: Callable[..., EvidenceServer]) -> EvidenceServer:
    """A server with one tool of each role; what `search_fish` does depends on the text."""
    server = make_server(deadline_seconds=1.0)
    add_eyes(server)
    add_search(server)

    @server.tool(Role.ACT, "Release a fish")
    async def release_fish(fish: str) -> Answer:
        """Put a fish back."""
        return Answer(query="", rows=[{"released": fish}], lines=[f"released {fish}"], matched=1)

    return server


def add_eyes(server: EvidenceServer) -> None:
    @server.tool(Role.DISCOVER, "List ponds")
    async def list_ponds() -> Answer:
        """Say which ponds there are."""
        pond = Entity(id="service:pond", kind="service", name="pond")
        return Answer("", ["pond"], ["pond"], 1, fragment=TopologyFragment(entities=(pond,)))

    @server.tool(Role.SURVEY, "Survey ponds")
    async def survey_ponds(start: str = "-15m") -> Answer:
        """Count fish."""
        finding = Finding(entity="service:pond", kind=ObservationKind.DROP, subject="fish", statement="3 of 9 are left")
        rows: list[Any] = [{"pond": "pond", "fish": [9, 3]}]
        return Answer("count", rows, ["3 of 9"], 1, findings=[CitedFinding(finding, ["/rows/0/fish/1"])])


def add_search(server: EvidenceServer) -> None:
    @server.tool(Role.DRILL_DOWN, "Search fish", key="text")
    async def search_fish(text: str, limit: int = 3, title: str | None = None) -> Answer:
        """Look for fish."""
        match text:
            case "pike":
                raise BackendDown("the pond is frozen: wait for spring")
            case "carp":
                raise ValueError("postgres://angler:s3cret@pond")
            case "eel":
                await anyio.sleep_forever()
            case "gone":
                raise TimeoutError("socket")
        return Answer("", [{"fish": text}], [text], 1)


async def call(server: EvidenceServer, tool: str, **arguments: object) -> types.CallToolResult:
    async with Client(server.build()) as client:
        return await client.call_tool(tool, arguments)


async def refusal(server: EvidenceServer, tool: str, **arguments: object) -> tuple[object, str]:
    """Return the code and the text of a call that must fail."""
    result = await call(server, tool, **arguments)
    assert result.is_error
    return (result.meta or {})["midwatch/error"], text_of(result)


def text_of(result: types.CallToolResult) -> str:
    [content] = result.content
    assert isinstance(content, types.TextContent)
    return content.text


async def read(client: Client, uri: str) -> str:
    [content] = (await client.read_resource(uri)).contents
    assert isinstance(content, types.TextResourceContents)
    return content.text


async def tools_of(server: EvidenceServer) -> dict[str, types.Tool]:
    async with Client(server.build()) as client:
        return {tool.name: tool for tool in (await client.list_tools()).tools}


async def test_every_tool_declares_its_role_its_signal_and_whether_it_writes(fish: EvidenceServer) -> None:
    tools = await tools_of(fish)
    roles = {name: (tool.meta or {})["midwatch/role"] for name, tool in tools.items()}
    assert roles == {
        "list_ponds": "discover",
        "survey_ponds": "survey",
        "search_fish": "drill_down",
        "release_fish": "act",
    }
    assert {(tool.meta or {})["midwatch/signal"] for tool in tools.values()} == {"logs"}
    writing = {n for n, tool in tools.items() if tool.annotations and not tool.annotations.read_only_hint}
    destroying = {n for n, tool in tools.items() if tool.annotations and tool.annotations.destructive_hint}
    assert writing == destroying == {"release_fish"}


async def test_a_drill_down_names_the_argument_that_fetches_one_thing(fish: EvidenceServer) -> None:
    tools = await tools_of(fish)
    assert (tools["search_fish"].meta or {})["midwatch/key"] == "text"
    assert "midwatch/key" not in (tools["survey_ponds"].meta or {})


async def test_schemas_have_no_noise_but_keep_an_argument_called_title(fish: EvidenceServer) -> None:
    schema = (await tools_of(fish))["search_fish"].input_schema
    assert schema == {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "text": {"type": "string"},
            "limit": {"type": "integer", "default": 3},
            "title": {"type": "string"},
        },
        "required": ["text"],
    }


async def test_the_published_output_is_what_a_client_steers_by_and_allows_the_rest(fish: EvidenceServer) -> None:
    schema = (await tools_of(fish))["search_fish"].output_schema or {}
    assert set(schema["required"]) == {"matched", "truncated", "lines", "evidence"}
    assert set(schema["properties"]) == {*schema["required"], "next_cursor"}
    assert schema.get("additionalProperties", True)


async def test_unknown_arguments_are_refused_with_those_that_exist(fish: EvidenceServer) -> None:
    assert await refusal(fish, "search_fish", text="tench", limitt=3) == (
        "bad_input",
        "search_fish has no argument 'limitt': it takes text, limit, title",
    )


async def test_every_fault_of_the_arguments_is_named_at_once(fish: EvidenceServer) -> None:
    code, text = await refusal(fish, "search_fish", limit="many")
    assert code == "bad_input"
    assert text.startswith("search_fish needs the argument 'text': it takes text, limit, title; limit: Input should be")
    assert text.endswith("(got 'many')")


async def test_a_giant_argument_is_not_echoed_whole(fish: EvidenceServer) -> None:
    _, text = await refusal(fish, "search_fish", text="tench", limit="9" * 100_000 + "x")
    assert len(text) < 300


async def test_an_expected_error_reaches_the_client_word_for_word(fish: EvidenceServer) -> None:
    assert await refusal(fish, "search_fish", text="pike") == ("backend_down", "the pond is frozen: wait for spring")


async def test_an_unexpected_error_gives_its_kind_but_not_its_text(fish: EvidenceServer) -> None:
    code, text = await refusal(fish, "search_fish", text="carp")
    assert (code, text) == ("internal", "search_fish failed on its side (ValueError); its log has more")


async def test_a_tool_that_never_ends_answers_at_the_deadline(fish: EvidenceServer) -> None:
    with anyio.fail_after(10):
        assert await refusal(fish, "search_fish", text="eel") == (
            "timed_out",
            "no answer within 1 s: narrow the window or add a filter",
        )


async def test_a_timeout_of_the_backend_is_not_taken_for_the_deadline(fish: EvidenceServer) -> None:
    code, _ = await refusal(fish, "search_fish", text="gone")
    assert code == "internal"


async def test_a_failed_call_leaves_the_server_answering(fish: EvidenceServer) -> None:
    async with Client(fish.build()) as client:
        for text in ("pike", "carp", "eel"):
            assert (await client.call_tool("search_fish", {"text": text})).is_error
        assert not (await client.call_tool("search_fish", {"text": "tench"})).is_error


async def test_the_bytes_behind_a_survey_bear_out_its_observations(fish: EvidenceServer) -> None:
    async with Client(fish.build()) as client:
        result = await client.call_tool("survey_ponds", {})
        name = (result.meta or {})["midwatch/evidence"]["id"]
        records = (result.meta or {})["midwatch/records"]["id"]
        stored = (await read(client, f"midwatch://evidence/{name}/page/0")).encode()
        observations = json.loads(await read(client, f"midwatch://evidence/{records}/page/0"))["observations"]
    [seen] = [Observation.model_validate(observation) for observation in observations]
    assert (evidence_id(stored), seen.by, seen.citations[0].quote) == (name, "midwatch-fish", 3)
    assert not broken_citations(seen, {name: stored})


async def test_what_discover_knows_of_the_topology_is_read_as_a_fragment(fish: EvidenceServer) -> None:
    async with Client(fish.build()) as client:
        records = ((await client.call_tool("list_ponds", {})).meta or {})["midwatch/records"]["id"]
        fragment = json.loads(await read(client, f"midwatch://evidence/{records}/page/0"))["fragment"]
    assert [entity.id for entity in TopologyFragment.model_validate(fragment).entities] == ["service:pond"]


async def test_text_and_structured_content_say_the_same(fish: EvidenceServer) -> None:
    result = await call(fish, "search_fish", text="tench")
    told = result.structured_content or {}
    head, query, *lines = text_of(result).splitlines()
    assert lines == told["lines"] == ["tench"]
    assert query == f"# query: {told['query']}"
    assert head == f"# matched=1 returned=1 truncated=false evidence={told['evidence']}"


async def test_rows_are_found_by_a_text_with_any_characters(make_server: Callable[..., EvidenceServer]) -> None:
    server = make_server()

    @server.tool(Role.DRILL_DOWN, "Read")
    async def read_pond() -> Answer:
        """Read."""
        return Answer("", [{"path": "/a b/ü?#%"}, {"path": "/c"}], [], 2)

    async with Client(server.build()) as client:
        name = ((await client.call_tool("read_pond", {})).structured_content or {})["evidence"]
        found = await read(client, f"midwatch://evidence/{name}/grep/%2Fa%20b%2F%C3%BC%3F%23%25")
    assert json.loads(found) == {"path": "/a b/ü?#%"}


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        (f"midwatch://evidence/{'0' * 64}/page/0", "repeat the query that gave it"),
        ("midwatch://evidence/abc/page/0", "an id is 64 hexadecimal digits"),
        ("midwatch://evidence/..%2F..%2Fetc/grep/root", "Unknown resource"),
    ],
)
async def test_evidence_that_is_not_there_is_an_error_in_words(fish: EvidenceServer, uri: str, words: str) -> None:
    async with Client(fish.build()) as client:
        with pytest.raises(MCPError, match=words):
            await client.read_resource(uri)


async def test_a_page_past_the_end_is_an_error_that_says_how_many_there_are(fish: EvidenceServer) -> None:
    async with Client(fish.build()) as client:
        name = ((await client.call_tool("list_ponds", {})).structured_content or {})["evidence"]
        for page in ("1", "-1", "x"):
            with pytest.raises(MCPError, match="has pages 0 to 0"):
                await client.read_resource(f"midwatch://evidence/{name}/page/{page}")


async def test_a_reply_echoes_the_window_it_resolved(make_server: Callable[..., EvidenceServer]) -> None:
    server = make_server()
    start, end = datetime(2026, 11, 20, 2, tzinfo=UTC), datetime(2026, 11, 20, 3, tzinfo=UTC)

    @server.tool(Role.DRILL_DOWN, "Read")
    async def read_pond() -> Answer:
        """Read."""
        return Answer("", [], [], 0, window=Window(start=start, end=end))

    told = (await call(server, "read_pond")).structured_content or {}
    assert told["window"] == "2026-11-20T02:00:00Z/2026-11-20T03:00:00Z"
    assert "Widen the window" in told["hint"]


async def test_a_thread_is_told_when_nobody_waits_for_it_any_more(make_server: Callable[..., EvidenceServer]) -> None:
    server = make_server(deadline_seconds=0.2)
    told = threading.Event()

    @server.tool(Role.DRILL_DOWN, "Search deep")
    def search_deep() -> Answer:
        """Look until nobody waits."""
        if given_up().wait(30):
            told.set()
        return NOTHING

    async with Client(server.build()) as client:
        result = await client.call_tool("search_deep", {})
    assert result.is_error
    assert await anyio.to_thread.run_sync(told.wait, 5)
