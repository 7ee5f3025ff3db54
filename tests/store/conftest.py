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
    """A running `midwatch-store serve`: where it listens and its process."""

    url: str
    process: subprocess.Popen[str]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(timeout=20)

    def post(self, path: str, document: object) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", json=document, timeout=20)


StartReceiver = Callable[..., Receiver]


@pytest.fixture
def start_receiver(tmp_path: Path) -> Iterator[StartReceiver]:
    """Start a receiver on a free port, by default for `tmp_path/store`, and wait until it says where it listens."""
    running: list[Receiver] = []

    def start(*arguments: str) -> Receiver:
        command = [sys.executable, "-m", "midwatch_store", "serve", "--dir", str(tmp_path / "store"), "--port", "0"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MIDWATCH_STORE_")}
        process = subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True, env=environment)
        assert process.stderr is not None
        announcement = process.stderr.readline()
        assert "listening on " in announcement, announcement
        receiver = Receiver(announcement.split("listening on ")[1].split(",")[0], process)
        running.append(receiver)
        return receiver

    yield start
    for receiver in running:
        if receiver.process.poll() is None:
            receiver.stop(signal.SIGKILL)
        if receiver.process.stderr is not None:
            receiver.process.stderr.close()


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
