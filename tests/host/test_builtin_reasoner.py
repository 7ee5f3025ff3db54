"""The builtin reasoner over hand-made scenes: which cause wins, which dies, and of what."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.host.scenes import GRAPH, SYMPTOM, a_scene, after, change, healthy, origin, reason, seen

from midwatch.builtin import weights
from midwatch.builtin.calibration import CALIBRATION
from midwatch.builtin.planning import digest, plan_for
from midwatch.mcp_client.toolbox import Tool
from midwatch.records import HypothesisKind, Outcome
from midwatch.steering.files import Check, Steering
from midwatch_kit.records import Observation, ObservationKind, Signal
from midwatch_kit.server import Role


def test_a_deploy_just_before_the_onset_where_the_errors_begin_is_the_root_cause() -> None:
    deploy = change("service:forge", -20)
    judged = reason(a_scene(deploy, origin("service:forge"), healthy("service:schedule")))
    assert judged.conclusion.outcome is Outcome.ROOT_CAUSE
    assert judged.cause == (HypothesisKind.CHANGE, "service:forge")
    cause = judged.conclusion.root_causes[0]
    assert cause.trigger == deploy
    assert cause.path == ("service:forge", "service:bot", "service:gateway", "alarm:gateway-errors")
    assert deploy.id in cause.supports
    assert CALIBRATION.indecisive.highest < cause.confidence <= CALIBRATION.decisive.highest


def test_the_same_deploy_of_a_healthy_service_is_refuted_by_its_health() -> None:
    well = healthy("service:schedule")
    deploy = change("service:schedule", -20)
    judged = reason(a_scene(deploy, well, change("service:forge", -20), origin("service:forge")))
    verdict = judged.verdict(HypothesisKind.CHANGE, "service:schedule")
    assert (verdict.result, verdict.probability) == ("refuted", 0)
    assert well.id in verdict.observations
    assert judged.cause == (HypothesisKind.CHANGE, "service:forge")


def test_what_stayed_healthy_is_not_the_cause_even_where_nobody_knows_where_it_begins() -> None:
    verdict = reason(a_scene(change("service:schedule", -20), healthy("service:schedule"))).verdict(
        HypothesisKind.CHANGE, "service:schedule"
    )
    assert verdict.result == "refuted"
    assert verdict.reason.startswith("it stayed healthy")


def test_a_change_after_the_onset_is_refuted_by_time() -> None:
    late = change("service:forge", 30)
    judged = reason(a_scene(late, origin("service:forge")))
    verdict = judged.verdict(HypothesisKind.CHANGE, "service:forge")
    assert verdict.result == "refuted"
    assert "after the symptom had begun at 02:48:00" in verdict.reason
    assert judged.cause[0] is not HypothesisKind.CHANGE


def test_of_two_deploys_of_one_service_the_nearer_one_is_likelier() -> None:
    near, far = change("service:forge", -20), change("service:forge", -550)
    judged = reason(a_scene(near, far, origin("service:forge")))
    of_near = judged.verdict(HypothesisKind.CHANGE, "service:forge", near)
    of_far = judged.verdict(HypothesisKind.CHANGE, "service:forge", far)
    assert of_near.probability > of_far.probability
    assert judged.conclusion.root_causes[0].trigger == near


def test_a_session_on_the_one_instance_that_fails_wins_over_its_platform_and_over_a_deploy_of_all() -> None:
    session = change("instance:forge-1", -15, "session", version="", previous_version="")
    deploy = change("service:forge", -100)
    judged = reason(a_scene(session, deploy, origin("service:forge", instances="forge-1:118")))
    assert judged.conclusion.outcome is Outcome.ROOT_CAUSE
    assert judged.cause == (HypothesisKind.OPERATOR, "instance:forge-1")
    platform = judged.verdict(HypothesisKind.PLATFORM, "instance:forge-1")
    fleet = judged.verdict(HypothesisKind.CHANGE, "service:forge")
    operator = judged.verdict(HypothesisKind.OPERATOR, "instance:forge-1")
    assert operator.probability > platform.probability
    assert operator.probability > fleet.probability
    assert "only instance:forge-1 fails" in " ".join(argument.text for argument in fleet.arguments)


def test_a_session_on_one_instance_is_refuted_when_its_sibling_fails_as_well() -> None:
    session = change("instance:forge-1", -15, "session")
    judged = reason(a_scene(session, origin("service:forge")))
    verdict = judged.verdict(HypothesisKind.OPERATOR, "instance:forge-1")
    assert verdict.result == "refuted"
    assert "not only instance:forge-1 fails (forge-1 60, forge-2 58)" in verdict.reason


def test_a_processor_spike_that_ended_while_the_symptom_went_on_is_refuted() -> None:
    spike = seen(
        "instance:forge-2",
        "system.cpu.utilization",
        signal=Signal.METRICS,
        related="service:forge",
        onset=after(-30),
        ended=after(20),
    )
    judged = reason(a_scene(spike, change("service:forge", -20), origin("service:forge")))
    verdict = judged.verdict(HypothesisKind.RESOURCE, "instance:forge-2")
    assert verdict.result == "refuted"
    assert spike.id in verdict.observations
    assert "it was over at 02:48:20" in " ".join(argument.text for argument in verdict.arguments)


def test_a_victim_that_passes_errors_on_is_not_their_cause() -> None:
    victim = seen("service:bot", "error_rate", magnitude=30.0)
    judged = reason(a_scene(victim, change("service:bot", -10), origin("service:forge"), change("service:forge", -40)))
    verdict = judged.verdict(HypothesisKind.CHANGE, "service:bot")
    assert verdict.result == "refuted"
    assert verdict.reason.startswith("it begins in service:forge, not in service:bot")
    assert judged.cause == (HypothesisKind.CHANGE, "service:forge")


def test_a_change_from_which_nothing_leads_to_the_symptom_is_refuted() -> None:
    judged = reason(a_scene(change("service:billing", -20), origin("service:forge")))
    verdict = judged.verdict(HypothesisKind.CHANGE, "service:billing")
    assert verdict.result == "refuted"
    assert "nothing leads from service:billing to service:gateway" in verdict.reason


@pytest.mark.parametrize(
    ("rate", "result"),
    [
        (seen("service:gateway", "request_rate", score=12.0), "not refuted"),
        (seen("service:gateway", "request_rate", ObservationKind.NORMAL, magnitude=20.0, baseline=20.0), "refuted"),
    ],
)
def test_a_surge_shows_in_the_number_of_requests_or_is_refuted(rate: Observation, result: str) -> None:
    verdict = reason(a_scene(rate)).verdict(HypothesisKind.TRAFFIC, "service:gateway")
    assert (verdict.result == "refuted") == (result == "refuted")


def test_a_change_that_names_what_the_errors_name_is_likelier_for_it() -> None:
    deploy = change("service:forge", -20)
    content = seen(
        "service:forge",
        "content",
        ObservationKind.CHANGE,
        signal=Signal.CHANGES,
        attributes={"change_id": deploy.attributes["change_id"], "names": "blueprint,finish"},
    )
    without = reason(a_scene(deploy, origin("service:forge")))
    judged = reason(a_scene(deploy, content, origin("service:forge")))
    before = without.verdict(HypothesisKind.CHANGE, "service:forge")
    verdict = judged.verdict(HypothesisKind.CHANGE, "service:forge")
    assert verdict.probability > before.probability
    assert "both name finish" in " ".join(argument.text for argument in verdict.arguments)


def touched(deploy: Observation, names: str) -> Observation:
    facts = {"change_id": deploy.attributes["change_id"], "names": names}
    return seen(deploy.entity, "content", ObservationKind.CHANGE, signal=Signal.CHANGES, attributes=facts)


@pytest.mark.parametrize(
    ("names", "said", "guilty"),
    [
        ("depot,row", "KeyError: 'mass_kg'", "service:forge"),
        ("depot,mass_kg", "KeyError: 'mass_kg'", "service:bot"),
        ("depot,row", "KeyError: 'depot'", "service:bot"),
        ("depot,row", "no mass_kg was told", "service:bot"),
    ],
    ids=["only the callee's change", "also its own", "only its own", "nothing that is quoted"],
)
def test_who_fails_over_a_name_that_only_a_callee_changed_is_not_to_blame(names: str, said: str, guilty: str) -> None:
    own, callee = change("service:bot", -3), change("service:forge", -2)
    failing = origin("service:bot", instances="bot-1:118", attributes={"instances": "bot-1:118", "exception": said})
    read = touched(own, names), touched(callee, "mass_kg,rigged_mass_kg")
    judged = reason(a_scene(own, callee, *read, failing, healthy("service:forge")))
    assert judged.cause == (HypothesisKind.CHANGE, guilty)
    other = {"service:bot": "service:forge", "service:forge": "service:bot"}[guilty]
    if names == "depot,row":
        assert judged.verdict(HypothesisKind.CHANGE, other).result == "refuted"


def test_a_clean_scene_is_no_incident_and_names_no_cause() -> None:
    everything = [healthy(f"service:{name}") for name in ("gateway", "bot", "forge", "schedule")]
    judged = reason(a_scene(*everything, change("service:schedule", -100), symptoms=()))
    assert judged.conclusion.outcome is Outcome.NO_INCIDENT
    assert judged.conclusion.root_causes == ()
    assert judged.conclusion.impact is None


def test_a_slow_minute_that_is_over_is_no_incident() -> None:
    over = seen("service:gateway", "latency_p95", magnitude=900.0, baseline=40.0, unit="ms", ended=after(20))
    assert reason(a_scene(healthy("service:forge"), symptoms=(over,))).conclusion.outcome is Outcome.NO_INCIDENT


def test_an_operation_that_fails_is_no_quiet_even_where_the_whole_looks_as_before() -> None:
    one = seen("service:gateway", "error_rate", attributes={"operation": "POST /missions"})
    same = seen("service:gateway", "request_rate", ObservationKind.NORMAL, attributes={"covers": "request_rate"})
    assert reason(a_scene(one, same, symptoms=())).conclusion.outcome is Outcome.INCONCLUSIVE


def test_requests_that_failed_are_an_incident_even_when_it_is_over() -> None:
    over = SYMPTOM.model_copy(update={"ended": after(20)})
    deploy, burst = change("service:forge", -2), origin("service:forge", ended=after(20))
    assert reason(a_scene(deploy, burst, symptoms=(over,))).cause == (HypothesisKind.CHANGE, "service:forge")


def test_without_a_past_to_compare_with_quiet_is_inconclusive_and_says_where_to_find_one() -> None:
    conclusion = reason(a_scene(symptoms=())).conclusion
    assert conclusion.outcome is Outcome.INCONCLUSIVE
    assert conclusion.next_checks[0].what.startswith("find out how service:gateway did before 2026-11-20T02:47:00Z")


@pytest.mark.parametrize("watched", ["latency_p95", "request_rate"])
def test_requests_that_fail_are_an_incident_whatever_the_alarm_watches(watched: str) -> None:
    scene = a_scene(origin("service:forge"), healthy("service:gateway"), symptoms=())
    scope = scene.scope.model_copy(update={"watched": (watched,)})
    judged = reason(replace(scene, scope=scope))
    assert judged.conclusion.outcome is not Outcome.NO_INCIDENT
    assert "service:forge" in {hypothesis.entity for hypothesis in judged.hypotheses}


@pytest.mark.parametrize("blind", [{"traces", "metrics", "logs"}, {"traces", "metrics", "logs", "changes"}])
def test_where_nothing_could_be_looked_at_nothing_is_said(blind: set[str]) -> None:
    conclusion = reason(a_scene(symptoms=(), blind=frozenset(blind))).conclusion
    assert conclusion.outcome is Outcome.BLOCKED
    assert conclusion.root_causes == ()
    assert len(conclusion.next_checks) >= len(blind)


@pytest.mark.parametrize("missing", ["traces", "metrics"])
def test_without_an_essential_signal_quiet_is_inconclusive_and_not_well(missing: str) -> None:
    conclusion = reason(a_scene(symptoms=(), blind=frozenset({missing}))).conclusion
    assert conclusion.outcome is Outcome.INCONCLUSIVE
    assert f"see why {missing} could not be looked at" in conclusion.next_checks[0].what


@pytest.mark.parametrize("missing", ["traces", "metrics", "changes"])
def test_without_a_signal_that_could_name_a_rival_nobody_is_sure(missing: str) -> None:
    scene = a_scene(change("service:forge", -20), origin("service:forge"), blind=frozenset({missing}))
    assert reason(scene).conclusion.root_causes[0].confidence <= weights.WITH_BLIND_SPOT


def test_a_cause_without_a_decisive_argument_is_a_best_effort_at_most() -> None:
    judged = reason(a_scene(*(change("service:forge", -5) for _ in range(3))))
    assert judged.conclusion.outcome is not Outcome.ROOT_CAUSE


def test_steering_adds_what_a_team_wants_tested() -> None:
    check = Check(kind=HypothesisKind.STATE, entity="service:forge", because="its cache outlives deploys")
    steering = Steering(name="forge", description="", checks=(check,))
    assert (HypothesisKind.STATE, "service:forge") in {
        (h.kind, h.entity) for h in reason(a_scene(), steering).hypotheses
    }
    assert (HypothesisKind.STATE, "service:forge") not in {(h.kind, h.entity) for h in reason(a_scene()).hypotheses}


ROLL_BACK = Tool("deploys", "roll_back", Role.ACT, "changes", None, frozenset({"service", "to_version"}), False)


def test_a_bad_deploy_is_rolled_back_by_a_tool_with_its_undo() -> None:
    scene = a_scene(change("service:forge", -20), origin("service:forge"))
    plan = plan_for(reason(scene).conclusion, scene, [ROLL_BACK])
    applied = next(step for step in plan.steps if step.phase == "apply")
    undone = next(step for step in plan.steps if step.phase == "roll_back")
    assert applied.call
    assert applied.call.arguments == {"service": "forge", "to_version": "9e8d7c6"}
    assert applied.inverse == undone.call
    assert undone.call
    assert undone.call.arguments == {"service": "forge", "to_version": "3f2c1ab"}
    phases = dict.fromkeys(step.phase for step in plan.steps)
    assert [*phases] == ["prepare", "pre_validate", "apply", "post_validate", "roll_back"]
    assert set(plan.blast_radius) >= {"service:bot", "service:gateway"}


@pytest.mark.parametrize("attributes", [{}, {"previous_version": ""}, {"version": ""}])
def test_what_no_tool_can_undo_is_for_a_person(attributes: dict[str, str]) -> None:
    scene = a_scene(change("service:forge", -20, **attributes), origin("service:forge"))
    plan = plan_for(reason(scene).conclusion, scene, [ROLL_BACK] if attributes else [])
    assert plan.steps
    assert all(step.call is None for step in plan.steps)
    assert plan.action == "roll service:forge back to what ran before"


def test_where_no_cause_was_found_nothing_needs_changing() -> None:
    scene = a_scene(healthy("service:gateway"), symptoms=())
    plan = plan_for(reason(scene).conclusion, scene, [ROLL_BACK])
    assert (plan.steps, plan.action) == ((), "nothing needs changing")


def test_a_digest_covers_every_argument_of_every_step() -> None:
    scene = a_scene(change("service:forge", -20), origin("service:forge"))
    plan = plan_for(reason(scene).conclusion, scene, [ROLL_BACK])
    assert plan.digest == digest(plan)
    other = plan.model_dump()
    next(step for step in other["steps"] if step["call"])["call"]["arguments"]["to_version"] = "000000"
    assert digest(type(plan).model_validate(other)) != plan.digest


ENTITIES = [*sorted({word for line in GRAPH.split("\n") for word in line.split() if ":" in word}), "service:unknown"]
SUBJECTS = [
    "error_rate", "latency_p95", "request_rate", "error_origin", "self_time", "deploy", "session", "config", "content",
    "exemplar", "template", "system.cpu.utilization", "memory.usage",
]  # fmt: skip
ATTRIBUTES = st.dictionaries(
    st.sampled_from(
        ["instances", "exemplars", "exception", "change_id", "names", "version", "previous_version", "requests"]
    ),
    st.sampled_from(["", "forge-1:3", "forge-1:3,forge-2:0", "forge-1", "a:b,c", ":", "c1", "KeyError: finish", "1"]),
    max_size=4,
)
SECONDS = st.none() | st.integers(-700, 700)


@st.composite
def anything_seen(draw: st.DrawFn) -> Observation:
    times = {name: None if (s := draw(SECONDS)) is None else after(s) for name in ("onset", "ended")}
    figure = st.none() | st.floats(-1e6, 1e6)
    return seen(
        draw(st.sampled_from(ENTITIES)),
        draw(st.sampled_from(SUBJECTS)),
        draw(st.sampled_from(ObservationKind)),
        signal=draw(st.sampled_from(Signal)),
        related=draw(st.none() | st.sampled_from(ENTITIES)),
        direction=draw(st.sampled_from(["up", "down", "none"])),
        score=draw(st.floats(0, 1e6)),
        magnitude=draw(figure),
        baseline=draw(figure),
        attributes=draw(ATTRIBUTES),
        **times,
    )


@given(
    st.lists(anything_seen(), max_size=8),
    st.lists(anything_seen(), max_size=2),
    st.sets(st.sampled_from(["traces", "metrics", "logs", "changes"])),
)
@settings(max_examples=150, deadline=None)
def test_whatever_was_seen_a_conclusion_keeps_its_promises(
    observations: list[Observation], symptoms: list[Observation], blind: set[str]
) -> None:
    scene = a_scene(*observations, symptoms=tuple(symptoms), blind=frozenset(blind))
    judged = reason(scene)
    known = {observation.id for observation in scene.observations}
    for verdict in judged.verdicts.values():
        assert 0 <= verdict.probability <= 1
        assert set(verdict.observations) == {name for argument in verdict.arguments for name in argument.observations}
        assert set(verdict.observations) <= known
        assert verdict.reason
    for cause in judged.conclusion.root_causes[:1]:
        verdict = judged.verdicts[cause.hypothesis]
        assert verdict.result == "supported"
        assert 0 <= cause.confidence <= CALIBRATION.decisive.highest
        assert set(cause.supports) <= known
        assert (
            any(argument.decisive for argument in verdict.arguments)
            or cause.confidence <= CALIBRATION.indecisive.highest
        )
        guess = "changes" in blind and cause.kind not in (HypothesisKind.CHANGE, HypothesisKind.OPERATOR)
        sure = any(argument.decisive for argument in verdict.arguments) and not guess
        assert (judged.conclusion.outcome is Outcome.ROOT_CAUSE) == sure
    assert (judged.conclusion.outcome in (Outcome.ROOT_CAUSE, Outcome.BEST_EFFORT)) == bool(
        judged.conclusion.root_causes
    )
    refuted = {h.id for h in judged.hypotheses if judged.verdicts[h.id].result == "refuted"}
    assert {out.hypothesis for out in judged.conclusion.ruled_out} == refuted
    assert plan_for(judged.conclusion, scene, [ROLL_BACK]).digest


@given(st.lists(anything_seen(), max_size=8))
@settings(max_examples=40, deadline=None)
def test_the_order_in_which_things_were_seen_does_not_change_the_conclusion(
    observations: list[Observation],
) -> None:
    first = reason(a_scene(*observations)).conclusion
    again = reason(a_scene(*reversed(observations))).conclusion
    assert (first.outcome, [c.entity for c in first.root_causes]) == (
        again.outcome,
        [c.entity for c in again.root_causes],
    )
