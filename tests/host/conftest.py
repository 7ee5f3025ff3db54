"""What the host's tests share: a journal, an incident, and servers that behave as badly as they are told to."""

import json
import re
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pytest

from midwatch.mcp_client.links import Link, open_links
from midwatch.mcp_client.toolbox import Eyes, Hands
from midwatch.records import Incident, Severity, Status
from midwatch.settings import ServerSpec
from midwatch.storage.journal import Journal
from midwatch_kit.evidence import EvidenceStore

ODD = Path(__file__).parent / "odd_server.py"
PATIENT = Path(__file__).parent / "patient_server.py"
AT = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)


@dataclass(frozen=True)
class Reached:
    """Servers that were connected to, and what a host makes of them."""

    links: dict[str, Link]
    eyes: Eyes
    hands: Hands


@dataclass(frozen=True)
class HttpServer:
    """A server that runs over streamable HTTP, and the files that it reads and writes."""

    url: str
    port: int
    state: Path
    process: subprocess.Popen[str]

    def becomes(self, **state: object) -> None:
        """Put the patient into a state; what is not said is as it is at first."""
        failing = {"bad": 30, "good": 0, "awful": 60}
        self.state.write_text(json.dumps({"failing": failing, "made": [], **state}), encoding="utf-8")

    def now(self) -> dict[str, Any]:
        """Return the state as it is."""
        told = json.loads(self.state.read_text(encoding="utf-8"))
        return told if isinstance(told, dict) else {}

    def stop(self) -> None:
        """Kill it, as an outage would."""
        self.process.kill()
        self.process.wait()


HttpServers = Callable[..., HttpServer]


class Reach(Protocol):
    """Connects to servers for the length of a block."""

    def __call__(self, *, connect_seconds: float = 20, **specs: ServerSpec) -> AbstractAsyncContextManager[Reached]: ...


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "journal.db")
    yield opened
    opened.close()


@pytest.fixture
def incident() -> Incident:
    return Incident(
        id="01INCIDENT",
        title="Error rate of gateway",
        status=Status.TRIAGING,
        severity=Severity.HIGH,
        service="service:gateway",
        started_at=AT,
        first_seen=AT,
        alerts=("alert-1",),
    )


@pytest.fixture
def odd() -> Callable[..., ServerSpec]:
    """Return a function that describes a server of `odd_server.py`; its arguments say how it misbehaves."""

    def spec(*ways: str) -> ServerSpec:
        return ServerSpec(command=sys.executable, args=["-S", str(ODD), *ways], suite=True)

    return spec


@pytest.fixture
def reach(tmp_path: Path) -> Reach:
    @asynccontextmanager
    async def connected(*, connect_seconds: float = 20, **specs: ServerSpec) -> AsyncGenerator[Reached]:
        kept = EvidenceStore(tmp_path / "evidence", 2**40)
        async with open_links(specs, connect_seconds, tmp_path / "servers") as links:
            yield Reached(links, Eyes(links, kept), Hands(links, kept))

    return connected


@pytest.fixture(scope="session")
def start_patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServers]:
    """Return a function that starts `patient_server.py` over streamable HTTP; all of them end with the session."""
    started: list[HttpServer] = []

    def start(port: int = 0) -> HttpServer:
        folder = tmp_path_factory.mktemp("patient")
        command = [sys.executable, str(PATIENT), "--transport", "streamable-http", "--port", str(port)]
        files = ["--state", str(folder / "state.json"), "--evidence-dir", str(folder / "evidence")]
        process = subprocess.Popen([*command, *files], stderr=subprocess.PIPE, text=True)
        assert process.stderr
        said = re.search(r"http://[^:]+:(\d+)\S*", line := process.stderr.readline())
        assert said, line
        started.append(HttpServer(said[0], int(said[1]), folder / "state.json", process))
        started[-1].becomes(version="bad")
        return started[-1]

    yield start
    for server in started:
        server.stop()
        if server.process.stderr:
            server.process.stderr.close()


@pytest.fixture(scope="session")
def one_patient(start_patient: HttpServers) -> HttpServer:
    return start_patient()


@pytest.fixture
def patient(one_patient: HttpServer) -> HttpServer:
    """Return a running patient, ill again: version `bad` fails for 30 of 100 requests, `good` for none."""
    one_patient.becomes(version="bad")
    return one_patient
