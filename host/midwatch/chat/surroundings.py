"""What an application is made of, as answers over a topology: who depends on whom, who owns what, what runs where.

The topology is that of an investigation, or what servers say now; `Map` knows what each line of it rests on.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from midwatch.chat.affairs import OWNED
from midwatch.chat.questions import Question
from midwatch.mcp_client.toolbox import Answer
from midwatch.records.message import Statement
from midwatch_kit.records import Citation, EntityId, Relation
from midwatch_topology import Topology

_RUNS: Final = "runs_on"
_MOST: Final = 40
_MOST_WAYS: Final = 3
_TELLING: Final = ("versions", "per_second", "error_percent", "p95_ms", "state", "image", "zone", "region", "url")


@dataclass(frozen=True)
class Map:
    """A graph, and what it rests on: answers of servers by the server's name, or a record of an investigation."""

    topology: Topology
    answers: Mapping[str, Sequence[Answer]] = field(default_factory=dict)
    record: int | None = None

    def stating(self, text: str, *of: EntityId | Relation) -> Statement:
        """Return a line with what it rests on: the rows that name what it is about."""
        if self.record is not None:
            return Statement(text=text, records=(self.record,))
        cited = [c for each in of for c in self._rows(each)][:_MOST_WAYS]
        whole = [] if cited else [a.evidence for each in of for a in self._told_by(each)]
        declared = "" if cited or whole else " (declared by people)"
        return Statement(text=f"{text}{declared}", citations=tuple(cited), evidence=tuple(dict.fromkeys(whole)))

    @property
    def whole(self) -> tuple[str, ...]:
        """Every document that the graph is drawn from."""
        return tuple(dict.fromkeys(answer.evidence for every in self.answers.values() for answer in every))

    def _rows(self, of: EntityId | Relation) -> list[Citation]:
        """Return where the answers tell of it, the places that name it best first."""
        ends = (of.source, of.target) if isinstance(of, Relation) else (of,)
        places = [place for answer in self._told_by(of) for place in _places(answer, ends)]
        return [citation for _, citation in sorted(places, key=lambda place: -place[0])]

    def _told_by(self, of: EntityId | Relation) -> list[Answer]:
        seen = self.topology.provenance(of)
        return [answer for sighting in seen for answer in self.answers.get(sighting.server, ())]


def depends_on(over: Map, question: Question) -> list[Statement]:
    """Return what each entity that is named needs: directly, and behind that."""
    return _each(over, question, lambda entity: _around(over, entity, "needs", over.topology.upstream_of(entity)))


def dependents(over: Map, question: Question) -> list[Statement]:
    """Return what is hurt when an entity breaks, nearest first, with how far away it is."""
    hurts = "is hurt by an outage of"
    return _each(over, question, lambda entity: _around(over, entity, hurts, over.topology.blast_radius(entity)))


def paths(over: Map, question: Question) -> list[Statement]:
    """Return the ways in which harm gets from the first entity that is named to the second."""
    if len(question.entities) < 2:
        return [Statement(text="Name two: what breaks, and what may be hurt by it.")]
    cause, victim = question.entities[:2]
    ways = over.topology.paths(cause, victim)
    lines = [over.stating(" → ".join(way.entities), *way.relations) for way in ways]
    return lines or [Statement(text=f"No way is known from {cause} to {victim}.", evidence=over.whole)]


def owners(over: Map, question: Question) -> list[Statement]:
    """Return who owns what is named, or everything that has an owner."""
    owned = [relation for relation in over.topology.relations if relation.kind == OWNED]
    if not question.entities:
        lines = [over.stating(f"{r.source} is owned by {r.target}", r) for r in owned]
        return _bounded(lines) or [_nothing(over, "Nobody told midwatch who owns anything.")]
    found: list[Statement] = []
    for entity in question.entities:
        own = [r for r in owned if entity in (r.source, r.target)]
        found += [over.stating(f"{r.source} is owned by {r.target}", r) for r in own]
        found += [] if own else [_nothing(over, f"Nobody told midwatch who owns {entity}.")]
    return _bounded(found)


