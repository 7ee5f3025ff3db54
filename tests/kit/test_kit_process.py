"""A server as a real process: both transports, signals, a client that leaves, and starts that cannot succeed."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError, StdioServerParameters, stdio_client
from pydantic import JsonValue

from midwatch_kit.evidence import canonical

SCRIPT = '''
"""A server that counts, and collects no garbage while it is imported, as those of the suite."""

import gc
import sys
import time

gc.disable()

from anyio import to_thread
from midwatch_kit import Answer, EvidenceServer, KitError, Role, ServerSettings, Signal, run
from pydantic import Field, SecretStr, model_validator


class Settings(ServerSettings):
    """Settings with a secret and a rule."""

    pond: str = "pond"
    url: str = Field("", pattern="^(https://.*)?$")
    key: SecretStr = SecretStr("")

    @model_validator(mode="after")
    def _key_needs_url(self) -> "Settings":
        if self.key.get_secret_value() and not self.url:
            raise ValueError("a key needs a url: set MIDWATCH_URL")
        return self


def build(settings: Settings) -> EvidenceServer:
    """Return the server."""
    if settings.pond == "dry":
        raise KitError("the pond is dry: name another")
    server = EvidenceServer("midwatch-fish", Signal.LOGS, settings, version="1", title="Fish", instructions="Fish.")

    @server.tool(Role.DRILL_DOWN, "Count fish")
    async def count_fish(seconds: float = 0) -> Answer:
        """Count."""
        if not gc.isenabled():
            raise KitError("garbage piles up")
        print("counting", file=sys.stderr, flush=True)
        await to_thread.run_sync(time.sleep, seconds, abandon_on_cancel=True)
        return Answer("", [settings.pond], [settings.pond], 1)

    return server


if __name__ == "__main__":
    run(build, Settings)
'''

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts the server with flags; every process is gone after the test."""
    script = tmp_path / "fish.py"
    script.write_text(SCRIPT)
    started: list[subprocess.Popen[str]] = []

    def begin(*flags: str, **settings: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(script), "--evidence-dir", str(tmp_path / "evidence"), *flags],
            env={**os.environ, **settings},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        with process:
            process.kill()


@pytest.fixture
def fail(start: Start) -> Callable[..., tuple[int, str]]:
    """Return a function that starts the server, which must end by itself; it gives the exit code and stderr."""

    def ended(*flags: str, **settings: str) -> tuple[int, str]:
        process = start(*flags, **settings)
        _, errors = process.communicate(timeout=30)
        return process.returncode, errors

    return ended


def address(process: subprocess.Popen[str]) -> str:
    """Return where a server listens, as it says on stderr."""
    assert process.stderr
    found = re.search(r"http://\S+", line := process.stderr.readline())
    assert found, line
    return found[0]


def ready(process: subprocess.Popen[str]) -> None:
    """Return once a server on stdio answers."""
    assert process.stdin
    assert process.stdout
    ask(
        process,
        1,
        "initialize",
        protocolVersion="2025-11-25",
        capabilities={},
        clientInfo={"name": "t", "version": "1"},
    )
    assert '"serverInfo"' in process.stdout.readline()
    process.stdin.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
    process.stdin.flush()


def is_counting(process: subprocess.Popen[str]) -> None:
    """Return once a call is under way."""
    assert process.stderr
    assert process.stderr.readline() == "counting\n"


def ask(process: subprocess.Popen[str], number: int, method: str, **params: Any) -> None:
    assert process.stdin
    request: dict[str, JsonValue] = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    process.stdin.write(canonical(request).decode() + "\n")
    process.stdin.flush()


async def count(client: Client) -> Any:
    async with client:
        return (await client.call_tool("count_fish", {})).structured_content


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_server_answers_over_stdio_in_both_eras(start: Start, tmp_path: Path, mode: Any) -> None:
    script = StdioServerParameters(
        command=sys.executable,
        args=[str(tmp_path / "fish.py"), "--pond", "lake", "--evidence-dir", str(tmp_path / "evidence")],
    )
    with (tmp_path / "errors").open("w") as errors, anyio.fail_after(30):
        told = await count(Client(stdio_client(script, errlog=errors), mode=mode))
    assert told["lines"] == ["lake"]
    assert (tmp_path / "errors").read_text() == "counting\n"


