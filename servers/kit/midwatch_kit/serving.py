"""Serving over HTTP so that it can stop without a loss: no new connections, what is under way finished, then the end.

Where another process holds the socket too, as systemd does, what comes while one goes and the next starts waits there.
"""

import asyncio
import functools
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, Literal, cast

import anyio
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.http.h11_impl import H11Protocol

from midwatch_kit.connections import Connection
from midwatch_kit.requests import Requests

if sys.platform != "win32":
    import resource

WAITING: Final = 4096
"""Connections that may wait to be taken; the system's own limit may be lower."""
_AT_ONCE: Final = 16
"""Connections that asyncio takes before it looks at any of them: uvicorn's backlog is both numbers."""
_MOST_ANYWHERE: Final = 10_000
_LAST_CALLS_SECONDS: Final = 1.0
_LAST_WORDS_SECONDS: Final = 1.0
_LOOK_EVERY: Final = 0.02
_PARSERS: Final[dict[str, type[asyncio.Protocol]]] = {"auto": AutoHTTPProtocol, "h11": H11Protocol}


class Serving:
    """An application that is being served; `url` is where, without a path."""

    def __init__(
        self,
        application: ASGIApp,
        listening: socket.socket,
        grace_seconds: float,
        *,
        parser: Literal["auto", "h11"] = "auto",
        lifespan: Literal["on", "off"] = "off",
        log_level: str = "warning",
    ) -> None:
        self.url = _url(listening)
        self._listening = listening
        self._requests = Requests(application)
        self._connections: set[Connection] = set()
        self._grace_seconds = grace_seconds
        made = functools.partial(Connection, inner=_PARSERS[parser], every=self._connections, most=_most())
        config = uvicorn.Config(
            self._requests,
            http=cast("type[asyncio.Protocol]", made),
            ws="none",
            log_level=log_level,
            log_config=None,
            lifespan=lifespan,
            server_header=False,
            backlog=_AT_ONCE,
            timeout_graceful_shutdown=max(1, round(grace_seconds)),
        )
        self._server = Quiet(config)
        self._over = anyio.Event()

    async def run(self) -> None:
        """Serve until told to stop, and take the socket out of the event loop also when cancelled.

        uvicorn leaves that to its own end. A socket that is closed while the loop still waits for it makes the loop
        deaf for the next one of its number.
        """
        try:
            await self._server.serve([self._listening])
        finally:
            self._let_go()
            self._over.set()

    def stop(self) -> None:
        """Stop as soon as what is under way has an answer."""
        self._server.should_exit = True

    async def drain(self) -> None:
        """Take no more connections, let those that are there ask once more, and return when all have their answer.

        What has none within the grace is told to ask again; who takes no answer is let go.
        """
        last_words = min(_LAST_WORDS_SECONDS, self._grace_seconds / 4)
        with anyio.move_on_after(self._grace_seconds - last_words):
            await self._last_calls()
            self.stop()
            await self._over.wait()
            return
        self._requests.give_up()
        with anyio.move_on_after(last_words / 2):
            await self._over.wait()
            return
        for connection in [*self._connections]:
            connection.abort()
        self.stop()
        await self._over.wait()

    async def _last_calls(self) -> None:
        self._requests.say_goodbye()
        if self._listening.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._listening)
        await anyio.sleep(_LOOK_EVERY)  # who was let in a moment ago is no connection yet: asyncio would drop them
        self._let_go()
        with anyio.move_on_after(_LAST_CALLS_SECONDS):
            while self._connections:  # noqa: ASYNC110 - bounded, and who leaves tells nobody
                await anyio.sleep(_LOOK_EVERY)

    def _let_go(self) -> None:
        for each in getattr(self._server, "servers", ()):  # there are none before it has started
            each.close()


@asynccontextmanager
async def serving(
    application: ASGIApp,
    listening: socket.socket,
    grace_seconds: float,
    *,
    parser: Literal["auto", "h11"] = "auto",
    lifespan: Literal["on", "off"] = "off",
    log_level: str = "warning",
) -> AsyncGenerator[Serving]:
    """Serve an application on a bound socket while the block runs.

    `parser` is uvicorn's: h11 takes the blanks around a header's value away. `log_level` is of uvicorn's own loggers.
    """
    running = Serving(application, listening, grace_seconds, parser=parser, lifespan=lifespan, log_level=log_level)
    async with anyio.create_task_group() as group:
        group.start_soon(running.run)
        try:
            yield running
        finally:
            running.stop()


async def serve_until_signalled(
    application: ASGIApp, listening: socket.socket, grace_seconds: float, *, log_level: str = "warning"
) -> None:
    """Serve an application with a lifespan until a signal asks for the end, and then drain.

    A second signal ends the process at once.
    """
    with _signalled() as asked:
        async with serving(
            application, listening, grace_seconds, parser="h11", lifespan="on", log_level=log_level
        ) as running:
            await asked.wait()
            await running.drain()


class Quiet(uvicorn.Server):
    """Leaves signals alone: they belong to the command that serves. Lets many wait, and takes a few at a time."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve."""
        await super().startup(sockets)
        for each in sockets or ():
            each.listen(WAITING)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


@contextmanager
def _signalled() -> Iterator[anyio.Event]:
    """Give an event that the first signal sets; also where an event loop knows of no signals, as on Windows."""
    asked, loop = anyio.Event(), asyncio.get_running_loop()

    def ask(*_: object) -> None:
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        loop.call_soon_threadsafe(asked.set)

    before = {each: signal.signal(each, ask) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _most() -> int:
    """Return how many connections there may be: half of the files that may be open, the rest is for what is served."""
    if sys.platform == "win32":
        return _MOST_ANYWHERE
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_ANYWHERE if files == resource.RLIM_INFINITY else min(max(files // 2, 1), _MOST_ANYWHERE)


def _url(listening: socket.socket) -> str:
    if listening.family == socket.AF_UNIX:
        return f"unix:{listening.getsockname()}"
    address, port = listening.getsockname()[:2]
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
