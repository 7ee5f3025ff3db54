"""Who is hurt by whom: paths, blast radius, scope."""

from itertools import pairwise

import pytest

from midwatch_kit.records import Relation, TopologyFragment
from midwatch_topology import Topology, UnknownEntity


def test_harm_runs_from_an_instance_over_its_service_and_callers_to_the_alarm(shop: Topology) -> None:
    (path,) = shop.paths("instance:pay-1", "alarm:web-errors")
    assert path.entities == ("instance:pay-1", "service:pay", "service:web", "alarm:web-errors")
    assert [relation.kind for relation in path.relations] == ["runs_on", "calls", "alarmed_by"]
    assert path.hops == 3


def test_a_broken_database_reaches_the_alarm_through_each_service_that_uses_it(shop: Topology) -> None:
    found = [path.entities[1] for path in shop.paths("database:shop", "alarm:web-errors")]
    assert found == ["service:cart", "service:pay"]


def test_shorter_paths_come_first_and_the_number_of_paths_is_bounded(shop: Topology) -> None:
    direct = TopologyFragment(relations=(Relation(source="service:web", kind="reads", target="database:shop"),))
    both = shop | Topology.merge({"traces": direct})
    assert [path.hops for path in both.paths("database:shop", "alarm:web-errors")] == [2, 3, 3]
    assert len(both.paths("database:shop", "alarm:web-errors", limit=1)) == 1
    assert [path.hops for path in both.paths("database:shop", "alarm:web-errors", hops=2)] == [2]


def test_instances_of_the_services_on_the_way_do_not_crowd_out_longer_ways() -> None:
    chain = [f"service:{name}" for name in "abcdef"]
    around = ["service:a", "service:u", "service:v", "service:w", "service:x", "service:y", "service:z", "service:f"]
    calls = {(caller, called) for way in (chain, around) for caller, called in pairwise(way)}
    runs = {(service, f"instance:{service[8:]}-{i}") for service in chain for i in range(30)}
    tied = [Relation(source=a, target=b, kind="calls") for a, b in sorted(calls)]
    tied += [Relation(source=a, target=b, kind="runs_on") for a, b in sorted(runs)]
    topology = Topology.merge({"traces": TopologyFragment(relations=tuple(tied))})
    assert [path.entities for path in topology.paths("service:f", "service:a")] == [
        tuple(reversed(chain)),
        tuple(reversed(around)),
    ]


def test_a_caller_does_not_hurt_what_it_calls(shop: Topology) -> None:
    assert shop.paths("service:web", "service:pay") == ()
    assert "service:pay" not in shop.blast_radius("service:web")


def test_one_broken_instance_leaves_the_other_instances_unhurt(shop: Topology) -> None:
    assert "instance:pay-2" not in shop.blast_radius("instance:pay-1")
    assert shop.blast_radius("service:pay")["instance:pay-2"] == 1


def test_a_failing_producer_starves_the_consumer_but_no_other_producer(shop: Topology) -> None:
    assert shop.paths("service:cart", "alarm:ship-errors")[0].entities[1] == "queue:orders"
    other = Relation(source="service:pay", kind="sends_to", target="queue:orders")
    with_two = shop | Topology.merge({"traces": TopologyFragment(relations=(other,))})
    assert "service:pay" not in with_two.blast_radius("service:cart")


def test_a_slow_consumer_clogs_the_queue_which_pushes_back_on_the_producer(shop: Topology) -> None:
    hurt = shop.blast_radius("service:ship")
    assert hurt["alarm:orders-depth"] == 2
    assert hurt["service:cart"] == 2
    assert shop.paths("service:ship", "service:cart")[0].entities == ("service:ship", "queue:orders", "service:cart")
    assert shop.blast_radius("queue:orders").keys() >= {"service:cart", "service:ship"}


def test_the_scope_of_a_symptom_is_all_that_can_hurt_it_and_nothing_else(shop: Topology) -> None:
    scope = shop.upstream_of("alarm:web-errors")
    assert scope["service:web"] == 1
    assert scope["instance:pay-1"] == scope["database:shop"] == scope["external:bank.example.com"] == 3
    assert scope.keys().isdisjoint({"team:money", "alarm:ship-errors", "alarm:web-errors"})
    assert scope["service:ship"] == 4
    assert list(scope.values()) == sorted(scope.values())


def test_the_scope_can_be_limited_to_a_number_of_hops(shop: Topology) -> None:
    assert set(shop.upstream_of("alarm:web-errors", hops=2)) == {"service:web", "service:cart", "service:pay"}


def test_scope_and_blast_radius_agree_on_every_pair(shop: Topology) -> None:
    for cause in shop.entities:
        for symptom, hops in shop.blast_radius(cause).items():
            assert shop.upstream_of(symptom)[cause] == hops == shop.paths(cause, symptom)[0].hops


def test_direct_dependencies_and_dependents_are_one_hop_away(shop: Topology) -> None:
    assert set(shop.depends_on("service:cart")) == {"database:shop", "queue:orders"}
    assert set(shop.dependents("service:pay")) == {"service:web", "instance:pay-1", "instance:pay-2"}


def test_services_that_call_each_other_in_a_circle_hurt_each_other() -> None:
    ties = [("a", "b"), ("b", "c"), ("c", "a")]
    circle = Topology.merge(
        {"traces": TopologyFragment(relations=tuple(Relation(source=s, kind="calls", target=t) for s, t in ties))}
    )
    assert circle.blast_radius("a") == {"c": 1, "b": 2}
    assert circle.paths("a", "a")[0].entities == ("a",)


def test_an_unknown_entity_is_refused_with_the_names_that_are_near(shop: Topology) -> None:
    with pytest.raises(UnknownEntity, match=r"no entity 'service:pya' .* did you mean service:pay") as refused:
        shop.blast_radius("service:pya")
    assert "service:pay" in refused.value.near
    with pytest.raises(KeyError, match="service:cart"):
        shop.paths("kart", "service:web")


def test_a_bare_name_finds_the_service_before_anything_else_of_that_name(shop: Topology) -> None:
    assert shop.find("pay") == "service:pay"
    assert shop.find("orders") == "queue:orders"
    assert shop.find("instance:pay-1") == "instance:pay-1"
    with pytest.raises(UnknownEntity):
        shop.find("nowhere")
