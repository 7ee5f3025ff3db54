"""Connections to MCP servers: one owner task for each, which connects, reconnects and never takes the host down.

A server that is missing, dies or hangs costs the calls made to it and nothing else. This module knows nothing of
incidents or evidence; it moves questions and answers.
"""

import logging
import re
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeAlias

import anyio
from mcp import Client, MCPError, StdioServerParameters, stdio_client, types
from mcp.client.session import IncomingMessage, MessageHandlerFnT
from mcp.client.streamable_http import streamable_http_client
from pydantic import JsonValue

from midwatch.mcp_client.failing import is_denial
from midwatch.mcp_client.login import LogIn, NotLoggedIn, authorization
from midwatch.mcp_client.trust import pin_of
from midwatch.mcp_client.wire import DENIED, http_client
from midwatch.settings import ServerSpec
from midwatch_kit.secrets import HIDDEN

_LONGEST_PAUSE = 30.0
_MOST_PAGES = 50
_MOST_LAST_BYTES, _MOST_LAST_CHARS = 4096, 300
_FRESH_SECONDS = 10.0
"""For so long a list of tools is taken for what a server offers, unless it says that it changed."""
_ENDED = re.compile(r"session (not found|terminated)", re.IGNORECASE)
"""How the SDK and servers of the protocol's older era say that a session is over; the code for it is one of many."""

logging.getLogger("mcp").addHandler(logging.NullHandler())  # what the SDK would print as tracebacks is told as gaps


class Unanswered(Exception):
    """Raised when a server gives no answer; `down` tells a server that is gone from one that refused.

    `asked` is False when the question cannot have reached the server: then it did nothing either. `denied` is True when
    the server says that whoever asks may not.
    """

    def __init__(self, reason: str, *, down: bool, asked: bool = True, denied: bool = False) -> None:
        super().__init__(reason)
        self.down = down
        self.asked = asked
        self.denied = denied

    def without(self, secrets: Iterable[str]) -> "Unanswered":
        """Return the same without what must not be told."""
        return Unanswered(without(str(self), secrets), down=self.down, asked=self.asked, denied=self.denied)


