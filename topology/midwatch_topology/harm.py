"""Who is hurt by whom: the rules that turn relations into the direction in which an outage spreads.

Harm mostly runs against a relation: who calls a broken service is hurt by it. An entity can be hurt in one aspect
only, and what spreads from it then differs: a service of which one instance is broken hurts its callers, but not
its other instances; a queue that is starved hurts its consumers, one that is clogged pushes back on its producers. So
the graph that is walked has a node for each aspect of each entity. Which aspect was hit is not told: callers see
entities.

Not followed on purpose: bad rows through a shared database (a whole database is too coarse a thing to follow data
through), noisy neighbours on one host, and relations that carry no harm, such as `owned_by`.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import networkx as nx

from midwatch_kit.records import EntityId, Relation

if TYPE_CHECKING:
    HarmGraph = nx.DiGraph["Hurt"]

DEPENDENCIES = frozenset({"calls", "reads", "writes", "uses", "depends_on", "deployed_from"})
"""Relations whose source is hurt when their target breaks, and that carry nothing else."""

_A_LITTLE_LONGER = 2
"""Steps by which further paths may be longer than the shortest before all that is allowed is searched."""
_MOST_LOOKED_AT = 10_000
"""Beginnings of paths that one search looks at: more are between two entities only where nearly all are tied."""


WHOLE, PART, STARVED, CLOGGED, AT_ALL = "whole", "part", "starved", "clogged", "at all"
"""In what way an entity is hurt; plain texts, since a graph hashes them millions of times and an enum hashes slowly."""
_ASPECTS = (WHOLE, PART, STARVED, CLOGGED)
_FELT = (WHOLE, PART, STARVED)
"""In what way a service may be hurt so that its callers feel it."""


class Hurt(NamedTuple):
    """An entity, and the aspect in which it is hurt."""

    entity: EntityId
    aspect: str = WHOLE


@dataclass(frozen=True)
class HarmPath:
    """How harm gets from a cause (the first entity) to a symptom (the last); one relation ties each pair."""

    entities: tuple[EntityId, ...]
    relations: tuple[Relation, ...]

    @property
    def hops(self) -> int:
        """How many relations the path goes over."""
        return len(self.relations)


def harm_graph(entities: Iterable[EntityId], relations: Iterable[Relation]) -> "HarmGraph":
    """Return the graph of spreading harm over entities' aspects; edges between entities carry their `relation`."""
    graph: HarmGraph = nx.DiGraph()
    for entity in entities:
        at_all = Hurt(entity, AT_ALL)
        graph.add_edges_from((Hurt(entity, aspect), at_all) for aspect in _ASPECTS)
    for relation in relations:
        for cause, victim in _harms(relation):
            if not graph.has_edge(cause, victim):
                graph.add_edge(cause, victim, relation=relation)
    return graph


def hurt_by(graph: "HarmGraph", cause: EntityId, hops: int | None = None) -> dict[EntityId, int]:
    """Return what is hurt when `cause` breaks, with the number of hops, nearest first; itself left out."""
    lengths = nx.single_source_shortest_path_length(graph, Hurt(cause), cutoff=None if hops is None else hops + 1)
    found = {hurt.entity: length - 1 for hurt, length in lengths.items() if hurt.aspect == AT_ALL}
    return _nearest_first(found, cause)


def that_hurt(graph: "HarmGraph", symptom: EntityId, hops: int | None = None) -> dict[EntityId, int]:
    """Return what can hurt `symptom` by breaking, with the number of hops, nearest first; itself left out."""
    lengths = nx.single_source_shortest_path_length(
        graph.reverse(copy=False), Hurt(symptom, AT_ALL), cutoff=None if hops is None else hops + 1
    )
    found = {hurt.entity: length - 1 for hurt, length in lengths.items() if hurt.aspect == WHOLE}
    return _nearest_first(found, symptom)


