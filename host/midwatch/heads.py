"""The head of each request comes within a time and a size: uvicorn waits for good, and keeps whatever comes.

Without that, whoever opens connections and says nothing more holds them for as long as it likes.
"""

import asyncio
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.server import ServerState

HEAD_SECONDS: Final = 10.0
MOST_BYTES: Final = 64 * 1024


class BoundedHeads(asyncio.Protocol):
    """One connection, in front of uvicorn's own protocol for it."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        http: Any = AutoHTTPProtocol
        self._inner = http(config=config, server_state=server_state, app_state=app_state, _loop=_loop)
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None
        self._came = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first head."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a socket's is
        self._transport = transport
        self._inner.connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Pass on what came, and look whether a head is whole by now."""
        before = self._inner.cycle
        if self._timer is None and (before is None or before.response_complete):
            self._wait()
        if self._timer is not None and self._is_too_large(data):
            self._refuse("431 Request Header Fields Too Large", f"a head of more than {MOST_BYTES} bytes")
            return
        self._inner.data_received(data)
        if self._inner.cycle is not before or self._transport.is_closing():
            self._done()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._done()
        self._inner.connection_lost(exc)

    def eof_received(self) -> bool | None:
        """Pass it on."""
        kept: bool | None = self._inner.eof_received()
        return kept

    def pause_writing(self) -> None:
        """Pass it on."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._inner.resume_writing()

    def _is_too_large(self, data: bytes) -> bool:
        """Count what came of a head, and say whether that is more than it may be; the body begins at an empty line."""
        end = data.find(b"\r\n\r\n")
        self._came += len(data) if end < 0 else end
        return self._came > MOST_BYTES

    def _wait(self) -> None:
        self._came = 0
        self._timer = asyncio.get_running_loop().call_later(HEAD_SECONDS, self._late)

    def _done(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        if self._came:
            self._refuse("408 Request Timeout", f"a head that took more than {HEAD_SECONDS:g} s")
        else:  # it only connected, and asked nothing
            self._done()
            self._transport.close()

    def _refuse(self, status: str, what: str) -> None:
        self._done()
        said = f"{what} is not taken\n"
        lines = ("content-type: text/plain; charset=utf-8", f"content-length: {len(said)}", "connection: close")
        self._transport.write("\r\n".join((f"HTTP/1.1 {status}", *lines, "", said)).encode())
        self._transport.close()
