"""The host as an MCP server: what its reading tools, its resources and its prompts tell of one investigation."""

import json
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import pytest
from mcp import Client, MCPError
from tests.host_mcp.conftest import investigated, noted, refused, serving, text_of, told

REFUSED = {
    "is not understood": {},
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
    "what is the plan?": "plan ",
    "how would we undo it": "roll service:forge back",
    "what would it touch": "it would: ",
    "what was it like before?": "before, compared with now: error_rate of service:gateway",
    "how far has it come": "status: awaiting_approval",
    "what did it cost": "one look: ",
    "who owns forge": "nobody told midwatch who owns service:forge",
    "how bad is the impact": "impact: ",
    "what happened, in order?": "2026-11-20T02:46:00Z  changes: deploy of service:schedule",
    "what breaks if forge goes": "service:bot is hurt by an outage of service:forge, 1 away",
    "what does gateway depend on": "service:gateway needs service:bot, 1 away",
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


async def test_every_line_that_states_something_cites_what_can_be_opened(seen: Seen) -> None:
    for question in ("what is the cause?", "why not schedule?", "what is the plan?", "what depends on forge?"):
        reply = await told(seen.client, "ask_investigation", incident=seen.incident, question=question)
        cited = [re.search(r"\[([^\[\]]+)\]$", said) for said in reply["lines"]]
        assert all(cited), reply["lines"]
        for handle in dict.fromkeys(found[1].split(", ")[0] for found in cited if found):
            assert (await told(seen.client, "read_evidence", evidence=handle, incident=seen.incident))["lines"]


async def test_a_fresh_look_is_taken_when_asked_for_and_goes_on_record(seen: Seen) -> None:
    before = len(await noted(seen.client, seen.incident, "tool_call"))
    asked = {"incident": seen.incident, "question": "how is forge now, since 2026-11-20T02:40:00Z?"}
    without = await told(seen.client, "ask_investigation", **asked)
    reply = await told(seen.client, "ask_investigation", look=True, **asked)
    assert without["lines"] == ["The journal ends with the investigation: ask for a fresh look (--look, look: true)."]
    assert reply["lines"][0].startswith("A fresh look at service:forge, 2026-11-20T02:40:00Z to ")
    assert any("error_origin of service:forge  [" in said for said in reply["lines"])
    calls = await noted(seen.client, seen.incident, "tool_call")
    assert {call["tool"] for call in calls[before:]} == {"survey_case", "survey_deploys"}
    messages = await noted(seen.client, seen.incident, "message")
    assert messages[-2]["text"] == asked["question"]
    assert messages[-1]["statements"]


AROUND = {
    "what depends on forge?": "service:bot is hurt by an outage of service:forge, 1 away",
    "and schedule?": "service:bot is hurt by an outage of service:schedule, 1 away",
    "what does bot depend on": "service:bot needs service:forge, 1 away",
    "how does forge hurt gateway": "service:forge → service:bot → service:gateway",
    "who owns forge": "Nobody told midwatch who owns service:forge.",
    "what changed at forge since 2026-11-20T02:40:00Z": "changes: 2026-11-20T02:47:40Z deploy of service:forge",
    "how is fourge now": "Name what it is about. Did you mean service:forge?",
    "what is there": "4 service: bot, forge, gateway, schedule",
    "sing": "That cannot be answered from what servers tell.",
}


async def test_a_question_about_the_environment_needs_no_incident(seen: Seen) -> None:
    for question, answer in AROUND.items():
        reply = await told(seen.client, "ask_environment", question=question)
        assert reply["lines"][0].startswith(answer), reply["lines"]
        assert ("incident" in reply, bool(reply["answered_by"])) == (False, question != "sing")
    assert [each["id"] for each in json.loads(await text_of(seen.client, "midwatch://incidents"))] == [seen.incident]


async def test_a_further_page_of_an_answer_asks_nobody_again(seen: Seen) -> None:
    asked = {"incident": seen.incident, "question": "what was seen at forge?", "look": True}
    first = await told(seen.client, "ask_investigation", **asked)
    noted_then = len(await noted(seen.client, seen.incident, "message"))
    again = await told(seen.client, "ask_investigation", cursor="1", **asked)
    assert again["lines"] == first["lines"][1:]
    assert len(await noted(seen.client, seen.incident, "message")) == noted_then


async def test_a_time_that_is_none_is_told(seen: Seen) -> None:
    question = "what changed between 2026-11-20T03:00:00Z and 2026-11-20T02:00:00Z"
    assert "is no window" in await refused(seen.client, "ask_environment", question=question)


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