def harm_paths(graph: "HarmGraph", cause: EntityId, symptom: EntityId, limit: int, hops: int) -> list[HarmPath]:
    """Return up to `limit` paths of up to `hops` hops from cause to symptom, shortest first; none when none exist.

    No path meets an entity twice. The first is found from both ends at once, which is quick; further ones in order of
    length and then of names, by best-first search with the distance that is left as the bound (A*, Hart et al. 1968).
    """
    try:
        shortest = nx.bidirectional_shortest_path(graph, Hurt(cause), Hurt(symptom, AT_ALL))
    except nx.NetworkXNoPath:
        return []
    if len(shortest) - 2 > hops:
        return []
    found = {path.entities: path for path in [_path(graph, shortest)] if _meets_each_once(path)}
    for longest in (len(shortest) + _A_LITTLE_LONGER, hops + 1):
        for walk in _walks(graph, Hurt(cause), Hurt(symptom, AT_ALL), min(longest, hops + 1)):
            if len(found) >= limit:
                return list(found.values())
            path = _path(graph, walk)
            found.setdefault(path.entities, path)
    return list(found.values())


def _walks(graph: "HarmGraph", start: Hurt, end: Hurt, longest: int) -> Iterator[Sequence[Hurt]]:
    """Yield walks of at most `longest` steps that meet no entity twice, in order of length and then of names."""
    left = _steps_left(graph, start, end, longest)
    waiting: list[tuple[int, tuple[Hurt, ...]]] = [(left[start], (start,))]
    for _ in range(_MOST_LOOKED_AT):
        if not waiting:
            return
        _, walk = heapq.heappop(waiting)
        if walk[-1] == end:
            yield walk
            continue
        met = {hurt.entity for hurt in walk[:-1]}
        for after in graph.successors(walk[-1]):
            total = len(walk) + left.get(after, longest)
            if total <= longest and after.entity not in met and (after == end or after.entity != walk[-1].entity):
                heapq.heappush(waiting, (total, (*walk, after)))


def _steps_left(graph: "HarmGraph", start: Hurt, end: Hurt, longest: int) -> dict[Hurt, int]:
    """Return how far it is to the end from whatever lies on a walk of at most `longest` steps, and some more.

    Steps are taken from both ends, where fewer ways lead on; what is further from the end than the steps taken there
    lies on such a walk only where the start has come as well.
    """
    ahead, left, front, back = {start: 0}, {end: 0}, [start], [end]
    for _ in range(longest):
        if len(front) <= len(back):
            front = _step(graph.successors, front, ahead)
        else:
            back = _step(graph.predecessors, back, left)
    while back:
        back = _step(lambda hurt: ahead.keys() & graph.pred[hurt].keys(), back, left)
    return left


def _step(beside: Callable[[Hurt], Iterable[Hurt]], reached: Iterable[Hurt], steps: dict[Hurt, int]) -> list[Hurt]:
    """Return what is one step on and was not met yet, and note in `steps` how far that is."""
    met = {after: steps[hurt] + 1 for hurt in reached for after in beside(hurt) if after not in steps}
    steps |= met
    return list(met)


def _meets_each_once(path: HarmPath) -> bool:
    return len(set(path.entities)) == len(path.entities)


def _harms(relation: Relation) -> Iterator[tuple[Hurt, Hurt]]:
    source, target = relation.source, relation.target
    match relation.kind:
        case kind if kind in DEPENDENCIES:
            yield from ((Hurt(target, aspect), Hurt(source)) for aspect in _FELT)
        case "runs_on":
            yield Hurt(target), Hurt(source, PART)
            if target.startswith("instance:"):
                yield Hurt(source), Hurt(target)
        case "alarmed_by":
            yield from ((Hurt(source, aspect), Hurt(target)) for aspect in _ASPECTS)
        case "sends_to":
            yield from ((Hurt(target, aspect), Hurt(source)) for aspect in (WHOLE, CLOGGED))
            yield from ((Hurt(source, aspect), Hurt(target, STARVED)) for aspect in _FELT)
        case "receives_from":
            yield Hurt(target), Hurt(source)
            yield Hurt(target, STARVED), Hurt(source, STARVED)
            yield from ((Hurt(source, aspect), Hurt(target, CLOGGED)) for aspect in (WHOLE, PART))


def _path(graph: "HarmGraph", walk: Sequence[Hurt]) -> HarmPath:
    steps = [(one, other) for one, other in pairwise(walk) if one.entity != other.entity]
    return HarmPath(
        entities=(walk[0].entity, *(other.entity for _, other in steps)),
        relations=tuple(graph.edges[step]["relation"] for step in steps),
    )


def _nearest_first(distances: dict[EntityId, int], left_out: EntityId) -> dict[EntityId, int]:
    ordered = sorted((hops, entity) for entity, hops in distances.items() if entity != left_out)
    return {entity: hops for hops, entity in ordered}
