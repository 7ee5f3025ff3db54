"""The arms of played investigations: what HolmesGPT is given, and what is read from a journal of midwatch's."""

import json
import sys
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from midwatch.accuracy.score import Truth
from midwatch.cases.snapshot import Received
from midwatch.records import Alert, Cause, Conclusion, Gap, Message, ModelCall, NamedCause
from midwatch.storage.journal import Journal
from midwatch_bench.bridge import write_json
from midwatch_bench.played.__main__ import app
from midwatch_bench.played.desk import ENDED, Arm, Desk
from midwatch_bench.played.holmes_arm import config_of
from midwatch_bench.played.midwatch_arm import came_of
from midwatch_bench.played.running import Running

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)

# Asks for the alert and the model as HolmesGPT does, and writes what it writes.
HOLMES = """#!{python}
import json, os, sys, urllib.request
told = dict(zip(sys.argv[3::2], sys.argv[4::2]))
alerts = json.load(urllib.request.urlopen(told["--alertmanager-url"] + "/api/v2/alerts"))
block = {{"type": "text", "text": alerts[0]["labels"]["alertname"], "cache_control": {{"type": "ephemeral"}}}}
messages = [{{"role": "user", "content": [block]}}]
body = {{"model": told["--model"].split("/")[1], "max_tokens": 9, "messages": messages}}
request = urllib.request.Request(os.environ["ANTHROPIC_API_BASE"] + "/v1/messages", json.dumps(body).encode())
said = json.load(urllib.request.urlopen(request))["content"][0]["text"]
json.dump([{{"issue": {{}}, "result": {{"result": said, "tool_calls": [{{"tool_name": "search_logs"}}]}}}}],
          open(told["--json-output-file"], "w"))
"""


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path / "behind", tmp_path / "seats")
    desk.store("clean-7").mkdir(parents=True)
    sent = {"startsAt": "2026-11-22T08:00:00Z", "labels": {"alertname": "Errors"}, "annotations": {}}
    raw: Any = {"receiver": "midwatch", "alerts": [sent]}
    alert = Alert(
        id="1", source="alertmanager", external_id="1", title="Errors", service="forge", started_at=AT, raw=raw
    )
    received = Received(seen_at=AT, received=(alert,))
    (desk.store("clean-7") / "incident.json").write_text(received.model_dump_json())
    truth = Truth(outcome="root_cause", causes=(NamedCause(kind="change", entity="service:forge"),))
    (desk.case("clean-7") / "truth.json").write_text(truth.model_dump_json())
    return desk


@pytest.fixture
def holmes(tmp_path: Path) -> Path:
    command = tmp_path / "holmes"
    command.write_text(HOLMES.format(python=sys.executable))
    command.chmod(0o755)
    return command


def play(seat: Path, text: str) -> None:
    until = time.monotonic() + 20
    while not (seat / "001.request.json").exists() and time.monotonic() < until:
        time.sleep(0.01)
    write_json(seat / "001.answer.json", [text])


def test_holmes_is_asked_by_its_alertmanager_and_answered_by_file(desk: Desk, holmes: Path) -> None:
    (run,) = desk.add(["clean-7"], [Arm.HOLMES], 1)
    player = threading.Thread(target=play, args=(desk.seat(run), "It was forge."))
    player.start()
    result = Running(desk, holmes).one(run)
    player.join()
    asked = json.loads((desk.seat(run) / "001.request.json").read_text())
    assert asked["messages"][0]["content"][0]["text"] == "Errors"
    assert (result["conclusion"], result["tools"], result["calls"]) == ("It was forge.", ["search_logs"], 1)
    assert result["input_tokens"] == result["cache_write_tokens"] > 0
    assert (desk.seat(run) / ENDED).exists()

    assert CliRunner().invoke(app, ["judge", str(desk.behind), "r01", "--wrong"]).exit_code == 0
    assert [kept["right"] for kept in desk.results()] == [False]


def test_a_run_that_breaks_says_why(desk: Desk) -> None:
    (run,) = desk.add(["clean-7"], [Arm.HOLMES], 1)
    assert "--holmes" in Running(desk).one(run)["failed"]


def test_holmes_has_the_suites_servers_with_or_without_surveys_and_nothing_of_the_machine(tmp_path: Path) -> None:
    whole, raw = config_of(tmp_path, surveys=True), config_of(tmp_path, surveys=False)
    assert whole["mcp_servers"]["logs"]["config"]["args"] == ["-m", "midwatch_logs"]
    assert raw["mcp_servers"]["logs"]["config"]["args"] == ["-m", "midwatch_bench.played.raw", "logs"]
    assert raw["mcp_servers"]["deploys"]["config"]["args"] == ["-m", "midwatch_deploys"]
    assert whole["mcp_servers"]["traces"]["config"]["env"]["MIDWATCH_STORE"] == str(tmp_path / "store")
    assert whole["toolsets"]["bash"] == {"enabled": False}


def test_what_came_of_an_investigation_is_read_from_its_journal(desk: Desk, tmp_path: Path) -> None:
    (run,) = desk.add(["clean-7"], [Arm.SURVEYS], 1)
    cause = Cause(
        entity="service:forge",
        kind="change",
        statement="it broke",
        onset=AT,
        confidence=0.9,
        path=("service:forge",),
        supports=(),
        hypothesis="h",
    )
    with closing(Journal(tmp_path / "journal.db")) as journal:
        said = Message(text="tester of h: done; 2 findings, 1 dropped; the diff says so")
        journal.note("i", "message", "tested:1:h", said, "tester of h")
        journal.note("i", "model_call", "1", ModelCall(model="m"), "tester of h")
        journal.note("i", "gap", "g", Gap(what="logs", why="down", may_hide="errors"))
        conclusion = Conclusion(outcome="root_cause", statement="forge broke", root_causes=(cause,))
        journal.note("i", "conclusion", "1", conclusion)
    came = came_of(tmp_path, run, desk)
    assert came["right"]
    assert came["causes"] == ["change service:forge 0.90"]
    assert (came["findings"], came["dropped"], came["calls_by_role"]) == (2, 1, {"tester": 1})
    assert came["gaps"] == ["logs: down"]
