"""What repositories declare of themselves for Backstage: who owns a service, and what it stands on. Pure.

Files are `catalog-info.yaml`, as https://backstage.io/docs/features/software-catalog/descriptor-format describes them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import yaml
from pydantic import JsonValue

from midwatch_kit import Basis, Entity, Relation, TopologyFragment

FILES: Final = ("catalog-info.yaml", "catalog-info.yml")
MOST_BYTES: Final = 64 * 2**10
_NOT_RUNNING: Final = frozenset({"library", "documentation"})
_OWNERS: Final = {"group": "team", "user": "person"}
_RESOURCES: Final = {"database": "database", "queue": "queue", "topic": "queue"}
_REFERENCE: Final = re.compile(r"(?:(?P<kind>[a-z]+):)?(?:[^/:\s]+/)?(?P<name>[^/:\s]+)", re.IGNORECASE)


class Unreadable(ValueError):
    """Raised for a file that is no such description; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Declared:
    """One component or resource by its entity's id, and what its file says of it; `where` is the file.

    `owner` and `depends_on` are ids of entities, `provides` and `consumes` names of APIs; `about` are further facts.
    """

    id: str
    where: str
    owner: str = ""
    depends_on: tuple[str, ...] = ()
    provides: frozenset[str] = frozenset()
    consumes: frozenset[str] = frozenset()
    about: Mapping[str, str] | None = None


def declared_in(text: str, where: str) -> list[Declared]:
    """Return what a file declares; kinds that are neither components nor resources are passed over."""
    documents = [one for one in documents_in(text, where) if isinstance(one, dict)]
    return [found for one in documents if (found := _declared(one, where))]


def documents_in(text: str, where: str) -> list[object]:
    """Return the documents in a file of YAML; raises `Unreadable` with the file, the line and the reason."""
    try:
        return list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise Unreadable(f"{where}{place}: {getattr(error, 'problem', None) or 'it is no YAML'}") from None
    except (ValueError, RecursionError) as error:  # a date that there is not, or brackets without end
        raise Unreadable(f"{where}: {str(error)[:100]}") from None


def row_of(one: Declared) -> dict[str, JsonValue]:
    """Return what is declared, as a row of evidence."""
    facts: dict[str, JsonValue] = {"declared": one.id, "where": one.where, "owner": one.owner}
    return {**facts, "depends_on": list[JsonValue](one.depends_on), **(one.about or {})}


def line_of(one: Declared) -> str:
    """Return what is declared in a line."""
    facts = {"owner": one.owner.partition(":")[2], **(one.about or {}), "stands on": ", ".join(one.depends_on)}
    told = " ".join(f"{name} {value}" for name, value in facts.items() if value)
    return f"{one.id} is declared in {one.where}: {told}".rstrip(": ")


def fragment_of(declared: Sequence[Declared], server: str, at: datetime) -> TopologyFragment:
    """Return what is declared as a part of the topology, as of a moment.

    Who consumes an API depends on those that provide it.
    """
    entities: dict[str, Entity] = {}
    relations: list[Relation] = []
    for one in declared:
        entities[one.id] = _entity(one.id, server, at, one.about or {})
        targets = [*one.depends_on, *_providers(one, declared)]
        ties = [("owned_by", one.owner)] if one.owner else []
        for kind, target in [*ties, *(("depends_on", target) for target in dict.fromkeys(targets))]:
            entities.setdefault(target, _entity(target, server, at, {}))
            relations.append(
                Relation(
                    source=one.id, target=target, kind=kind, basis=Basis.DECLARED, learnt_from=server, last_seen=at
                )
            )
    return TopologyFragment(entities=tuple(entities.values()), relations=tuple(relations))


def _declared(document: Mapping[str, Any], where: str) -> Declared | None:
    kind, metadata, spec = (document.get(name) for name in ("kind", "metadata", "spec"))
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if kind not in ("Component", "Resource") or not isinstance(name, str):
        return None
    told = spec if isinstance(spec, dict) else {}
    if kind == "Component" and told.get("type") in _NOT_RUNNING:
        return None
    entity = f"service:{name}" if kind == "Component" else f"{_RESOURCES.get(str(told.get('type')), 'resource')}:{name}"
    return Declared(
        entity,
        where,
        owner=_owner(told.get("owner")),
        depends_on=tuple(id_ for ref in _texts(told.get("dependsOn")) if (id_ := _target(ref))),
        provides=frozenset(map(_name, _texts(told.get("providesApis")))),
        consumes=frozenset(map(_name, _texts(told.get("consumesApis")))),
        about={key: str(told[key]) for key in ("type", "lifecycle", "system") if isinstance(told.get(key), str)},
    )


def _providers(one: Declared, declared: Sequence[Declared]) -> Iterator[str]:
    return (other.id for other in declared if other.provides & one.consumes and other.id != one.id)


def _owner(told: object) -> str:
    found = _REFERENCE.fullmatch(told) if isinstance(told, str) else None
    return f"{_OWNERS.get((found['kind'] or 'group').lower(), 'team')}:{found['name']}" if found else ""


def _target(reference: str) -> str:
    """Return the entity that something depends on; '' for what is neither a component nor a resource."""
    found = _REFERENCE.fullmatch(reference)
    kinds = {"component": "service", "resource": "resource"}
    kind = kinds.get((found["kind"] or "component").lower()) if found else None
    return f"{kind}:{found['name']}" if found and kind else ""


def resolved(declared: Sequence[Declared]) -> list[Declared]:
    """Return the same with references to resources by the kind that their own files give them."""
    kinds = {one.id.partition(":")[2]: one.id for one in declared if not one.id.startswith("service:")}

    def known(target: str) -> str:
        kind, _, name = target.partition(":")
        return kinds.get(name, target) if kind == "resource" else target

    return [replace(one, depends_on=tuple(map(known, one.depends_on))) for one in declared]


def _name(reference: str) -> str:
    found = _REFERENCE.fullmatch(reference)
    return found["name"] if found else reference


def _texts(told: object) -> list[str]:
    return [one for one in told if isinstance(one, str)] if isinstance(told, list) else []


def _entity(id_: str, server: str, at: datetime, about: Mapping[str, str]) -> Entity:
    kind, _, name = id_.partition(":")
    return Entity(id=id_, kind=kind, name=name, learnt_from=server, last_seen=at, attributes=dict(about))
