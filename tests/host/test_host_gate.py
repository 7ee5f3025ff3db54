"""The gate over a real server: what was approved is what runs, and what makes it worse is taken back."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.host.scenes import a_scene, change

from midwatch.builtin.admission import Admission, Proposed, with_proposed
from midwatch.builtin.planning import digest, plan_for
from midwatch.inquiry import Inquiry, Limits
from midwatch.mitigation.gate import Gate, Patience
from midwatch.records import (
    Action,
    Call,
    Comparison,
    Conclusion,
    Condition,
    Decision,
    Expectation,
    Health,
    Phase,
    Plan,
    Scope,
    Step,
)
from midwatch.settings import ServerSpec
from midwatch.storage.journal import Journal
from midwatch_kit.records import Citation, Signal, TopologyFragment, Window

if TYPE_CHECKING:
    from tests.host.conftest import HttpServer, HttpServers, Reach

SOON = Patience(settle=0.05, recovery=0.6)


def call(to_version: str) -> Call:
    return Call(server="patient", tool="roll_back", arguments={"service": "gateway", "to_version": to_version})


def a_plan(to_version: str = "good", **step: object) -> Plan:
    """Return a sealed plan that rolls gateway back from `bad`; `step` says what else is true of the step that acts."""
    looks = Step(title="the symptom is there", phase="prepare", expect=Expectation.SYMPTOM_PERSISTS, safety="read_only")
    acts = Step(
        title="roll gateway back",
        phase="apply",
        call=call(to_version),
        expect=Expectation.SUCCEEDS,
        safety="mutating",
        inverse=call("bad"),
    )
    undoes = acts.model_copy(update={"title": "bring bad back", "phase": "roll_back", "call": call("bad")})
    steps = (looks, acts.model_copy(update=step), undoes)
    return sealed(Plan(action="roll back", reasoning="it fails", risk="low", steps=steps, digest=""))


def sealed(plan: Plan) -> Plan:
    return plan.model_copy(update={"digest": digest(plan)})


def a_yes(plan: Plan) -> Decision:
    return Decision(digest=plan.digest, approved=True, by="a person", reason="asked")


@pytest.fixture
def scope() -> Scope:
    now = datetime.now(UTC)
    window = Window(start=now - timedelta(minutes=1), end=now)
    before = Window(start=now - timedelta(hours=1), end=window.start)
    return Scope(symptom="service:gateway", window=window, baseline=before, onset=None, topology=TopologyFragment())


@asynccontextmanager
async def a_gate(reach: Reach, url: str, journal: Journal, scope: Scope) -> AsyncGenerator[Gate]:
    async with reach(patient=ServerSpec(url=url, suite=True)) as host:
        inquiry = Inquiry("one", journal, host.eyes, host.eyes.kept, Limits(60, 100, 10))
        yield Gate(inquiry, host.hands, SOON, scope)


def outcomes(journal: Journal) -> dict[str, str]:
    return {action.step: action.outcome for action in journal.values("one", Action)}


async def test_an_approved_plan_runs_and_recovery_is_proven_by_health(
    reach: Reach, patient: HttpServer, journal: Journal, scope: Scope
) -> None:
    plan = a_plan()
    async with a_gate(reach, patient.url, journal, scope) as gate:
        assert await gate.carry_out(plan, a_yes(plan))
    assert patient.now()["made"] == ["good"]
    assert outcomes(journal) == {"roll gateway back": "done"}
    looks = [(look.when, look.healthy, look.errors) for look in journal.values("one", Health)]
    assert looks == [("before", False, 30), ("after", True, 0)]


@pytest.mark.parametrize("change", [{"approved": False}, {"digest": "0" * 64}])
async def test_a_plan_that_was_not_approved_by_its_digest_changes_nothing(
    reach: Reach, patient: HttpServer, journal: Journal, scope: Scope, change: dict[str, object]
) -> None:
    plan = a_plan()
    async with a_gate(reach, patient.url, journal, scope) as gate:
        assert not await gate.carry_out(plan, a_yes(plan).model_copy(update=change))
    assert patient.now()["made"] == []
    assert journal.values("one", Action) == []


async def test_a_plan_that_was_changed_after_it_was_approved_changes_nothing(
    reach: Reach, patient: HttpServer, journal: Journal, scope: Scope
) -> None:
    approved = a_plan()
    changed = a_plan("awful").model_copy(update={"digest": approved.digest})
    async with a_gate(reach, patient.url, journal, scope) as gate:
        assert not await gate.carry_out(changed, a_yes(approved))
    assert patient.now()["made"] == []


async def test_what_makes_health_worse_is_undone_by_the_inverse(
    reach: Reach, patient: HttpServer, journal: Journal, scope: Scope
) -> None:
    plan = a_plan("awful")
    async with a_gate(reach, patient.url, journal, scope) as gate:
        assert not await gate.carry_out(plan, a_yes(plan))
    assert patient.now()["version"] == "bad"
    assert patient.now()["made"] == ["awful", "bad"]
    assert outcomes(journal) == {"roll gateway back": "done", "bring bad back": "undone"}
    undone = journal.values("one", Action)[-1]
    assert undone.detail.startswith("health got worse: 60 of 100 requests")


async def test_an_undo_that_is_refused_is_tried_again(
    reach: Reach, patient: HttpServer, journal: Journal, scope: Scope
) -> None:
    patient.becomes(version="bad", refuses={"bad": 2})
    plan = a_plan("awful")
    async with a_gate(reach, patient.url, journal, scope) as gate:
        assert not await gate.carry_out(plan, a_yes(plan))
    assert patient.now()["made"] == ["awful", "bad"]
    assert outcomes(journal)["bring bad back"] == "undone"


async def test_what_does_not_help_in_time_is_undone(
    reach: Reach, patient: HttpServer, journal: Journal, scope: Scope
) -> None:
    patient.becomes(version="bad", failing={"bad": 30, "good": 30})
    plan = a_plan()
    async with a_gate(reach, patient.url, journal, scope) as gate:
        assert not await gate.carry_out(plan, a_yes(plan))
    assert patient.now()["made"] == ["good", "bad"]
    assert journal.values("one", Action)[-1].detail.startswith("the symptom was still there after 0.6 s")


async def test_what_was_undone_stays_undone_when_the_plan_is_taken_up_again(
    reach: Reach, patient: HttpServer, journal: Journal, scope: Scope
) -> None:
    plan = a_plan("awful")
    async with a_gate(reach, patient.url, journal, scope) as gate:
        await gate.carry_out(plan, a_yes(plan))
        assert not await gate.carry_out(plan, a_yes(plan))
    assert patient.now()["made"] == ["awful", "bad"]


async def test_a_further_looks_plan_runs_a_step_that_an_earlier_plan_ran(
    reach: Reach, patient: HttpServer, journal: Journal, scope: Scope
) -> None:
    plan = a_plan()
    async with a_gate(reach, patient.url, journal, scope) as gate:
        assert await gate.carry_out(plan, a_yes(plan))
        patient.becomes(version="bad", made=["good"])
        gate.of = ":2"
        again = sealed(plan.model_copy(update={"reasoning": "it fails (look 2)"}))
        assert await gate.carry_out(again, a_yes(again))
    assert patient.now()["made"] == ["good", "good"]


async def test_a_symptom_that_is_gone_needs_no_change(
    reach: Reach, patient: HttpServer, journal: Journal, scope: Scope
) -> None:
    patient.becomes(version="good")
    plan = a_plan()
    async with a_gate(reach, patient.url, journal, scope) as gate:
        assert await gate.carry_out(plan, a_yes(plan))
    assert patient.now()["made"] == []
    assert set(outcomes(journal).values()) == {"skipped"}


async def test_a_symptom_that_nobody_can_see_is_no_reason_to_change_anything(
    reach: Reach, journal: Journal, scope: Scope
) -> None:
    plan = a_plan()
    async with a_gate(reach, "http://127.0.0.1:9/mcp", journal, scope) as gate:
        assert not await gate.carry_out(plan, a_yes(plan))
    assert set(outcomes(journal).values()) == {"skipped"}


async def test_a_step_that_is_refused_changes_nothing_and_needs_no_undo(
    reach: Reach, patient: HttpServer, journal: Journal, scope: Scope
) -> None:
    plan = a_plan(call=call("good").model_copy(update={"arguments": {"service": "gateway"}}))
    async with a_gate(reach, patient.url, journal, scope) as gate:
        assert not await gate.carry_out(plan, a_yes(plan))
    assert outcomes(journal) == {"roll gateway back": "failed"}
    assert "needs the argument 'to_version'" in journal.values("one", Action)[-1].detail
    assert patient.now()["made"] == []


def looked_up(phase: Phase, comparison: Comparison, subject: str = "error_rate") -> Step:
    """Return a step that looks gateway's errors up."""
    of = Condition(entity="service:gateway", signal=Signal.TRACES, subject=subject, comparison=comparison)
    return Step(title=of.said, phase=phase, expect=Expectation.HOLDS, safety="read_only", condition=of)


