"""`midwatch mcp` as a real process over stdio, with the synthetic incident to investigate."""

import json
import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters, stdio_client, types
from mcp.client.session import ElicitationFnT
from tests.e2e.story import Story
from tests.servers.test_inspector import inspect, inspector

from midwatch.mcp_server.running import open_running
from midwatch.mcp_server.server import build
from midwatch.settings import Settings

__all__ = ["inspect", "inspector"]  # the fixtures that drive the Inspector

ALERT = {"title": "Error rate of gateway", "service": "gateway", "started_at": "2026-11-20T02:48:00Z"}
SEEN = {**ALERT, "seen_at": "2026-11-20T02:48:10Z"}
CASE = Path(__file__).parents[1] / "host" / "case_server.py"
Desk = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture(scope="session")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic incident, as a snapshot; nobody writes to it."""
    return Story().write(tmp_path_factory.mktemp("story") / "snapshot")


def environment_of(data: Path) -> dict[str, str]:
    """Return what `midwatch mcp` is started with, for data that spans seconds."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(data / "cache"),
        "MIDWATCH_DATA_DIR": str(data),
        "MIDWATCH_STEERING_DIR": str(data / "steering"),
        "MIDWATCH_LOOKBACK_SECONDS": "40",
        "MIDWATCH_GATHER_SECONDS": "0",
        "MIDWATCH_CALL_SECONDS": "40",
        "MIDWATCH_APPROVAL_SECONDS": "60",
    }


def case_environment(data: Path) -> dict[str, str]:
    """Return what `midwatch mcp` is started with over `case_server.py` instead of the suite's servers."""
    return {**environment_of(data), "MIDWATCH_SERVERS_FILE": str(case_settings(data).servers_file)}


@pytest.fixture(scope="session")
def desk(snapshot: Path) -> Desk:
    """Returns a maker of clients of `midwatch mcp`, each with a process of its own over a folder."""

    @asynccontextmanager
    async def opened(data: Path, mode: str = "auto", answers: ElicitationFnT | None = None) -> AsyncGenerator[Client]:
        environment = {**environment_of(data), "MIDWATCH_STORE": str(snapshot)}
        command = StdioServerParameters(
            command=sys.executable, args=["-m", "midwatch", "mcp"], env=environment, cwd=data
        )
        with (data / "stderr.txt").open("a", encoding="utf-8") as log:
            async with Client(
                stdio_client(command, errlog=log), mode=mode, read_timeout_seconds=60, elicitation_callback=answers
            ) as client:
                yield client

    return opened


async def told(client: Client, tool: str, **arguments: object) -> dict[str, Any]:
    """Return what a tool told; its failure is the test's."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return result.structured_content or {}


async def refused(client: Client, tool: str, **arguments: object) -> str:
    """Return the words in which a tool refused."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result.content
    return "".join(part.text for part in result.content if isinstance(part, types.TextContent))


def case_settings(folder: Path, approval_seconds: float = 30) -> Settings:
    """Return settings over `case_server.py`, a light server that tells one outage."""
    servers = folder / "servers.json"
    tools = ["chart", "survey_case", "survey_deploys", "read_trace", "read_change"]
    servers.write_text(
        json.dumps({"mcpServers": {"case": {"command": sys.executable, "args": ["-S", str(CASE)], "allow": tools}}})
    )
    return Settings(
        data_dir=folder,
        servers_file=servers,
        steering_dir=folder / "steering",
        gather_seconds=0,
        call_seconds=5,
        approval_seconds=approval_seconds,
    )


@asynccontextmanager
async def serving(folder: Path, **options: Any) -> AsyncGenerator[Client]:
    """Connect to a server in this process, over a folder of its own and `case_server.py`."""
    async with open_running(case_settings(folder, 60)) as running, Client(build(running), **options) as client:
        yield client


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
