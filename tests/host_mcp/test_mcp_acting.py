"""The host as an MCP server: starting, following, steering, approving; and what no argument can do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import types
from mcp.client import ClientRequestContext
from tests.host_mcp.conftest import SEEN, investigated, noted, refused, serving, told

YES = types.ElicitResult(action="accept", content={"answer": "yes"})
NO = types.ElicitResult(action="accept", content={"answer": "no", "reason": "not tonight"})
POOL = {"words": "the pool ran dry last week", "kind": "resource", "entity": "bot"}
DRAINED = {"words": "forge was only drained", "leave_out": "forge"}


def answering(*answers: types.ElicitResult) -> Callable[..., Any]:
    left = list(answers)

    async def answer(_: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
        assert params.message
        return left.pop(0)

    return answer


async def test_a_start_returns_at_once_and_following_leads_to_the_conclusion(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        incident = (await told(client, "start_investigation", alert=SEEN))["incident"]
        lines, after = list[str](), 0
        with anyio.fail_after(20):
            while not any("conclusion" in line for line in lines):
                news = await told(client, "follow_investigation", incident=incident, after=after, wait_seconds=10)
                assert news["after"] >= after
                lines, after = [*lines, *news["lines"]], news["after"]
        packet = await told(client, "read_packet", incident=incident)
    assert len(lines) == len(set(lines))
    assert "Root cause: change at service:forge" in packet["lines"]


async def test_a_sentence_that_names_a_service_starts_an_investigation(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        assert "the last are: none" in await refused(client, "read_packet")
        reply = await told(client, "start_investigation", what="gateway fails since 2026-11-20T02:48:00Z", wait=True)
        refusal = await refused(client, "start_investigation", what="something is wrong")
        both = await refused(client, "start_investigation", what="gateway fails", alert=SEEN)
        nothing = await refused(client, "start_investigation", snapshot="/no/such/folder")
    assert "Service: service:gateway" in reply["lines"][1]
    assert "known are: bot, forge, gateway, schedule" in refusal
    assert both == "give one of what, alert and snapshot, not what and alert"
    assert "/no/such/folder is no snapshot" in nothing


async def test_what_a_person_says_is_heeded_by_further_looks_and_earlier_conclusions_stay(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        incident = await investigated(client)
        await told(client, "steer_investigation", incident=incident, **POOL)
        second = await told(client, "continue_investigation", incident=incident, wait=True)
        why = await told(client, "ask_investigation", incident=incident, question="why not resource at bot?")
        await told(client, "steer_investigation", incident=incident, **DRAINED)
        third = await told(client, "continue_investigation", incident=incident, wait=True)
        steers = await noted(client, incident, "steer")
        conclusion = await told(client, "read_conclusion", incident=incident)
        assert len(await noted(client, incident, "conclusion")) == 3
    assert (steers[0]["entity"], steers[0]["by"], steers[0]["effect"]) == ("service:bot", "the person at mcp", "")
    assert steers[1]["effect"].startswith("tested resource at service:bot: ")
    assert why["lines"][0].startswith("resource at service:bot: the person at mcp: the pool ran dry last week  [r")
    assert "Root cause: change at service:forge" in second["lines"]
    assert "Root cause: change at service:forge" not in third["lines"]
    assert sum(line.startswith("An earlier look said: root_cause: ") for line in conclusion["lines"]) == 2


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_yes_in_the_form_is_a_decision_and_no_argument_is(tmp_path: Path, mode: str) -> None:
    async with serving(tmp_path, mode=mode, elicitation_callback=answering(YES)) as client:
        incident = await investigated(client)
        for argument in ("answered", "approved", "answer"):
            refusal = await refused(client, "request_approval", incident=incident, **{argument: {"answer": "yes"}})
            assert f"has no argument '{argument}'" in refusal
        assert await noted(client, incident, "decision") == []
        assert (await told(client, "request_approval", incident=incident))["approved"] is True
        (decision,) = await noted(client, incident, "decision")
    assert (decision["approved"], decision["by"]) == (True, "the person at mcp")


async def test_a_no_in_the_form_stays_and_is_not_asked_about_again(tmp_path: Path) -> None:
    async with serving(tmp_path, elicitation_callback=answering(NO)) as client:
        incident = await investigated(client)
        reply = await told(client, "request_approval", incident=incident)
        again = await told(client, "request_approval", incident=incident)
        plan = await told(client, "read_plan", incident=incident)
    assert (reply["approved"], again["decided"]) == (False, False)
    assert "State: not approved by the person at mcp: not tonight" in plan["lines"]


async def test_a_yes_to_a_plan_that_was_replaced_meanwhile_decides_nothing(tmp_path: Path) -> None:
    async def slowly(_: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
        await told(client, "steer_investigation", words="look again", ignore="deploy of service:schedule")
        await told(client, "continue_investigation", wait=True)
        return YES

    async with serving(tmp_path, mode="legacy", elicitation_callback=slowly) as client:
        incident = await investigated(client)
        said = await refused(client, "request_approval", incident=incident)
        assert len(await noted(client, incident, "plan")) == 2
        assert await noted(client, incident, "decision") == []
    assert "is not the digest of the plan that waits" in said


async def test_what_was_cut_off_is_shown_and_goes_on_only_when_asked(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        incident = await investigated(client)
    async with serving(tmp_path) as client:
        listed = await told(client, "list_incidents")
        assert listed["lines"][0].endswith("[unfinished: continue_investigation]")
        assert "does not run in this process" in "".join((await told(client, "read_incident"))["lines"])
        went_on = await told(client, "continue_investigation", incident=incident)
        assert went_on["incident"] == incident
        assert "; runs in this process" in "".join((await told(client, "read_incident"))["lines"])
        assert len(await noted(client, incident, "conclusion")) == 1


async def test_one_process_at_a_time_works_on_an_investigation(tmp_path: Path) -> None:
    async with serving(tmp_path) as first, serving(tmp_path) as second:
        incident = await investigated(first)
        reply = await told(second, "continue_investigation", incident=incident, wait=True)
        stands = await told(second, "read_incident", incident=incident)
        assert len(await noted(second, incident, "plan")) == 1
    assert reply["status"] == "awaiting_approval"
    assert "look 1; does not run in this process" in stands["lines"]
