"""A host that is stopped (SIGSTOP) while a plan waits: time that is over is over, whatever was said meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from midwatch.builtin.planning import digest
from midwatch.mitigation.approvals import ThroughTheJournal, decide_by_name, decided_in_time, decision_on, too_late
from midwatch.records import Decision, Expectation, Incident, Plan, Severity, Status, Step
from midwatch.storage.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 1.0
NOW = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)


def a_plan() -> Plan:
    step = Step(title="restart", phase="apply", expect=Expectation.SUCCEEDS, safety="mutating")
    plan = Plan(action="restart", reasoning="it fails", risk="low", steps=(step,), digest="")
    return plan.model_copy(update={"digest": digest(plan)})


def an_incident() -> Incident:
    return Incident(
        id="01PAUSED",
        title="it fails",
        status=Status.AWAITING_APPROVAL,
        severity=Severity.HIGH,
        service="service:gateway",
        started_at=NOW,
        first_seen=NOW,
    )


def test_a_yes_that_was_said_while_the_host_was_stopped_past_its_time_comes_too_late(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "journal.db")) as journal:
        journal.note("01PAUSED", "plan", "1", a_plan())
        waits = subprocess.Popen(
            [sys.executable, __file__, str(tmp_path / "journal.db")], stdout=subprocess.PIPE, text=True
        )
        assert waits.stdout
        assert waits.stdout.readline() == "waits\n"
        os.kill(waits.pid, signal.SIGSTOP)
        decide_by_name(journal, "01PAUSED", a_plan().digest, approved=True, by="robin")
        time.sleep(SECONDS)  # the time that it waits for an answer goes by
        os.kill(waits.pid, signal.SIGCONT)
        assert waits.communicate(timeout=30)[0] == "no answer within 1 s\n"


def test_a_yes_that_came_too_late_stays_on_record_and_decides_nothing(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "journal.db")) as journal:
        journal.note("01PAUSED", "plan", "1", a_plan())
        decide_by_name(journal, "01PAUSED", a_plan().digest, approved=True, by="robin")
        too_late(journal, "01PAUSED", a_plan(), 60)
        decided = decision_on(journal, "01PAUSED", a_plan())
        assert decided
        assert (decided.approved, decided.by) == (False, "nobody")
        assert decided.reason == "it was approved, but only after the 60 s that it waited for an answer"
        assert [each.by for each in journal.values("01PAUSED", Decision)] == ["robin", "nobody"]


def test_time_for_a_yes_is_counted_from_when_the_plan_came_on_record(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "journal.db")) as journal:
        journal.note("01PAUSED", "plan", "1", a_plan())
        decide_by_name(journal, "01PAUSED", a_plan().digest, approved=True, by="robin")
        in_time = decided_in_time(journal, "01PAUSED", a_plan(), 60)
        late = decided_in_time(journal, "01PAUSED", a_plan(), -60)
        assert (in_time and in_time.by, late and late.approved) == ("robin", False)
        assert decided_in_time(journal, "01PAUSED", a_plan(), 60) == late


if __name__ == "__main__":
    from pathlib import Path

    import anyio
    import anyio.lowlevel

    async def wait() -> None:
        async def told() -> None:
            decision = await ThroughTheJournal(waiting, SECONDS).decide(an_incident(), a_plan())
            sys.stdout.write(f"{decision.reason}\n")

        async with anyio.create_task_group() as group:
            group.start_soon(told)
            await anyio.lowlevel.checkpoint()  # by now it waits
            sys.stdout.write("waits\n")
            sys.stdout.flush()

    with closing(Journal(Path(sys.argv[1]))) as waiting:
        anyio.run(wait)