def with_step(step: Step) -> Plan:
    plan = a_plan()
    return sealed(plan.model_copy(update={"steps": (*plan.steps, step)}))


@pytest.mark.parametrize(
    ("step", "made", "outcome", "cured"),
    [
        (looked_up("pre_validate", "unusual"), ["good"], "done", True),
        (looked_up("pre_validate", "normal"), [], "skipped", False),
        (looked_up("post_validate", "normal"), ["good"], "done", True),
        (looked_up("post_validate", "unusual"), ["good"], "failed", False),
        (looked_up("post_validate", "absent", "30 of 100"), ["good"], "done", True),
    ],
    ids=["so before", "not so before", "so after", "not so after", "a message that is gone"],
)
async def test_what_a_plan_expects_is_looked_up_before_and_after(
    reach: Reach,
    patient: HttpServer,
    journal: Journal,
    scope: Scope,
    step: Step,
    made: list[str],
    outcome: str,
    cured: bool,
) -> None:
    plan = with_step(step)
    async with a_gate(reach, patient.url, journal, scope) as gate:
        assert await gate.carry_out(plan, a_yes(plan)) is cured
    assert (patient.now()["made"], outcomes(journal)[step.title]) == (made, outcome)


async def test_what_nobody_can_look_up_keeps_a_plan_from_beginning(
    reach: Reach, patient: HttpServer, journal: Journal, scope: Scope
) -> None:
    runs = Condition(
        entity="service:gateway", signal=Signal.CHANGES, subject="version", comparison="equals", value="bad"
    )
    step = looked_up("pre_validate", "unusual").model_copy(update={"condition": runs, "title": runs.said})
    plan = with_step(step)
    async with a_gate(reach, patient.url, journal, scope) as gate:
        assert not await gate.carry_out(plan, a_yes(plan))
    assert patient.now()["made"] == []
    assert "nobody can say" in journal.values("one", Action)[-1].detail


