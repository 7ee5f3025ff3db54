"""A restart that loses nothing: the socket stays, one process ends what it has begun, the next takes what waits."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from midwatch.errors import BadSettings
from midwatch.serving import handed_over, listen
from midwatch.storage.journal import Journal
from midwatch_kit.serving import serving

UP = ("-m", "midwatch", "up", "--no-store")
RESTARTS = 1
"""In the suite; more were tried by hand."""
MOST_ALERTS = 3_000
"""More would test the machine, and not the restart."""


class Manager:
    """What systemd is to a service with a socket: it holds the socket, and starts and stops the process behind it."""

    def __init__(self, folder: Path) -> None:
        (folder / "servers.json").write_text(json.dumps({"mcpServers": {}}))
        self.folder = folder
        self.socket = listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start a process with the socket as its file 3, and say so as systemd does."""
        number = self.socket.fileno()
        hand_over = (
            f"import os, sys; os.dup2({number}, 3); os.environ['LISTEN_PID'] = str(os.getpid()); "
            "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
        )
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LISTEN_FDS": "1"}
        environment |= {"MIDWATCH_SERVERS_FILE": "servers.json", "MIDWATCH_GATHER_SECONDS": "600"}
        with (self.folder / "output.txt").open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-S", "-c", hand_over, *UP],
                cwd=self.folder,
                env=environment,
                pass_fds=[number],
                stdout=out,
                stderr=out,
            )

    def stop(self) -> int:
        """Ask the process to end, and return the exit code with which it does."""
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def close(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
        self.socket.close()


class Sender(threading.Thread):
    """Posts alerts without a pause, each with a name of its own; on one connection, or on a new one each time."""

    def __init__(self, url: str, name: str, *, one_connection: bool) -> None:
        super().__init__(daemon=True)
        self.address, self.called, self.one_connection = url.removeprefix("http://"), name, one_connection
        self.enough = threading.Event()
        self.answers: dict[str, int] = {}
        self.broken: list[str] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=60)  # opens itself anew after a "close"
        while not self.enough.is_set() and len(self.answers) < MOST_ALERTS:
            identity = f"{self.called}-{len(self.answers)}"
            alert = {"title": "errors", "service": identity, "started_at": "2026-11-20T02:47:03Z"}
            try:
                connection.request("POST", "/alerts", json.dumps({**alert, "external_id": identity}))
                answer = connection.getresponse()
                answer.read()
                self.answers[identity] = answer.status
            except (OSError, http.client.HTTPException) as error:
                self.answers[identity] = 0
                self.broken.append(f"{identity}: {error!r}")
            if not self.one_connection or identity in self.broken:
                connection.close()
        connection.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path)
    yield made
    made.close()


def test_alerts_that_come_without_pause_are_all_on_record_however_often_the_process_is_replaced(
    manager: Manager,
) -> None:
    manager.start()
    senders = [Sender(manager.url, name, one_connection=name == "a") for name in "ab"]
    for sender in senders:
        sender.start()
    for _ in range(RESTARTS):
        _wait_for_more(senders, 15)
        assert manager.stop() == 0
        manager.start()
    _wait_for_more(senders, 15)
    for sender in senders:
        sender.enough.set()
        sender.join()
    assert manager.stop() == 0

    answers = {name: status for sender in senders for name, status in sender.answers.items()}
    assert [broken for sender in senders for broken in sender.broken] == []
    assert set(answers.values()) == {202}
    assert answers.keys() <= _on_record(manager.folder)
    assert "Traceback" not in (manager.folder / "output.txt").read_text()


def _wait_for_more(senders: list[Sender], alerts: int) -> None:
    """Wait until each sender has had some more answers."""
    goals = [len(sender.answers) + alerts for sender in senders]
    deadline = time.monotonic() + 60
    while any(len(sender.answers) < goal for sender, goal in zip(senders, goals, strict=True)):
        assert time.monotonic() < deadline, [len(sender.answers) for sender in senders]
        time.sleep(0.05)


def _on_record(folder: Path) -> set[str]:
    """Return the names of all alerts that the journal tells of."""
    with closing(Journal(folder / ".midwatch" / "journal.db")) as journal:
        told = [str(entry.body.get("text", "")) for entry in journal.everywhere("message")]
    return {text.split()[1] for text in told if text.startswith("alert ")}


def application(answering: anyio.Event) -> Starlette:
    """Something to serve: what takes a while, and what never ends."""

    async def slow(request: Request) -> PlainTextResponse:
        answering.set()
        await anyio.sleep(0.3)
        return PlainTextResponse("done")

    async def stream(request: Request) -> StreamingResponse:
        async def events() -> AsyncGenerator[str]:
            yield "data: 1\n\n"
            await anyio.sleep_forever()

        return StreamingResponse(events(), media_type="text/event-stream")

    return Starlette(routes=[Route("/slow", slow), Route("/stream", stream)])


async def test_what_is_under_way_gets_its_answer_and_nobody_new_is_let_in() -> None:
    answering, answers = anyio.Event(), list[httpx2.Response]()
    with listen("127.0.0.1", 0) as listening:
        async with (
            serving(application(answering), listening, 5) as served,
            httpx2.AsyncClient(base_url=served.url) as client,
            anyio.create_task_group() as group,
        ):

            async def ask() -> None:
                answers.append(await client.get("/slow"))

            group.start_soon(ask)
            await answering.wait()
            await served.drain()
            with pytest.raises(httpx2.ConnectError):
                await httpx2.AsyncClient().get(f"{served.url}/slow")
    assert [(answer.status_code, answer.headers["connection"]) for answer in answers] == [(200, "close")]


@pytest.mark.parametrize("turns", range(4))
async def test_who_was_let_in_a_moment_ago_is_answered_and_who_was_not_waits_for_the_next_process(turns: int) -> None:
    """`turns` of the event loop lie between the first knock and the end of the first process."""
    ask = b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with listen("127.0.0.1", 0) as held, ExitStack() as open_ones:
        async with serving(application(anyio.Event()), held.dup(), 5) as served:
            await anyio.sleep(0.1)
            clients = [open_ones.enter_context(socket.create_connection(held.getsockname(), 10)) for _ in range(8)]
            for client in clients:
                client.sendall(ask)
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            await served.drain()
        async with serving(application(anyio.Event()), held.dup(), 5):
            answers = [await anyio.to_thread.run_sync(client.recv, 1000) for client in clients]
    assert [answer.partition(b"\r\n")[0] for answer in answers] == [b"HTTP/1.1 200 OK"] * len(clients)


async def test_a_stream_that_would_not_end_is_ended() -> None:
    with listen("127.0.0.1", 0) as listening:
        async with (
            serving(application(anyio.Event()), listening, 5) as served,
            httpx2.AsyncClient(base_url=served.url) as client,
            client.stream("GET", "/stream") as answer,
        ):
            said = answer.aiter_text()
            assert await anext(said) == "data: 1\n\n"
            with anyio.fail_after(4):
                await served.drain()
            assert [text async for text in said] == []


def test_a_socket_for_another_process_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid() + 1))
    assert handed_over() is None
    assert "LISTEN_FDS" not in os.environ


def test_more_than_one_socket_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "2")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    with pytest.raises(BadSettings, match="systemd hands over 2 sockets"):
        handed_over()


def test_an_address_of_ipv6_is_served_too() -> None:
    with suppress(OSError):
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        with listen("::1", 0) as listening:
            assert listening.family == socket.AF_INET6
