"""Serving over HTTP so that it can stop without a loss: no new connections, what is under way finished, then the end.

Where systemd holds the socket, what comes while one process goes and the next starts waits in the socket.
"""

import asyncio
import ipaddress
import os
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio
import uvicorn
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from midwatch.errors import BadSettings
from midwatch.heads import BoundedHeads

_FIRST_HANDED = 3
"""The number of the first socket that systemd hands over: sd_listen_fds(3)."""
_WAITING = 4096
"""Connections that may wait to be taken; the system's own limit may be lower."""
_LAST_CALLS_SECONDS = 1.0
_LOOK_EVERY = 0.02


def listen(address: str, port: int) -> socket.socket:
    """Return a bound socket; raises `BadSettings` when the port is taken."""
    listening = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each answer after the first is 40 ms late
    try:
        listening.bind((address, port))
    except (OSError, OverflowError) as error:
        listening.close()
        why = error.strerror if isinstance(error, OSError) else error
        raise BadSettings(f"cannot listen on {address}:{port}: {why}; choose another port") from None
    listening.listen(_WAITING)
    return listening


def handed_over() -> socket.socket | None:
    """Return the socket that systemd listens on for this process, None without one; raises `BadSettings` for several.

    It goes before address and port. What says so is taken out of the environment, since it is for one process alone.
    """
    count, process = os.environ.pop("LISTEN_FDS", "0"), os.environ.pop("LISTEN_PID", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if count == "0" or process != str(os.getpid()):
        return None
    if count != "1":
        raise BadSettings(f"systemd hands over {count} sockets: one ListenStream= is what midwatch takes")
    try:
        handed = socket.socket(fileno=_FIRST_HANDED)
        handed.set_inheritable(False)
        if not handed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise OSError(0, "nobody listens on it")
    except OSError as error:
        raise BadSettings(f"the socket that systemd hands over cannot be used: {error.strerror}") from None
    if handed.family != socket.AF_UNIX:
        handed.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return handed


class Serving:
    """An application that is being served; `url` is where, without a path."""

    def __init__(self, application: ASGIApp, listening: socket.socket, grace_seconds: float) -> None:
        self.url = _url(listening)
        self._listening = listening
        self._app = _Polite(application)
        config = uvicorn.Config(
            self._app,
            http=BoundedHeads,
            log_level="warning",
            lifespan="off",
            server_header=False,
            backlog=_WAITING,
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
        """Take no more connections, let those that are there ask once more, and return when all have their answer."""
        self._app.say_goodbye()
        if self._listening.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._listening)
        await anyio.sleep(_LOOK_EVERY)  # who was let in a moment ago is no connection yet: asyncio would drop them
        self._let_go()
        with anyio.move_on_after(_LAST_CALLS_SECONDS):
            while self._server.server_state.connections:  # noqa: ASYNC110 - uvicorn tells nobody when they are gone
                await anyio.sleep(_LOOK_EVERY)
        self.stop()
        await self._over.wait()

    def _let_go(self) -> None:
        for each in getattr(self._server, "servers", ()):  # there are none before it has started
            each.close()


@asynccontextmanager
async def serving(application: ASGIApp, listening: socket.socket, grace_seconds: float) -> AsyncGenerator[Serving]:
    """Serve an application on a bound socket while the block runs."""
    running = Serving(application, listening, grace_seconds)
    async with anyio.create_task_group() as group:
        group.start_soon(running.run)
        try:
            yield running
        finally:
            running.stop()


class Quiet(uvicorn.Server):
    """Leaves signals alone: they belong to the command that runs the host."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Polite:
    """Tells clients to come back on a new connection once it is to end, and ends streams that would not by themselves.

    A connection that is closed without that word may lose the request that is on its way.
    """

    def __init__(self, application: ASGIApp) -> None:
        self._application = application
        self._ending = False
        self._streams: set[anyio.CancelScope] = set()

    def say_goodbye(self) -> None:
        self._ending = True
        for stream in self._streams:
            stream.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        stream = anyio.CancelScope()

        async def say(message: Message) -> None:
            if message["type"] == "http.response.start":
                if Headers(raw=message["headers"]).get("content-type", "").startswith("text/event-stream"):
                    self._streams.add(stream)
                if self._ending:
                    MutableHeaders(scope=message)["connection"] = "close"
            await send(message)

        try:
            with stream:
                await self._application(scope, receive, say)
            if stream.cancelled_caught:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._streams.discard(stream)


def is_loopback(listening: socket.socket) -> bool:
    """Whether a socket can be reached from this machine alone."""
    return listening.family == socket.AF_UNIX or ipaddress.ip_address(listening.getsockname()[0]).is_loopback


def _url(listening: socket.socket) -> str:
    if listening.family == socket.AF_UNIX:
        return f"unix:{listening.getsockname()}"
    address, port = listening.getsockname()[:2]
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
