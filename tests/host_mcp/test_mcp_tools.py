"""The host as an MCP server: what its tools, resources and prompts tell, and what none of them does."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError, types
from mcp.client import ClientRequestContext
from tests.host_mcp.conftest import case_settings, refused, told

from midwatch.mcp_server.running import open_running
from midwatch.mcp_server.server import build

ALERT = {"title": "Error rate of gateway", "service": "gateway", "started_at": "2026-11-20T02:48:00Z"}
SEEN = {**ALERT, "seen_at": "2026-11-20T02:48:10Z"}
Served = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def served(tmp_path: Path) -> Served:
    """Returns a maker of clients, each of a server of its own over this test's folder."""

    @asynccontextmanager
    async def connected(**options: Any) -> AsyncGenerator[Client]:
        async with open_running(case_settings(tmp_path)) as running, Client(build(running), **options) as client:
            yield client

    return connected


async def investigated(client: Client) -> str:
    """Have the case investigated to its plan, and return the incident's id."""
    reply = await told(client, "start_investigation", alert=SEEN, wait=True, timeout_seconds=30)
    assert reply["status"] == "awaiting_approval"
    name: str = reply["incident"]
    return name


async def noted(client: Client, incident: str, kind: str) -> list[dict[str, Any]]:
    """Return the bodies of all records of a type, from the resources."""
    bodies, where = [], f"midwatch://incident/{incident}/records/0"
    while where:
        page = json.loads(await text_of(client, where))
        bodies += [record["body"] for record in page["records"] if record["type"] == kind]
        where = page.get("next")
    return bodies


async def text_of(client: Client, uri: str) -> str:
    (part,) = (await client.read_resource(uri)).contents
    assert isinstance(part, types.TextResourceContents)
    return part.text


