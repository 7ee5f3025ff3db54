"""Getting a yes or a no: at a terminal, by a rule, or through the journal from another process."""

import io
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from rich.console import Console

from midwatch.builtin.planning import digest
from midwatch.errors import HostError
from midwatch.mitigation.approvals import (
    AtTheTerminal,
    InTheirOwnTime,
    Resting,
    ThroughTheJournal,
    decide_by_name,
    plan_text,
)
from midwatch.records import Call, Decision, Expectation, Incident, Plan, Step
from midwatch.storage.journal import Journal


def a_plan(*, undo: bool = True, call: bool = True) -> Plan:
    back = Call(server="deploys", tool="roll_back", arguments={"service": "forge", "to_version": "3f2c1ab"})
    step = Step(
        title="roll forge [back]",
        phase="apply",
        call=back if call else None,
        expect=Expectation.SUCCEEDS,
        safety="mutating",
        inverse=back if undo else None,
    )
    plan = Plan(action="roll forge back", reasoning="it fails", risk="low", steps=(step,), digest="")
    return plan.model_copy(update={"digest": digest(plan)})


@pytest.fixture(autouse=True)
def without_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


async def at_no_terminal(incident: Incident, plan: Plan) -> tuple[Decision, str]:
    shown = io.StringIO()
    decision = await AtTheTerminal(Console(file=shown)).decide(incident, plan)
    return decision, shown.getvalue()


async def test_where_nobody_can_be_asked_the_answer_is_no_and_the_plan_is_shown(incident: Incident) -> None:
    decision, shown = await at_no_terminal(incident, a_plan())
    assert (decision.approved, decision.by, decision.digest) == (False, "nobody", a_plan().digest)
    assert shown.split() == plan_text(a_plan()).split()