def runs(over: Map, question: Question) -> list[Statement]:
    """Return what runs on what: of the entities named, or all of it."""
    every = [r for r in over.topology.relations if r.kind == _RUNS]
    meant = [r for r in every if not question.entities or {r.source, r.target} & {*question.entities}]
    lines = [over.stating(f"{r.source} runs on {r.target}{_facts(over, r.target)}", r) for r in meant]
    return _bounded(lines) or [_nothing(over, "No server told what runs there.")]


def everything(over: Map, question: Question) -> list[Statement]:
    """Return what there is, kind by kind, or the facts about the entities that are named."""
    if question.entities:
        return [over.stating(f"{entity}{_facts(over, entity)}", entity) for entity in question.entities]
    kinds: dict[str, list[EntityId]] = {}
    for entity in over.topology.entities.values():
        kinds.setdefault(entity.kind, []).append(entity.id)
    lines = [
        over.stating(f"{len(names)} {kind}: {_listed([n.partition(':')[2] for n in names])}", *names)
        for kind, names in sorted(kinds.items())
    ]
    return lines or [_nothing(over, "No server knows of anything in that time.")]


def _each(over: Map, question: Question, told: Callable[[EntityId], list[Statement]]) -> list[Statement]:
    """Return what is told of each entity that is named; without one, what can be named."""
    if not question.entities:
        return unnamed(over, question)
    return _bounded([line for entity in question.entities for line in told(entity)])


def unnamed(over: Map, question: Question) -> list[Statement]:
    """Say that a question names nothing that is known, and what it may have meant."""
    services = [entity.name for entity in over.topology.entities.values() if entity.kind == "service"]
    meant = f"Did you mean {', '.join(question.near[:3])}?" if question.near else f"Known are: {_listed(services)}"
    return [Statement(text=f"Name what it is about. {meant}", evidence=over.whole)]


def _around(over: Map, entity: EntityId, verb: str, found: Mapping[EntityId, int]) -> list[Statement]:
    needs = verb == "needs"
    if not found:
        return [_nothing(over, f"Nothing is known that {'it needs' if needs else verb}: {entity}.")]
    lines = []
    for other, hops in found.items():
        ends = (other, entity) if needs else (entity, other)
        way = next(iter(over.topology.paths(*ends, limit=1)), None)
        how = f" ({' → '.join(way.entities)})" if way and hops > 1 else ""
        said = f"{entity} needs {other}" if needs else f"{other} {verb} {entity}"
        lines.append(over.stating(f"{said}, {hops} away{how}", *(way.relations if way else (other,))))
    return lines


def _facts(over: Map, entity: EntityId) -> str:
    told = over.topology.entity(entity).attributes
    facts = ", ".join(f"{name} {told[name]}" for name in _TELLING if name in told)
    return f": {facts}" if facts else ""


def _nothing(over: Map, text: str) -> Statement:
    if over.record is not None:
        return Statement(text=text, records=(over.record,))
    return Statement(text=text, evidence=over.whole)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST]) or "none"
    return f"{shown} and {len(names) - _MOST} more" if len(names) > _MOST else shown


def _bounded(lines: list[Statement]) -> list[Statement]:
    if len(lines) <= _MOST:
        return lines
    return [*lines[:_MOST], Statement(text=f"… and {len(lines) - _MOST} more: name an entity, or draw the topology.")]


def _places(answer: Answer, ends: Sequence[EntityId]) -> list[tuple[int, Citation]]:
    """Return the place in an answer that tells best of all these entities, with how well it names the last of them.

    That is a text of a row which has the names of all of them: the id itself, the bare name, or more around it.
    """
    names, best = [end.partition(":")[2] for end in ends], list[tuple[int, Citation]]()
    for number, row in enumerate(answer.rows):
        if not isinstance(row, dict) or not all(name in json.dumps(row, ensure_ascii=False) for name in names):
            continue
        for key, leaf in row.items():
            if isinstance(leaf, str) and names[-1] in leaf:
                well = 2 if leaf == ends[-1] else int(leaf == names[-1])
                place = f"/rows/{number}/{key.replace('~', '~0').replace('/', '~1')}"
                best.append((well, Citation(evidence=answer.evidence, where=place, quote=leaf)))
    return sorted(best, key=lambda place: -place[0])[:1]
