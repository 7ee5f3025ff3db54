"""`midwatch mcp` as a client meets it: a process over stdio, from an alert to a plan that a person approves."""

from pathlib import Path
from typing import Any

from mcp import Client, types
from mcp.client import ClientRequestContext
from tests.host_mcp.conftest import Desk, told

Answer = types.ElicitResult


class Person:
    """Whoever sits at the client: gives the answers that a test lays ready, and keeps what was shown."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.shown: list[str] = []

    async def asked(self, _: ClientRequestContext, params: types.ElicitRequestParams) -> Answer:
        self.shown.append(params.message)
        return self.answers.pop(0)


async def stayed_with(client: Client, snapshot: Path) -> tuple[dict[str, Any], list[tuple[float, str]]]:
    """Return what an investigation came to, and the progress that was told meanwhile."""
    said: list[tuple[float, str]] = []

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        said.append((progress, message or ""))

    arguments = {"snapshot": str(snapshot), "wait": True, "timeout_seconds": 55}
    result = await client.call_tool("start_investigation", arguments, progress_callback=tell)
    assert not result.is_error, result.content
    return result.structured_content or {}, said


async def followed_to_the_end(client: Client, incident: str) -> list[str]:
    lines, after, under_way = list[str](), 0, True
    while under_way:
        news = await told(client, "follow_investigation", incident=incident, after=after, wait_seconds=5)
        lines, after, under_way = [*lines, *news["lines"]], news["after"], news["under_way"]
    return lines


async def test_a_client_gets_progress_and_packet_and_its_person_alone_approves(
    desk: Desk, tmp_path: Path, snapshot: Path
) -> None:
    yes = Answer(action="accept", content={"answer": "yes", "reason": "stock owns it"})
    person = Person(Answer(action="decline"), Answer(action="cancel"), yes)
    async with desk(tmp_path, answers=person.asked) as client:
        packet, progress = await stayed_with(client, snapshot)
        incident, plan = packet["incident"], await told(client, "read_plan")
        asked = [await told(client, "request_approval", incident=incident) for _ in range(2)]
        waiting = await told(client, "read_plan")
        decided = await told(client, "request_approval", incident=incident)
        decisions = await told(client, "read_records", incident=incident, kind="decision")
        lines = await followed_to_the_end(client, incident)
    assert packet["status"] == "awaiting_approval"
    assert "Path: service:stock → service:cart → service:web → alarm:web-errors" in packet["lines"]
    assert_told_in_order(progress)
    assert [reply["decided"] for reply in asked] == [False, False]
    assert "State: not decided; a person is waited for" in waiting["lines"]
    assert (decided["decided"], decided["approved"]) == (True, True)
    assert f"Digest: {plan['digest']}" in person.shown[-1]
    assert '"approved":true,"by":"the person at mcp","reason":"stock owns it"' in decisions["lines"][0]
    assert any("for_a_person: roll service:stock back" in line for line in lines)


def assert_told_in_order(progress: list[tuple[float, str]]) -> None:
    """Progress has numbers that only grow, and tells the parts of an investigation in their order."""
    numbers, messages = zip(*progress, strict=True)
    assert list(numbers) == sorted(set(numbers))
    told_of = [message.split()[1] for message in messages]
    order = ["incident", "scope", "hypothesis", "conclusion", "plan"]
    assert sorted(order, key=told_of.index) == order
