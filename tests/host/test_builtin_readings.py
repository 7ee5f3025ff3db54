"""What a model read, beside what was measured: it may tip the scales, and then nobody is sure."""

from tests.host.scenes import a_scene, change, origin, seen

from midwatch.builtin.conclude import conclude
from midwatch.builtin.hypothesize import hypothesize
from midwatch.builtin.judge import judge_all
from midwatch.builtin.planning import plan_for
from midwatch.builtin.scene import Scene
from midwatch.builtin.weights import PRIORS
from midwatch.records import Conclusion, Hypothesis, HypothesisKind, Limit, Outcome
from midwatch_kit.records import Citation, Observation, ObservationKind, Signal

PROPOSED = Hypothesis(
    id="proposed",
    kind=HypothesisKind.OPERATOR,
    entity="service:forge",
    rationale="somebody was on it",
    confirms="a session",
    refutes="no session",
    prior=PRIORS[HypothesisKind.OPERATOR],
)


def read(hypothesis: Hypothesis, document: str, signal: Signal, bearing: str = "supports") -> Observation:
    facts = {"hypothesis": hypothesis.id, "bearing": bearing}
    cited = (Citation(evidence=document * 64, where="/rows/0", quote=1),)
    return seen(hypothesis.entity, "reading", ObservationKind.READING, signal=signal, attributes=facts, citations=cited)


def concluded(scene: Scene, *proposed: Hypothesis) -> Conclusion:
    hypotheses = (*hypothesize(scene, ()), *proposed)
    return conclude(scene, hypotheses, judge_all(hypotheses, scene), [])


def test_a_cause_that_leads_only_by_what_was_read_is_a_best_effort() -> None:
    measured = a_scene(origin("service:forge"))
    papers = [read(PROPOSED, "a", Signal.LOGS), read(PROPOSED, "b", Signal.TRACES), read(PROPOSED, "c", Signal.STATE)]
    conclusion = concluded(measured.having(papers), PROPOSED)
    [cause] = conclusion.root_causes
    assert (cause.hypothesis, conclusion.outcome, cause.limited_by) == (
        "proposed",
        Outcome.BEST_EFFORT,
        Limit.ONLY_READ,
    )
    assert cause.confidence <= 0.5


def test_a_cause_that_a_model_named_is_a_best_effort_also_where_the_place_was_measured() -> None:
    named = PROPOSED.model_copy(update={"kind": HypothesisKind.CHANGE, "prior": 0.5, "by_model": True})
    scene = a_scene(origin("service:forge")).having([read(named, "a", Signal.CHANGES)])
    conclusion = concluded(scene, named)
    [cause] = conclusion.root_causes
    assert (cause.hypothesis, conclusion.outcome, cause.limited_by) == (
        "proposed",
        Outcome.BEST_EFFORT,
        Limit.ONLY_READ,
    )


def test_a_cause_that_leads_since_another_one_was_read_down_is_a_best_effort() -> None:
    one, other = change("service:forge", -20), change("service:forge", -25)
    scene = a_scene(one, other, origin("service:forge"))
    likelier, lesser = (next(h for h in hypothesize(scene, ()) if h.trigger == each) for each in (one, other))
    papers = [read(likelier, "a", Signal.CHANGES, "refutes"), read(likelier, "b", Signal.LOGS, "refutes")]
    alone, beside = concluded(scene), concluded(scene.having(papers))
    assert (alone.root_causes[0].hypothesis, alone.outcome) == (likelier.id, Outcome.ROOT_CAUSE)
    [cause] = beside.root_causes
    assert (cause.hypothesis, beside.outcome, cause.limited_by) == (lesser.id, Outcome.BEST_EFFORT, Limit.ONLY_READ)


def test_a_change_that_no_record_shows_is_taken_back_whatever_sort_it_was() -> None:
    named = PROPOSED.model_copy(update={"kind": HypothesisKind.CHANGE, "prior": 0.5, "by_model": True})
    scene = a_scene(origin("service:forge")).having([read(named, "a", Signal.CHANGES)])
    plan = plan_for(concluded(scene, named), scene, ())
    assert plan.action == "take back what was changed at service:forge: a deploy, a setting or a flag"


def test_a_cause_that_was_measured_is_as_sure_with_what_was_read_as_without() -> None:
    deploy = change("service:forge", -20)
    scene = a_scene(deploy, origin("service:forge"))
    [leader] = [h for h in hypothesize(scene, ()) if h.trigger and h.trigger.id == deploy.id]
    alone, beside = concluded(scene), concluded(scene.having([read(leader, "a", Signal.CHANGES)]))
    assert (alone.outcome, beside.outcome) == (Outcome.ROOT_CAUSE, Outcome.ROOT_CAUSE)
    assert beside.root_causes[0].confidence >= alone.root_causes[0].confidence
    assert beside.root_causes[0].limited_by is None


def test_a_hand_that_no_record_shows_is_less_likely_where_records_were_read() -> None:
    scene, blind = a_scene(origin("service:forge")), a_scene(origin("service:forge"), blind=frozenset({"changes"}))
    unread, unseen = (judge_all([PROPOSED], each)["proposed"].probability for each in (scene, blind))
    assert unread < unseen