@pytest.mark.parametrize(
    ("step", "decision", "why"),
    [
        ({"inverse": None}, {}, "needs an undo"),
        ({"inverse": call("awful")}, {}, "needs an undo"),
        ({}, {"rule": True, "by": "CI=true"}, "a person has to say yes"),
    ],
    ids=["no undo", "an undo that no step makes", "a rule's yes"],
)
async def test_a_models_step_runs_only_with_an_undo_and_a_persons_yes(
    reach: Reach,
    patient: HttpServer,
    journal: Journal,
    scope: Scope,
    step: dict[str, Any],
    decision: dict[str, object],
    why: str,
) -> None:
    plan = a_plan(by="model", **step)
    async with a_gate(reach, patient.url, journal, scope) as gate:
        assert not await gate.carry_out(plan, a_yes(plan).model_copy(update=decision))
    assert patient.now()["made"] == []
    assert why in journal.values("one", Action)[-1].detail


@pytest.mark.parametrize(
    ("to_version", "cured", "made"), [("good", True, ["good"]), ("awful", False, ["awful", "bad"])]
)
async def test_a_call_that_a_model_proposes_of_a_real_tool_runs_once_a_person_said_yes_and_is_taken_back(
    reach: Reach, patient: HttpServer, journal: Journal, scope: Scope, to_version: str, cured: bool, made: list[str]
) -> None:
    wrong = change("service:gateway", -20, "config", version="bad", previous_version=to_version)
    scene = a_scene(wrong)
    of = {"entity": "service:gateway", "kind": "change", "statement": "a setting", "onset": None, "confidence": 0.9}
    cause = {**of, "path": ["service:gateway"], "supports": [], "hypothesis": "h", "trigger": wrong}
    said = {"outcome": "root_cause", "statement": "a setting of gateway", "root_causes": [cause]}
    found = Conclusion.model_validate(said)
    async with a_gate(reach, patient.url, journal, scope) as gate:
        held = Admission(found, scene, tuple(gate.hands.tools()))
        cites = (Citation(evidence="e" * 64, where="/rows/0", quote=1),)
        assert held.admit(Proposed("it failed since", cites, call=call(to_version), undo=call("bad"))) == ""
        plan = with_proposed(plan_for(found, scene, ()), held.steps)
        assert await gate.carry_out(plan, a_yes(plan)) is cured
    assert patient.now()["made"] == made


