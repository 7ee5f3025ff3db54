"""An MCP server that keeps the evidence contract: roles, annotations, budgets, error discipline, both transports.

A server's module writes plain async functions that return an `Answer`; everything else that the contract asks for
is done here, once. This is deliberately no framework for backends: a backend is whatever the functions call.
"""

import functools
import inspect
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

import anyio
from mcp import types
from mcp.server import CacheHint, MCPServer
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver import ResourceSecurity
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import JSONResponse

from midwatch_kit.abandoned import giving_up
from midwatch_kit.errors import BadInput, KitError, NotFound
from midwatch_kit.evidence import EvidenceStore
from midwatch_kit.records import Signal
from midwatch_kit.reply import Answer, Asker, Reply, reply_to
from midwatch_kit.settings import ServerSettings
from midwatch_kit.short import Checked, Known, Rows, Simple, Told, as_line, checking, discovering, drilling, surveying
from midwatch_kit.strict import StrictTool, failure

log = logging.getLogger("midwatch")
who = logging.getLogger("midwatch.callers")

BodyT = TypeVar("BodyT", bound=Callable[..., Any])
Body: TypeAlias = Callable[..., Answer | Awaitable[Answer]]


class Role(StrEnum):
    """What a tool is for; declared in its `_meta`, so that a host can use a server it has never met."""

    DISCOVER = "discover"
    SURVEY = "survey"
    DRILL_DOWN = "drill_down"
    CHECK = "check"
    ACT = "act"


