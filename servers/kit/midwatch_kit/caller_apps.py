"""One server, a copy of it for each caller: with their settings, and so with backends and caches of their own."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Generic

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup, TaskStatus
from mcp.server.auth.middleware.auth_context import get_access_token
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from midwatch_kit.caller_settings import Caller, SettingsT, sent_credentials, settings_for
from midwatch_kit.errors import BadInput, KitError

MOST: Final = 64
"""Copies that are kept; the one that was asked longest ago, and is not being asked now, makes room."""


class NotACaller(KitError):
    """Raised when the file of callers means nobody like this one."""


class NoRoom(KitError):
    """Raised when all copies that there is room for are being asked at this moment."""


class AppOfCaller(Generic[SettingsT]):
    """Hands each request to the copy of a server that its caller's settings make.

    `open_app` makes a copy; it may block. If there are `callers` only they are let in, as the first one that is meant.
    With `by_header` callers may send credentials of their own. Raises `BadInput` when a caller's settings cannot be
    used.
    """

    def __init__(
        self,
        own: SettingsT,
        open_app: Callable[[SettingsT], Starlette],
        callers: Sequence[Caller] = (),
        *,
        by_header: bool = False,
    ) -> None:
        self._own, self._open_app, self._callers, self._by_header = own, open_app, callers, by_header
        self._copies: OrderedDict[str, _Copy] = OrderedDict()
        self._opening = anyio.Lock()
        self._tasks: TaskGroup | None = None
        for caller in callers:
            settings_for(own, caller.name, caller.settings)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let copies run while the block lasts."""
        async with anyio.create_task_group() as self._tasks:
            yield
            for copy in self._copies.values():
                copy.left.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request: 400 to credentials that are none, 403 to a caller whom nobody named, 503 without room."""
        try:
            copy = await self._copy_for(*self._theirs(scope))
        except BadInput as error:
            await _refusal(400, "invalid_request", error)(scope, receive, send)
        except NotACaller as error:
            await _refusal(403, "access_denied", error)(scope, receive, send)
        except NoRoom as error:
            await _refusal(503, "temporarily_unavailable", error)(scope, receive, send)
        else:
            try:
                await copy.app(scope, receive, send)
            finally:
                copy.calls -= 1

    def _theirs(self, scope: Scope) -> tuple[str, Mapping[str, Any]]:
        """Return the caller's name, and the settings that are theirs."""
        bearer = get_access_token()
        name = (bearer.subject or bearer.client_id) if bearer else "without a token"
        sent = sent_credentials(scope["headers"], type(self._own)) if self._by_header else {}
        if not self._callers:
            return name, sent
        meant = next((caller for caller in self._callers if caller.is_meant(bearer)), None)
        if meant is None:
            raise NotACaller(f"no caller like {name!r} is named here: ask whoever runs this server for a place")
        return meant.name, {**meant.settings, **sent}

    async def _copy_for(self, name: str, theirs: Mapping[str, Any]) -> "_Copy":
        """Return the copy that has these settings, with this call counted; it runs."""
        key = hashlib.sha256(json.dumps(theirs, sort_keys=True, default=str).encode()).hexdigest()
        async with self._opening:
            if (copy := self._copies.get(key)) is None:
                self._make_room()
                copy = await self._open(settings_for(self._own, name, theirs))
                self._copies[key] = copy
            self._copies.move_to_end(key)
            copy.calls += 1
            return copy

    async def _open(self, settings: SettingsT) -> "_Copy":
        if self._tasks is None:
            raise RuntimeError("copies are opened while running() lasts")
        copy = _Copy(await anyio.to_thread.run_sync(self._open_app, settings))
        await self._tasks.start(copy.run)
        return copy

    def _make_room(self) -> None:
        if len(self._copies) < MOST:
            return
        idle = next((key for key, copy in self._copies.items() if not copy.calls), None)
        if idle is None:
            raise NoRoom(f"{MOST} callers are being answered at this moment: try again in a few seconds")
        self._copies.pop(idle).left.set()


class _Copy:
    """A server with the settings of one caller; `calls` are under way. It runs until it is `left`."""

    def __init__(self, app: Starlette) -> None:
        self.app, self.calls, self.left = app, 0, anyio.Event()

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        async with self.app.router.lifespan_context(self.app):
            task_status.started()
            await self.left.wait()


def _refusal(status: int, code: str, error: KitError) -> JSONResponse:
    headers = {"Retry-After": "5"} if status == 503 else None
    return JSONResponse({"error": code, "error_description": str(error)}, status, headers)