async def test_when_a_later_step_fails_what_ran_before_it_is_taken_back(
    reach: Reach, patient: HttpServer, journal: Journal, scope: Scope
) -> None:
    plan = a_plan()
    refused = call("good").model_copy(update={"arguments": {"service": "gateway"}})
    fails = plan.steps[1].model_copy(update={"title": "a second step", "call": refused})
    plan = sealed(plan.model_copy(update={"steps": (*plan.steps[:2], fails, plan.steps[2])}))
    async with a_gate(reach, patient.url, journal, scope) as gate:
        assert not await gate.carry_out(plan, a_yes(plan))
    assert patient.now()["made"] == ["good", "bad"]
    assert outcomes(journal)["bring bad back"] == "undone"


async def test_a_destructive_step_never_runs(reach: Reach, patient: HttpServer, journal: Journal, scope: Scope) -> None:
    plan = a_plan(safety="destructive")
    async with a_gate(reach, patient.url, journal, scope) as gate:
        assert not await gate.carry_out(plan, a_yes(plan))
    assert patient.now()["made"] == []
    assert outcomes(journal) == {"roll gateway back": "skipped"}


async def test_a_plan_for_a_person_notes_what_to_do_and_changes_nothing(
    reach: Reach, patient: HttpServer, journal: Journal, scope: Scope
) -> None:
    plan = a_plan(call=None, command="restart gateway", expect=Expectation.BY_A_PERSON)
    async with a_gate(reach, patient.url, journal, scope) as gate:
        assert not await gate.carry_out(plan, a_yes(plan))
    assert patient.now()["made"] == []
    action = journal.values("one", Action)[0]
    assert (action.outcome, action.detail) == ("for_a_person", "restart gateway")


async def test_a_step_whose_answer_was_lost_is_judged_by_health(
    reach: Reach, start_patient: HttpServers, journal: Journal, scope: Scope
) -> None:
    first = start_patient()
    first.becomes(version="bad", kills="itself")
    plan = a_plan()
    async with a_gate(reach, first.url, journal, scope) as gate:
        assert not await gate.carry_out(plan, a_yes(plan))
    assert first.now()["version"] == "good"
    assert outcomes(journal)["roll gateway back"] == "unknown"


