"""The topology of an application: what the servers' fragments add up to, as an immutable value.

It answers what an investigation asks of it: what can hurt a symptom, what a cause hurts, by which path, how to ask
for an entity's telemetry, and how old all this knowledge is. It finds nothing out by itself and keeps nothing on
disk: servers discover, the host refreshes and stores.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import networkx as nx

from midwatch_kit.errors import NotFound
from midwatch_kit.records import Basis, Binding, Entity, EntityId, Relation, Signal, TopologyFragment
from midwatch_topology.claims import NEVER, Claim, Key, RelationKey, agreed, implied, joined, relation_key
from midwatch_topology.harm import HarmPath, harm_graph, harm_paths, hurt_by, that_hurt

if TYPE_CHECKING:
    from midwatch_topology.harm import HarmGraph


class UnknownEntity(NotFound, KeyError):
    """Raised when an entity is asked for that the topology does not have; the message names near ones."""

    def __init__(self, name: str, known: Iterable[EntityId]) -> None:
        self.name = name
        self.near = _near(name, sorted(known))
        way_out = f"did you mean {', '.join(self.near)}?" if self.near else "list the topology's entities first"
        super().__init__(f"no entity {name[:80]!r} in this topology: {way_out}")

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class Sighting:
    """One server's word for it: how it came to know a thing, and when it last saw it."""

    server: str
    basis: Basis
    last_seen: datetime | None


@dataclass(frozen=True)
class Stale:
    """What was not seen recently."""

    entities: tuple[EntityId, ...]
    relations: tuple[Relation, ...]


