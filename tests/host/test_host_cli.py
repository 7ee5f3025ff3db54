"""The command line as a person meets it: clear lines, JSON that parses, and an end when it is told to end."""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import psutil
import pytest
from typer.testing import CliRunner, Result

from midwatch.cli import app, main
from midwatch.records import BODIES, Conclusion, Incident, Outcome, Plan, Report
from midwatch.storage.journal import Journal

if TYPE_CHECKING:
    from tests.host.conftest import HttpServer

MIDWATCH = [sys.executable, "-m", "midwatch"]
Run = Callable[..., Result]


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which midwatch has a folder of its own and no server."""
    (tmp_path / "servers.json").write_text('{"mcpServers": {}}')
    mine = {"MIDWATCH_DATA_DIR": str(tmp_path), "MIDWATCH_SERVERS_FILE": str(tmp_path / "servers.json")}
    return {"PATH": os.environ["PATH"], "COLUMNS": "200", **mine}


@pytest.fixture
def midwatch(tmp_path: Path, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **more: str) -> Result:
        return CliRunner().invoke(app, arguments, env={**settings, **more})

    return run


@pytest.fixture
def on_record(journal: Journal, incident: Incident) -> Incident:
    """Put an incident with a conclusion, a plan and a report on record."""
    journal.note(incident.id, "incident", "1", incident)
    nothing = Conclusion(outcome=Outcome.NO_INCIDENT, statement="nothing is wrong with service:gateway")
    journal.note(incident.id, "conclusion", "1", nothing)
    journal.note(incident.id, "plan", "1", Plan(action="nothing", reasoning="", risk="none", digest="d" * 64))
    journal.note(incident.id, "report", "1", Report(outcome=nothing.outcome, mitigated=False, packet="…"))
    journal.close()
    return incident


def one_line(done: Result) -> str:
    """Return the one line on stderr that says why a command failed."""
    assert done.exit_code == 1, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("midwatch: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_an_unknown_incident_is_told_with_those_that_are_known(midwatch: Run, on_record: Incident) -> None:
    said = one_line(midwatch("report", "nonsense"))
    assert "nonsense is not on record" in said
    assert on_record.id in said


def test_what_is_on_record_is_shown_and_printed_as_json(midwatch: Run, on_record: Incident) -> None:
    shown = midwatch("report", on_record.id[-4:].lower())
    assert shown.exit_code == 0
    assert "Conclusion: nothing is wrong with service:gateway" in shown.stdout
    told = json.loads(midwatch("report", "--json").stdout)
    assert (told["incident"], told["conclusion"]["outcome"]) == (on_record.id, "no_incident")
    (listed,) = json.loads(midwatch("incidents", "--json").stdout)
    assert listed == on_record.model_dump(mode="json")


def test_a_check_tells_what_stands_and_what_does_not(midwatch: Run, on_record: Incident, tmp_path: Path) -> None:
    checked = midwatch("report", "--check", "--json")
    assert checked.exit_code == 0
    told = json.loads(checked.stdout)
    assert (told["incident"], told["records"], told["faults"]) == (on_record.id, 4, [])
    stored = (tmp_path / "journal.db").read_bytes()
    (tmp_path / "journal.db").write_bytes(stored.replace(b"nothing is wrong", b"nothing is Wrong"))
    checked = midwatch("report", on_record.id, "--check")
    assert checked.exit_code == 1
    assert "✗ record 2 (conclusion) of 01INCIDENT is not what was written" in checked.stdout


@pytest.mark.parametrize(
    ("arguments", "settings_", "said"),
    [
        (["investigate", "no-such.json"], {}, "cannot read an alert from no-such.json: No such file"),
        (["investigate", "servers.json"], {}, "title: it is missing"),
        (["investigate", "journal.json"], {}, "cannot read an alert from journal.json: it is not JSON: "),
        (["doctor"], {"MIDWATCH_SETTLE_SECONDS": "soon"}, "MIDWATCH_SETTLE_SECONDS: "),
        (["topology"], {"MIDWATCH_SERVERS_FILE": "nowhere.json"}, "nowhere.json"),
        (["topology"], {"MIDWATCH_STEERING_DIR": "."}, "bad.md: "),
        (["incidents"], {"MIDWATCH_DATA_DIR": "servers.json/below"}, "cannot use the data folder servers.json/below: "),
        (["topology", "--start", "lunch"], {}, "cannot read the time 'lunch'"),
        (["topology", "--highlight", "service:nobody"], {}, "no entity 'service:nobody'"),
        (
            ["mcp", "--transport", "streamable-http", "--host", "0.0.0.0"],
            {},
            "on 0.0.0.0 others than this machine could",
        ),
        (["mcp", "--transport", "streamable-http"], {"MIDWATCH_TOKEN": "s3cret"}, "has fewer than 16 characters"),
        (
            ["up", "--no-store", "--port", "99999"],
            {},
            "MIDWATCH_LISTEN_PORT: 99999 must be less than or equal to 65535",
        ),
        (["investigate", "everything is down"], {}, "no server knows any service yet, see midwatch doctor"),
        (["approve", "nobody", "0123456789ab"], {}, "nobody is not on record"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(
    midwatch: Run, tmp_path: Path, arguments: list[str], settings_: dict[str, str], said: str
) -> None:
    (tmp_path / "journal.json").write_bytes(b"\xff\x00")
    if "STEERING" in str(settings_):
        (tmp_path / "bad.md").write_text("no front matter")
    assert said in one_line(midwatch(*arguments, **settings_))


def test_a_journal_of_another_format_is_told_in_one_line(midwatch: Run, tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"no database " * 99)
    assert "cannot be used: file is not a database" in one_line(midwatch("incidents"))


def test_garbage_is_collected_from_the_start_of_a_command_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["midwatch", "schema"])
    gc.disable()  # as while `python -m midwatch` imports what it needs
    with pytest.raises(SystemExit):
        main()
    assert gc.isenabled()


def test_the_schema_of_every_record_type_is_published(midwatch: Run) -> None:
    assert set(json.loads(midwatch("schema").stdout)) == set(BODIES)


def test_the_doctor_says_which_server_is_missing_and_what_to_do(
    midwatch: Run, tmp_path: Path, patient: HttpServer
) -> None:
    servers = {"patient": {"url": patient.url, "suite": True}, "gone": {"command": "no-such-server", "allow": ["look"]}}
    (tmp_path / "servers.json").write_text(json.dumps({"mcpServers": servers}))
    done = midwatch("doctor", "--json")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    found = {finding["server"]: finding for finding in told}
    assert [finding["what"] for finding in told if finding["server"] == "gone"] == ["connection"]
    assert (found["gone"]["ok"], found["gone"]["detail"]) == (
        False,
        "it cannot be started: no-such-server is not installed",
    )
    assert "gone.log" in found["gone"]["do"]
    assert (found["patient"]["ok"], found["patient"]["what"]) == (True, "state")


class Up:
    """`midwatch up` in a process of its own; `lines` are what it has printed so far."""

    def __init__(self, folder: Path, environment: dict[str, str], *flags: str) -> None:
        command = [*MIDWATCH, "up", "--no-store", "--port", "0", *flags]
        self.output = folder / "up.txt"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(command, env=environment, cwd=folder, stdout=output, stderr=output)

    def waits_for(self, pattern: str, seconds: float = 30) -> re.Match[str]:
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.output.read_text())):
            assert time.monotonic() < deadline, self.output.read_text()
            assert self.process.poll() is None, self.output.read_text()
            time.sleep(0.05)
        return found


@pytest.fixture
def up(tmp_path: Path, settings: dict[str, str]) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def start(*flags: str, **more: str) -> Up:
        started.append(Up(tmp_path, {**settings, "PYTHONUNBUFFERED": "1", **more}, *flags))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()


def hanging_server(folder: Path, odd_server: Path) -> Path:
    """Write a servers file with a server that never answers; returns the file in which it leaves its process id."""
    spec = {"command": sys.executable, "args": ["-S", str(odd_server), "mute", f"pid={folder / 'pids'}"]}
    (folder / "servers.json").write_text(json.dumps({"mcpServers": {"mute": spec}}))
    return folder / "pids"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_up_within_ten_seconds_and_leaves_no_process(
    up: Callable[..., Up], tmp_path: Path, number: signal.Signals
) -> None:
    pids = hanging_server(tmp_path, Path(__file__).parent / "odd_server.py")
    running = up(MIDWATCH_CONNECT_SECONDS="30" if number is signal.SIGINT else "0.5")
    deadline = time.monotonic() + 30
    while not (pids.exists() and pids.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if number is signal.SIGTERM:
        running.waits_for("server mute is missing: it did not come up within 0.5 s")
    running.process.send_signal(number)
    assert running.process.wait(timeout=10) in (0, 130)
    assert "Traceback" not in running.output.read_text()
    assert not [pid for pid in map(int, pids.read_text().split()) if psutil.pid_exists(pid)]


def test_an_alert_that_comes_in_is_investigated_and_a_killed_host_takes_it_up_again(
    up: Callable[..., Up], midwatch: Run, tmp_path: Path, patient: HttpServer
) -> None:
    patient.becomes(version="good")
    (tmp_path / "servers.json").write_text(json.dumps({"mcpServers": {"patient": {"url": patient.url, "suite": True}}}))
    first = up(MIDWATCH_GATHER_SECONDS="0.1")
    url = first.waits_for(r"webhook +(http://\S+)")[1]
    alert = {"title": "gateway fails", "service": "gateway", "started_at": "2026-11-20T02:47:03Z"}
    answer = httpx2.post(url, json=alert, timeout=20)
    assert answer.status_code == 202
    first.process.kill()
    first.process.wait()
    second = up(MIDWATCH_GATHER_SECONDS="0.1")
    second.waits_for("conclusion")
    second.process.send_signal(signal.SIGINT)
    assert second.process.wait(timeout=10) in (0, 130)
    told: dict[str, Any] = json.loads(midwatch("report", "--json").stdout)
    assert told["incident"] == answer.json()["incidents"][0]
    assert told["conclusion"]["outcome"] in set(Outcome)