async def test_a_step_that_was_cut_short_and_may_not_be_run_twice_is_judged_by_health(
    reach: Reach, patient: HttpServer, odd: Callable[..., ServerSpec], journal: Journal, scope: Scope
) -> None:
    touch = Call(server="odd", tool="touch", arguments={"do": "hang"})
    plan = a_plan(call=touch)
    async with reach(patient=ServerSpec(url=patient.url, suite=True), odd=odd()) as host:
        inquiry = Inquiry("one", journal, host.eyes, host.eyes.kept, Limits(60, 100, 10))
        gate = Gate(inquiry, host.hands, SOON, scope)
        with anyio.move_on_after(3):
            await gate.carry_out(plan, a_yes(plan))
        assert outcomes(journal) == {"roll gateway back": "begun"}
        patient.becomes(version="good")
        assert await gate.carry_out(plan, a_yes(plan))
        touches = (await host.hands.act("odd", "touch", {}, 10)).rows
    assert touches == [2], "the one that hung, and this one that asks"
    assert outcomes(journal) == {"roll gateway back": "unknown"}


HOST = """
import sys
from pathlib import Path

import anyio

from midwatch.mitigation.gate import Gate, Patience
from midwatch.inquiry import Inquiry, Limits
from midwatch.storage.journal import Journal
from midwatch.mcp_client.links import open_links
from midwatch.records import Decision, Plan, Scope
from midwatch.settings import ServerSpec
from midwatch.mcp_client.toolbox import Eyes, Hands
from midwatch_kit.evidence import EvidenceStore


async def main(folder: Path, url: str) -> None:
    plan = Plan.model_validate_json((folder / "plan.json").read_text())
    scope = Scope.model_validate_json((folder / "scope.json").read_text())
    kept = EvidenceStore(folder / "evidence", 2**40)
    async with open_links({"patient": ServerSpec(url=url, suite=True)}, 20, folder) as links:
        inquiry = Inquiry("one", Journal(folder / "journal.db"), Eyes(links, kept), kept, Limits(60, 100, 10))
        gate = Gate(inquiry, Hands(links, kept), Patience(0.05, 0.6), scope)
        yes = Decision(digest=plan.digest, approved=True, by="a person", reason="asked")
        print(await gate.carry_out(plan, yes))


anyio.run(main, Path(sys.argv[1]), sys.argv[2])
"""


def killed_while_acting(folder: Path, patient: HttpServer) -> None:
    """Have a host of its own process carry a plan out, and kill it once the server has acted for it."""
    command = [sys.executable, "-c", HOST, str(folder), patient.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        patient.becomes(version="bad", kills=process.pid)
        printed, _ = process.communicate(timeout=30)
    assert (process.returncode, printed) == (-signal.SIGKILL, b"")


async def test_a_host_that_is_killed_between_the_act_and_its_record_ends_where_it_would_have_ended(
    reach: Reach, patient: HttpServer, journal: Journal, scope: Scope, tmp_path: Path
) -> None:
    plan = a_plan()
    (tmp_path / "plan.json").write_text(plan.model_dump_json())
    (tmp_path / "scope.json").write_text(scope.model_dump_json())
    killed_while_acting(tmp_path, patient)
    assert patient.now()["made"] == ["good"]
    assert outcomes(journal) == {"roll gateway back": "begun"}
    patient.becomes(version="good", made=["good"])
    async with a_gate(reach, patient.url, journal, scope) as gate:
        assert await gate.carry_out(plan, a_yes(plan))
    assert set(patient.now()["made"]) == {"good"}
    assert outcomes(journal) == {"roll gateway back": "done"}
    assert journal.values("one", Health)[0].errors == 30