@dataclass(frozen=True)
class Topology:
    """Entities and relations with their provenance; `sources` is what each server said, tidied.

    Make one with `Topology.merge`; join two with `|`. Joining is associative, commutative and idempotent.
    """

    sources: Mapping[str, TopologyFragment] = field(default_factory=dict)

    @classmethod
    def merge(cls, fragments: Mapping[str, TopologyFragment]) -> "Topology":
        """Return the topology that servers' fragments add up to; keys are the servers' names."""
        return cls({server: joined([fragments[server]]) for server in sorted(fragments)})

    def __or__(self, other: "Topology") -> "Topology":
        both = [self.sources, other.sources]
        servers = sorted({*self.sources, *other.sources})
        return Topology({server: joined(source[server] for source in both if server in source) for server in servers})

    def __contains__(self, entity: object) -> bool:
        return entity in self.entities

    @cached_property
    def entities(self) -> Mapping[EntityId, Entity]:
        """Every entity by id, in sorted order, as the servers agree on it; ends of relations are entities too."""
        known = {name: agreed(claims) for name, claims in self._entity_claims.items()}
        for relation in self.relations:
            for end in (relation.source, relation.target):
                if end not in known:
                    known[end] = implied(relation, end)
        return {name: known[name] for name in sorted(known)}

    @cached_property
    def relations(self) -> tuple[Relation, ...]:
        """Every relation once, sorted by source, kind and target, as the servers agree on it."""
        return tuple(agreed(self._relation_claims[key]) for key in sorted(self._relation_claims))

    @cached_property
    def graph(self) -> "nx.MultiDiGraph[EntityId]":
        """The whole as a frozen networkx graph: nodes carry `entity`, edges are keyed by kind and carry `relation`."""
        graph: nx.MultiDiGraph[EntityId] = nx.MultiDiGraph()
        for name, entity in self.entities.items():
            graph.add_node(name, entity=entity)
        for relation in self.relations:
            graph.add_edge(relation.source, relation.target, key=relation.kind, relation=relation)
        nx.freeze(graph)
        return graph

    def entity(self, entity: EntityId) -> Entity:
        """Return one entity; raises `UnknownEntity`."""
        return self.entities[self._known(entity)]

    def find(self, name: str) -> EntityId:
        """Return the id that `name` stands for: an id itself, or a bare name, a service's before any other's.

        Raises `UnknownEntity` when nothing has that name.
        """
        named = [entity.id for entity in self.entities.values() if entity.name == name]
        candidates = [name, f"service:{name}", *named]
        return self._known(next((candidate for candidate in candidates if candidate in self.entities), name))

    def provenance(self, of: EntityId | Relation) -> tuple[Sighting, ...]:
        """Return which servers know of an entity or a relation, how, and since when they last saw it."""
        claims: Mapping[str, Entity] | Mapping[str, Relation]
        if isinstance(of, Relation):
            claims = self._relation_claims.get(relation_key(of), {})
        else:
            claims = self._entity_claims.get(self._known(of), {})
        return tuple(Sighting(server, claim.basis, claim.last_seen) for server, claim in claims.items())

    def depends_on(self, entity: EntityId) -> tuple[EntityId, ...]:
        """Return what hurts `entity` directly when it breaks."""
        return tuple(that_hurt(self._harm, self._known(entity), hops=1))

    def dependents(self, entity: EntityId) -> tuple[EntityId, ...]:
        """Return what is hurt directly when `entity` breaks."""
        return tuple(hurt_by(self._harm, self._known(entity), hops=1))

    def upstream_of(self, symptom: EntityId, hops: int | None = None) -> dict[EntityId, int]:
        """Return the scope to look at from a symptom: all that can hurt it, with its distance, nearest first."""
        return that_hurt(self._harm, self._known(symptom), hops)

    def blast_radius(self, entity: EntityId) -> dict[EntityId, int]:
        """Return all that is hurt when `entity` breaks, with its distance in hops, nearest first."""
        return hurt_by(self._harm, self._known(entity))

    def paths(self, cause: EntityId, symptom: EntityId, *, limit: int = 5, hops: int = 12) -> tuple[HarmPath, ...]:
        """Return up to `limit` ways in which harm gets from `cause` to `symptom`, shortest first; none if none."""
        return tuple(harm_paths(self._harm, self._known(cause), self._known(symptom), limit, hops))

    def bindings(self, entity: EntityId, signal: Signal | None = None) -> tuple[Binding, ...]:
        """Return how to ask for an entity's telemetry, of one signal or of all."""
        name = self._known(entity)
        every = [binding for source in self.sources.values() for binding in source.bindings]
        return tuple(found for found in every if found.entity == name and signal in (None, found.signal))

    def last_seen(self, entity: EntityId) -> datetime | None:
        """Return when an entity or any relation of it was last seen; None when nobody said."""
        return self._seen.get(self._known(entity))

    def age(self, now: datetime) -> timedelta | None:
        """Return how long ago anything here was last seen; None when nobody said."""
        return now - max(self._seen.values()) if self._seen else None

    def stale(self, now: datetime, max_age: timedelta) -> Stale:
        """Return what was last seen longer than `max_age` ago; what has no time of sighting is never stale."""
        oldest = now - max_age
        return Stale(
            entities=tuple(name for name in self.entities if name in self._seen and self._seen[name] < oldest),
            relations=tuple(
                relation for relation in self.relations if relation.last_seen and relation.last_seen < oldest
            ),
        )

    def without_stale(self, now: datetime, max_age: timedelta) -> "Topology":
        """Return the topology without what `stale` names."""
        stale = self.stale(now, max_age)
        entities, relations = set(stale.entities), {relation_key(relation) for relation in stale.relations}
        return self._only(lambda name: name not in entities, lambda key: key not in relations)

    def within(self, entities: Iterable[EntityId]) -> "Topology":
        """Return the part of the topology that these entities and the relations among them make up."""
        kept = {self._known(entity) for entity in entities}
        return self._only(kept.__contains__, lambda _: True)

    def _known(self, entity: EntityId) -> EntityId:
        if entity not in self.entities:
            raise UnknownEntity(entity, self.entities)
        return entity

    def _only(self, entity: Callable[[EntityId], bool], relation: Callable[[RelationKey], bool]) -> "Topology":
        return Topology(
            {
                server: TopologyFragment(
                    entities=tuple(kept for kept in source.entities if entity(kept.id)),
                    relations=tuple(
                        kept
                        for kept in source.relations
                        if entity(kept.source) and entity(kept.target) and relation(relation_key(kept))
                    ),
                    bindings=tuple(kept for kept in source.bindings if entity(kept.entity)),
                )
                for server, source in self.sources.items()
            }
        )

    @cached_property
    def _harm(self) -> "HarmGraph":
        return harm_graph(self.entities, self.relations)

    @cached_property
    def _seen(self) -> Mapping[EntityId, datetime]:
        seen = {name: entity.last_seen or NEVER for name, entity in self.entities.items()}
        for relation in self.relations:
            for end in (relation.source, relation.target):
                seen[end] = max(seen[end], relation.last_seen or NEVER)
        return {name: moment for name, moment in seen.items() if moment != NEVER}

    @cached_property
    def _entity_claims(self) -> Mapping[EntityId, Mapping[str, Entity]]:
        return _by(self.sources, lambda source: {entity.id: entity for entity in source.entities})

    @cached_property
    def _relation_claims(self) -> Mapping[RelationKey, Mapping[str, Relation]]:
        return _by(self.sources, lambda source: {relation_key(relation): relation for relation in source.relations})


def _by(
    sources: Mapping[str, TopologyFragment], claims_of: Callable[[TopologyFragment], Mapping[Key, Claim]]
) -> Mapping[Key, Mapping[str, Claim]]:
    claims: dict[Key, dict[str, Claim]] = {}
    for server, source in sources.items():
        for name, claim in claims_of(source).items():
            claims.setdefault(name, {})[server] = claim
    return claims


def _near(name: str, known: list[EntityId]) -> tuple[EntityId, ...]:
    bare = {entity.partition(":")[2]: entity for entity in reversed(known)}
    close = [
        *difflib.get_close_matches(name, known, n=3),
        *(bare[m] for m in difflib.get_close_matches(name, bare, n=3)),
    ]
    return tuple(dict.fromkeys(close))[:3]