class EvidenceServer:
    """Collects a server's tools and makes the MCP server of them.

    `instructions` are what a client's model reads first. `lifespan`, if given, is entered while the server runs.
    `evidence` keeps what the tools' replies rest on.
    """

    def __init__(
        self,
        name: str,
        signal: Signal,
        settings: ServerSettings,
        *,
        version: str,
        instructions: str,
        title: str = "",
        lifespan: Callable[[MCPServer[Any]], AbstractAsyncContextManager[Any]] | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self._signal = signal
        self.evidence = EvidenceStore(settings.evidence_dir, settings.evidence_max_bytes)
        self._tools: list[StrictTool] = []
        self._make = functools.partial(
            MCPServer,
            name,
            title=title or name.capitalize(),
            version=version,
            instructions=instructions,
            lifespan=lifespan,
        )

    def tool(
        self, role: Role, title: str, *, key: str | None = None, deadline_seconds: float | None = None
    ) -> Callable[[BodyT], BodyT]:
        """Return a decorator that offers a function as a tool.

        The function's name is the tool's name and its docstring the description; a function that isn't async runs
        in a thread. `key` names the argument by which a drill-down fetches one thing (`trace_id`, `change_id`). A
        tool whose role is `act` is declared as writing. `deadline_seconds` is for a tool that may take longer than
        the settings allow.
        """
        limit = self.settings.deadline_seconds if deadline_seconds is None else deadline_seconds

        def offer(body: BodyT) -> BodyT:
            self._tools.append(self._as_tool(self._guarded(body, limit), role, title, key))
            return body

        return offer

    def discover(self, title: str) -> Callable[[Simple[Known]], Simple[Known]]:
        """Return a decorator that makes a discover tool of a function that tells entities and relations.

        The function may take `window`.
        """
        return lambda body: self._offer(body, discovering(body, self.name), Role.DISCOVER, title)

    def survey(self, title: str) -> Callable[[Simple[Told]], Simple[Told]]:
        """Return a decorator that makes a survey of a function that tells findings, each after the row it rests on.

        The function may take `window`, `baseline` and `entities`; what it tells of others is left out.
        """
        return lambda body: self._offer(body, surveying(body), Role.SURVEY, title)

    def drill_down(
        self, title: str, *, key: str | None = None, line: Callable[[JsonValue], str] = as_line
    ) -> Callable[[Simple[Rows]], Simple[Rows]]:
        """Return a decorator that makes a drill-down of a function that gives all rows that match, in reading order.

        The function may take `window`, and arguments of its own. `line` says how a row reads; `key` is as in `tool`.
        """

        def offer(body: Simple[Rows]) -> Simple[Rows]:
            return self._offer(body, drilling(body, self.name, self.evidence, line), Role.DRILL_DOWN, title, key)

        return offer

    def check(self, title: str) -> Callable[[Simple[Checked]], Simple[Checked]]:
        """Return a decorator that makes a check tool of a function that tells one check, or several."""
        return lambda body: self._offer(body, checking(body), Role.CHECK, title)

    def build(self) -> MCPServer[Any]:
        """Return the MCP server with every tool offered so far, the evidence resources and a health route."""
        server: MCPServer[Any] = self._make(
            tools=[*self._tools],
            log_level=self.settings.log_level,
            cache_hints={"tools/list": CacheHint(ttl_ms=300_000, scope="private" if self._differs else "public")},
        )
        self._offer_evidence(server)

        async def healthz(_: Request) -> JSONResponse:
            return JSONResponse({"ok": True, "server": self.name})

        server.custom_route("/healthz", methods=["GET"])(healthz)
        return server

    @property
    def _differs(self) -> bool:
        """Whether another caller may be offered other tools."""
        return self.settings.callers_file is not None

    def _offer(self, body: BodyT, answering: Body, role: Role, title: str, key: str | None = None) -> BodyT:
        self.tool(role, title, key=key)(answering)
        return body

    def _as_tool(self, body: Callable[..., Any], role: Role, title: str, key: str | None) -> StrictTool:
        writes = role is Role.ACT
        meta = {"midwatch/role": role.value, "midwatch/signal": self._signal.value}
        return StrictTool.of(
            body,
            reply=Reply,
            title=title,
            annotations=_hints(writes),
            meta={**meta, "midwatch/key": key} if key else meta,
        )

    def _guarded(self, body: Body, limit: float) -> Callable[..., Awaitable[types.CallToolResult]]:
        asker = Asker(self.name, body.__name__, self._signal)
        answered = body if inspect.iscoroutinefunction(body) else _in_thread(body)

        @functools.wraps(body)
        async def guarded(**arguments: Any) -> types.CallToolResult:
            if caller := get_access_token():
                who.info("%s called by client %r, subject %r", asker.tool, caller.client_id, caller.subject)
            try:
                with anyio.move_on_after(limit):
                    answer = await answered(**arguments)
                    return await anyio.to_thread.run_sync(
                        reply_to, answer, asker, self.evidence, self.settings.reply_chars
                    )
                return failure("timed_out", f"no answer within {limit:g} s: narrow the window or add a filter")
            except KitError as error:
                return failure(error.code, str(error))
            except Exception as error:  # the last line of defence: a client must get words, not a dead call
                log.exception("%s failed", asker.tool)
                return failure(
                    "internal", f"{asker.tool} failed on its side ({type(error).__name__}); its log has more"
                )

        result = types.CallToolResult
        guarded.__signature__ = inspect.signature(body).replace(return_annotation=result)  # type: ignore[attr-defined]
        guarded.__annotations__ = {**inspect.get_annotations(body), "return": result}
        return guarded

    def _offer_evidence(self, server: MCPServer[Any]) -> None:
        @server.resource("midwatch://evidence/{id}/page/{number}", mime_type="text/plain")
        async def evidence_page(id: str, number: str) -> str:
            """One page of the stored bytes behind a reply; join the pages for the document."""
            return await _readable(lambda: self.evidence.page(id, int(number) if number.isdecimal() else -1))

        any_text = ResourceSecurity(exempt_params={"text"})  # looked for in rows, never used as a path

        @server.resource("midwatch://evidence/{id}/grep/{text}", mime_type="text/plain", security=any_text)
        async def evidence_grep(id: str, text: str) -> str:
            """The stored rows that contain a text, in any case, one JSON row a line."""
            return await _readable(lambda: "\n".join(self.evidence.grep(id, text)))


def _in_thread(body: Callable[..., Any]) -> Callable[..., Awaitable[Answer]]:
    """Run a body that blocks in a thread; when nobody waits any more it is told, and left behind to end by its own."""

    @functools.wraps(body)
    async def threaded(**arguments: Any) -> Answer:
        with giving_up():
            answer: Answer = await anyio.to_thread.run_sync(
                functools.partial(body, **arguments), abandon_on_cancel=True
            )
            return answer

    return threaded


def _hints(writes: bool) -> types.ToolAnnotations:
    """What a tool may do: of one that only reads the protocol gives no other hint a meaning, so none is paid for."""
    if writes:
        return types.ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True)
    return types.ToolAnnotations(read_only_hint=True)


async def _readable(read: Callable[[], str]) -> str:
    try:
        return await anyio.to_thread.run_sync(read)
    except (BadInput, NotFound) as error:
        raise ResourceNotFoundError(str(error)) from None
    except KitError as error:
        raise ResourceError(str(error)) from None