def asked(*answers: types.ElicitResult) -> Callable[..., Any]:
    left = list(answers)

    async def answer(_: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
        assert params.message
        return left.pop(0)

    return answer


YES = types.ElicitResult(action="accept", content={"answer": "yes"})
NO = types.ElicitResult(action="accept", content={"answer": "no", "reason": "not tonight"})


async def test_every_tool_says_truly_whether_it_reads_and_what_it_gives(served: Served) -> None:
    async with served() as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    writing = {"start_investigation", "continue_investigation", "steer_investigation", "request_approval"}
    hints = {name: tool.annotations for name, tool in tools.items() if tool.annotations}
    assert {name for name, hint in hints.items() if not hint.read_only_hint} == writing
    assert {name for name, hint in hints.items() if hint.destructive_hint} == {"request_approval"}
    assert all(tool.output_schema and tool.output_schema["properties"]["lines"] for tool in tools.values())


async def test_a_start_returns_at_once_and_following_leads_to_the_conclusion(served: Served) -> None:
    async with served() as client:
        started = await told(client, "start_investigation", alert=SEEN)
        lines, after = list[str](), 0
        with anyio.fail_after(20):
            while not any("conclusion" in line for line in lines):
                news = await told(
                    client, "follow_investigation", incident=started["incident"], after=after, wait_seconds=10
                )
                assert news["after"] >= after
                lines, after = [*lines, *news["lines"]], news["after"]
        packet = await told(client, "read_packet", incident=started["incident"])
    assert len(lines) == len(set(lines))
    assert "Root cause: change at service:forge" in packet["lines"]


async def test_a_sentence_that_names_a_service_starts_an_investigation(served: Served) -> None:
    async with served() as client:
        reply = await told(client, "start_investigation", what="gateway fails since 2026-11-20T02:48:00Z", wait=True)
        refusal = await refused(client, "start_investigation", what="something is wrong")
        both = await refused(client, "start_investigation", what="gateway fails", alert=SEEN)
        nothing = await refused(client, "start_investigation", snapshot="/no/such/folder")
    assert "Service: service:gateway" in reply["lines"][1]
    assert "known are: bot, forge, gateway, schedule" in refusal
    assert both == "give one of what, alert and snapshot, not what and alert"
    assert "/no/such/folder is no snapshot" in nothing


async def test_a_hint_on_a_concluded_investigation_is_tested_by_a_further_look(served: Served) -> None:
    async with served() as client:
        incident = await investigated(client)
        hint = {"words": "the pool ran dry last week", "kind": "resource", "entity": "bot"}
        await told(client, "steer_investigation", incident=incident, **hint)
        looked = await told(client, "continue_investigation", incident=incident, wait=True)
        steers = await noted(client, incident, "steer")
        conclusions = await noted(client, incident, "conclusion")
        why = await told(client, "ask_investigation", incident=incident, question="why not resource at bot?")
    assert looked["status"] == "awaiting_approval"
    assert len(conclusions) == 2
    assert (steers[0]["entity"], steers[0]["by"], steers[0]["effect"]) == ("service:bot", "the person at mcp", "")
    assert steers[1]["effect"].startswith("tested resource at service:bot: ")
    assert why["lines"][0] == "resource at service:bot: the person at mcp: the pool ran dry last week"


async def test_noise_that_a_person_names_changes_the_conclusion(served: Served) -> None:
    async with served() as client:
        incident = await investigated(client)
        await told(client, "steer_investigation", incident=incident, words="only drained", leave_out="forge")
        looked = await told(client, "continue_investigation", incident=incident, wait=True)
        conclusion = await told(client, "read_conclusion", incident=incident)
    assert "Root cause: change at service:forge" not in looked["lines"]
    assert any(line.startswith("An earlier look said: root_cause: ") for line in conclusion["lines"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "words alone change nothing"),
        ({"kind": "resource"}, "needs both kind and entity"),
        ({"kind": "resource", "entity": "fourge"}, "did you mean service:forge"),
        ({"kind": "ghosts", "entity": "bot"}, "kind: Input should be"),
    ],
)
async def test_a_steer_that_cannot_be_heeded_is_refused_in_words(
    served: Served, given: dict[str, str], said: str
) -> None:
    async with served() as client:
        incident = await investigated(client)
        assert said in await refused(client, "steer_investigation", incident=incident, words="look there", **given)
        assert await noted(client, incident, "steer") == []


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("Why not service:schedule?", "change at service:schedule: deploy of service:schedule"),
        ("why was it not traffic", "traffic at service:gateway: "),
        ("What changed?", "2026-11-20T02:46:00Z  deploy of service:schedule → as the cause: refuted"),
        ("what was seen at forge", "traces: error_origin of service:forge since "),
        ("what is missing", "not looked at: "),
        ("What is the cause, and how sure?", "root_cause: deploy of service:forge"),
        ("why not the moon", "Name what it is about"),
        ("sing", "That cannot be answered from the journal."),
    ],
)
async def test_questions_are_answered_from_the_records(served: Served, question: str, first: str) -> None:
    async with served() as client:
        incident = await investigated(client)
        reply = await told(client, "ask_investigation", incident=incident, question=question)
    assert reply["lines"][0].startswith(first), reply["lines"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_yes_in_the_form_is_a_decision_and_no_argument_is(served: Served, mode: str) -> None:
    async with served(mode=mode, elicitation_callback=asked(YES)) as client:
        incident = await investigated(client)
        for argument in ("answered", "approved", "answer"):
            refusal = await refused(client, "request_approval", incident=incident, **{argument: {"answer": "yes"}})
            assert f"has no argument '{argument}'" in refusal
        assert await noted(client, incident, "decision") == []
        assert (await told(client, "request_approval", incident=incident))["approved"] is True
        (decision,) = await noted(client, incident, "decision")
    assert (decision["approved"], decision["by"]) == (True, "the person at mcp")


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_no_in_the_form_stays_and_is_not_asked_about_again(served: Served, mode: str) -> None:
    async with served(mode=mode, elicitation_callback=asked(NO)) as client:
        incident = await investigated(client)
        reply = await told(client, "request_approval", incident=incident)
        again = await told(client, "request_approval", incident=incident)
        plan = await told(client, "read_plan", incident=incident)
    assert reply["approved"] is False
    assert again["decided"] is False
    assert "State: not approved by the person at mcp: not tonight" in plan["lines"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_where_no_form_can_be_shown_the_command_for_a_person_is_told(served: Served, mode: str) -> None:
    async with served(mode=mode) as client:
        incident = await investigated(client)
        reply = await told(client, "request_approval", incident=incident)
        digest = (await told(client, "read_plan", incident=incident))["digest"]
        assert await noted(client, incident, "decision") == []
    assert f"  midwatch approve {incident} {digest[:12]}" in reply["lines"]


async def test_a_yes_to_a_plan_that_was_replaced_meanwhile_decides_nothing(served: Served) -> None:
    steered = anyio.Event()

    async def slowly(_: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
        await told(client, "steer_investigation", words="look again", ignore="deploy of service:schedule")
        await told(client, "continue_investigation", wait=True)
        steered.set()
        return YES

    async with served(mode="legacy", elicitation_callback=slowly) as client:
        incident = await investigated(client)
        said = await refused(client, "request_approval", incident=incident)
        assert await noted(client, incident, "decision") == []
    assert steered.is_set()
    assert "is not the digest of the plan that waits" in said


async def test_what_was_cut_off_is_shown_and_goes_on_only_when_asked(served: Served) -> None:
    async with served() as client:
        incident = await investigated(client)
    async with served() as client:
        listed = await told(client, "list_incidents")
        assert listed["lines"][0].endswith("[unfinished: continue_investigation]")
        assert "does not run in this process" in "".join((await told(client, "read_incident"))["lines"])
        went_on = await told(client, "continue_investigation", incident=incident)
        assert went_on["incident"] == incident
        assert "runs in this process" in "".join((await told(client, "read_incident"))["lines"])
        assert len(await noted(client, incident, "conclusion")) == 1


async def test_one_process_at_a_time_works_on_an_investigation(served: Served) -> None:
    async with served() as first, served() as second:
        incident = await investigated(first)
        reply = await told(second, "continue_investigation", incident=incident, wait=True)
        assert reply["status"] == "awaiting_approval"
        with anyio.fail_after(10):
            while "runs in this process" in "".join((await told(second, "read_incident"))["lines"]):
                await anyio.sleep(0.02)
        assert len(await noted(second, incident, "plan")) == 1


async def test_records_packet_and_plan_can_be_read_as_resources(served: Served) -> None:
    async with served() as client:
        incident = await investigated(client)
        templates = {each.uri_template for each in (await client.list_resource_templates()).resource_templates}
        incidents = json.loads(await text_of(client, "midwatch://incidents"))
        packet = await text_of(client, f"midwatch://incident/{incident}/packet")
        plan = json.loads(await text_of(client, f"midwatch://incident/{incident}/plan"))
        observations = await noted(client, incident, "observation")
        cited = observations[0]["citations"][0]["evidence"]
        page = await text_of(client, f"midwatch://evidence/{cited}/page/0")
        evidence = await told(client, "read_evidence", evidence=cited)
        with pytest.raises(MCPError, match="has no page 99 of records"):
            await client.read_resource(f"midwatch://incident/{incident}/records/99")
    assert "midwatch://incident/{id}/records/{page}" in templates
    assert [each["id"] for each in incidents] == [incident]
    assert packet.startswith("Incident packet\nService: service:gateway")
    assert plan["digest"]
    assert "".join(evidence["lines"]) == page


@pytest.mark.parametrize("name", ["what_is_going_on", "what_changed", "hand_over"])
async def test_prompts_are_filled_from_the_journal(served: Served, name: str) -> None:
    async with served() as client:
        nothing = await client.get_prompt(name, {})
        incident = await investigated(client)
        filled = await client.get_prompt(name, {"incident": incident})
    assert "no incident on record" in str(nothing.messages[0].content)
    assert "deploy of service:forge" in str(filled.messages[0].content)


async def test_the_topology_is_drawn_and_harm_is_traced(served: Served) -> None:
    async with served() as client:
        incident = await investigated(client)
        whole = await told(client, "draw_topology")
        around = await told(client, "draw_topology", incident=incident, around="bot", form="json")
        hurt = await told(client, "trace_harm", entity="forge")
        paths = await told(client, "trace_harm", entity="forge", to="gateway", incident=incident)
        unknown = await refused(client, "trace_harm", entity="fourge")
    assert (whole["lines"][0], whole["entities"]) == ("flowchart LR", 4)
    assert around["entities"] == 4
    assert hurt["lines"] == ["service:bot, 1 away", "service:gateway, 2 away"]
    assert paths["lines"] == ["service:forge → service:bot → service:gateway"]
    assert "did you mean service:forge" in unknown


async def test_long_results_come_in_pages_that_add_up(served: Served) -> None:
    async with served() as client:
        incident = await investigated(client)
        pages = [await told(client, "read_records", incident=incident)]
        while cursor := pages[-1].get("next_cursor"):
            pages.append(await told(client, "read_records", incident=incident, cursor=cursor))
        wrong = await refused(client, "read_records", incident=incident, cursor="x")
    assert len(pages) > 1
    assert sum(len(page["lines"]) for page in pages) == pages[0]["matched"]
    assert all(sum(map(len, page["lines"])) <= 7_600 for page in pages)
    assert "is no cursor of this reply" in wrong


async def test_an_incident_that_is_not_on_record_is_named_with_those_that_are(served: Served) -> None:
    async with served() as client:
        assert "the last are: none" in await refused(client, "read_packet")
        incident = await investigated(client)
        assert incident in await refused(client, "read_plan", incident="01NOSUCH")
