"""`midwatch server` as a person meets it: one line for each rule, exit codes that mean something, no secret shown."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from midwatch.cli import app

ODD = Path(__file__).parents[1] / "host" / "odd_server.py"
COMMAND = [sys.executable, "-S", str(ODD)]
Run = Callable[..., Result]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **environment: str) -> Result:
        return CliRunner().invoke(app, ["server", *arguments], env={"COLUMNS": "200", **environment})

    return run


@pytest.fixture(scope="module")
def odd_report() -> list[str]:
    """The lines that are printed for the odd server; its command is given as one text."""
    done = CliRunner().invoke(app, ["server", "check", shlex.join(COMMAND), "--seconds", "5"])
    assert done.exit_code == 1, done.output
    return done.stdout.splitlines()


def test_an_odd_server_is_told_what_it_lacks_and_what_to_do(odd_report: list[str]) -> None:
    lines = {line.partition(": ")[0]: line for line in odd_report}
    assert lines["✗ tools are described"].endswith(
        "look has no description; touch has no description; strange has no description"
        " → give each tool a description and an input schema of type object"
    )
    assert "look does not; touch does not; strange does not" in lines["✗ names read as verb_noun"]
    assert "strange does not say" in lines["✗ tools say whether they read"]
    assert "strange declares none; no tool is to discover" in lines["✗ roles are declared"]
    assert "look lacks start, end, baseline_start" in lines["✗ survey takes what a host fills"]
    assert "look was asked for window" in lines["✗ survey echoes its windows"]
    assert "look gave no midwatch/records" in lines["✗ findings stand on stored bytes"]
    assert "look gave other rows when asked again" in lines["✗ the same question has the same answer"]
    assert "look gave no tool error: server: the connection closed" in lines["✗ a wrong type is refused in words"]
    assert "the connection was lost while look was asked" in lines["✗ it survives bad questions"]


def test_what_is_not_called_and_what_could_be_allowed_is_told(odd_report: list[str]) -> None:
    assert any("what was not called: touch, strange" in line for line in odd_report)
    assert odd_report[-2].endswith("odd_server.py does not keep the contract")
    assert odd_report[-1].startswith('To let midwatch ask it, as it is now: "allow": ["look@')


def test_a_report_for_programs_has_every_rule_and_no_secret(server: Run) -> None:
    done = server("check", "--json", "--env", "FISH_TOKEN", "--", *COMMAND, FISH_TOKEN="tok-1234")
    report = json.loads(done.stdout)
    assert (done.exit_code, report["reached"], report["kept"]) == (1, True, False)
    rules = {rule["rule"]: rule for rule in report["rules"]}
    assert rules["secrets are not told"]["mark"] == "kept"
    assert rules["eras of the protocol"] == {
        "rule": "eras of the protocol",
        "mark": "untried",
        "seen": "2025-11-25 only",
        "do": "",
    }
    assert "tok-1234" not in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no-such-server"], "no-such-server: it cannot be started: no-such-server is not installed"),
        ([*COMMAND, "exit"], "it ended while it was starting; its last words: no licence found"),
        (["http://user:hunter22@127.0.0.1:9/mcp"], "http://user:…@127.0.0.1:9/mcp"),
    ],
)
def test_a_server_that_cannot_be_reached_is_another_exit_code(server: Run, arguments: list[str], said: str) -> None:
    done = server("check", "--", *arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert "hunter22" not in done.output
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--token-env", "NO_SUCH_TOKEN", "http://127.0.0.1:9/mcp"], "NO_SUCH_TOKEN is not set"),
        (["--argument", "pond", "fish"], "'pond' is not NAME=VALUE"),
        (["--start", "lunch", "fish"], "cannot read the time 'lunch'"),
        ([""], "name a URL or a command"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(server: Run, arguments: list[str], said: str) -> None:
    done = server("check", *arguments)
    assert (done.exit_code, done.stdout) == (1, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_tools_of_the_servers_that_are_set_up_are_listed_with_what_they_may_be_used_for(
    server: Run, tmp_path: Path
) -> None:
    spec = {"command": COMMAND[0], "args": COMMAND[1:], "allow": ["look"], "hands": ["strange@0123456789abcdef"]}
    (tmp_path / "servers.json").write_text(json.dumps({"mcpServers": {"odd": spec}}))
    done = server("tools", "--json", MIDWATCH_SERVERS_FILE="servers.json", MIDWATCH_DATA_DIR=str(tmp_path))
    found = {tool["tool"]: tool for tool in json.loads(done.stdout)}
    assert {name: tool["use"] for name, tool in found.items()} == {
        "look": "eyes",
        "strange": "nothing",
        "touch": "nothing",
    }
    assert "is not what was allowed" in found["strange"]["why"]
    shown = server("tools", MIDWATCH_SERVERS_FILE="servers.json", MIDWATCH_DATA_DIR=str(tmp_path))
    assert f"look@{found['look']['pin']}" in shown.stdout
