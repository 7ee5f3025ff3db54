"""The host as an MCP server: what its reading tools, its resources and its prompts tell of one investigation."""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import pytest
from mcp import Client, MCPError
from tests.host_mcp.conftest import investigated, noted, refused, serving, text_of, told

REFUSED = {
    "words alone change nothing": {},
    "would leave out too much": {"ignore": "er"},
    "needs both kind and entity": {"kind": "resource"},
    "did you mean service:forge": {"kind": "resource", "entity": "fourge"},
    "kind: Input should be": {"kind": "ghosts", "entity": "bot"},
}
ANSWERED = {
    "Why not service:schedule?": "change at service:schedule: deploy of service:schedule",
    "why was it not traffic": "traffic at service:gateway: ",
    "What changed?": "2026-11-20T02:46:00Z  deploy of service:schedule → as the cause: refuted",
    "what was seen at forge": "traces: error_origin of service:forge since ",
    "what is missing": "Nothing: everything that was asked was answered.",
    "What is the cause, and how sure?": "root_cause: deploy of service:forge",
    "why not the moon": "Name what it is about",
    "why not platform at bot": "No hypothesis says that it was platform at service:bot",
    "sing": "That cannot be answered from the journal.",
}


@dataclass(frozen=True)
class Seen:
    """A client, the incident that was investigated up to its plan, and a prompt from before there was one."""

    client: Client
    incident: str
    before: str


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def seen(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Seen]:
    """One investigation for all tests here: none of them changes it."""
    async with serving(tmp_path_factory.mktemp("seen")) as client:
        before = await client.get_prompt("hand_over", {})
        yield Seen(client, await investigated(client), str(before.messages[0].content))


async def test_every_tool_says_truly_whether_it_reads_and_what_it_gives(seen: Seen) -> None:
    tools = {tool.name: tool for tool in (await seen.client.list_tools()).tools}
    writing = {"start_investigation", "continue_investigation", "steer_investigation", "request_approval"}
    hints = {name: tool.annotations for name, tool in tools.items() if tool.annotations}
    assert {name for name, hint in hints.items() if not hint.read_only_hint} == writing
    assert {name for name, hint in hints.items() if hint.destructive_hint} == {"request_approval"}
    assert all(tool.output_schema and tool.output_schema["properties"]["lines"] for tool in tools.values())


@pytest.mark.parametrize("question", ANSWERED)
async def test_questions_are_answered_from_the_records(seen: Seen, question: str) -> None:
    reply = await told(seen.client, "ask_investigation", incident=seen.incident, question=question)
    assert reply["lines"][0].startswith(ANSWERED[question]), reply["lines"]


async def test_the_long_term_fix_is_listed_and_read_as_a_coding_agent_needs_it(seen: Seen) -> None:
    listed = await told(seen.client, "list_recommendations")
    (line,) = [line for line in listed["lines"] if "Test what broke service:forge" in line]
    name = line.split()[1]
    (first, *_) = json.loads(await text_of(seen.client, "midwatch://recommendations"))
    assert first["id"] == name
    reply = await told(seen.client, "read_recommendation", recommendation=name[:8])
    assert "## What not to touch" in reply["lines"]
    assert await text_of(seen.client, f"midwatch://recommendation/{name}/spec") == "\n".join(reply["lines"])
    assert "is no recommendation" in await refused(seen.client, "read_recommendation", recommendation="nope")


@pytest.mark.parametrize("said", REFUSED)
async def test_a_steer_that_cannot_be_heeded_is_refused_in_words(seen: Seen, said: str) -> None:
    given = {"incident": seen.incident, "words": "look there", **REFUSED[said]}
    assert said in await refused(seen.client, "steer_investigation", **given)
    assert await noted(seen.client, seen.incident, "steer") == []


