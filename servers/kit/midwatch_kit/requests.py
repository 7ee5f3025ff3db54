"""Requests as they are served: each body within a time and a size, and all of them ended in order when it is to end.

Plain ASGI, around an application.
"""

from dataclasses import dataclass, field
from typing import Final

import anyio
import anyio.lowlevel
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from midwatch_kit.connections import NAME, Connection

BODY_SECONDS: Final = 20.0
BODY_BYTES: Final = 4 * 2**20
_TOO_SLOW: Final = (408, f"a body that takes more than {BODY_SECONDS:g} s is not taken\n")
_TOO_LARGE: Final = (413, f"a body of more than {BODY_BYTES} bytes is not taken\n")
_ENDING: Final = (503, "it is being stopped: ask again\n")


@dataclass
class Requests:
    """Tells clients to come back on a new connection once it is to end, and ends streams that would not by themselves.

    A connection that is closed without that word may lose the request that is on its way.
    """

    application: ASGIApp
    _ending: bool = False
    _under_way: set["_Request"] = field(default_factory=set)

    def say_goodbye(self) -> None:
        """Let nobody ask again on the same connection, and end streams."""
        self._ending = True
        for request in self._under_way:
            if request.is_endless:
                request.stop(_ENDING)

    def give_up(self) -> None:
        """End what is still under way."""
        for request in self._under_way:
            request.stop(_ENDING)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        request = _Request(scope, receive, send, self)
        self._under_way.add(request)
        try:
            await request.serve(self.application)
        finally:
            self._under_way.discard(request)
            request.over()

    @property
    def is_ending(self) -> bool:
        """Whether nobody is to come back on the connection they have."""
        return self._ending


class _Request:
    """One request: what has come of it, and what has been answered."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, every: Requests) -> None:
        headers = Headers(scope=scope)
        self.is_whole = "transfer-encoding" not in headers and headers.get("content-length", "0") == "0"
        self.is_endless = False
        self._connection: Connection | None = scope.get("state", {}).pop(NAME, None)
        self._scope, self._receive, self._send, self._every = scope, receive, send, every
        self._running, self._why, self._is_begun, self._is_over = anyio.CancelScope(), _ENDING, False, False
        self._came, self._late_at = 0, anyio.current_time() + BODY_SECONDS
        if self._connection:
            self._connection.asked()

    def stop(self, why: tuple[int, str]) -> None:
        """End it, with this answer unless there is one."""
        self._why = why
        self._running.cancel()

    def over(self) -> None:
        """Tell the connection, once, that it has its answer: the next request may come."""
        if self._connection and not self._is_over:
            self._connection.answered(whole=self.is_whole)
        self._is_over = True

    async def serve(self, application: ASGIApp) -> None:
        """Have the application answer; what is stopped before it did gets an answer too."""
        with self._running:
            await application(self._scope, self._hear, self._say)
        if not self._running.cancelled_caught or self._is_over:
            return
        if self.is_endless:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        elif not self._is_begun:
            await self._refuse(*self._why)
        elif self._connection:  # half an answer is none
            self._connection.abort()
            await anyio.lowlevel.checkpoint()  # so that uvicorn hears of it

    async def _hear(self) -> Message:
        if self.is_whole:
            return await self._receive()
        with anyio.move_on_at(self._late_at):
            message = await self._receive()
            self.is_whole = message["type"] != "http.request" or not message.get("more_body", False)
            self._came += len(message.get("body", b""))
            if self._came <= BODY_BYTES:
                return message
        self.stop(_TOO_LARGE if self._came > BODY_BYTES else _TOO_SLOW)
        await anyio.lowlevel.checkpoint()
        return {"type": "http.disconnect"}

    async def _say(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._is_begun = True
            kind = Headers(raw=message["headers"]).get("content-type", "")
            self.is_endless = self._scope["method"] == "GET" and kind.startswith("text/event-stream")
            if self._every.is_ending:
                MutableHeaders(scope=message)["connection"] = "close"
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.over()
            return
        if self.is_endless and self._every.is_ending:
            self._running.cancel()
        await anyio.lowlevel.checkpoint()  # else nobody hears in the middle of many parts that the reader has gone

    async def _refuse(self, status: int, said: str) -> None:
        headers = {
            "content-type": "text/plain; charset=utf-8",
            "content-length": str(len(said)),
            "connection": "close",
            **({"retry-after": "1"} if status == _ENDING[0] else {}),
        }
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})
        await self._send({"type": "http.response.body", "body": said.encode()})
