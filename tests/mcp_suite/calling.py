"""Plays the suite's client scenarios with the host's client layer: connects, takes in the tools, and calls them.

It listens on a socket for what `client.py` hands on, and answers with a line: empty, or what went wrong.
"""

import json
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
from anyio.abc import SocketStream
from anyio.from_thread import start_blocking_portal
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp.shared.auth import AuthorizationCodeResult
from pydantic import JsonValue

from midwatch.mcp_client.links import Link, Unanswered, connect, open_links
from midwatch.mcp_client.wire import http_client
from midwatch.settings import OAuth, ServerSpec

SECONDS = 90
MOST_BYTES = 2**20
METADATA = "https://conformance-test.local/client-metadata.json"
"""Where the suite takes the client to describe itself."""
ARGUMENTS: dict[str, dict[str, JsonValue]] = {"add_numbers": {"a": 5, "b": 3}}
"""What the suite's tools want for arguments where it does not say so with the scenario."""


@contextmanager
def client_command() -> Iterator[str]:
    """Yield the command that plays a scenario, for as long as there is somebody to play it."""
    script = Path(__file__).with_name("client.py")
    with tempfile.TemporaryDirectory() as folder, start_blocking_portal() as portal:
        path = Path(folder) / "calling"
        with portal.wrap_async_context_manager(listening(path)):
            yield f"{sys.executable} -I -S {script} {path}"


@asynccontextmanager
async def listening(path: Path) -> AsyncGenerator[None]:
    """Play what comes in on the socket at `path`, each by itself."""
    async with await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, played)
        yield
        group.cancel_scope.cancel()


async def played(stream: SocketStream) -> None:
    """Play one scenario, and say what became of it."""
    async with stream:
        line = await BufferedByteReceiveStream(stream).receive_until(b"\n", MOST_BYTES)
        try:
            with anyio.fail_after(SECONDS):
                trouble = await play(json.loads(line))
        except Exception as error:  # the suite is told, and the other scenarios go on
            trouble = f"{type(error).__name__}: {error}"
        await stream.send((trouble or "").replace("\n", " ").encode() + b"\n")


async def play(scenario: Mapping[str, Any]) -> str | None:
    """Connect to the suite's server as the host does to any, and make the calls that the scenario is about.

    Returns why the host gives no answer, if so.
    """
    context = scenario["context"]
    as_whom = {name: context[name] for name in ("client_id", "client_secret") if name in context}
    oauth = OAuth(**as_whom, client_metadata_url=METADATA) if scenario["name"].startswith("auth/") else None
    specs = {"suite": ServerSpec(url=scenario["url"], oauth=oauth)}
    with tempfile.TemporaryDirectory() as folder:
        async with open_links(specs, SECONDS, Path(folder), reach=partial(connect, log_in=visit)) as links:
            link = links["suite"]
            try:
                for tool, arguments in calls(link, context.get("toolCalls")):
                    await link.call(tool, arguments, SECONDS)
            except Unanswered as error:
                return str(error)
            return link.trouble


async def visit(url: str) -> AuthorizationCodeResult:
    """Do what a person's browser does at the suite's authorization server, which asks no questions."""
    async with http_client({}, SECONDS) as browser:  # which reads the machine's certificates once
        back = parse_qs(urlsplit((await browser.get(url)).headers["location"]).query)
    return AuthorizationCodeResult(code=back["code"][0], state=back["state"][0], iss=back.get("iss", [None])[0])


def calls(link: Link, named: Iterable[Mapping[str, Any]] | None) -> Iterator[tuple[str, dict[str, JsonValue]]]:
    """The calls that the scenario names, or one of every tool that the host took in."""
    if named is not None:
        return iter([(call["name"], call["arguments"]) for call in named])
    schemas = {tool.name: tool.input_schema for tool in link.tools}
    echoed: dict[str, JsonValue] = {"schema": schemas.get("json_schema_2020_12_tool")}
    given = {**ARGUMENTS, "json_schema_echo": echoed}
    return iter([(name, given.get(name, {})) for name in schemas])
