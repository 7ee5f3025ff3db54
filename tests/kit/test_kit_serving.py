"""Serving over HTTP, with each of uvicorn's parsers: what comes too slowly or too large, who takes nothing, the end."""

import contextlib
import resource
import socket
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Literal

import anyio
import pytest
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from midwatch_kit import connections, requests
from midwatch_kit.serving import Serving, serving

ASK = b"GET /now HTTP/1.1\r\nHost: x\r\n\r\n"
BEGIN = b"POST /read HTTP/1.1\r\nHost: x\r\n"
Start = Callable[..., AbstractAsyncContextManager[Serving]]


class Stage:
    """An application whose requests say how far they are."""

    def __init__(self) -> None:
        self.begun, self.gone, self.afterwards = anyio.Event(), anyio.Event(), anyio.Event()
        paths = [self.now, self.read, self.refuse, self.forever, self.follow, self.tell, self.later]
        self.app = Starlette(routes=[Route(f"/{at.__name__}", at, methods=["GET", "POST"]) for at in paths])
        self.app.mount("/flood", self.flood)

    async def now(self, _: Request) -> Response:
        return PlainTextResponse("now")

    async def read(self, request: Request) -> Response:
        self.begun.set()
        return PlainTextResponse(str(len(await request.body())))

    async def refuse(self, _: Request) -> Response:
        return PlainTextResponse("not you", 401)

    async def forever(self, _: Request) -> Response:
        self.begun.set()
        await anyio.sleep_forever()
        raise AssertionError

    async def follow(self, _: Request) -> Response:
        return StreamingResponse(self._events(anyio.sleep_forever), media_type="text/event-stream")

    async def tell(self, _: Request) -> Response:
        """Answer a POST as a stream that ends by itself, as MCP does."""
        return StreamingResponse(self._events(lambda: anyio.sleep(0.3)), media_type="text/event-stream")

    async def flood(self, _: Scope, receive: Receive, send: Send) -> None:
        """Send more and more until the reader has gone."""

        async def pour() -> None:
            while True:
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})

        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        async with anyio.create_task_group() as group:
            group.start_soon(pour)
            while (await receive())["type"] != "http.disconnect":
                pass
            self.gone.set()
            group.cancel_scope.cancel()

    async def later(self, _: Request) -> Response:
        return PlainTextResponse("first", background=BackgroundTask(self.afterwards.wait))

    async def _events(self, wait: Callable[[], Any]) -> AsyncGenerator[str]:
        yield "data: 1\n\n"
        self.begun.set()
        await wait()
        yield "data: 2\n\n"


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture(params=["auto", "h11"])
def start(request: pytest.FixtureRequest, stage: Stage) -> Start:
    """Return what serves the stage while a block runs."""
    parser: Literal["auto", "h11"] = request.param

    @asynccontextmanager
    async def started(grace_seconds: float = 2) -> AsyncGenerator[Serving]:
        with socket.create_server(("127.0.0.1", 0)) as listening, anyio.fail_after(20):
            async with serving(stage.app, listening, grace_seconds, parser=parser) as served:
                yield served

    return started


@contextlib.contextmanager
def connected(served: Serving, *sent: bytes) -> Iterator[socket.socket]:
    address, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((address, int(port)), timeout=10) as connection:
        connection.sendall(b"".join(sent))
        yield connection


def heard(connection: socket.socket, until: bytes | None = None) -> bytes:
    """Return all that comes until these words, or until the other side closes."""
    came = b""
    while (until is None or until not in came) and (part := connection.recv(65536)):
        came += part
    return came


