"""Where loss begins when there are only metrics: in what loses more than its callees, in units that add up."""

from datetime import UTC, datetime, timedelta

import pytest

from midwatch.builtin.conclude import conclude
from midwatch.builtin.excess import excesses, without_doubles
from midwatch.builtin.hypothesize import hypothesize
from midwatch.builtin.judge import judge, judge_all
from midwatch.builtin.scene import Scene
from midwatch.builtin.weights import STRONG
from midwatch.records import Scope
from midwatch_kit.records import Citation, Observation, ObservationKind, Relation, Signal, TopologyFragment, Window
from midwatch_topology import Topology

AT = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)
CALLS = ("web cart", "web pay", "cart stock", "pay bank", "bank vault")
TOPOLOGY = Topology.merge(
    {
        "declared": TopologyFragment(
            relations=tuple(
                Relation(source=f"service:{a}", kind="calls", target=f"service:{b}") for a, b in map(str.split, CALLS)
            )
        )
    }
)


def scope(*watched: str) -> Scope:
    window = Window(start=AT, end=AT + timedelta(minutes=5))
    baseline = Window(start=AT - timedelta(hours=1), end=AT)
    parts = {"window": window, "baseline": baseline, "onset": AT, "topology": TopologyFragment()}
    return Scope(symptom="service:web", watched=watched or ("latency_p95",), **parts)


def slow(service: str, now: float, was: float, pace: float, *, score: float = 20.0, spread: float = 0.0) -> Observation:
    """Return that requests of a service take so many ms instead of so many."""
    return felt(service, "latency_mean", now, was, "ms", pace, score, spread)


def failing(service: str, now: float, was: float, pace: float, *, score: float = 20.0) -> Observation:
    """Return that so many percent of a service's requests fail instead of so many."""
    return felt(service, "error_rate", now, was, "%", pace, score, 0.0)


def felt(
    service: str, subject: str, now: float, was: float, unit: str, pace: float, score: float, spread: float
) -> Observation:
    up = score >= 3.5
    return Observation(
        id=f"{subject} {service}",
        entity=f"service:{service}",
        signal=Signal.METRICS,
        kind=ObservationKind.SPIKE if up else ObservationKind.NORMAL,
        subject=subject,
        statement=f"{subject} of {service}",
        onset=AT if up else None,
        magnitude=now,
        baseline=was,
        unit=unit,
        direction="up" if score >= 1 else "none",
        score=score,
        attributes={"before": str(was), "spread": str(spread), "requests_per_s": str(pace)},
        citations=(Citation(evidence="e" * 64, where=f"/{service}", quote=now),),
    )


def begun(*observations: Observation, watched: tuple[str, ...] = ()) -> dict[str, float]:
    """Return where the loss begins, and how much of it."""
    look = scope(*watched)
    found = excesses(observations, TOPOLOGY, look)
    scene = Scene(look, TOPOLOGY, (*observations, *found))
    return {name.removeprefix("service:"): o.magnitude or 0.0 for name, o in scene.beginnings.items()}


def test_who_is_slow_only_because_it_waits_is_no_beginning() -> None:
    assert begun(slow("web", 120, 80, 10), slow("cart", 90, 50, 10), slow("stock", 60, 10, 10)) == {
        "stock": pytest.approx(0.5)
    }


def test_seconds_count_by_requests_and_not_by_how_unusual_they_are() -> None:
    found = begun(slow("web", 180, 80, 10), slow("cart", 140, 50, 10, score=5), slow("pay", 30, 10, 1, score=90))
    assert max(found, key=lambda name: found[name]) == "cart"
    assert found["pay"] == pytest.approx(0.02)


def test_a_figure_that_always_wanders_loses_nothing_by_wandering() -> None:
    assert begun(slow("web", 120, 80, 10), slow("bank", 900, 500, 10, spread=200)) == {"web": pytest.approx(0.4)}


def test_failed_requests_begin_where_no_callee_failed_as_many() -> None:
    lost = [failing("web", 4, 0, 50), failing("pay", 20, 0, 10), failing("bank", 20, 0, 10), failing("cart", 0, 0, 9)]
    assert begun(*lost, watched=("error_rate",)) == {"bank": pytest.approx(2.0)}


ANY = ("error_rate", "latency_p95", "request_rate")


def test_requests_that_fail_above_a_long_wait_were_given_up() -> None:
    waits = slow("stock", 6000, 20, 0.5)
    for fails in ("cart", "stock"):
        assert begun(failing(fails, 10, 0, 1.0), waits, watched=ANY) == {"stock": pytest.approx(2.99)}


def test_a_single_failure_is_no_beginning_beside_a_place_that_loses_time() -> None:
    once = failing("pay", 0.5, 0, 1.0)  # the window has 300 seconds
    assert begun(once, slow("stock", 120, 20, 10), watched=ANY) == {"stock": 1.0}
    assert begun(once, slow("stock", 120, 20, 10), watched=("error_rate",)) == {"pay": 0.005}


def test_requests_that_fail_quickly_or_beside_a_wait_were_not_given_up() -> None:
    assert begun(failing("cart", 50, 0, 10), slow("stock", 120, 20, 10), watched=ANY) == {"cart": 5.0}
    assert begun(failing("pay", 10, 0, 1.0), slow("stock", 6000, 20, 0.5), watched=ANY) == {"pay": 0.1}


def test_a_callee_without_history_explains_nothing() -> None:
    lost = [failing("web", 4, 0, 50), failing("bank", 20, 0, 10)]  # nobody could compare the vault with before
    assert begun(*lost, watched=("error_rate",)) == {"bank": pytest.approx(2.0), "web": pytest.approx(2.0)}


