"""Claims: what each server says of an entity or a relation, and how the claims of many become one.

Claims of one server about one thing join into its newest word with its strongest basis; claims of several servers
stay apart, so that provenance is never lost. Each join is a maximum, so the order of joining never matters. Paths
and pictures are made elsewhere, from what comes out of here.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from midwatch_kit.records import Basis, Binding, Entity, EntityId, Relation, TopologyFragment

Key = TypeVar("Key")
Claim = TypeVar("Claim", Entity, Relation)
RelationKey = tuple[EntityId, str, EntityId]

NEVER = datetime.min.replace(tzinfo=UTC)
_STRENGTH = {Basis.INFERRED: 0, Basis.DECLARED: 1, Basis.OBSERVED: 2}


def relation_key(relation: Relation) -> RelationKey:
    """Return what makes a relation the one it is: source, kind, target."""
    return relation.source, relation.kind, relation.target


def joined(fragments: Iterable[TopologyFragment]) -> TopologyFragment:
    """Return one server's fragments as one: each thing once, by its newest claim, in sorted order."""
    entities: dict[EntityId, Entity] = {}
    relations: dict[RelationKey, Relation] = {}
    bindings: dict[str, Binding] = {}
    for fragment in fragments:
        for entity in fragment.entities:
            _put(entities, entity.id, entity)
        for relation in fragment.relations:
            _put(relations, relation_key(relation), relation)
        bindings |= {_spelled(binding): binding for binding in fragment.bindings}
    return TopologyFragment(
        entities=tuple(entities[name] for name in sorted(entities)),
        relations=tuple(relations[name] for name in sorted(relations)),
        bindings=tuple(bindings[name] for name in sorted(bindings)),
    )


def agreed(claims: Mapping[str, Claim]) -> Claim:
    """Return several servers' claims about one thing as one: strongest basis, newest sighting, all attributes.

    Where attributes differ, observed beats declared beats inferred, then the newest sighting wins. `learnt_from`
    names every server, in sorted order.
    """
    if len(claims) == 1:  # most things are known to one server, and then there is nothing to rank
        ((server, claim),) = claims.items()
        return claim if claim.learnt_from == server else claim.model_copy(update={"learnt_from": server})
    ranked = [claims[server] for server in sorted(claims, key=lambda name: (*_rank(claims[name]), name))]
    return ranked[-1].model_copy(
        update={
            "last_seen": max((claim.last_seen for claim in ranked if claim.last_seen), default=None),
            "learnt_from": ", ".join(sorted(claims)),
            "attributes": {name: value for claim in ranked for name, value in claim.attributes.items()},
        }
    )


def implied(relation: Relation, name: EntityId) -> Entity:
    """Return the entity `name`, of which nothing is known but that `relation` has it at one end."""
    kind, _, rest = name.partition(":")
    return Entity(
        id=name,
        kind=kind if rest else "unknown",
        name=rest or name,
        basis=Basis.INFERRED,
        learnt_from=relation.learnt_from,
        last_seen=relation.last_seen,
    )


def _put(known: dict[Key, Claim], name: Key, claim: Claim) -> None:
    known[name] = _newest(known[name], claim) if name in known else claim


def _newest(one: Claim, other: Claim) -> Claim:
    newest = max(one, other, key=lambda claim: (claim.last_seen or NEVER, _spelled(claim)))
    strongest = max(one.basis, other.basis, key=lambda basis: _STRENGTH[basis])
    return newest.model_copy(update={"basis": strongest})


def _rank(claim: Entity | Relation) -> tuple[int, datetime, str]:
    return _STRENGTH[claim.basis], claim.last_seen or NEVER, _spelled(claim)


def _spelled(record: Entity | Relation | Binding) -> str:
    """Return a spelling to order by, without the basis: that one joins by itself."""
    plain = record.model_dump(mode="json", exclude={"basis"})
    return repr(sorted((name, sorted(v.items()) if isinstance(v, dict) else v) for name, v in plain.items()))
