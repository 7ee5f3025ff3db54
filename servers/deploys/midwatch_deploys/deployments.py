"""What is deployed where, from whom and by whom, as a fragment of the topology. Pure."""

from collections import Counter
from collections.abc import Sequence

from pydantic import JsonValue

from midwatch_deploys.backend import Change
from midwatch_deploys.services import short_name
from midwatch_deploys.survey import services_of
from midwatch_deploys.versions import versions_of
from midwatch_kit import Basis, Binding, Entity, Relation, Signal, TopologyFragment, rfc3339


def row_of(service: str, changes: Sequence[Change]) -> dict[str, JsonValue]:
    """Return what is known of one service's deployment; `changes` are its own, oldest first."""
    served = versions_of(service, changes)
    authors = Counter(change.author for change in changes if change.author and change.kind == "deploy")
    person, count = authors.most_common(1)[0] if authors else ("", 0)
    current = served[-1] if served else None
    return {
        "service": service,
        "version": current.version if current else "",
        "since": rfc3339(current.since) if current and current.since else None,
        "previous_version": served[-2].version if len(served) > 1 else "",
        "repository": next((change.repository for change in reversed(changes) if change.repository), ""),
        "team": next((team for change in reversed(changes) if (team := change.attributes.get("team"))), ""),
        "most_frequent_author": person,
        "deploys_by_author": count,
        "deploys": authors.total(),
        "instances": list[JsonValue](sorted({change.instance for change in changes if change.instance})),
        "last_change": rfc3339(changes[-1].at) if changes else None,
    }


def line_of(row: dict[str, JsonValue]) -> str:
    """Return a service's deployment in a line."""
    facts = {
        "version": row["version"],
        "since": row["since"],
        "was": row["previous_version"],
        "from": row["repository"],
        "team": row["team"],
        "mostly by": row["most_frequent_author"],
        "changes on": ", ".join(map(str, names)) if isinstance(names := row["instances"], list) else "",
    }
    return " ".join([f"{row['service']}:", *(f"{name} {value}" for name, value in facts.items() if value)])


def fragment_of(changes: Sequence[Change], server: str) -> TopologyFragment:
    """Return services, their instances, repositories, people and teams, and how they are tied."""
    entities: dict[str, Entity] = {}
    relations: list[Relation] = []
    for service in services_of(changes):
        own = [change for change in changes if change.service == service]
        facts = row_of(service, own)
        known = {name: str(facts[name]) for name in ("version", "since") if facts[name]}
        source = _entity("service", service, own[-1], server, known)
        entities[source.id] = source
        for relation, target in _tied(source, facts, own, server):
            entities[target.id] = target
            relations.append(relation)
    services = [entity for entity in entities.values() if entity.kind == "service"]
    bindings = [
        Binding(entity=entity.id, signal=Signal.CHANGES, server=server, selector={"service": entity.name})
        for entity in services
    ]
    return TopologyFragment(entities=tuple(entities.values()), relations=tuple(relations), bindings=tuple(bindings))


def joined(deployed: TopologyFragment, declared: TopologyFragment) -> TopologyFragment:
    """Return one fragment of both; what was seen counts more than what is declared of the same entity."""
    entities = {entity.id: entity for entity in declared.entities}
    for entity in deployed.entities:
        about = entities[entity.id].attributes if entity.id in entities else {}
        entities[entity.id] = entity.model_copy(update={"attributes": {**about, **entity.attributes}})
    relations = (*deployed.relations, *declared.relations)
    return TopologyFragment(entities=tuple(entities.values()), relations=relations, bindings=deployed.bindings)


def _tied(
    service: Entity, facts: dict[str, JsonValue], own: Sequence[Change], server: str
) -> list[tuple[Relation, Entity]]:
    repository, person, team = (str(facts[name]) for name in ("repository", "most_frequent_author", "team"))
    shares = {"deploys": f"{facts['deploys_by_author']} of {facts['deploys']}"}
    ties = [("runs_on", _entity("instance", c.instance, c, server), Basis.OBSERVED) for c in own if c.instance]
    if repository:
        name = short_name(repository)
        ties.append(
            ("deployed_from", _entity("repository", name, own[-1], server, {"url": repository}), Basis.OBSERVED)
        )
    if person:
        ties.append(("owned_by", _entity("person", person, own[-1], server, shares), Basis.INFERRED))
    if team:
        ties.append(("owned_by", _entity("team", team, own[-1], server), Basis.DECLARED))
    unique = {target.id: (kind, target, basis) for kind, target, basis in ties}
    return [(_relation(service, target, kind, basis, server), target) for kind, target, basis in unique.values()]


def _entity(kind: str, name: str, seen: Change, server: str, attributes: dict[str, str] | None = None) -> Entity:
    return Entity(
        id=f"{kind}:{name}",
        kind=kind,
        name=name,
        learnt_from=server,
        last_seen=seen.at,
        attributes=attributes or {},
    )


def _relation(source: Entity, target: Entity, kind: str, basis: Basis, server: str) -> Relation:
    return Relation(
        source=source.id,
        target=target.id,
        kind=kind,
        basis=basis,
        learnt_from=server,
        last_seen=target.last_seen,
    )
