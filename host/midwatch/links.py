"""Connections to MCP servers: one owner task for each, which connects, reconnects and never takes the host down.

A server that is missing, dies or hangs costs the calls made to it and nothing else. This module knows nothing of
incidents or evidence; it moves questions and answers.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import httpx2
from mcp import Client, MCPError, StdioServerParameters, stdio_client, types
from mcp.client.streamable_http import streamable_http_client
from pydantic import JsonValue

from midwatch.settings import ServerSpec

_CONNECTION_CLOSED = -32000
_LONGEST_PAUSE = 30.0


class Unanswered(Exception):
    """Raised when a server gives no answer; `down` tells a server that is gone from one that refused."""

    def __init__(self, reason: str, *, down: bool) -> None:
        super().__init__(reason)
        self.down = down


@dataclass
class Link:
    """One server: the task that owns its connection, and what it offers while it is up."""

    name: str
    spec: ServerSpec
    connect_seconds: float
    log_path: Path
    tools: list[types.Tool] = field(default_factory=list)
    trouble: str | None = None
    _client: Client | None = None
    _tried: anyio.Event = field(default_factory=anyio.Event)
    _lost: anyio.Event = field(default_factory=anyio.Event)

    async def own(self) -> None:
        """Connect, stay connected, and connect again with growing pauses, until cancelled."""
        pause = 0.5
        while True:
            try:
                await self._stay_connected()
                pause = 0.5
            except Exception as error:  # whatever a foreign process does must not take the host down
                self.trouble = self.trouble or _reason(error, self.connect_seconds)
            finally:
                self._client = None
                self._tried.set()
            await anyio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def tried(self) -> None:
        """Wait until the first attempt to connect has ended, one way or the other."""
        await self._tried.wait()

    @property
    def up(self) -> bool:
        """Whether the server can be asked right now."""
        return self._client is not None

    async def call(self, tool: str, arguments: Mapping[str, JsonValue], seconds: float) -> types.CallToolResult:
        """Ask one question; raises `Unanswered` when the server is gone, hangs or breaks the protocol."""
        with self._translated(seconds):
            return await self._connected().call_tool(tool, dict(arguments), read_timeout_seconds=seconds)

    async def read(self, uri: str, seconds: float) -> str:
        """Return a text resource; raises `Unanswered`."""
        with self._translated(seconds), anyio.fail_after(seconds):
            result = await self._connected().read_resource(uri)
        return "".join(part.text for part in result.contents if isinstance(part, types.TextResourceContents))

    async def _stay_connected(self) -> None:
        with anyio.fail_after(self.connect_seconds) as limit:
            async with self._connection() as client:
                self.tools = await _all_tools(client)
                limit.deadline = float("inf")  # only connecting is bounded
                self._client, self.trouble, self._lost = client, None, anyio.Event()
                self._tried.set()
                await self._lost.wait()

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Client]:
        if self.spec.url:
            timeout = httpx2.Timeout(self.connect_seconds, read=None)
            async with (
                httpx2.AsyncClient(headers=self.spec.headers, timeout=timeout) as http,
                Client(streamable_http_client(self.spec.url, http_client=http)) as client,
            ):
                yield client
            return
        command = StdioServerParameters(command=self.spec.command or "", args=self.spec.args, env=self.spec.env)
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("a", encoding="utf-8") as log:
            async with Client(stdio_client(command, errlog=log)) as client:
                yield client

    def _connected(self) -> Client:
        if self._client is None:
            raise Unanswered(f"{self.name} is not there: {self.trouble or 'still connecting'}", down=True)
        return self._client

    def _translated(self, seconds: float) -> "_Translation":
        return _Translation(self, seconds)

    def lose(self, reason: str) -> None:
        """Give the connection up; its owner makes a new one."""
        self.trouble, self._client = reason, None
        self._lost.set()


@dataclass
class _Translation:
    """Turns what a broken connection can raise into `Unanswered`, in words."""

    link: Link
    seconds: float

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        name = self.link.name
        if isinstance(error, TimeoutError) or (isinstance(error, MCPError) and "Timed out" in error.message):
            raise Unanswered(f"{name} did not answer within {self.seconds:g} s", down=True) from None
        if isinstance(error, MCPError):
            gone = error.code == _CONNECTION_CLOSED or "Session not found" in error.message
            if gone:
                self.link.lose("the connection closed: the server crashed or was stopped")
            raise Unanswered(f"{name}: {self.link.trouble if gone else error.message}", down=gone) from None
        if isinstance(error, anyio.ClosedResourceError | anyio.BrokenResourceError | RuntimeError):
            self.link.lose(f"the connection broke ({type(error).__name__})")
            raise Unanswered(f"{name}: {self.link.trouble}", down=True) from None


@asynccontextmanager
async def open_links(
    specs: Mapping[str, ServerSpec], connect_seconds: float, log_dir: Path
) -> AsyncGenerator[dict[str, Link]]:
    """Connect to all servers at once and keep them; yields when each was tried, so that a dead one is known."""
    links = {name: Link(name, spec, connect_seconds, log_dir / f"{name}.log") for name, spec in specs.items()}
    async with anyio.create_task_group() as owners:
        for link in links.values():
            owners.start_soon(link.own)
        for link in links.values():
            await link.tried()
        try:
            yield links
        finally:
            owners.cancel_scope.cancel()


async def _all_tools(client: Client) -> list[types.Tool]:
    tools: list[types.Tool] = []
    cursor: str | None = None
    while True:
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        if not (cursor := page.next_cursor):
            return tools


def _reason(error: BaseException, connect_seconds: float) -> str:
    leaves = (
        [_reason(inner, connect_seconds) for inner in error.exceptions] if isinstance(error, BaseExceptionGroup) else []
    )
    if leaves:
        return "; ".join(dict.fromkeys(leaves))
    if isinstance(error, TimeoutError):
        return f"it did not come up within {connect_seconds:g} s"
    if isinstance(error, FileNotFoundError):
        return f"it cannot be started: {error.filename} is not installed"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
