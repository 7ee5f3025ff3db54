"""What the builtin reasoner makes of services that do something else once asked, where an alarm says only that."""

from dataclasses import replace

import pytest
from tests.host.scenes import a_scene, healthy, reason, seen

from midwatch.builtin.asked import asked_less
from midwatch.builtin.scene import Scene
from midwatch.records import HypothesisKind, Outcome
from midwatch_kit.records import Observation, ObservationKind, Signal

ANY = ("error_rate", "latency_p95", "request_rate")
DROP, SPIKE, SATURATION = ObservationKind.DROP, ObservationKind.SPIKE, ObservationKind.SATURATION


def turn(entity: str, score: float = 6.0, **attributes: str) -> Observation:
    said = {"after": "parts.py:10", "then": "parts.py:14", **attributes}
    kind, direction = (SPIKE, "up") if "error" in attributes else (DROP, "down")
    figures = {"magnitude": 0.0, "baseline": 100.0, "unit": "%", "score": score, "direction": direction}
    return seen(entity, "log_sequence", kind, signal=Signal.LOGS, attributes=said, **figures)


def processor(entity: str, now: float, kind: ObservationKind = SPIKE) -> Observation:
    figures = {"magnitude": now, "baseline": 1.0, "unit": "%", "related": "service:forge"}
    return seen(entity, "process.cpu.utilization", kind, signal=Signal.METRICS, **figures)


def misbehaving(*observations: Observation, watched: tuple[str, ...] = ANY) -> Scene:
    """Return a scene in which the symptom answers as quickly and as well as before."""
    scene = a_scene(healthy("service:gateway"), *observations, symptoms=())
    return replace(scene, scope=scene.scope.model_copy(update={"watched": watched}))


def test_what_behaves_differently_is_the_cause_where_an_alarm_says_only_that_something_is_wrong() -> None:
    judged = reason(misbehaving(turn("service:forge")))
    assert judged.conclusion.outcome is Outcome.ROOT_CAUSE
    assert judged.cause == (HypothesisKind.STATE, "service:forge")


@pytest.mark.parametrize("watched", [("latency_p95",), ("error_rate",), ("request_rate",)])
def test_an_alarm_about_a_figure_that_is_as_before_is_no_incident_whatever_behaves_differently(
    watched: tuple[str, ...],
) -> None:
    judged = reason(misbehaving(turn("service:forge"), watched=watched))
    assert judged.conclusion.outcome is Outcome.NO_INCIDENT


def test_the_clearest_turn_wins_and_the_lesser_one_may_be_chance() -> None:
    judged = reason(misbehaving(turn("service:forge", 6.0), turn("service:schedule", 3.8)))
    assert judged.cause == (HypothesisKind.STATE, "service:forge")
    assert len(judged.conclusion.root_causes) == 1


def test_errors_of_a_caller_may_quote_what_turned_further_down() -> None:
    judged = reason(misbehaving(turn("service:bot", 7.0, error="yes"), turn("service:forge", 4.5)))
    assert judged.cause == (HypothesisKind.STATE, "service:forge")


def test_a_caller_that_turns_without_errors_quotes_nobody() -> None:
    judged = reason(misbehaving(turn("service:bot", 7.0), turn("service:forge", 4.5)))
    assert judged.cause == (HypothesisKind.STATE, "service:bot")


def test_more_requests_make_nobody_do_something_else() -> None:
    more = seen("service:gateway", "request_rate", magnitude=30.0, baseline=10.0, unit="1/s")
    judged = reason(misbehaving(turn("service:forge"), more))
    assert judged.verdict(HypothesisKind.TRAFFIC, "service:gateway").result != "supported"


@pytest.mark.parametrize(("now", "kind"), [(80.0, SPIKE), (95.0, SATURATION)])
def test_what_ran_out_is_the_cause_before_what_behaves_differently(now: float, kind: ObservationKind) -> None:
    judged = reason(misbehaving(processor("instance:forge-1", now, kind), turn("service:schedule")))
    assert judged.cause[0] is HypothesisKind.RESOURCE
    assert judged.cause[1] in ("service:forge", "instance:forge-1")


def test_some_more_of_a_limit_in_use_is_nothing_that_ran_out() -> None:
    judged = reason(misbehaving(processor("instance:forge-1", 30.0), turn("service:schedule")))
    assert judged.cause == (HypothesisKind.STATE, "service:schedule")


def way(callee: str, caller: str, longer: float) -> Observation:
    figures = {"magnitude": 1.0 + longer, "baseline": 1.0, "unit": "ms", "related": caller}
    return seen(callee, "network_time", ObservationKind.SLOW_EDGE, **figures)


def test_time_that_is_lost_on_the_way_is_lost_by_what_carries_the_calls_to_the_callee() -> None:
    judged = reason(misbehaving(way("service:forge", "service:bot", 400.0), turn("service:schedule")))
    assert judged.cause == (HypothesisKind.PLATFORM, "service:forge")


def test_slow_ways_from_and_to_one_service_are_that_services() -> None:
    ways = (way("service:bot", "service:gateway", 300.0), way("service:forge", "service:bot", 400.0))
    judged = reason(misbehaving(*ways, way("service:schedule", "service:bot", 350.0)))
    assert judged.cause == (HypothesisKind.PLATFORM, "service:bot")


def test_a_delay_that_nobody_feels_is_none() -> None:
    judged = reason(misbehaving(way("service:forge", "service:bot", 40.0)))
    assert judged.conclusion.outcome is Outcome.NO_INCIDENT


def rate(entity: str, before: float, now: float) -> Observation:
    figures = {"signal": Signal.METRICS, "baseline": before, "magnitude": now, "unit": "1/s"}
    return seen(entity, "request_rate", ObservationKind.NORMAL, **figures)


def asks(*rates: Observation) -> list[tuple[str, str | None]]:
    scene = a_scene(symptoms=())
    return [(o.entity, o.related) for o in asked_less(rates, scene.topology, scene.scope)]


def test_who_asks_its_callee_far_less_for_each_request_does_something_else() -> None:
    assert asks(rate("service:bot", 8.0, 9.0), rate("service:forge", 4.0, 1.0)) == [("service:bot", "service:forge")]


@pytest.mark.parametrize(("before", "now"), [(4.0, 3.5), (4.0, 9.0)])
def test_somewhat_less_or_more_is_no_turn(before: float, now: float) -> None:
    assert asks(rate("service:bot", 8.0, 9.0), rate("service:forge", before, now)) == []


def test_who_is_asked_less_itself_asks_less() -> None:
    assert asks(rate("service:bot", 8.0, 2.0), rate("service:forge", 4.0, 1.0)) == []


def test_a_few_calls_fewer_may_be_chance() -> None:
    assert asks(rate("service:bot", 0.02, 0.02), rate("service:forge", 0.02, 0.01)) == []


def test_who_asks_less_is_the_cause_where_nothing_else_is_wrong() -> None:
    scene = misbehaving(rate("service:bot", 8.0, 9.0), rate("service:forge", 4.0, 1.0))
    judged = reason(scene.having(asked_less(scene.observations, scene.topology, scene.scope)))
    assert judged.cause == (HypothesisKind.STATE, "service:bot")
