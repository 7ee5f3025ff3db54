"""`midwatch mcp` as a client meets it: a process over stdio, from an alert to a packet, with a person at the client."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, types
from mcp.client import ClientRequestContext
from tests.host_mcp.conftest import Desk, told

Answer = types.ElicitResult


class Person:
    """Whoever sits at the client: gives the answers that a test lays ready, and keeps what was shown."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.shown: list[str] = []

    async def asked(self, _: ClientRequestContext, params: types.ElicitRequestParams) -> Answer:
        self.shown.append(params.message)
        return self.answers.pop(0)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def person() -> Person:
    return Person()


@pytest.fixture(scope="module")
async def client(desk: Desk, person: Person, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Client]:
    async with desk(tmp_path_factory.mktemp("data"), answers=person.asked) as connected:
        yield connected


@pytest.fixture(scope="module")
async def followed(client: Client, snapshot: Path) -> tuple[dict[str, Any], list[tuple[float, str]]]:
    """The reply to an investigation that was stayed with, and the progress that was told meanwhile."""
    progress: list[tuple[float, str]] = []

    async def tell(number: float, total: float | None, message: str | None) -> None:
        progress.append((number, message or ""))

    arguments = {"snapshot": str(snapshot), "wait": True, "timeout_seconds": 55}
    result = await client.call_tool("start_investigation", arguments, progress_callback=tell)
    assert not result.is_error, result.content
    return result.structured_content or {}, progress


async def test_who_stays_with_an_investigation_gets_its_packet(followed: tuple[dict[str, Any], Any]) -> None:
    reply, _ = followed
    assert reply["status"] == "awaiting_approval"
    assert "Root cause: change at service:stock" in reply["lines"]
    assert "Path: service:stock → service:cart → service:web → alarm:web-errors" in reply["lines"]


async def test_progress_is_told_record_by_record_up_to_the_plan(followed: tuple[Any, list[tuple[float, str]]]) -> None:
    numbers, messages = zip(*followed[1], strict=True)
    assert list(numbers) == sorted(set(numbers))
    told_of = [message.split()[1] for message in messages]
    order = ["incident", "scope", "hypothesis", "conclusion", "plan"]
    assert sorted(order, key=told_of.index) == order


async def test_a_person_approves_the_plan_that_they_were_shown_and_nobody_else_can(
    client: Client, person: Person, followed: tuple[dict[str, Any], Any]
) -> None:
    incident, plan = followed[0]["incident"], await told(client, "read_plan")
    person.answers = [Answer(action="decline"), Answer(action="cancel")]
    for _ in range(2):
        assert (await told(client, "request_approval", incident=incident))["decided"] is False
    assert "State: not decided; a person is waited for" in (await told(client, "read_plan"))["lines"]
    person.answers = [Answer(action="accept", content={"answer": "yes", "reason": "stock owns it"})]
    decided = await told(client, "request_approval", incident=incident)
    assert (decided["decided"], decided["approved"]) == (True, True)
    assert f"Digest: {plan['digest']}" in person.shown[-1]
    assert "roll service:stock back" in person.shown[-1]
    decision = (await told(client, "read_records", incident=incident, kind="decision"))["lines"]
    assert len(decision) == 1
    assert '"approved":true,"by":"the person at mcp","reason":"stock owns it"' in decision[0]
    done = await told(client, "follow_investigation", incident=incident, after=followed[1][-1][0], wait_seconds=20)
    assert any("for_a_person: roll service:stock back" in line for line in done["lines"])