def without(text: str, secrets: Iterable[str]) -> str:
    """Return a text with `(hidden)` in place of each of the secrets."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text


@asynccontextmanager
async def connect(
    spec: ServerSpec,
    connect_seconds: float,
    log_path: Path,
    era: str = "auto",
    log_in: LogIn | None = None,
    heard: MessageHandlerFnT | None = None,
) -> AsyncGenerator[Client]:
    """Connect to a server for the length of a block; a server that is started writes its stderr to `log_path`.

    Beside it is the login, of a server that wants one; `log_in` takes a person there. `heard` gets what the server says
    by itself.
    """
    if spec.url:
        login = log_path.with_suffix(".login")
        auth = authorization(spec.url, spec.oauth, login, log_in) if spec.oauth else None
        async with (
            http_client(spec.headers, connect_seconds, auth) as http,
            Client(streamable_http_client(spec.url, http_client=http), mode=era, message_handler=heard) as client,
        ):
            yield client
        return
    command = StdioServerParameters(command=spec.command or "", args=spec.args, env=spec.env)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("a", encoding="utf-8") as log:
        async with Client(stdio_client(command, errlog=log), mode=era, message_handler=heard) as client:
            yield client


Reach: TypeAlias = Callable[[ServerSpec, float, Path], AbstractAsyncContextManager[Client]]
"""Connects to a server as `connect` does: its spec, the seconds it may take, the file for what it says."""


@dataclass
class Link:
    """One server: the task that owns its connection, and what it offers while it is up."""

    name: str
    spec: ServerSpec
    connect_seconds: float
    log_path: Path
    reach: Reach = connect
    tools: list[types.Tool] = field(default_factory=list)
    instructions: str = ""
    trouble: str | None = None
    _first: dict[str, str] = field(default_factory=dict)
    _listed: float = 0.0
    _client: Client | None = None
    _tried: anyio.Event = field(default_factory=anyio.Event)
    _lost: anyio.Event = field(default_factory=anyio.Event)

    async def own(self) -> None:
        """Connect, stay connected, and connect again with growing pauses, until cancelled."""
        pause = 0.5
        while True:
            before = _size(self.log_path)
            try:
                await self._stay_connected()
                pause = 0.5
            except Exception as error:  # whatever a foreign process does must not take the host down
                last = _last_words(self.log_path, before)
                self.trouble = self.trouble or f"{_reason(error, self.connect_seconds)}{last}"
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
        with self._translated(seconds) as client:
            return await client.call_tool(tool, dict(arguments), read_timeout_seconds=seconds)

    async def read(self, uri: str, seconds: float) -> str:
        """Return a text resource; raises `Unanswered`."""
        with self._translated(seconds) as client, anyio.fail_after(seconds):
            result = await client.read_resource(uri)
        return "".join(part.text for part in result.contents if isinstance(part, types.TextResourceContents))

    async def refresh(self, seconds: float) -> None:
        """List the tools anew when the list is old, or the server said that it changed; raises `Unanswered`."""
        if time.monotonic() - self._listed < _FRESH_SECONDS:
            return
        try:
            with self._translated(seconds) as client, anyio.fail_after(seconds):
                self._take_in(await _all_tools(client))
        except Unanswered as error:  # what it was to be asked after that was not
            raise Unanswered(str(error), down=error.down, asked=False, denied=error.denied) from None

    def has_changed(self, tool: types.Tool) -> bool:
        """Whether a tool is not what it was when this host first saw it."""
        return self._first.get(tool.name) not in (None, pin_of(tool))

    async def prompts(self, seconds: float) -> list[types.Prompt]:
        """Return the prompts of the first page that the server lists; raises `Unanswered`."""
        with self._translated(seconds) as client, anyio.fail_after(seconds):
            return (await client.list_prompts()).prompts

    async def prompt(self, name: str, arguments: Mapping[str, str], seconds: float) -> str:
        """Return what a prompt says, filled in; raises `Unanswered`."""
        with self._translated(seconds) as client, anyio.fail_after(seconds):
            result = await client.get_prompt(name, dict(arguments))
        texts = [said.content.text for said in result.messages if isinstance(said.content, types.TextContent)]
        return "\n".join(texts)

    async def resources(self, seconds: float) -> list[types.Resource]:
        """Return the resources that the server lists, as many as its first pages hold; raises `Unanswered`."""
        listed: list[types.Resource] = []
        cursor: str | None = None
        with self._translated(seconds) as client, anyio.fail_after(seconds):
            for _ in range(_MOST_PAGES):
                page = await client.list_resources(cursor=cursor)
                listed += page.resources
                if not (cursor := page.next_cursor):
                    break
        return listed

    async def _stay_connected(self) -> None:
        with anyio.fail_after(self.connect_seconds) as limit:
            reach = partial(connect, heard=self._heard) if self.reach is connect else self.reach
            async with reach(self.spec, self.connect_seconds, self.log_path) as client:
                self._take_in(await _all_tools(client))
                self.instructions = client.instructions or ""
                limit.deadline = float("inf")  # only connecting is bounded
                self._client, self.trouble, self._lost = client, None, anyio.Event()
                self._tried.set()
                await self._lost.wait()

    def _take_in(self, tools: list[types.Tool]) -> None:
        self.tools, self._listed = tools, time.monotonic()
        for tool in tools:
            self._first.setdefault(tool.name, pin_of(tool))

    async def _heard(self, message: IncomingMessage) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self._listed = 0.0

    @contextmanager
    def _translated(self, seconds: float) -> Iterator[Client]:
        """Yield the connection, and turn what a broken one can raise into `Unanswered`, in words."""
        if (client := self._client) is None:
            why = self.trouble or "still connecting"
            raise Unanswered(f"{self.name} is not there: {why}", down=True, asked=False)
        try:
            yield client
        except TimeoutError:
            raise self._late(seconds) from None
        except MCPError as error:
            raise self._refusal(error, client, seconds) from None
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            raise self._lost_with(client) from None
        except (RuntimeError, ValueError) as error:  # what the SDK raises when an answer has not the shape it must have
            why = str(error).partition("\n")[0][:200]
            raise Unanswered(f"{self.name} gave an answer that breaks the protocol: {why}", down=False) from None

    def _late(self, seconds: float) -> Unanswered:
        return Unanswered(f"{self.name} did not answer within {seconds:g} s", down=True)

    def _refusal(self, error: MCPError, client: Client, seconds: float) -> Unanswered:
        if error.code == types.REQUEST_TIMEOUT:
            return self._late(seconds)
        if error.code == types.CONNECTION_CLOSED or _ENDED.search(error.message):
            return self._lost_with(client)
        return Unanswered(
            f"{self.name}: {error.message}", down=False, denied=error.code == DENIED or is_denial(error.message)
        )

    def _lost_with(self, client: Client) -> Unanswered:
        """Give a connection up, once; the owner makes a new one."""
        reason = "the connection closed: the server crashed or was stopped"
        if self._client is client:
            self.trouble, self._client = reason, None
            self._lost.set()
        return Unanswered(f"{self.name}: {reason}", down=True)


@asynccontextmanager
async def open_links(
    specs: Mapping[str, ServerSpec],
    connect_seconds: float,
    log_dir: Path,
    reach: Reach = connect,
    *,
    wait: bool = True,
) -> AsyncGenerator[dict[str, Link]]:
    """Connect to all servers at once and keep them; yields when each was tried, so that a dead one is known.

    Without `wait` it yields at once, and a server that was not tried yet is as one that is not connected.
    """
    links = {name: Link(name, spec, connect_seconds, log_dir / f"{name}.log", reach) for name, spec in specs.items()}
    async with anyio.create_task_group() as owners:
        for link in links.values():
            owners.start_soon(link.own)
        for link in links.values() if wait else ():
            await link.tried()
        try:
            yield links
        finally:
            owners.cancel_scope.cancel()


async def _all_tools(client: Client) -> list[types.Tool]:
    tools: list[types.Tool] = []
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        try:
            page = await client.list_tools(cursor=cursor)
        except MCPError as error:
            if error.code == types.METHOD_NOT_FOUND:  # it has resources alone
                return tools
            raise
        tools += page.tools
        if not (cursor := page.next_cursor):
            return tools
    raise Unanswered(f"it lists tools without end: more than {_MOST_PAGES} pages of them", down=False)


def _size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def _last_words(log: Path, before: int) -> str:
    """Return the last line that a server wrote since its log had a size; that is where most say why they ended."""
    if (size := _size(log)) <= before:
        return ""
    with log.open("rb") as file:
        file.seek(max(before, size - _MOST_LAST_BYTES))
        said = file.read(_MOST_LAST_BYTES).decode(errors="replace").strip().splitlines()
    return f"; its last words: {said[-1].strip()[:_MOST_LAST_CHARS]}" if said else ""


def _reason(error: BaseException, connect_seconds: float) -> str:
    leaves = (
        [_reason(inner, connect_seconds) for inner in error.exceptions] if isinstance(error, BaseExceptionGroup) else []
    )
    if leaves:
        return "; ".join(dict.fromkeys(leaves))
    if isinstance(error, Unanswered | NotLoggedIn):
        return str(error)
    if isinstance(error, TimeoutError):
        return f"it did not come up within {connect_seconds:g} s"
    if isinstance(error, MCPError):
        return _said_by_the_protocol(error)
    if isinstance(error, FileNotFoundError):
        return f"it cannot be started: {error.filename} is not installed"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _said_by_the_protocol(error: MCPError) -> str:
    if error.code == types.CONNECTION_CLOSED:
        return "it ended while it was starting"
    if error.code == DENIED:
        return f"{error.message}: are its credentials still good? See headers, env or oauth in the servers file"
    return f"{type(error).__name__}: {error}"