def test_failures_of_who_asks_others_that_nobody_counts_say_less_than_who_behaves_differently() -> None:
    lost = [failing("web", 4, 0, 50)]
    turned = failing("cart", 0, 0, 9).model_copy(
        update={"id": "turn", "subject": "calls_per_request", "kind": ObservationKind.DROP, "score": 8.0}
    )
    at_large = ("error_rate", "latency_p95", "request_rate")
    assert begun(*lost, watched=at_large) == {"web": pytest.approx(2.0)}
    assert list(begun(*lost, turned, watched=at_large)) == ["cart"]
    counted = [failing("cart", 0, 0, 9), failing("pay", 0, 0, 9)]
    assert list(begun(*lost, *counted, turned, watched=at_large)) == ["web"]


def test_what_did_not_shift_explains_nothing_and_begins_nothing() -> None:
    assert begun(slow("web", 120, 80, 10), slow("cart", 55, 50, 10, score=0.9)) == {"web": pytest.approx(0.4)}


def test_each_beginning_cites_its_own_figures_and_those_that_it_was_held_against() -> None:
    seen = [slow("web", 180, 80, 10), slow("cart", 60, 50, 10), slow("stock", 40, 39, 1, score=0.9)]
    found = {o.entity: o for o in excesses(seen, TOPOLOGY, scope())}
    assert [c.where for c in found["service:web"].citations] == ["/web", "/cart"]
    assert [c.where for c in found["service:cart"].citations] == ["/cart"]


def test_where_traces_were_found_metrics_of_requests_are_left_out() -> None:
    traced = slow("web", 120, 80, 10).model_copy(update={"id": "t", "signal": Signal.TRACES, "subject": "latency_p95"})
    cpu = slow("web", 99, 10, 1).model_copy(update={"id": "c", "subject": "cpu.utilization"})
    assert without_doubles([traced, slow("cart", 90, 50, 10), cpu]) == [traced, cpu]
    assert without_doubles([slow("cart", 90, 50, 10), cpu]) == [slow("cart", 90, 50, 10), cpu]


def test_a_loss_reckoned_from_metrics_alone_is_no_decisive_evidence() -> None:
    seen = [failing("web", 4, 0, 50), failing("pay", 20, 0, 10)]
    scene = Scene(scope("error_rate"), TOPOLOGY, (*seen, *excesses(seen, TOPOLOGY, scope("error_rate"))))
    assert places(scene)["pay"] == (STRONG, False)


def places(scene: Scene) -> dict[str, tuple[float, bool]]:
    """Return how each service's place weighs for it, and whether it decides."""
    found = {h.entity.removeprefix("service:"): judge(h, scene) for h in hypothesize(scene, [])}
    named = ((entity, a) for entity, verdict in found.items() for a in verdict.arguments if a.name == "place")
    return {entity: (a.weight, a.decisive) for entity, a in named}


def look_at(*seen: Observation, symptom: Observation, watched: str = "error_rate") -> Scene:
    look = scope(watched).model_copy(update={"symptoms": (symptom,)})
    return Scene(look, TOPOLOGY, (*seen, *excesses(seen, TOPOLOGY, look)))


def concluded(scene: Scene) -> tuple[str, list[str]]:
    """Return the outcome, and who is not ruled out, the likeliest first."""
    hypotheses = hypothesize(scene, [])
    verdicts = judge_all(hypotheses, scene)
    left = [h for h in hypotheses if verdicts[h.id].result != "refuted"]
    left.sort(key=lambda h: (-verdicts[h.id].probability, h.id))
    names = list(dict.fromkeys(h.entity.removeprefix("service:") for h in left))
    return conclude(scene, hypotheses, verdicts, []).outcome, names


def test_of_several_losses_the_greatest_is_the_likeliest_beginning_even_if_it_is_less_than_half() -> None:
    seen = [slow("web", 140, 80, 10), slow("cart", 65, 40, 10), slow("pay", 60, 40, 10)]
    weights = places(look_at(*seen, symptom=seen[0], watched="latency_p95"))
    assert weights["cart"] == (STRONG, False)
    assert weights["pay"][0] == pytest.approx(STRONG * 20 / 25)


def test_an_alert_whose_figure_is_a_little_worse_is_never_called_mistaken() -> None:
    leaning = failing("web", 0.6, 0.1, 50, score=2)
    assert concluded(look_at(leaning, symptom=leaning))[0] == "inconclusive"
    level = failing("web", 0.1, 0.1, 50, score=0.2)
    assert concluded(look_at(level, symptom=level))[0] == "no_incident"


def test_a_figure_that_the_alert_does_not_speak_of_may_be_a_little_worse() -> None:
    leaning = failing("web", 0.6, 0.1, 50, score=2)
    assert concluded(look_at(leaning, symptom=leaning, watched="latency_p95"))[0] == "no_incident"


def test_a_clear_loss_below_a_symptom_that_is_only_a_little_worse_is_named() -> None:
    seen = [failing("web", 0.6, 0.1, 50, score=2), failing("pay", 3, 0, 10, score=4.1)]
    outcome, suspects = concluded(look_at(*seen, symptom=seen[0]))
    assert (outcome, suspects[0]) == ("best_effort", "pay")


def test_where_all_is_only_a_little_worse_there_is_a_first_suspect_and_no_cause() -> None:
    seen = [failing("web", 0.4, 0.1, 50, score=1.3), failing("pay", 1.5, 0, 10, score=2.9)]
    outcome, suspects = concluded(look_at(*seen, symptom=seen[0]))
    assert (outcome, suspects[0]) == ("inconclusive", "pay")
