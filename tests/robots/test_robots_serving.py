"""How a service of the robots ends: whoever it has let in is heard, and a silent one holds nothing up."""

import os
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager
from typing import Protocol

SERVICE = """
from contextlib import asynccontextmanager
from app.serving import serve

@asynccontextmanager
async def nothing():
    yield {}

serve(nothing, [])
"""
REQUEST = b"GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n"
QUIET_SECONDS, LONGEST_SECONDS = 0.15, 30


class Catching(Protocol):
    """What the tests need of a place for telemetry."""

    @property
    def url(self) -> str: ...


@contextmanager
def service(listening: socket.socket, telemetry: str) -> Generator[subprocess.Popen[bytes]]:
    """A service that has nothing but its health check, once it's ready."""
    ready, told = os.pipe()
    descriptors = {"LISTEN_FD": str(listening.fileno()), "READY_FD": str(told)}
    process = subprocess.Popen(
        [sys.executable, "-c", SERVICE],
        env=os.environ | descriptors | {"OTEL_EXPORTER_OTLP_ENDPOINT": telemetry},
        pass_fds=[listening.fileno(), told],
        stderr=subprocess.DEVNULL,
    )
    os.close(told)
    try:
        assert os.read(ready, 10)
        yield process
    finally:
        os.close(ready)
        process.kill()
        process.wait()


def takes_more(address: tuple[str, int], seconds: float = QUIET_SECONDS) -> bool:
    """Whether the service answers on a new connection; the socket takes any, since this process holds it, too."""
    with closing(socket.create_connection(address)) as probe:
        probe.sendall(REQUEST)
        probe.settimeout(seconds)
        try:
            return probe.recv(12) == b"HTTP/1.1 200"
        except TimeoutError:
            return False


def test_a_service_that_ends_answers_whom_it_let_in_and_leaves_the_rest_to_the_next_one(catcher: Catching) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, service(listening, catcher.url) as old:
        address = listening.getsockname()
        late, silent = socket.create_connection(address), socket.create_connection(address)
        assert takes_more(address, LONGEST_SECONDS)  # and has let in those two before
        old.terminate()
        while takes_more(address):
            assert old.poll() is None
        waiting = socket.create_connection(address)
        for client in (late, waiting):
            client.sendall(REQUEST)
            client.settimeout(LONGEST_SECONDS)
        assert late.recv(12) == b"HTTP/1.1 200"
        silent.settimeout(LONGEST_SECONDS)
        assert silent.recv(1) == b""
        old.wait(LONGEST_SECONDS)
        with service(listening, catcher.url):
            assert waiting.recv(12) == b"HTTP/1.1 200"
        for client in (late, silent, waiting):
            client.close()
