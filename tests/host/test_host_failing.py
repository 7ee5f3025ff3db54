"""What is no answer: dead credentials, errors that are told as successes, and servers that say nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client, types
from mcp.server import MCPServer
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from tests.backends.serving import listening

from midwatch.inquiry import Inquiry, Limits
from midwatch.mcp_client.failing import failure_in, is_denial
from midwatch.mcp_client.links import Unanswered, open_links
from midwatch.mcp_client.toolbox import Eyes, Tool
from midwatch.records import Gap, ToolCall
from midwatch.settings import ServerSpec
from midwatch.storage.journal import Journal
from midwatch_kit.evidence import EvidenceStore

if TYPE_CHECKING:
    from tests.host.conftest import Reach

TOKEN = "a-token-of-tickets-that-nobody-may-see"  # its form tells nobody that it is one
LIMITS = Limits(seconds=60, calls=50, call_seconds=5)


def says(*texts: str, structured: dict[str, Any] | None = None) -> types.CallToolResult:
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text) for text in texts], structured_content=structured
    )


@pytest.mark.parametrize(
    ("told", "denied"),
    [
        ({"error": "invalid_auth", "ok": False}, True),
        ({"error": {"code": 401, "message": "Request had invalid authentication credentials."}}, True),
        ({"errors": ["Forbidden"]}, True),
        ({"status": 401, "message": "no"}, True),
        ({"statusCode": "403", "message": "no"}, True),
        ({"message": "Unauthorized"}, True),
        ({"detail": "Not authenticated"}, True),
        ({"type": "about:blank", "title": "Forbidden", "status": 403, "detail": "ask your admin"}, True),
        ({"success": False, "message": "API key expired"}, True),
        ({"status": "error", "message": "query too long"}, False),
        ({"error": "no such index"}, False),
        ({"status": 503, "message": "try later"}, False),
    ],
)
def test_an_object_with_nothing_but_an_error_in_it_is_no_answer(told: dict[str, Any], denied: bool) -> None:
    for result in (says(json.dumps(told)), says(structured=told), says(structured={"result": told})):
        failure = failure_in(result)
        assert failure
        assert failure.denied is denied


@pytest.mark.parametrize(
    "line",
    [
        "Unauthorized",
        "401 Unauthorized",
        "HTTP 403 Forbidden",
        "HTTP/1.1 401 Unauthorized",
        "Error: invalid API key",
        "Error executing tool read_ticket: token has expired",
        "Error calling GET /tickets: 401 Client Error: Unauthorized for url: https://tickets.example.com",
        "Access denied. Ask for the role reader.",
        "Failed: expired access token (since 2026-11-20)",
        "ExpiredTokenException: The security token included in the request is expired",
    ],
)
def test_a_line_that_says_that_nobody_may_come_in_is_no_answer(line: str) -> None:
    for result in (says(line), says(f"  {line}\n"), says(json.dumps(line)), says(structured={"result": line})):
        failure = failure_in(result)
        assert failure
        assert failure.denied
    assert is_denial(line)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T02:48:00Z gateway GET /login 401 Unauthorized",
        "ERROR auth: token has expired for user 7",
        "Unauthorized\nForbidden",
        "the runbook: when web says 401 Unauthorized, look at the clock",
        "Error: now-1h is no time",
        "Forbidden words are listed in the wiki",
        "401",
        "no lines matched",
        "[]",
        "{}",
        "null",
        json.dumps([{"error": "Unauthorized"}]),
        json.dumps({"status": 401, "message": "GET /login", "service": "web"}),
        json.dumps({"error": "Unauthorized", "trace": "4bf92f", "time": "02:48"}),
        json.dumps({"errors": [], "message": "all is well"}),
        json.dumps({"status": "ok", "message": "3 tickets"}),
        json.dumps({"code": 401}),
        json.dumps({"data": {"user": None}, "errors": ["Forbidden"]}),
    ],
)
def test_what_tells_of_refusals_is_an_answer_like_any_other(text: str) -> None:
    assert failure_in(says(text)) is None


@pytest.mark.parametrize("result", [says(), says(""), says(" \n", "\t")])
def test_nothing_at_all_is_no_answer(result: types.CallToolResult) -> None:
    failure = failure_in(result)
    assert failure
    assert (failure.denied, failure.said) == (False, "it answers with nothing at all, not even that there is nothing")


def test_a_picture_and_an_empty_list_are_answers() -> None:
    image = types.ImageContent(type="image", data="aGk=", mime_type="image/png")
    assert failure_in(types.CallToolResult(content=[image])) is None
    assert failure_in(says(structured={"result": []})) is None
    assert failure_in(says(structured={"tickets": []})) is None


def tickets(answers: Callable[[str], Any]) -> MCPServer[Any]:
    """A server that knows nothing of the suite; it answers as it is told to."""
    server: MCPServer[Any] = MCPServer("tickets")

    @server.tool()
    def read_ticket(number: str) -> str:
        return str(answers(number))

    @server.tool()
    def find_ticket(text: str) -> str:
        return str(answers(text))

    return server


Asking = Callable[..., Any]


@pytest.fixture
def asking(journal: Journal, tmp_path: Path) -> Asking:
    """Return a function that reaches servers in process, and gives an inquiry with them."""

    @asynccontextmanager
    async def reached(**servers: MCPServer[Any]) -> AsyncIterator[Inquiry]:
        @asynccontextmanager
        async def reach(spec: ServerSpec, seconds: float, log: Path) -> AsyncIterator[Client]:
            async with Client(servers[str(spec.command)]) as client:
                yield client

        allow = ("read_ticket", "find_ticket")
        specs = {name: ServerSpec(command=name, allow=allow, env={"TICKETS_TOKEN": TOKEN}) for name in servers}
        kept = EvidenceStore(tmp_path / "evidence", 2**30)
        async with open_links(specs, 10, tmp_path, reach=reach) as links:
            yield Inquiry("one", journal, Eyes(links, kept), kept, LIMITS)

    return reached


def of(inquiry: Inquiry, server: str = "tickets", name: str = "read_ticket") -> Tool:
    return next(tool for tool in inquiry.eyes.all() if (tool.server, tool.name) == (server, name))


def gaps(journal: Journal) -> dict[str, str]:
    return {gap.what: gap.why for gap in journal.values("one", Gap)}


async def test_a_server_with_dead_credentials_is_a_gap_and_is_asked_no_more(asking: Asking, journal: Journal) -> None:
    heard: list[str] = []

    def answers(number: str) -> str:
        heard.append(number)
        return f"Error: invalid token ({TOKEN})"

    async with asking(tickets=tickets(answers), others=tickets(lambda _: "blueprints look odd")) as inquiry:
        for number in ("1", "2", "3"):
            assert await inquiry.ask(of(inquiry), {"number": number}, "tester") is None
        assert await inquiry.ask(of(inquiry, name="find_ticket"), {"text": "odd"}, "challenger") is None
        assert "asked no more" in inquiry.why_not(of(inquiry), {"number": "3"})
        assert await inquiry.ask(of(inquiry, "others"), {"number": "1"}, "tester")
        again = Inquiry("one", journal, inquiry.eyes, inquiry.kept, LIMITS)
        assert await again.ask(of(inquiry), {"number": "4"}, "tester") is None
    assert heard == ["1", "2"]
    why = gaps(journal)["the credentials of tickets"]
    assert "refused 2 questions in a row" in why
    assert "Error: invalid token ((hidden))" in why
    assert "See its headers, env or oauth in the servers file" in why
    assert TOKEN not in json.dumps([entry.body for entry in journal.entries("one")])
    assert {call.error for call in journal.values("one", ToolCall) if call.server == "tickets"} == {
        "read_ticket: Error: invalid token ((hidden))"
    }


async def test_a_server_that_hides_one_thing_is_asked_for_others(asking: Asking, journal: Journal) -> None:
    shown = {"1": "blueprints look odd", "2": "fixed"}
    async with asking(tickets=tickets(lambda number: shown.get(number, "Forbidden"))) as inquiry:
        for number in ("1", "payroll", "2", "salaries"):
            await inquiry.ask(of(inquiry), {"number": number}, "tester")
        assert await inquiry.ask(of(inquiry), {"number": "1"}, "tester")
    assert "the credentials of tickets" not in gaps(journal)
    assert gaps(journal)["tickets: read_ticket"] == "Forbidden"


async def test_a_server_that_says_nothing_is_a_gap(asking: Asking, journal: Journal) -> None:
    async with asking(tickets=tickets(lambda _: "")) as inquiry:
        assert await inquiry.ask(of(inquiry), {"number": "1"}, "tester") is None
    assert "nothing at all" in gaps(journal)["tickets: read_ticket"]


@dataclass
class Door:
    """An MCP server over HTTP of the protocol's older era, which refuses with a status for as long as it is `shut`."""

    shut: int = 0
    said: str = "no"
    headers: dict[str, str] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (await self._answer(Request(scope, receive)))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method != "POST":
            return Response(status_code=405)
        asked = await request.json()
        if self.shut:
            return Response(self.said, self.shut, self.headers)
        tool = {"name": "read_ticket", "inputSchema": {"type": "object"}}
        about = {
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "t", "version": "1"},
        }
        results = {
            "initialize": about,
            "tools/list": {"tools": [tool]},
            "tools/call": {"content": [{"type": "text", "text": "blueprints look odd"}]},
        }
        if "id" not in asked:
            return Response(status_code=202)
        known = (
            {"result": results[asked["method"]]}
            if asked["method"] in results
            else {"error": {"code": -32601, "message": "?"}}
        )
        return JSONResponse({"jsonrpc": "2.0", "id": asked["id"], **known})


