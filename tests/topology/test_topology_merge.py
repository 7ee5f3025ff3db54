"""Many servers' fragments become one graph, in any order, and nothing of who said what is lost."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from midwatch_kit.records import Basis, Binding, Entity, Relation, Signal, TopologyFragment
from midwatch_topology import Sighting, Topology, from_json, to_json

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NAMES = st.sampled_from(["service:a", "service:b", "instance:a-1", "queue:q", "odd name"])
MOMENTS = st.none() | st.integers(0, 3).map(lambda minutes: NOON + timedelta(minutes=minutes))
ATTRIBUTES = st.dictionaries(st.sampled_from(["zone", "version"]), st.sampled_from(["1", "2"]), max_size=2)
FACTS = {"basis": st.sampled_from(Basis), "last_seen": MOMENTS, "attributes": ATTRIBUTES}
ENTITIES = st.builds(Entity, id=NAMES, kind=st.sampled_from(["service", "thing"]), name=NAMES, **FACTS)
RELATIONS = st.builds(
    Relation, source=NAMES, target=NAMES, kind=st.sampled_from(["calls", "runs_on", "sends_to"]), **FACTS
)
BINDINGS = st.builds(Binding, entity=NAMES, signal=st.sampled_from(Signal), server=st.just("logs"), selector=ATTRIBUTES)
FRAGMENTS = st.builds(
    TopologyFragment,
    entities=st.lists(ENTITIES, max_size=4).map(tuple),
    relations=st.lists(RELATIONS, max_size=4).map(tuple),
    bindings=st.lists(BINDINGS, max_size=3).map(tuple),
)
TOPOLOGIES = st.dictionaries(st.sampled_from(["logs", "traces"]), FRAGMENTS, max_size=2).map(Topology.merge)


def service(name: str, basis: Basis, minute: int, **attributes: str) -> Entity:
    seen = NOON + timedelta(minutes=minute)
    return Entity(id=f"service:{name}", kind="service", name=name, basis=basis, last_seen=seen, attributes=attributes)


def of(entity: Entity) -> TopologyFragment:
    return TopologyFragment(entities=(entity,))


@given(TOPOLOGIES, TOPOLOGIES, TOPOLOGIES)
def test_the_order_of_joining_does_not_matter(a: Topology, b: Topology, c: Topology) -> None:
    assert (a | b) | c == a | (b | c)
    assert a | b == b | a
    assert list((a | b).entities.items()) == list((b | a).entities.items())


@given(TOPOLOGIES, TOPOLOGIES)
def test_joining_again_what_is_known_changes_nothing(a: Topology, b: Topology) -> None:
    assert a | a == a
    assert (a | b) | b == a | b


@given(TOPOLOGIES)
def test_a_topology_survives_a_trip_through_json(topology: Topology) -> None:
    again = from_json(to_json(topology))
    assert again == topology
    assert again.entities == topology.entities


@given(TOPOLOGIES)
def test_every_end_of_a_relation_is_an_entity_of_the_graph(topology: Topology) -> None:
    for relation in topology.relations:
        assert {relation.source, relation.target} <= topology.graph.nodes.keys()
    assert topology.graph.number_of_edges() == len(topology.relations)


def test_observed_beats_declared_beats_inferred_and_the_newest_sighting_counts() -> None:
    topology = Topology.merge(
        {
            "deploys": of(service("pay", Basis.DECLARED, 9, tier="1", zone="declared")),
            "logs": of(service("pay", Basis.INFERRED, 5, tier="guess")),
            "traces": of(service("pay", Basis.OBSERVED, 2, zone="observed")),
        }
    )
    pay = topology.entity("service:pay")
    assert (pay.basis, pay.last_seen) == (Basis.OBSERVED, NOON + timedelta(minutes=9))
    assert pay.attributes == {"tier": "1", "zone": "observed"}
    assert pay.learnt_from == "deploys, logs, traces"


def test_provenance_says_for_each_server_how_it_knows_and_when_it_last_saw() -> None:
    fragments = {"logs": of(service("pay", Basis.INFERRED, 5)), "traces": of(service("pay", Basis.OBSERVED, 2))}
    assert Topology.merge(fragments).provenance("service:pay") == (
        Sighting("logs", Basis.INFERRED, NOON + timedelta(minutes=5)),
        Sighting("traces", Basis.OBSERVED, NOON + timedelta(minutes=2)),
    )


def test_a_servers_newer_word_replaces_its_older_one() -> None:
    old = Topology.merge({"traces": of(service("pay", Basis.OBSERVED, 1, version="1", gone="yes"))})
    new = Topology.merge({"traces": of(service("pay", Basis.OBSERVED, 2, version="2"))})
    assert (new | old).entity("service:pay").attributes == {"version": "2"}


def test_an_entity_known_only_from_a_relation_is_there_as_inferred() -> None:
    tie = Relation(source="service:a", kind="reads", target="database:main", last_seen=NOON)
    topology = Topology.merge({"traces": TopologyFragment(relations=(tie,))})
    database = topology.entity("database:main")
    assert (database.kind, database.name, database.basis) == ("database", "main", Basis.INFERRED)
    assert topology.provenance(tie) == (Sighting("traces", Basis.OBSERVED, NOON),)


def test_bindings_are_found_by_entity_and_signal() -> None:
    logs = Binding(entity="service:pay", signal=Signal.LOGS, server="logs", selector={"ServiceName": "pay"})
    spans = Binding(entity="service:pay", signal=Signal.TRACES, server="traces", selector={"ServiceName": "pay"})
    pay = service("pay", Basis.OBSERVED, 0)
    topology = Topology.merge(
        {
            "logs": TopologyFragment(entities=(pay,), bindings=(logs, logs)),
            "traces": TopologyFragment(bindings=(spans,)),
        }
    )
    assert topology.bindings("service:pay") == (logs, spans)
    assert topology.bindings("service:pay", Signal.TRACES) == (spans,)


def test_what_was_not_seen_recently_is_named_and_can_be_left_out() -> None:
    old, new = service("old", Basis.OBSERVED, 0), service("new", Basis.OBSERVED, 50)
    tie = Relation(source=new.id, target=old.id, kind="calls", last_seen=NOON)
    declared = Entity(id="team:x", kind="team", name="x", basis=Basis.DECLARED)
    topology = Topology.merge({"traces": TopologyFragment(entities=(old, new, declared), relations=(tie,))})
    now, max_age = NOON + timedelta(minutes=60), timedelta(minutes=30)
    assert topology.age(now) == timedelta(minutes=10)
    assert topology.stale(now, max_age).entities == ("service:old",)
    assert topology.stale(now, max_age).relations == topology.relations
    fresh = topology.without_stale(now, max_age)
    assert set(fresh.entities) == {"service:new", "team:x"}
    assert fresh.relations == ()


def test_a_fresh_relation_keeps_both_its_ends_fresh() -> None:
    old = service("old", Basis.OBSERVED, 0)
    tie = Relation(source="service:new", target=old.id, kind="calls", last_seen=NOON + timedelta(minutes=59))
    topology = Topology.merge({"traces": TopologyFragment(entities=(old,), relations=(tie,))})
    assert topology.stale(NOON + timedelta(minutes=60), timedelta(minutes=30)).entities == ()
    assert topology.last_seen("service:old") == NOON + timedelta(minutes=59)


def test_a_topology_nobody_dated_has_no_age() -> None:
    assert Topology().age(NOON) is None


def test_a_part_of_a_topology_keeps_only_the_relations_among_its_entities(shop: Topology) -> None:
    part = shop.within(["service:web", "service:pay", "service:ship"])
    assert [(tie.source, tie.target) for tie in part.relations] == [("service:web", "service:pay")]
    assert part.entity("service:pay").attributes == {"language": "python"}
