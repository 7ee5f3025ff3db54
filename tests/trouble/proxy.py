"""An MCP proxy over streamable HTTP: a real server behind it, and a trouble of one's choice in front.

It speaks HTTP and JSON-RPC by hand, so that it can break every rule that a server should keep. A question that was
asked before, by anybody, is answered from memory with what the real server said; what a trouble does to an answer is
done each time.
"""

import json
import socket
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import anyio
import httpx2
import uvicorn
from anyio.abc import TaskStatus
from pydantic import JsonValue
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.web import PromptServer

PATH = "/mcp"
_OF_THE_CONNECTION = {"host", "content-length", "accept-encoding", "connection"}

Message: TypeAlias = dict[str, JsonValue]


@dataclass(frozen=True)
class Question:
    """One JSON-RPC request, and how many of its method came before it."""

    message: Message
    number: int
    headers: Mapping[str, str]

    @property
    def method(self) -> str:
        """What is asked for, as MCP names it: `tools/call`, `resources/read`."""
        return str(self.message.get("method"))

    @property
    def uri(self) -> str:
        """The resource that is asked for, '' when none is."""
        params = self.message.get("params")
        return str(params.get("uri", "")) if isinstance(params, dict) else ""

    def reading(self, uri: str) -> "Question":
        """Return the question for a resource, asked by the same client."""
        params = self.message.get("params")
        meta = params.get("_meta", {}) if isinstance(params, dict) else {}
        message: Message = {**self.message, "method": "resources/read", "params": {"uri": uri, "_meta": meta}}
        return Question(message, 0, {**self.headers, "mcp-method": "resources/read", "mcp-name": uri})

    def answered(self, **result: JsonValue) -> Message:
        """Return an answer to this question with a result of one's own."""
        complete: Message = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
        return {"jsonrpc": "2.0", "id": self.message["id"], "result": {**complete, **result}}

    def refused(self, code: int, text: str) -> Message:
        """Return a JSON-RPC error as the answer."""
        return {"jsonrpc": "2.0", "id": self.message["id"], "error": {"code": code, "message": text}}


@dataclass
class Memory:
    """What the real servers answered so far, for all proxies of a session; `upstream` names their addresses."""

    upstream: Mapping[str, str]
    known: dict[tuple[str, str, str], Message] = field(default_factory=dict)

    async def answer(self, server: str, question: Question, http: httpx2.AsyncClient) -> Message:
        """Return the real server's answer to a question."""
        params = question.message.get("params")
        asked = {name: value for name, value in params.items() if name != "_meta"} if isinstance(params, dict) else {}
        era = question.headers.get("mcp-protocol-version", "")
        key = (server, era, json.dumps([question.method, asked], sort_keys=True))
        if key not in self.known:
            said = await http.post(self.upstream[server], json=question.message, headers=question.headers, timeout=60)
            self.known[key] = said.json()
        return {**self.known[key], "id": question.message["id"]}


@dataclass
class Proxy:
    """One server's proxy; it listens while `listening` lasts.

    `kept` are documents of its own, by their hash; setting `crashed` makes a proxy that is `restarting` do so.
    """

    server: str
    memory: Memory
    respond: "Respond"
    kept: dict[str, str] = field(default_factory=dict)
    crashed: anyio.Event = field(default_factory=anyio.Event)
    _counts: Counter[str] = field(default_factory=Counter)
    _http: httpx2.AsyncClient = field(default_factory=httpx2.AsyncClient)

    async def ask(self, question: Question) -> Message:
        """Return the real server's answer."""
        return await self.memory.answer(self.server, question, self._http)

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[str]:
        """Listen while the block runs; yields the URL."""
        async with self._http, listening(self._app()) as url:
            yield url

    @asynccontextmanager
    async def restarting(self, pause: float = 0.2) -> AsyncGenerator[str]:
        """Listen until it has crashed and, after a pause in seconds, again on the same port; yields the URL."""
        over = anyio.Event()
        async with self._http, anyio.create_task_group() as group:
            yield await group.start(self._listen_twice, pause, over)
            over.set()
            self.crashed.set()

    async def _listen_twice(self, pause: float, over: anyio.Event, *, task_status: TaskStatus[str]) -> None:
        async with listening(self._app()) as url:
            task_status.started(url)
            await self.crashed.wait()
        if not over.is_set():
            await anyio.sleep(pause)
            async with listening(self._app(), int(url.removesuffix(PATH).rpartition(":")[2])):
                await over.wait()

    def _app(self) -> Starlette:
        return Starlette(routes=[Route(PATH, self._receive, methods=["POST", "GET", "DELETE"])])

    async def _receive(self, request: Request) -> Response:
        if request.method != "POST":
            return Response(status_code=405 if request.method == "GET" else 200)
        message = await request.json()
        if "id" not in message:
            return Response(status_code=202)
        headers = {name: text for name, text in request.headers.items() if name not in _OF_THE_CONNECTION}
        question = Question(message, self._counts[message["method"]], headers)
        self._counts[question.method] += 1
        return await self.respond(self, question)


Respond: TypeAlias = Callable[[Proxy, Question], Awaitable[Response]]


async def faithfully(proxy: Proxy, question: Question) -> Response:
    """Pass on what the real server says, as it says it."""
    return JSONResponse(await proxy.ask(question))


@asynccontextmanager
async def listening(app: Starlette, port: int = 0, *, gently: bool = False) -> AsyncGenerator[str]:
    """Serve an application on the loopback while the block runs, then drop whoever is still connected.

    With `gently`, the application's own beginning and end are run, and its last answers are waited for.
    """
    lifespan: Literal["on", "off"] = "on" if gently else "off"
    config = uvicorn.Config(app, log_config=None, log_level="critical", timeout_keep_alive=60, lifespan=lifespan)
    server = uvicorn.Server(config) if gently else PromptServer(config)
    with socket.socket(proto=socket.IPPROTO_TCP) as bound:  # asyncio sends without delay when it is told that it's TCP
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", port))
        bound.listen()
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [bound])
            try:
                yield f"http://127.0.0.1:{bound.getsockname()[1]}{PATH}"
            finally:
                if isinstance(server, PromptServer):
                    for connection in list(server.server_state.connections):
                        connection.transport.abort()
                    server.end()
                else:
                    server.should_exit = True