@pytest.mark.parametrize(
    ("door", "said"),
    [
        (Door(401, f"bad token {TOKEN}"), "it refuses our credentials (HTTP 401: bad token (hidden))"),
        (Door(403, "<html>Sign in</html>"), "it refuses our credentials (HTTP 403)"),
        (
            Door(401, "{}", {"www-authenticate": 'Bearer error="invalid_token", error_description="it expired"'}),
            "it refuses our credentials (HTTP 401: it expired)",
        ),
    ],
)
async def test_a_door_that_stays_shut_is_a_missing_server_with_its_words_and_what_to_do(
    reach: Reach, door: Door, said: str
) -> None:
    with listening(door) as url:
        spec = ServerSpec(url=f"{url}/mcp", headers={"Authorization": f"Bearer {TOKEN}"}, allow=("read_ticket",))
        async with reach(tickets=spec) as host:
            [why] = host.eyes.missing().values()
    assert why == f"{said}: are its credentials still good? See headers, env or oauth in the servers file"


@pytest.mark.parametrize("status", [401, 403])
async def test_a_door_that_is_shut_later_is_told_with_its_status_and_opens_again(reach: Reach, status: int) -> None:
    door = Door()
    with listening(door) as url:
        spec = ServerSpec(url=f"{url}/mcp", headers={"X-Api-Key": TOKEN}, allow=("read_ticket",))
        async with reach(tickets=spec) as host:
            [tool] = host.eyes.all()
            assert (await host.eyes.ask(tool, {}, 5)).rows == ["blueprints look odd"]
            door.shut, door.said = status, "the key was revoked"
            with pytest.raises(Unanswered, match=rf"HTTP {status}: the key was revoked") as refused:
                await host.eyes.ask(tool, {}, 5)
            assert (refused.value.denied, refused.value.down) == (True, False)
            door.shut = 0
            assert (await host.eyes.ask(tool, {}, 5)).rows == ["blueprints look odd"]
