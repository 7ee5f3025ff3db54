"""What is wrong in the state of things, and what services say of what they use, as causes."""

import pytest
from tests.host.scenes import GRAPH, a_scene, after, origin, reason, seen

from midwatch.builtin.excess import excesses
from midwatch.builtin.weights import WITH_BLIND_SPOT
from midwatch.records import HypothesisKind, Limit, Outcome
from midwatch_kit.records import Observation, ObservationKind, Signal

BLOG = """
service:cart calls service:db
service:orders calls service:db
service:prices calls service:db
service:gateway calls service:cart
service:gateway calls service:orders
service:gateway calls service:prices
"""


def mismatch(entity: str, subject: str, cause: str = "change", **attributes: str) -> Observation:
    score = 0.5 if "was_so_before" in attributes else 3.0 if "certain" in attributes else 10.0
    facts = {"cause": cause, "object": f"Deployment shop/{entity}", **attributes}
    return seen(
        entity,
        subject,
        ObservationKind.MISMATCH,
        signal=Signal.STATE,
        score=score,
        onset=None,
        direction="none",
        attributes=facts,
    )


def crash(entity: str) -> Observation:
    return mismatch(entity, "container_crashes", "state", effect="true")


def says(entity: str, message: str) -> Observation:
    return seen(
        entity, "template", ObservationKind.NEW_PATTERN, signal=Signal.LOGS, attributes={"exemplar": message}, score=5.0
    )


def test_what_is_wrong_for_certain_on_the_way_to_a_symptom_without_figures_is_the_cause() -> None:
    wrong = mismatch("service:forge", "image_not_found")
    judged = reason(a_scene(wrong, symptoms=()))
    assert judged.conclusion.outcome is Outcome.ROOT_CAUSE
    assert judged.cause == (HypothesisKind.CHANGE, "service:forge")
    assert judged.conclusion.root_causes[0].trigger == wrong


def test_what_is_wrong_beside_a_symptom_whose_figures_are_well_is_no_incident() -> None:
    well = seen("service:gateway", "error_rate", ObservationKind.NORMAL, attributes={"requests": "380"})
    judged = reason(a_scene(mismatch("service:forge", "image_not_found"), well, symptoms=()))
    assert judged.conclusion.outcome is Outcome.NO_INCIDENT


def test_what_nothing_leads_from_to_the_symptom_is_not_to_blame() -> None:
    judged = reason(a_scene(mismatch("service:billing", "image_not_found"), symptoms=()))
    assert not judged.conclusion.root_causes


def test_what_was_so_before_or_may_be_meant_so_is_not_to_blame() -> None:
    old = mismatch("service:forge", "policy_denies_all_ingress", "access", was_so_before="true")
    odd = mismatch("service:bot", "address_of_no_service", certain="false")
    judged = reason(a_scene(old, odd, symptoms=()))
    assert not judged.conclusion.root_causes
    assert {h.entity for h in judged.hypotheses if h.trigger} == {"service:bot"}


def test_a_crash_follows_from_what_is_wrong_with_the_same_thing() -> None:
    judged = reason(a_scene(crash("service:forge"), mismatch("service:forge", "name_server_of_its_own"), symptoms=()))
    assert judged.cause == (HypothesisKind.CHANGE, "service:forge")
    assert judged.verdict(HypothesisKind.STATE, "service:forge").result == "refuted"


def test_a_crash_alone_is_the_best_that_is_known() -> None:
    judged = reason(a_scene(crash("service:forge"), symptoms=()))
    assert judged.conclusion.outcome is Outcome.BEST_EFFORT
    assert judged.cause == (HypothesisKind.STATE, "service:forge")


def test_a_cause_that_answers_nobody_shows_in_those_who_need_it_only() -> None:
    gone = mismatch("service:forge", "scaled_to_nothing", "operator")
    judged = reason(a_scene(gone, origin("service:bot", instances="")))
    assert judged.cause == (HypothesisKind.OPERATOR, "service:forge")


def test_several_who_are_told_that_no_connection_is_left_speak_of_what_they_share() -> None:
    said = [says(f"service:{name}", "SQLException: Too many connections") for name in ("cart", "orders")]
    judged = reason(a_scene(*said, crash("service:cart"), crash("service:orders"), graph=BLOG, symptoms=()))
    assert judged.cause == (HypothesisKind.RESOURCE, "service:db")
    assert judged.conclusion.outcome is Outcome.ROOT_CAUSE


@pytest.mark.parametrize(("blind", "limit"), [("metrics", None), ("traces", Limit.SIGNAL_UNREAD)])
def test_what_those_who_suffer_say_in_so_many_words_no_figure_takes_back(blind: str, limit: Limit | None) -> None:
    said = [says(f"service:{name}", "SQLException: Too many connections") for name in ("cart", "orders")]
    scene = a_scene(*said, crash("service:cart"), graph=BLOG, symptoms=(), blind=frozenset({blind}))
    (cause,) = reason(scene).conclusion.root_causes
    assert (cause.limited_by, cause.confidence > WITH_BLIND_SPOT) == (limit, limit is None)


def test_several_who_may_not_write_speak_of_what_they_share() -> None:
    said = [
        says(f"service:{name}", "The MySQL server is running with the --read-only option so it cannot execute this")
        for name in ("cart", "orders")
    ]
    judged = reason(a_scene(*said, graph=BLOG, symptoms=()))
    assert judged.cause == (HypothesisKind.STATE, "service:db")
    assert judged.conclusion.outcome is Outcome.ROOT_CAUSE


def test_one_who_is_refused_and_dies_of_it_while_others_are_served_has_a_wrong_password() -> None:
    said = says("service:cart", "Access denied for user 'shop'@'10.0.0.7' (using password: YES)")
    judged = reason(a_scene(said, crash("service:cart"), graph=BLOG, symptoms=()))
    assert judged.cause == (HypothesisKind.ACCESS, "service:cart")


def test_one_who_reaches_nothing_that_others_reach_has_a_wrong_address() -> None:
    said = says("service:cart", "Communications link failure: Connection refused")
    judged = reason(a_scene(said, crash("service:cart"), graph=BLOG, symptoms=()))
    assert judged.cause == (HypothesisKind.CHANGE, "service:cart")


def test_when_most_are_refused_it_is_who_refuses() -> None:
    said = [says(f"service:{name}", "Communications link failure") for name in ("cart", "orders", "prices")]
    judged = reason(a_scene(*said, crash("service:cart"), crash("service:orders"), graph=BLOG, symptoms=()))
    assert judged.cause == (HypothesisKind.DEPENDENCY, "service:db")


def tail(entity: str, level: float, rate: float) -> Observation:
    facts = {"requests_per_s": str(rate)}
    return seen(
        entity,
        "latency_p95",
        signal=Signal.METRICS,
        magnitude=level,
        baseline=20.0,
        unit="ms",
        onset=after(0),
        attributes=facts,
    )


def test_a_caller_whose_callee_s_tail_grew_as_well_begins_nothing() -> None:
    scene = a_scene(graph=GRAPH)
    slow = [tail("service:gateway", 9000, 20), tail("service:bot", 8000, 5), tail("service:forge", 6000, 1)]
    begun = excesses(slow, scene.topology, scene.scope)
    assert [o.entity for o in begun] == ["service:forge"]
