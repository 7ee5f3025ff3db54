"""What the builtin reasoner makes of resources alone: no call graph, no figure of what users feel."""

from dataclasses import replace
from typing import Any

import pytest
from tests.host.scenes import a_scene, after, reason, seen

from midwatch.builtin.caps import highest
from midwatch.builtin.scene import Scene
from midwatch.builtin.ties import is_tied
from midwatch.builtin.weights import STRONG
from midwatch.records import Argument, HypothesisKind, Limit
from midwatch_kit.records import Entity, Observation, ObservationKind, Signal, TopologyFragment
from midwatch_topology import Topology

NAMES = ("gateway", "cart", "stock")


def unmapped(*observations: Observation) -> Scene:
    """Return a scene of services of which nobody knows who calls whom; the symptom is the gateway's."""
    found = tuple(Entity(id=f"service:{n}", kind="service", name=n, learnt_from="metrics") for n in NAMES)
    fragment = TopologyFragment(entities=found)
    scene = a_scene(*observations, graph="", symptoms=())
    topology = Topology.merge({"metrics": fragment})
    return replace(scene, topology=topology, scope=scene.scope.model_copy(update={"topology": fragment}))


def busy(service: str, now: float = 99.0, was: float = 2.0, **fields: object) -> Observation:
    said: dict[str, Any] = {"signal": Signal.METRICS, "magnitude": now, "baseline": was, "unit": "%", **fields}
    return seen(f"service:{service}", "container.cpu.utilization", ObservationKind.SPIKE, **said)


def more_requests(service: str, now: float, was: float) -> Observation:
    said: dict[str, Any] = {"signal": Signal.METRICS, "magnitude": now, "baseline": was, "unit": "1/s"}
    return seen(f"service:{service}", "request_rate", **said)


def test_what_is_furthest_from_before_is_the_first_suspect_and_no_more_than_that() -> None:
    judged = reason(unmapped(busy("cart", score=49.0), busy("stock", now=5.0, score=4.9)))
    assert judged.cause == (HypothesisKind.RESOURCE, "service:cart")
    assert judged.conclusion.outcome == "best_effort"
    (cause,) = judged.conclusion.root_causes
    assert cause.limited_by is Limit.SYMPTOM_UNMEASURED
    assert cause.confidence <= highest(Limit.SYMPTOM_UNMEASURED) < 1


def test_what_is_less_far_from_before_is_less_likely_in_proportion() -> None:
    judged = reason(unmapped(busy("cart", score=49.0), busy("stock", now=5.0, score=4.9)))
    found = {e: judged.verdict(HypothesisKind.RESOURCE, f"service:{e}") for e in ("cart", "stock")}
    weights = {e: next(a.weight for a in v.arguments if a.name == "shortage") for e, v in found.items()}
    assert weights == {"cart": STRONG, "stock": pytest.approx(STRONG / 10)}


def test_where_nothing_is_short_and_nothing_is_measured_nobody_is_suspected() -> None:
    judged = reason(unmapped())
    assert judged.conclusion.outcome == "inconclusive"
    assert judged.conclusion.root_causes == ()


def test_what_is_hardly_short_of_anything_is_not_suspected() -> None:
    assert reason(unmapped(busy("cart", now=2.1, score=0.0))).conclusion.outcome == "inconclusive"


def test_where_the_symptom_is_known_to_be_well_a_shortage_elsewhere_is_no_incident() -> None:
    scene = unmapped(busy("cart"))
    well = seen("service:gateway", "error_rate", ObservationKind.NORMAL, magnitude=0.0, baseline=0.0)
    assert reason(scene.having([well])).conclusion.outcome == "no_incident"


def test_what_needs_a_way_to_the_symptom_only_needs_it_where_ways_are_known() -> None:
    lost = busy("stock")
    mapped = a_scene(lost, graph="service:gateway calls service:cart\nservice:stock runs_on instance:s", symptoms=())
    verdict = reason(mapped).verdict(HypothesisKind.RESOURCE, "service:stock")
    assert [a.name for a in verdict.arguments if a.weight < -1e6] == ["path"]
    verdict = reason(unmapped(lost)).verdict(HypothesisKind.RESOURCE, "service:stock")
    assert not [a.name for a in verdict.arguments if a.weight < -1e6]


def test_what_rose_many_times_more_than_requests_is_not_their_doing() -> None:
    asked = more_requests("cart", 10.0, 4.5)
    names = [a.name for a in _arguments(unmapped(busy("cart", now=99.0, was=1.3), asked))]
    assert "flooded" not in names
    names = [a.name for a in _arguments(unmapped(busy("cart", now=60.0, was=27.0), asked))]
    assert "flooded" in names


def _arguments(scene: Scene) -> list[Argument]:
    return list(reason(scene).verdict(HypothesisKind.RESOURCE, "service:cart").arguments)


@pytest.mark.parametrize(
    ("relation", "tied"),
    [
        ("service:gateway calls service:cart", True),
        ("service:cart reads service:gateway", True),
        ("service:gateway runs_on instance:gateway-1", False),
        ("service:gateway alarmed_by alarm:slow", False),
        ("service:cart calls service:stock", False),
    ],
)
def test_an_entity_is_tied_by_who_it_needs_or_who_needs_it(relation: str, tied: bool) -> None:
    assert is_tied("service:gateway", a_scene(graph=relation, symptoms=()).topology) is tied


def test_a_rate_that_is_only_a_little_lower_is_no_silence() -> None:
    kind = ObservationKind.NORMAL
    less = {"signal": Signal.METRICS, "magnitude": 0.0, "baseline": 0.02, "direction": "down", "onset": after(-30)}
    scene = a_scene(seen("service:bot", "request_rate", kind, **less))
    assert scene.silences == ()