async def test_a_server_answers_over_http_in_both_eras(start: Start) -> None:
    url = address(start("--transport", "streamable-http", "--port", "0", MIDWATCH_POND="lake"))
    with anyio.fail_after(30):
        assert (await count(Client(url, mode="auto")))["lines"] == ["lake"]
        assert (await count(Client(url, mode="legacy")))["lines"] == ["lake"]


def test_a_name_that_the_server_does_not_know_itself_by_is_turned_away(start: Start) -> None:
    url = address(start("--transport", "streamable-http", "--port", "0", "--allowed-hosts", '["fish.example"]'))
    port = int(url.rsplit(":", 1)[1].split("/")[0])
    assert (post(port, "fish.example"), post(port, "evil.example")) == (406, 421)


def post(port: int, host: str) -> int:
    """Return the status of a request that calls the server by the name `host` and accepts no answer of its kind."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        head = f"POST /mcp HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
        connection.sendall(f"{head}Accept: image/png\r\nConnection: close\r\n\r\n{{}}".encode())
        return int(connection.recv(100).split()[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_server_on_stdio_at_once_even_while_it_works(start: Start, number: signal.Signals) -> None:
    process = start()
    ready(process)
    ask(process, 2, "tools/call", name="count_fish", arguments={"seconds": 30})
    is_counting(process)
    process.send_signal(number)
    assert process.wait(timeout=20) == -number
    assert process.stderr
    assert process.stderr.read() == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_a_server_on_http_in_order_even_while_it_works(
    start: Start, number: signal.Signals
) -> None:
    process = start("--transport", "streamable-http", "--port", "0")
    url = address(process)
    with anyio.fail_after(60):
        async with Client(url) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(cut_off, client)
            await anyio.to_thread.run_sync(is_counting, process)
            process.send_signal(number)
            assert await anyio.to_thread.run_sync(process.wait, 20) == 0


async def cut_off(client: Client) -> None:
    with pytest.raises(MCPError):
        await client.call_tool("count_fish", {"seconds": 30})


def test_a_client_that_leaves_takes_the_server_with_it_even_while_it_works(start: Start) -> None:
    process = start()
    ready(process)
    ask(process, 2, "tools/call", name="count_fish", arguments={"seconds": 30})
    is_counting(process)
    assert process.stdin
    process.stdin.close()
    assert process.wait(timeout=20) == 0


def test_a_taken_port_is_one_clear_line_and_exit_code_1(fail: Callable[..., tuple[int, str]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, errors = fail("--transport", "streamable-http", "--port", str(port))
    assert (code, errors) == (
        1,
        f"midwatch-fish cannot listen on 127.0.0.1 port {port}: Address already in use; choose another\n",
    )


@pytest.mark.parametrize(
    ("flags", "settings", "words"),
    [
        (["--port", "99999"], {"MIDWATCH_URL": "ftp://a:s3cret@pond"}, "(got '99999')\n  url: String should match"),
        ([], {"MIDWATCH_URL": "a:s3cret@pond/x"}, "(got 'pond/x')"),
        ([], {"MIDWATCH_ALLOWED_HOSTS": '["a"'}, "  allowed_hosts: is no JSON list (Expecting ',' delimiter"),
        ([], {"MIDWATCH_KEY": "s3cret"}, "a key needs a url: set MIDWATCH_URL"),
        (["--pond", "dry"], {}, "These settings cannot be used: the pond is dry: name another"),
    ],
)
def test_a_bad_setting_is_told_in_words_without_secrets_and_exit_code_2(
    fail: Callable[..., tuple[int, str]], flags: list[str], settings: dict[str, str], words: str
) -> None:
    code, errors = fail(*flags, **settings)
    assert code == 2
    assert words in errors
    assert "s3cret" not in errors
    assert "Traceback" not in errors