async def test_ci_true_is_a_yes_by_that_rule(incident: Incident, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    decision, _ = await at_no_terminal(incident, a_plan())
    assert (decision.approved, decision.by, decision.digest) == (True, "CI=true", a_plan().digest)


@pytest.mark.parametrize("value", ["", "1", "false", "yes"])
async def test_ci_of_any_other_value_is_no_rule(
    incident: Incident, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("CI", value)
    decision, _ = await at_no_terminal(incident, a_plan())
    assert not decision.approved


async def test_no_rule_approves_what_cannot_be_undone(incident: Incident, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    decision, _ = await at_no_terminal(incident, a_plan(undo=False))
    assert not decision.approved
    decision, _ = await at_no_terminal(incident, a_plan(undo=False, call=False))
    assert decision.approved


ASKING = """
import sys
from pathlib import Path

import anyio
from rich.console import Console

from midwatch.mitigation.approvals import AtTheTerminal
from midwatch.records import Incident, Plan


async def main(folder: Path) -> None:
    incident = Incident.model_validate_json((folder / "incident.json").read_text())
    plan = Plan.model_validate_json((folder / "plan.json").read_text())
    for number in range(9):
        print("ready", number, flush=True)
        while not (asked := folder / f"ask-{number}").exists():
            await anyio.sleep(0.02)
        terminal = AtTheTerminal(Console(width=200), float(asked.read_text()))
        decision = await terminal.decide(incident, plan)
        print(decision.model_dump_json(), flush=True)


anyio.run(main, Path(sys.argv[1]))
"""


class Terminal:
    """A pseudo-terminal with a process in it that asks for approval, again and again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._asked = 0
        self._ours, theirs = pty.openpty()
        environment = {name: value for name, value in os.environ.items() if name != "CI"} | {"TERM": "xterm"}
        command = [sys.executable, "-c", ASKING, str(folder)]
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
        os.close(theirs)
        self._seen = ""

    def type(self, text: str) -> None:
        """Type a text, and return once the terminal has it."""
        os.write(self._ours, text.encode())
        self.waits_for(text.replace("\n", "\r\n"))

    def waits_for(self, text: str) -> str:
        """Return what is printed up to a text, which must come."""
        deadline = time.monotonic() + 20
        while text not in self._seen:
            readable, _, _ = select.select([self._ours], [], [], deadline - time.monotonic())
            assert readable, self._seen
            self._seen += os.read(self._ours, 4096).decode(errors="replace")
        before, _, self._seen = self._seen.partition(text)
        return before + text

    def ask(self, seconds: float = 60) -> str:
        """Have the process ask, and return what it prints before it waits for an answer."""
        half_written = self._folder / "ask"
        half_written.write_text(str(seconds))
        half_written.rename(self._folder / f"ask-{self._asked}")
        self._asked += 1
        return self.waits_for("as a whole? (y/n)")

    def decision(self) -> Decision:
        self.waits_for('{"digest"')
        return Decision.model_validate_json('{"digest"' + self.waits_for("}"))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.fixture
def terminal(tmp_path: Path, incident: Incident) -> Iterator[Terminal]:
    (tmp_path / "incident.json").write_text(incident.model_dump_json())
    (tmp_path / "plan.json").write_text(a_plan().model_dump_json())
    started = Terminal(tmp_path)
    yield started
    started.close()


def test_a_person_at_the_terminal_sees_the_plan_and_only_a_yes_is_a_yes(terminal: Terminal) -> None:
    for typed, approved in {"y": True, "Yes": True, "no": False, "yellow": False, "": False}.items():
        assert "roll forge [back]" in terminal.ask()
        terminal.type(f"{typed}\n")
        decision = terminal.decision()
        assert (decision.approved, decision.by) == (approved, "person at the terminal")
        assert decision.digest == a_plan().digest


def test_what_was_typed_before_the_question_is_no_answer_and_ctrl_c_at_it_ends_the_process(terminal: Terminal) -> None:
    terminal.waits_for("ready 0")
    terminal.type("y\n")
    terminal.ask(0.5)
    decision = terminal.decision()
    assert (decision.approved, decision.reason) == (False, "no answer within 0.5 s")
    terminal.ask()
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(timeout=20) != 0


@pytest.fixture
def waiting(journal: Journal, incident: Incident) -> Plan:
    """Put an incident with a plan that waits on record."""
    journal.note(incident.id, "incident", "1", incident)
    return journal.note(incident.id, "plan", "1", a_plan())


async def test_a_decision_made_in_another_process_is_seen(
    journal: Journal, incident: Incident, waiting: Plan, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "midwatch", "approve", incident.id, waiting.digest[:12], "--by", "Ada"]
    environment = {**os.environ, "MIDWATCH_DATA_DIR": str(tmp_path)}
    async with await anyio.open_process(command, env=environment) as other:
        decision = await ThroughTheJournal(journal, 30).decide(incident, waiting)
        assert await other.wait() == 0
    assert (decision.approved, decision.by, decision.digest) == (True, "Ada", waiting.digest)


async def test_no_decision_in_time_is_a_no(journal: Journal, incident: Incident, waiting: Plan) -> None:
    decision = await ThroughTheJournal(journal, 0.1).decide(incident, waiting)
    assert (decision.approved, decision.reason) == (False, "no answer within 0.1 s")


async def test_a_plan_that_rests_waits_no_longer_than_it_may(
    journal: Journal, incident: Incident, waiting: Plan
) -> None:
    with pytest.raises(Resting):
        await InTheirOwnTime(journal, timedelta(hours=1)).decide(incident, waiting)
    decision = await InTheirOwnTime(journal, timedelta(0)).decide(incident, waiting)
    assert (decision.approved, decision.by, decision.reason) == (False, "nobody", "no answer within 0 s")


@pytest.mark.parametrize("wrong", ["", "0" * 64, a_plan().digest[:7], a_plan().digest + "0"])
def test_a_wrong_or_too_short_digest_is_refused_with_the_one_that_waits(
    journal: Journal, incident: Incident, waiting: Plan, wrong: str
) -> None:
    with pytest.raises(HostError, match=f"not the digest of the plan that waits .{waiting.digest[:12]}"):
        decide_by_name(journal, incident.id, wrong, approved=True, by="Ada")
    assert journal.values(incident.id, Decision) == []


def test_where_no_plan_waits_nothing_can_be_approved(journal: Journal, incident: Incident) -> None:
    journal.note(incident.id, "incident", "1", incident)
    with pytest.raises(HostError, match=r"waits .none"):
        decide_by_name(journal, incident.id, "0" * 64, approved=True, by="Ada")


def test_what_was_decided_first_stays_decided(journal: Journal, incident: Incident, waiting: Plan) -> None:
    decide_by_name(journal, incident.id, waiting.digest, approved=False, by="Ada")
    second = decide_by_name(journal, incident.id, waiting.digest, approved=True, by="Charles")
    assert (second.approved, second.by) == (False, "Ada")
