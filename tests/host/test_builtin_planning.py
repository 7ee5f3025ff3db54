"""Plans by code: five phases with conditions that code can look up, concrete commands, nothing that is unsafe."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue
from tests.host.scenes import a_scene, change, origin, reason, seen

from midwatch.builtin.planning import digest, plan_for
from midwatch.builtin.scene import Scene
from midwatch.builtin.vocabulary import alters_data, is_migration
from midwatch.mcp_client.toolbox import Tool
from midwatch.records import Call, Cause, Conclusion, Condition, Expectation, HypothesisKind, Outcome, Plan, Step
from midwatch_kit.evidence import canonical, evidence_id
from midwatch_kit.records import Citation, Observation, ObservationKind, Signal
from midwatch_kit.server import Role

ROLL_BACK = Tool("deploys", "roll_back", Role.ACT, "changes", None, frozenset({"service", "to_version"}), False)


def altering(deploy: Observation, by: str) -> Observation:
    """Return what was read of a deploy that alters how data are kept."""
    facts = {"change_id": deploy.attributes["change_id"], "alters_data": by, "names": ""}
    return seen(deploy.entity, "content", ObservationKind.CHANGE, onset=deploy.onset, attributes=facts)


def test_a_deploy_that_altered_how_data_are_kept_is_not_rolled_back_but_left_to_a_person() -> None:
    deploy = change("service:forge", -20)
    scene = a_scene(deploy, altering(deploy, "migrations/7.sql"), origin("service:forge"))
    plan = plan_for(reason(scene).conclusion, scene, [ROLL_BACK])
    assert all(step.call is None for step in plan.steps)
    assert plan.action.startswith("don't roll service:forge back, it altered how data are kept (migrations/7.sql)")
    assert plan.risk.startswith("high: ")


def test_a_deploy_is_not_rolled_back_past_a_later_one_that_altered_how_data_are_kept() -> None:
    bad, later, earlier = (change("service:forge", at) for at in (-20, 30, -600))
    contents = [altering(later, "migrations/8.sql")], [altering(earlier, "migrations/6.sql")]
    past, before = (a_scene(bad, later, earlier, *some, origin("service:forge")) for some in contents)
    assert not any(step.call for step in plan_for(reason(past).conclusion, past, [ROLL_BACK]).steps)
    assert any(step.call for step in plan_for(reason(before).conclusion, before, [ROLL_BACK]).steps)


def test_what_a_team_says_never_to_roll_back_is_left_to_a_person() -> None:
    scene = a_scene(change("service:forge", -20), origin("service:forge"))
    plan = plan_for(reason(scene).conclusion, scene, [ROLL_BACK], frozenset({"service:forge"}))
    assert all(step.call is None for step in plan.steps)
    assert "a steering file says never to roll service:forge back" in plan.risk


@pytest.mark.parametrize(
    ("file", "altering"),
    [
        ("forge/migrations/0042_hold.sql", True),
        ("db/migrate/20261120_hold.rb", True),
        ("alembic/versions/3f2c1ab_hold.py", True),
        ("db/changelog.xml", True),
        ("schema.sql", True),
        ("forge/blueprint.py", False),
        ("docs/immigration.md", False),
        ("CHANGELOG.md", False),
    ],
)
def test_migrations_are_known_by_where_they_lie(file: str, *, altering: bool) -> None:
    assert is_migration(file) is altering


@pytest.mark.parametrize(
    ("line", "altering"),
    [
        ("+ALTER TABLE holds ADD COLUMN until timestamptz;", True),
        ('+    op.drop_column("holds", "until")', True),
        ("+    db.execute('drop table holds')", True),
        ("-ALTER TABLE holds ADD COLUMN until timestamptz;", False),
        ("+# the table of drops is altered elsewhere", False),
        ("+SELECT until FROM holds", False),
    ],
)
def test_a_diff_alters_data_where_it_adds_statements_that_do(line: str, *, altering: bool) -> None:
    assert alters_data(f"--- a/x\n+++ b/x\n{line}\n") is altering


PHASES = ["prepare", "pre_validate", "apply", "post_validate", "roll_back"]
MEMORY = seen("service:forge", "memory.usage", ObservationKind.SATURATION, signal=Signal.METRICS)
SURGE = seen("service:forge", "request_rate")
SAID = "ValidationError: field finish"
NEW_ERROR = seen(
    "service:forge", "template", ObservationKind.NEW_PATTERN, signal=Signal.LOGS, attributes={"template": SAID}
)


def the_plan(kind: HypothesisKind, scene: Scene, trigger: Observation | None = None, *hands: Tool) -> Plan:
    """Return the plan for a cause of a kind at forge."""
    said: dict[str, Any] = {"entity": "service:forge", "kind": kind, "statement": "forge is at fault", "onset": None}
    cause = Cause(**said, confidence=0.9, path=("service:forge",), supports=(), trigger=trigger, hypothesis="h")
    found = Conclusion(outcome=Outcome.ROOT_CAUSE, statement="forge made gateway fail", root_causes=(cause,))
    return plan_for(found, scene, hands)


@pytest.mark.parametrize("kind", HypothesisKind)
def test_a_plan_for_each_kind_of_cause_has_all_five_phases_and_code_can_tell_that_it_helped(
    kind: HypothesisKind,
) -> None:
    triggers = {HypothesisKind.RESOURCE: MEMORY, HypothesisKind.CHANGE: change("service:forge", -20)}
    trigger = triggers.get(kind)
    seen_there = [origin("service:forge"), SURGE, *([trigger] if trigger else [])]
    plan = the_plan(kind, a_scene(*seen_there), trigger)
    assert [*dict.fromkeys(step.phase for step in plan.steps)] == PHASES
    checked = [step for step in plan.steps if step.condition]
    assert {step.phase for step in checked} >= {"pre_validate", "post_validate"}
    assert all(step.expect is Expectation.HOLDS and step.safety == "read_only" for step in checked)


@pytest.mark.parametrize(
    ("trigger", "kind", "holds"),
    [
        (change("service:forge", -20), HypothesisKind.CHANGE, "service:forge runs 9e8d7c6"),
        (MEMORY, HypothesisKind.RESOURCE, "memory.usage of service:forge is normal"),
        (None, HypothesisKind.TRAFFIC, "request_rate of service:forge is normal"),
        (NEW_ERROR, HypothesisKind.STATE, f"logs of service:forge no longer say: {SAID}"),
    ],
)
def test_what_has_to_be_so_afterwards_is_what_the_cause_showed_by(
    trigger: Observation | None, kind: HypothesisKind, holds: str
) -> None:
    scene = a_scene(origin("service:forge"), SURGE, *([trigger] if trigger else []))
    after = [step for step in the_plan(kind, scene, trigger).steps if step.phase == "post_validate" and step.condition]
    assert holds in [step.condition.said for step in after if step.condition]


@pytest.mark.parametrize(
    ("facts", "subject", "command"),
    [
        ({"change_id": "kubernetes:prod/Deployment/forge@7"}, "deploy",
         "kubectl --namespace prod rollout undo deployment/forge"),
        ({"change_id": "argocd:argocd/forge@12"}, "deploy", "argocd app rollback forge"),
        ({"repository": "acme/forge"}, "deploy",
         "deploy 9e8d7c6 of forge again, in place of 3f2c1ab; for good in acme/forge: git revert --no-edit 3f2c1ab"),
        ({"title": "switch quick_forge on"}, "flag", "switch the flag of forge back: switch quick_forge on"),
        ({}, "config", "git revert --no-edit 3f2c1ab, and deploy forge"),
        ({"version": "v41; rm -rf /"}, "deploy", "roll service:forge back to what ran before"),
        ({"change_id": "kubernetes:prod/Deployment/$(reboot)@7", "version": "a b"}, "deploy",
         "roll service:forge back to what ran before"),
    ],
)  # fmt: skip
def test_a_command_is_as_concrete_as_the_change_on_record(facts: dict[str, str], subject: str, command: str) -> None:
    deploy = change("service:forge", -20, subject, **facts)
    plan = the_plan(HypothesisKind.CHANGE, a_scene(deploy, origin("service:forge")), deploy)
    assert [step.command for step in plan.steps if step.phase == "apply"] == [command]


def test_an_object_of_a_cluster_is_named_as_kubectl_names_it() -> None:
    broken = seen("service:forge", "CrashLoopBackOff", ObservationKind.MISMATCH, signal=Signal.STATE,
                  attributes={"object": "Deployment prod/forge"})  # fmt: skip
    plan = the_plan(HypothesisKind.RESOURCE, a_scene(broken), broken)
    (step,) = [step for step in plan.steps if step.phase == "apply"]
    assert step.command == "kubectl --namespace prod rollout restart deployment/forge"


def test_only_a_deploy_is_rolled_back_by_the_deployer() -> None:
    for subject, calls in (("deploy", 2), ("flag", 0), ("config", 0)):
        made = change("service:forge", -20, subject)
        plan = the_plan(HypothesisKind.CHANGE, a_scene(made, origin("service:forge")), made, ROLL_BACK)
        assert len([step for step in plan.steps if step.call]) == calls, subject


def test_a_plan_that_was_recorded_before_steps_had_conditions_keeps_its_digest() -> None:
    old: JsonValue = {"title": "restart", "phase": "apply", "call": None, "command": "restart", "expect": "by_a_person",
           "timeout_seconds": 30.0, "safety": "mutating", "inverse": None}  # fmt: skip
    said: dict[str, JsonValue] = {"action": "a", "reasoning": "b", "risk": "c", "blast_radius": [], "steps": [old]}
    assert digest(Plan.model_validate({**said, "digest": ""})) == evidence_id(canonical(said))


CALLS = st.builds(Call, server=st.sampled_from("ab"), tool=st.sampled_from("cd"), arguments=st.just({"service": "x"}))
CONDITIONS = st.builds(
    Condition,
    entity=st.sampled_from(["service:a", "service:b"]),
    signal=st.sampled_from(Signal),
    subject=st.sampled_from(["error_rate", "cpu"]),
    comparison=st.sampled_from(["normal", "unusual"]),
    value=st.none(),
)
CITATIONS = st.builds(Citation, evidence=st.sampled_from(["e", "f"]), where=st.just("/rows/0"), quote=st.just("q"))
STEPS = st.builds(
    Step,
    title=st.sampled_from(["s", "t"]),
    phase=st.sampled_from(PHASES),
    call=st.none() | CALLS,
    command=st.none() | st.sampled_from(["x", "y"]),
    expect=st.sampled_from(Expectation),
    timeout_seconds=st.sampled_from([30.0, 60.0]),
    safety=st.sampled_from(["read_only", "mutating", "destructive"]),
    inverse=st.none() | CALLS,
    condition=st.none() | CONDITIONS,
    reason=st.sampled_from(["", "because"]),
    cites=st.lists(CITATIONS, max_size=1).map(tuple),
    by=st.sampled_from(["code", "model"]),
)
PLANS = st.builds(
    Plan,
    action=st.sampled_from("ab"),
    reasoning=st.sampled_from("ab"),
    risk=st.sampled_from("ab"),
    blast_radius=st.lists(st.sampled_from(["service:a"]), max_size=1).map(tuple),
    steps=st.lists(STEPS, max_size=2).map(tuple),
    digest=st.just(""),
)


@given(PLANS, PLANS)
def test_two_plans_have_one_digest_only_if_they_say_the_same(one: Plan, other: Plan) -> None:
    assert (digest(one) == digest(other)) is (one == other)


@given(STEPS, STEPS)
def test_a_digest_covers_every_field_of_a_step(one: Step, other: Step) -> None:
    said = Plan(action="a", reasoning="b", risk="c", steps=(one,), digest="")
    for name in Step.model_fields:
        changed = one.model_copy(update={name: getattr(other, name)})
        same = digest(said.model_copy(update={"steps": (changed,)})) == digest(said)
        assert same is (changed == one), name
