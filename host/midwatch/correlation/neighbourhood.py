"""Where two alerts stand to each other: what an entity depends on, how far apart two are, and by way of what.

A reading of the topology, with what was worked out kept: a storm asks for the same pairs again and again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from midwatch.correlation.weights import BROAD, BROAD_AT_LEAST, HOPS, REACH, SHARED
from midwatch_kit.records import EntityId
from midwatch_topology import Topology

NOWHERE: Mapping[EntityId, int] = {}


@dataclass(frozen=True)
class Tie:
    """How two entities are tied: how much that counts (0 to 1), in words, and whether the first hurts the second."""

    weight: float
    said: str
    after: bool = False


_UNTIED = Tie(0.0, "not connected")


@dataclass
class Neighbourhood:
    """What correlation asks of a topology; without one, an entity is close to itself alone."""

    topology: Topology = field(default_factory=Topology)
    _upstream: dict[EntityId, Mapping[EntityId, int]] = field(default_factory=dict)
    _radius: dict[EntityId, frozenset[EntityId]] = field(default_factory=dict)
    _ties: dict[tuple[EntityId, EntityId], Tie] = field(default_factory=dict)

    def upstream(self, entity: EntityId) -> Mapping[EntityId, int]:
        """Return what hurts an entity when it breaks, and itself with 0 hops; nothing for one that is not known."""
        if entity not in self.topology:  # nor is it remembered: of names that nobody knows there is no end
            return NOWHERE
        if entity not in self._upstream:
            self._upstream[entity] = {entity: 0, **self.topology.upstream_of(entity, REACH)}
        return self._upstream[entity]

    def radius(self, entity: EntityId) -> frozenset[EntityId]:
        """Return the services that are hurt when an entity breaks, itself left out."""
        if entity not in self.topology:
            return frozenset()
        if entity not in self._radius:
            hurt = self.topology.blast_radius(entity)
            self._radius[entity] = frozenset(name for name in hurt if name.startswith("service:"))
        return self._radius[entity]

    def is_broad(self, entity: EntityId) -> bool:
        """Return whether so much depends on an entity that it would explain anything."""
        return len(self.radius(entity)) >= max(BROAD_AT_LEAST, BROAD * self.services)

    @property
    def services(self) -> int:
        """How many services there are."""
        return len(self._services)

    def tie(self, entity: EntityId, member: EntityId) -> Tie:
        """Return how an alert's entity is tied to one that alerts already."""
        if entity not in self.topology or member not in self.topology:
            return Tie(1.0, f"the same component {_name(entity)}") if entity == member else _UNTIED
        pair = (entity, member)
        if pair not in self._ties:
            self._ties[pair] = self._tied(entity, member)
        return self._ties[pair]

    def _tied(self, entity: EntityId, member: EntityId) -> Tie:
        if entity == member:
            return Tie(1.0, f"the same component {_name(entity)}")
        needs, hurts = self.upstream(entity).get(member), self.upstream(member).get(entity)
        hops = min(found for found in (needs, hurts, REACH + 1) if found is not None)
        if hops in HOPS:
            first, second = (entity, member) if needs == hops else (member, entity)
            said = f"{_name(first)} depends on {_name(second)}, {hops} hop{'s' if hops > 1 else ''}"
            return Tie(HOPS[hops], said, after=needs != hops)
        return self._shared(entity, member)

    def _shared(self, entity: EntityId, member: EntityId) -> Tie:
        one, other = self.upstream(entity), self.upstream(member)
        both = sorted((one[name] + other[name], name) for name in one.keys() & other.keys() if not self.is_broad(name))
        if not both or both[0][0] not in SHARED:
            return _UNTIED
        hops, name = both[0]
        return Tie(SHARED[hops], f"{_name(entity)} and {_name(member)} both depend on {_name(name)}")

    @property
    def _services(self) -> frozenset[EntityId]:
        if "" not in self._radius:
            everything = self.topology.entities
            self._radius[""] = frozenset(name for name in everything if name.startswith("service:"))
        return self._radius[""]


def _name(entity: EntityId) -> str:
    return entity.removeprefix("service:")
