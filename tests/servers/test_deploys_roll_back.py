"""The suite's first hand: it exists only when asked for, asks a real deployer, and says what came of it."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters, types

Connect = Callable[..., AbstractAsyncContextManager[Client]]
Write = Callable[..., None]

DONE = {"change_id": "r-1", "service": "forge", "version": "9a8b7c6", "outcome": "succeeded", "changed": True}


@dataclass
class Deployer:
    """A deployer over HTTP that answers what it is told to and remembers what it was asked."""

    url: str = ""
    status: int = 200
    answer: str = json.dumps(DONE)
    silent: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def deployer() -> Iterator[Deployer]:
    told = Deployer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if told.silent:
                told.closing.wait(30)
                return
            self.send_response(told.status)
            self.end_headers()
            self.wfile.write(told.answer.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        told.url = f"http://127.0.0.1:{server.server_port}/roll-back"
        yield told
        told.closing.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def history(change_store: Write) -> None:
    """Forge ran 9a8b7c6 and runs 3f2c1ab since noon."""
    deploy = {"ChangeId": "d-3", "Kind": "deploy", "ServiceName": "forge", "Version": "3f2c1ab"}
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    change_store({**deploy, "Timestamp": noon, "PreviousVersion": "9a8b7c6", "Outcome": "succeeded"})


async def roll_back(client: Client, service: str = "forge", to: str = "9a8b7c6") -> tuple[str | None, str, Any]:
    """Return the error code (None when it went well), the first line of the reply or the error, and the reply."""
    result = await client.call_tool("roll_back", {"service": service, "to_version": to})
    [content] = result.content
    assert isinstance(content, types.TextContent)
    reply = result.structured_content or {}
    return (result.meta or {}).get("midwatch/error"), reply.get("lines", [content.text])[0], reply


async def test_the_tool_does_not_exist_unless_asked_for(history: None, change_client: Connect) -> None:
    async with change_client(roll_back_url="http://127.0.0.1:1/roll-back") as client:
        assert "roll_back" not in {tool.name for tool in (await client.list_tools()).tools}
        _, words, _ = await roll_back(client)
    assert words == "Unknown tool: roll_back"


async def test_the_tool_is_declared_as_one_that_writes(history: None, change_client: Connect) -> None:
    async with change_client(enable_roll_back=True, roll_back_url="http://127.0.0.1:1/roll-back") as client:
        [tool] = [tool for tool in (await client.list_tools()).tools if tool.name == "roll_back"]
    assert tool.annotations
    assert (tool.annotations.read_only_hint, tool.annotations.destructive_hint) == (False, True)
    assert (tool.meta or {})["midwatch/role"] == "act"


async def test_the_deployer_is_asked_and_the_change_it_made_is_evidence(
    history: None, change_client: Connect, deployer: Deployer
) -> None:
    async with change_client(enable_roll_back=True, roll_back_url=deployer.url) as client:
        error, line, reply = await roll_back(client, "service:forge")
        page = (await client.read_resource(f"midwatch://evidence/{reply['evidence']}/page/0")).contents[0]
    assert error is None
    assert deployer.asked == [{"service": "forge", "to_version": "9a8b7c6"}]
    assert line.startswith("forge is at 9a8b7c6: change_id r-1, service forge")
    assert isinstance(page, types.TextResourceContents)
    assert json.loads(page.text)["rows"] == [DONE]


async def test_the_way_forth_again_is_open_too(history: None, change_client: Connect, deployer: Deployer) -> None:
    async with change_client(enable_roll_back=True, roll_back_url=deployer.url) as client:
        error, _, _ = await roll_back(client, to="3f2c1ab")
    assert (error, deployer.asked) == (None, [{"service": "forge", "to_version": "3f2c1ab"}])


@pytest.mark.parametrize(
    ("service", "version", "refusal"),
    [
        ("froge", "9a8b7c6", ("not_found", "no deploy of 'froge' is on record: deploys are of forge")),
        ("forge", "evil", ("bad_input", "forge never ran 'evil', so it is no way back: it ran 3f2c1ab, 9a8b7c6")),
    ],
)
async def test_what_never_ran_is_refused_before_the_deployer_is_asked(
    history: None, change_client: Connect, deployer: Deployer, service: str, version: str, refusal: tuple[str, str]
) -> None:
    async with change_client(enable_roll_back=True, roll_back_url=deployer.url) as client:
        error, words, _ = await roll_back(client, service, version)
    assert (error, words, deployer.asked) == (*refusal, [])


@pytest.mark.parametrize(
    ("status", "answer", "code", "words"),
    [
        (404, '{"error": "there is no revision 9a8b7c6"}', "bad_input", r"refused with 404: .*no revision 9a8b7c6"),
        (500, '{"outcome": "failed"}', "backend_down", "failed with 500"),
        (302, "", "backend_down", "failed with 302"),
        (200, '{"outcome": "failed", "problem": "no start"}', "backend_down", "tried and failed: .*no start"),
    ],
)
async def test_a_deployer_that_refuses_or_fails_is_told_in_its_own_words(
    history: None, change_client: Connect, deployer: Deployer, status: int, answer: str, code: str, words: str
) -> None:
    deployer.status, deployer.answer = status, answer
    async with change_client(enable_roll_back=True, roll_back_url=deployer.url) as client:
        error, told, _ = await roll_back(client)
    assert error == code
    assert re.search(words, told)


async def test_an_answer_that_is_not_json_is_kept_as_it_is(
    history: None, change_client: Connect, deployer: Deployer
) -> None:
    deployer.answer = "done,\nthanks"
    async with change_client(enable_roll_back=True, roll_back_url=deployer.url) as client:
        error, line, _ = await roll_back(client)
    assert (error, line) == (None, "forge is at 9a8b7c6: answer done, thanks")


async def test_a_deployer_that_is_not_there_changed_nothing_and_its_password_stays_secret(
    history: None, change_client: Connect
) -> None:
    async with change_client(enable_roll_back=True, roll_back_url="http://ada:s3cret@127.0.0.1:1/roll-back") as client:
        error, words, _ = await roll_back(client)
    assert (error, words) == (
        "backend_down",
        "the deployer at 127.0.0.1:1 cannot be reached, so nothing was changed: is it up?",
    )


async def test_a_deployer_that_says_nothing_may_have_acted(
    history: None, change_client: Connect, deployer: Deployer
) -> None:
    deployer.silent = True
    connect = change_client(enable_roll_back=True, roll_back_url=deployer.url, roll_back_seconds=0.3)
    with anyio.fail_after(20):
        async with connect as client:
            error, words, _ = await roll_back(client)
    assert error == "backend_down"
    assert "no answer within 0.3 s: it may have acted nevertheless, so look with survey_changes" in words


def test_starting_with_a_roll_back_but_no_deployer_is_refused_in_words(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "midwatch_deploys", "--store", str(tmp_path), "--enable-roll-back"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "These settings cannot be used:",
        "  --enable-roll-back needs a deployer to ask: name it with --roll-back-url or MIDWATCH_ROLL_BACK_URL",
    ]


async def test_a_process_on_stdio_rolls_back(history: None, tmp_path: Path, deployer: Deployer) -> None:
    process = StdioServerParameters(
        command=sys.executable,
        args=["-m", "midwatch_deploys", "--enable-roll-back", "--evidence-dir", str(tmp_path / "evidence")],
        env={"MIDWATCH_STORE": str(tmp_path / "store"), "MIDWATCH_ROLL_BACK_URL": deployer.url},
    )
    with anyio.fail_after(60):
        async with Client(process) as client:
            assert (await roll_back(client))[0] is None
    assert deployer.asked == [{"service": "forge", "to_version": "9a8b7c6"}]


async def test_a_process_on_http_has_eyes_alone(history: None, tmp_path: Path) -> None:
    flags = ["--transport", "streamable-http", "--port", "0", "--evidence-dir", str(tmp_path / "evidence")]
    command = [sys.executable, "-m", "midwatch_deploys", "--store", str(tmp_path / "store"), *flags]
    async with await anyio.open_process(command, stdout=None, stdin=None) as process:
        try:
            assert process.stderr
            listens = (await process.stderr.receive()).decode()
            async with Client(re.findall(r"http://\S+", listens)[0]) as client:
                tools = (await client.list_tools()).tools
                result = await client.call_tool("get_last_good_version", {"service": "forge"})
        finally:
            process.kill()
    assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)
    assert (result.structured_content or {})["lines"][0].startswith("last good: 9a8b7c6")
