"""What there is and how it is tied, as rows, as lines and as a fragment of the topology. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from pydantic import JsonValue

from midwatch_kit import Basis, Entity, EntityId, Relation, TopologyFragment

_STRENGTH: Final = {Basis.INFERRED: 0, Basis.DECLARED: 1, Basis.OBSERVED: 2}


@dataclass(frozen=True, slots=True)
class Resource:
    """One thing by its entity's id, and what is known of it: its ARN, its service, its environment, its page."""

    id: EntityId
    about: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Tie:
    """How one thing is tied to another, and because of what this is said."""

    source: EntityId
    kind: str
    target: EntityId
    basis: Basis
    because: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """What was found at a moment (UTC); `gaps` say in words what could not be looked at, or was left out."""

    resources: Sequence[Resource]
    ties: Sequence[Tie]
    at: datetime
    query: str
    gaps: Sequence[str] = ()


def united(ties: Iterable[Tie]) -> list[Tie]:
    """Return each tie once, in order: with its strongest basis, and the reasons for that; to itself none has one."""
    found: dict[tuple[EntityId, str, EntityId], Tie] = {}
    for tie in ties:
        key = (tie.source, tie.kind, tie.target)
        known = found.get(key)
        if tie.source == tie.target:
            continue
        if known is None or _STRENGTH[tie.basis] > _STRENGTH[known.basis]:
            found[key] = tie
        elif tie.basis == known.basis and tie.because not in known.because.split("; "):
            found[key] = replace(known, because=f"{known.because}; {tie.because}")
    return [found[key] for key in sorted(found)]


def rows_of(inventory: Inventory) -> list[dict[str, JsonValue]]:
    """Return ties and resources as rows of evidence."""
    ties: list[dict[str, JsonValue]] = [
        {"source": t.source, "kind": t.kind, "target": t.target, "basis": t.basis.value, "because": t.because}
        for t in inventory.ties
    ]
    resources: list[dict[str, JsonValue]] = [{"resource": each.id, **each.about} for each in inventory.resources]
    return [*ties, *resources]


def lines_of(inventory: Inventory) -> list[str]:
    """Return ties and resources as lines, in the order of the rows."""
    ties = [f"{tie.source} {tie.kind} {tie.target} ({tie.basis}: {tie.because})" for tie in inventory.ties]
    return [*ties, *map(_line, inventory.resources)]


def fragment_of(inventory: Inventory, server: str) -> TopologyFragment:
    """Return what was found as a part of the topology."""
    entities = {each.id: _entity(each.id, server, inventory.at, each.about) for each in inventory.resources}
    for tie in inventory.ties:
        for end in (tie.source, tie.target):
            entities.setdefault(end, _entity(end, server, inventory.at, {}))
    relations = [
        Relation(
            source=tie.source,
            target=tie.target,
            kind=tie.kind,
            basis=tie.basis,
            learnt_from=server,
            last_seen=inventory.at,
            attributes={"because": tie.because},
        )
        for tie in inventory.ties
    ]
    return TopologyFragment(entities=tuple(entities.values()), relations=tuple(relations))


def _line(resource: Resource) -> str:
    facts = " ".join(f"{name} {value}" for name, value in resource.about.items() if name != "arn")
    return f"{resource.id} {facts}".rstrip()


def _entity(id_: EntityId, server: str, at: datetime, about: Mapping[str, str]) -> Entity:
    kind, _, name = id_.partition(":")
    return Entity(id=id_, kind=kind, name=name, learnt_from=server, last_seen=at, attributes=dict(about))