async def test_where_no_form_can_be_shown_the_command_for_a_person_is_told(seen: Seen) -> None:
    reply = await told(seen.client, "request_approval", incident=seen.incident)
    digest = (await told(seen.client, "read_plan", incident=seen.incident))["digest"]
    assert f"  midwatch approve {seen.incident} {digest[:12]}" in reply["lines"]
    assert await noted(seen.client, seen.incident, "decision") == []


async def test_records_packet_and_plan_can_be_read_as_resources(seen: Seen) -> None:
    templates = {each.uri_template for each in (await seen.client.list_resource_templates()).resource_templates}
    assert "midwatch://incident/{id}/records/{page}" in templates
    assert [each["id"] for each in json.loads(await text_of(seen.client, "midwatch://incidents"))] == [seen.incident]
    packet = await text_of(seen.client, f"midwatch://incident/{seen.incident}/packet")
    assert packet.startswith("Incident packet\nService: service:gateway")
    assert json.loads(await text_of(seen.client, f"midwatch://incident/{seen.incident}/plan"))["digest"]
    conclusion = json.loads(await text_of(seen.client, f"midwatch://incident/{seen.incident}/conclusion"))
    assert conclusion["outcome"] == "root_cause"
    with pytest.raises(MCPError, match="has no page 99 of records"):
        await seen.client.read_resource(f"midwatch://incident/{seen.incident}/records/99")


async def test_the_bytes_that_a_claim_cites_can_be_read_by_tool_and_as_a_resource(seen: Seen) -> None:
    cited = (await noted(seen.client, seen.incident, "observation"))[0]["citations"][0]["evidence"]
    evidence = await told(seen.client, "read_evidence", evidence=cited)
    assert "".join(evidence["lines"]) == await text_of(seen.client, f"midwatch://evidence/{cited}/page/0")
    assert "not 7" in await refused(seen.client, "read_evidence", evidence=cited, page=7)
    assert "is not an evidence id" in await refused(seen.client, "read_evidence", evidence="../journal.db")


@pytest.mark.parametrize("name", ["what_is_going_on", "what_changed", "hand_over"])
async def test_prompts_are_filled_from_the_journal(seen: Seen, name: str) -> None:
    filled = await seen.client.get_prompt(name, {"incident": seen.incident})
    assert "no incident on record" in seen.before
    assert "deploy of service:forge" in str(filled.messages[0].content)


async def test_the_topology_is_drawn_and_harm_is_traced(seen: Seen) -> None:
    whole = await told(seen.client, "draw_topology")
    around = await told(seen.client, "draw_topology", incident=seen.incident, around="forge", form="json")
    hurt = await told(seen.client, "trace_harm", entity="forge")
    paths = await told(seen.client, "trace_harm", entity="forge", to="gateway", incident=seen.incident)
    assert (whole["lines"][0], whole["entities"], around["entities"]) == ("flowchart LR", 4, 2)
    assert hurt["lines"] == ["service:bot, 1 away", "service:gateway, 2 away"]
    assert paths["lines"] == ["service:forge → service:bot → service:gateway"]
    assert "did you mean service:forge" in await refused(seen.client, "trace_harm", entity="fourge")


async def test_long_results_come_in_pages_that_add_up(seen: Seen) -> None:
    pages = [await told(seen.client, "read_records", incident=seen.incident)]
    while cursor := pages[-1].get("next_cursor"):
        pages.append(await told(seen.client, "read_records", incident=seen.incident, cursor=cursor))
    assert len(pages) > 1
    assert sum(len(page["lines"]) for page in pages) == pages[0]["matched"]
    assert all(sum(map(len, page["lines"])) <= 7_600 for page in pages)
    refusal = await refused(seen.client, "read_records", incident=seen.incident, cursor="x")
    assert "is no cursor of this reply" in refusal


async def test_an_incident_that_is_not_on_record_is_named_with_those_that_are(seen: Seen) -> None:
    assert seen.incident in await refused(seen.client, "read_plan", incident="01NOSUCH")
    assert seen.incident[-6:] in (await told(seen.client, "read_packet", incident=seen.incident[-6:]))["incident"]
