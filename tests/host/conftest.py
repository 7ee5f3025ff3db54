"""What the host's tests share: a journal, an incident, and servers that behave as badly as they are told to."""

import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pytest

from midwatch.journal import Journal
from midwatch.links import Link, open_links
from midwatch.records import Incident, Severity, Status
from midwatch.settings import ServerSpec
from midwatch.toolbox import Eyes, Hands
from midwatch_kit.evidence import EvidenceStore

ODD = Path(__file__).parent / "odd_server.py"
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
        return ServerSpec(command=sys.executable, args=["-S", str(ODD), *ways])

    return spec


@pytest.fixture
def reach(tmp_path: Path) -> Reach:
    @asynccontextmanager
    async def connected(*, connect_seconds: float = 20, **specs: ServerSpec) -> AsyncGenerator[Reached]:
        kept = EvidenceStore(tmp_path / "evidence", 2**40)
        async with open_links(specs, connect_seconds, tmp_path / "servers") as links:
            yield Reached(links, Eyes(links, kept), Hands(links, kept))

    return connected
