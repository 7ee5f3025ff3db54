"""Real receivers as processes, and small ways to fill and look into a store."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from midwatch_store import Store, to_ns
from midwatch_store.writer import Writer


@dataclass(frozen=True)
class Receiver:
    """A running `midwatch-store serve`: where it listens, what it writes to, and its process."""

    url: str
    path: Path
    process: subprocess.Popen[str]
    client: httpx.Client

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(timeout=20)

    def post(self, path: str, document: object) -> httpx.Response:
        return self.client.post(path, json=document)


StartReceiver = Callable[..., Receiver]


def _start(path: Path, *arguments: str) -> Receiver:
    """A receiver on a free port, that has said where it listens."""
    command = [sys.executable, "-m", "midwatch_store", "serve", "--dir", str(path), "--port", "0", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MIDWATCH_STORE_")}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    announcement = process.stderr.readline()
    assert "listening on " in announcement, announcement
    url = announcement.split("listening on ")[1].split(",")[0]
    return Receiver(url, path, process, httpx.Client(base_url=url, timeout=20))


def _end(receiver: Receiver) -> None:
    receiver.client.close()
    if receiver.process.poll() is None:
        receiver.stop(signal.SIGKILL)
    if receiver.process.stderr is not None:
        receiver.process.stderr.close()


@pytest.fixture
def start_receiver(store_path: Path) -> Iterator[StartReceiver]:
    """Start a receiver for the test's own store, with more arguments if given."""
    running: list[Receiver] = []

    def start(*arguments: str) -> Receiver:
        running.append(_start(store_path, *arguments))
        return running[-1]

    yield start
    for receiver in running:
        _end(receiver)


@pytest.fixture(scope="module")
def shared_receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """One receiver for all tests that don't mind what else its store holds; it takes bodies of up to 1 MiB."""
    receiver = _start(tmp_path_factory.mktemp("shared"), "--max-body", "1MiB")
    yield receiver
    _end(receiver)


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def writer(store_path: Path) -> Iterator[Writer]:
    with Writer(store_path) as opened:
        yield opened


@pytest.fixture
def store(writer: Writer) -> Iterator[Store]:
    """The store that `writer` writes, open for reading."""
    with Store(writer.path) as opened:
        yield opened


@pytest.fixture
def two_am() -> int:
    """02:00 on a day in 2026, in ns."""
    return to_ns(datetime(2026, 5, 4, 2, tzinfo=UTC))
