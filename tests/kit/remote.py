"""A server in a process of its own that is reached over HTTP, as the tests of callers need it."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

PUBLIC = "https://fish.example/mcp"
SCRIPT = '''
"""A server that says hello."""

from midwatch_kit import Answer, EvidenceServer, Role, ServerSettings, Signal, run


def build(settings: ServerSettings) -> EvidenceServer:
    """Return the server."""
    server = EvidenceServer("fish", Signal.LOGS, settings, version="1", instructions="Fish.")

    @server.tool(Role.DRILL_DOWN, "Say hello")
    def say_hello() -> Answer:
        """Hello."""
        return Answer("", ["hello"], ["hello"], 1)

    return server


if __name__ == "__main__":
    run(build, ServerSettings)
'''


class Server:
    """A server that runs; `errors` is all that it has written to stderr."""

    def __init__(self, url: str, log: Path) -> None:
        self.url, self._log = url, log

    @property
    def errors(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def answer(self, authorization: str = "", path: str = "/mcp", host: str = "") -> httpx2.Response:
        """Return what a request gets that has no message in it."""
        headers = {b"accept": b"application/json, text/event-stream"}
        headers |= {b"authorization": authorization.encode()} if authorization else {}
        headers |= {b"host": host.encode()} if host else {}
        url = self.url.removesuffix("/mcp") + path
        method = "POST" if path == "/mcp" else "GET"
        return httpx2.request(method, url, headers=headers, json={} if method == "POST" else None, timeout=20)

    def lets_in(self, authorization: str) -> bool:
        """Whether a caller gets as far as being told that its message is none."""
        status = self.answer(authorization).status_code
        assert status in (400, 401)
        return status == 400

    async def call(self, tool: str, headers: Mapping[str, str], mode: Any = "auto") -> list[str]:
        """Return the lines that a tool gives a caller who sends these headers, or the words of its error."""
        with anyio.fail_after(30):
            async with (
                httpx2.AsyncClient(headers=headers, timeout=30) as http,
                Client(streamable_http_client(self.url, http_client=http), mode=mode) as client,
            ):
                told = await client.call_tool(tool, {})
        return list(told.structured_content["lines"]) if told.structured_content else [str(told.content)]


@contextmanager
def started(folder: Path, more: Sequence[str] = (), module: str = "", **settings: str) -> Generator[Server]:
    """Start a server on a free port, or as `more` flags say, with settings in its environment, while the block runs.

    `module` is what to run instead of a server that says hello.
    """
    script, log = folder / "fish.py", folder / "errors"
    script.write_text(SCRIPT)
    program = ["-m", module] if module else [str(script)]
    everything = {**os.environ, "MIDWATCH_EVIDENCE_DIR": str(folder / "evidence"), "NO_COLOR": "1", "COLUMNS": "1000"}
    flags = ["--transport", "streamable-http", "--port", "0", *more]
    with (
        log.open("w") as errors,
        subprocess.Popen([sys.executable, *program, *flags], env={**everything, **settings}, stderr=errors) as process,
    ):
        try:
            yield Server(_address(log, process), log)
        finally:
            process.terminate()


def _address(log: Path, process: "subprocess.Popen[bytes]") -> str:
    until = time.monotonic() + 60
    while not (found := re.search(r"http://\S+/mcp", log.read_text())):
        assert time.monotonic() < until, "it does not start"
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    return found[0]
