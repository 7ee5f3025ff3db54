"""What the tests of the robots share: a real store, a place that alarms are posted to, a runner that is told on."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import psutil
import pytest

Event = dict[str, Any]


class Catcher:
    """An HTTP server that says 200 to everything and keeps the JSON that it's sent, by path."""

    def __init__(self) -> None:
        self.caught: dict[str, list[Any]] = {}
        caught = self.caught

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers["content-type"] == "application/json":
                    caught.setdefault(self.path, []).append(json.loads(body))
                self.do_GET()

            def log_message(self, format: str, *arguments: object) -> None:
                """Stay silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=[0.05])
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class Runner:
    """`robots run` as a process, and its events as they come."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "robots", "run", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.seen: list[Event] = []
        self.family: set[psutil.Process] = set()
        self._queue: Queue[Event | None] = Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def until(self, wanted: Callable[[Event], bool], seconds: float) -> Event:
        """Return the first event from now on that is wanted, within a deadline."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                event = self._queue.get(timeout=max(0.01, deadline - time.monotonic()))
            except Empty:
                raise AssertionError(f"not within {seconds} s; seen: {self.seen[-5:]}") from None
            if event is None:
                raise AssertionError(f"the runner ended: {self.seen[-3:]} {self.errors()}")
            if wanted(event):
                return event

    def named(self, name: str, seconds: float) -> Event:
        """Return the next event with that name."""
        return self.until(lambda event: event["event"] == name, seconds)

    def errors(self) -> str:
        """Return what it wrote to standard error, once it has ended."""
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def meet_family(self) -> set[psutil.Process]:
        """Remember every process that descends from the runner now."""
        self.family = set(psutil.Process(self.process.pid).children(recursive=True))
        return self.family

    def has_descendant(self, name: str) -> bool:
        """Look whether a process of that name descends from the runner now; all that do are remembered."""
        with suppress(psutil.NoSuchProcess):
            return any(process.name() == name for process in self.meet_family())
        return False

    def survivors(self, seconds: float) -> list[str]:
        """Return which of the remembered processes are still there after some seconds."""
        _, alive = psutil.wait_procs(self.family, timeout=seconds)
        return [process.name() for process in alive if process.status() != psutil.STATUS_ZOMBIE]

    def close(self) -> None:
        """End it, however the test went."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        self.process.stdout.close()
        self.process.stderr.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            self.seen.append(event)
            self._queue.put(event)
        self._queue.put(None)


@pytest.fixture
def catcher() -> Generator[Catcher]:
    """A place to post to."""
    catching = Catcher()
    yield catching
    catching.close()


@pytest.fixture
def store(tmp_path: Path) -> Generator[tuple[str, Path]]:
    """A real telemetry store: the URL of its receiver, and its directory."""
    folder = tmp_path / "store"
    process = subprocess.Popen(
        [sys.executable, "-m", "midwatch_store", "serve", "--dir", str(folder), "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    announced = process.stderr.readline()
    yield announced.split("listening on ")[1].split(",")[0], folder
    process.terminate()
    process.wait(20)
    process.stderr.close()


@pytest.fixture
def run_robots() -> Generator[Callable[..., Runner]]:
    """Start runners; each is ended when the test is over."""
    started: list[Runner] = []

    def start(*arguments: str) -> Runner:
        started.append(Runner(*arguments))
        return started[-1]

    yield start
    for runner in started:
        runner.close()
