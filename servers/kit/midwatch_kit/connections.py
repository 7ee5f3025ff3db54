"""One connection over HTTP: its heads come within a time and a size, and whoever takes nothing is let go.

uvicorn waits for good, and keeps whatever comes. What a connection stands at is told by the application, which is
called when a head is whole, and by no part of uvicorn's own protocol.
"""

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.server import ServerState

HEAD_SECONDS: Final = 10.0
HEAD_BYTES: Final = 64 * 1024
UNREAD_SECONDS: Final = 10.0
"""How long the rest of a body may come that nobody wanted: who sends it reads its answer only then."""
UNREAD_BYTES: Final = 16 * 2**20
TAKE_SECONDS: Final = 30.0
"""How long a reader may take nothing of what waits for it."""
NAME: Final = "midwatch.connection"
"""By which a request finds its connection, in the ASGI scope's `state`."""


class _At(Enum):
    """What a connection is doing."""

    IDLE = "nothing since the last answer; uvicorn ends that"
    HEAD = "a head is on its way"
    REQUEST = "a request is being answered"
    UNREAD = "the rest of a body comes that nobody wanted"
    AWAY = "there are too many already"


class Connection(asyncio.Protocol):
    """Stands in front of uvicorn's own protocol, which `inner` makes, and may end the connection before it does."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        inner: Callable[..., Any],
        every: set["Connection"],
        most: int,
    ) -> None:
        state = {**app_state, NAME: self}
        self._inner = inner(config=config, server_state=server_state, app_state=state, _loop=_loop)
        self._every, self._most = every, most
        self._transport: asyncio.Transport
        self._at, self._came, self._waits, self._taken = _At.IDLE, 0, 0, False
        self._late: asyncio.Handle | None = None
        self._look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first head."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a socket's is
        self._transport = transport
        if len(self._every) >= self._most:
            self._at = _At.AWAY
            transport.abort()
            return
        self._every.add(self)
        self._inner.connection_made(transport)
        self._expect(_At.HEAD, HEAD_SECONDS)
        self._look_at_reader()

    def data_received(self, data: bytes) -> None:
        """Pass on what came, unless it is more than there may be."""
        if self._at is _At.AWAY:
            return
        if self._at is _At.IDLE:
            self._expect(_At.HEAD, HEAD_SECONDS)
        if self._at is _At.HEAD:
            end = data.find(b"\r\n\r\n")  # what follows is the body
            self._came += len(data) if end < 0 else end
            if self._came > HEAD_BYTES:
                self._refuse("431 Request Header Fields Too Large", f"a head of more than {HEAD_BYTES} bytes")
                return
        elif self._at is _At.UNREAD:
            self._came += len(data)
            if self._came > UNREAD_BYTES:
                self.abort()
                return
        self._inner.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        if self._at is _At.AWAY:
            return
        self._every.discard(self)
        for timer in (self._late, self._look):
            if timer is not None:
                timer.cancel()
        self._inner.connection_lost(exc)

    def eof_received(self) -> bool | None:
        """Pass it on."""
        kept: bool | None = None if self._at is _At.AWAY else self._inner.eof_received()
        return kept

    def pause_writing(self) -> None:
        """Pass it on."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on, and remember that the reader takes something."""
        self._taken = True
        self._inner.resume_writing()

    def asked(self) -> None:
        """Hear that a head is whole: from here on its request is whose it is to be in time."""
        self._expect(_At.REQUEST, None)

    def answered(self, *, whole: bool) -> None:
        """Hear that a request has its answer, and whether its body had come as a whole."""
        if whole:
            self._expect(_At.IDLE, None)
        else:
            self._expect(_At.UNREAD, UNREAD_SECONDS)

    def abort(self) -> None:
        """End the connection at once, whatever waits to be sent."""
        self._transport.abort()

    def _expect(self, at: _At, seconds: float | None) -> None:
        if self._late is not None:
            self._late.cancel()
        self._at, self._came = at, 0
        self._late = asyncio.get_running_loop().call_later(seconds, self._is_late) if seconds else None

    def _is_late(self) -> None:
        """Look once more after what came in the same moment: a loop that was busy hears of both at once."""
        self._late = asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        if self._at is _At.HEAD and self._came:
            self._refuse("408 Request Timeout", f"a head that took more than {HEAD_SECONDS:g} s")
        else:  # it only connected, and asked nothing; or it has its answer
            self._transport.close()

    def _look_at_reader(self) -> None:
        """Let the reader go if as much waits for it as some time ago, and it has taken nothing."""
        waits = self._transport.get_write_buffer_size()
        if waits and waits >= self._waits > 0 and not self._taken:
            self.abort()
            return
        self._waits, self._taken = waits, False
        self._look = asyncio.get_running_loop().call_later(TAKE_SECONDS, self._look_at_reader)

    def _refuse(self, status: str, what: str) -> None:
        self._expect(_At.IDLE, None)
        said = f"{what} is not taken\n"
        lines = ("content-type: text/plain; charset=utf-8", f"content-length: {len(said)}", "connection: close")
        self._transport.write("\r\n".join((f"HTTP/1.1 {status}", *lines, "", said)).encode())
        self._transport.close()