async def test_a_body_that_trickles_is_let_go_with_408(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BODY_SECONDS", 0.3)
    async with start() as served:
        with connected(served, BEGIN, b"Content-Length: 1000\r\n\r\n") as connection:
            for _ in range(5):
                await anyio.sleep(0.05)
                connection.sendall(b"x")
            answer = await run_sync(heard, connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"a body that takes more than" in answer


@pytest.mark.parametrize("how", ["counted", "in chunks"])
async def test_a_body_that_is_too_large_is_refused_before_it_fills_the_memory(
    start: Start, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(requests, "BODY_BYTES", 100_000)
    part = b"x" * 60_000
    body = {
        "counted": b"Content-Length: 900000\r\n\r\n" + 2 * part,
        "in chunks": b"Transfer-Encoding: chunked\r\n\r\n" + 2 * (b"ea60\r\n" + part + b"\r\n"),
    }
    async with start() as served:
        with connected(served, BEGIN, body[how]) as connection:
            assert (await run_sync(connection.recv, 65536)).startswith(b"HTTP/1.1 413 ")


async def test_a_body_that_is_large_and_comes_in_parts_is_taken(start: Start) -> None:
    async with start() as served:
        with connected(served, BEGIN, b"Content-Length: 3000000\r\nConnection: close\r\n\r\n") as connection:
            for _ in range(3):
                await run_sync(connection.sendall, b"x" * 1_000_000)
            assert (await run_sync(heard, connection)).endswith(b"3000000")


async def test_who_is_refused_while_it_still_sends_hears_so_and_may_ask_again(start: Start) -> None:
    sent = b"POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + 100_000 * b"x"
    async with start() as served:
        with connected(served, sent) as connection:
            first = await run_sync(heard, connection, b"not you")
            await run_sync(connection.sendall, 200_000 * b"x" + ASK)
            assert b"now" in await run_sync(heard, connection, b"now")
    assert first.startswith(b"HTTP/1.1 401 ")


async def test_the_rest_of_a_body_that_nobody_wants_is_not_waited_for_for_good(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "UNREAD_SECONDS", 0.2)
    async with start() as served:
        with connected(served, b"POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n") as connection:
            assert (await run_sync(heard, connection)).endswith(b"not you")


async def test_who_takes_nothing_is_let_go(start: Start, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "TAKE_SECONDS", 0.2)
    async with start() as served:
        with connected(served, b"GET /flood/ HTTP/1.1\r\nHost: x\r\n\r\n"):
            await stage.gone.wait()


async def test_who_takes_little_is_not_let_go(start: Start, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "TAKE_SECONDS", 0.2)
    async with start() as served:
        with connected(served, b"GET /flood/ HTTP/1.1\r\nHost: x\r\n\r\n") as connection:
            for _ in range(20):
                await run_sync(connection.recv, 2**20)
                await anyio.sleep(0.05)
            assert not stage.gone.is_set()


async def test_what_is_done_after_an_answer_keeps_nobody_from_asking_again(
    start: Start, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    async with start() as served:
        with connected(served, b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n") as connection:
            assert b"first" in await run_sync(heard, connection, b"first")
            connection.sendall(BEGIN + b"Content-Length: 2\r\n\r\n")
            await stage.begun.wait()
            stage.afterwards.set()
            await anyio.sleep(0.4)  # longer than a head may take: this is a body
            connection.sendall(b"xx")
            assert (await run_sync(heard, connection, b"\r\n\r\n2")).endswith(b"2")


async def test_at_the_end_who_cannot_be_answered_is_told_to_ask_again(
    start: Start, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async with start(grace_seconds=1) as served:
        with (
            connected(served, b"GET /forever HTTP/1.1\r\nHost: x\r\n\r\n") as waiting,
            connected(served, BEGIN, b"Content-Length: 9\r\n\r\nx") as slow,
            connected(served, b"GET /flood/ HTTP/1.1\r\nHost: x\r\n\r\n"),
            connected(served, b"GET /no"),
        ):
            await stage.begun.wait()
            began = anyio.current_time()
            await served.drain()
            assert anyio.current_time() - began < 1.5
            answers = [await run_sync(heard, each) for each in (waiting, slow)]
    assert [answer.partition(b"\r\n")[0] for answer in answers] == [b"HTTP/1.1 503 Service Unavailable"] * 2
    assert b"retry-after: 1" in answers[0]
    assert caplog.messages == []


async def test_at_the_end_an_answer_that_is_a_stream_is_told_to_its_end_and_a_stream_without_one_is_not(
    start: Start, stage: Stage
) -> None:
    async with start() as served:
        with (
            connected(served, b"POST /tell HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n") as asks,
            connected(served, b"GET /follow HTTP/1.1\r\nHost: x\r\n\r\n") as follows,
        ):
            await stage.begun.wait()
            await run_sync(heard, follows, b"data: 1")
            await served.drain()
            told, followed = await run_sync(heard, asks), await run_sync(heard, follows)
    assert b"data: 2" in told
    assert b"data: 2" not in followed
    assert followed.endswith(b"0\r\n\r\n")


async def test_more_connections_than_there_are_files_for_are_turned_away_and_those_that_are_open_go_on(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (4, 4))
    async with start() as served:
        with connected(served) as first, connected(served), connected(served, ASK) as third:
            with contextlib.suppress(ConnectionResetError):
                assert await run_sync(heard, third) == b""
            first.sendall(ASK)
            assert b"now" in await run_sync(heard, first, b"now")
        await anyio.sleep(0.1)
        with connected(served, ASK) as again:
            assert b"now" in await run_sync(heard, again, b"now")
    assert caplog.messages == []
