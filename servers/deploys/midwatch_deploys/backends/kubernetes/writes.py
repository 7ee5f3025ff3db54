"""Writes of ConfigMaps and Secrets: when, by which program, which keys; values are never read. Pure.

The cluster keeps the last write of each program that wrote a thing, and nothing of those before.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from midwatch_deploys.backend import Change
from midwatch_deploys.backends.kubernetes.fields import moment, name_of
from midwatch_deploys.backends.kubernetes.template import used_by
from midwatch_deploys.resources import Resources
from midwatch_kit.kubernetes import Json

_KINDS: Final = ("ConfigMap", "Secret")
_WORKLOADS: Final = ("Deployment", "StatefulSet", "DaemonSet")
_LEADER: Final = "control-plane.alpha.kubernetes.io/leader"
_OF_ALL: Final = "kube-root-ca.crt"
"""What the control plane puts into every namespace."""
_MOST_KEYS: Final = 20


def config_changes(things: Mapping[str, Sequence[Json]], resources: Resources) -> list[Change]:
    """Return the last writes of configuration, once for each service that uses it."""
    users = _users(things, resources)
    return [
        change
        for kind in _KINDS
        for thing in things.get(kind, ())
        if thing["metadata"]["name"] != _OF_ALL and _LEADER not in (thing["metadata"].get("annotations") or {})
        for change in _written(kind, thing, users.get((kind, name_of(thing)), ()), resources)
    ]


def _users(things: Mapping[str, Sequence[Json]], resources: Resources) -> dict[tuple[str, str], list[str]]:
    """Return the services whose workloads use a thing, by its kind and name."""
    found: dict[tuple[str, str], list[str]] = {}
    for workload in (each for kind in _WORKLOADS for each in things.get(kind, ())):
        metadata = workload["metadata"]
        service = resources.service_of(name_of(workload), metadata["name"])
        for kind, name in used_by((workload.get("spec") or {}).get("template") or {}):
            services = found.setdefault((kind, f"{metadata.get('namespace', '')}/{name}"), [])
            services += [service] if service not in services else []
    return found


def _written(kind: str, thing: Json, users: Sequence[str], resources: Resources) -> Iterator[Change]:
    metadata, name = thing["metadata"], name_of(thing)
    if resources.knows(name, metadata["name"]) or not users:
        users = [resources.service_of(name, metadata["name"])]
    place = f"{metadata.get('namespace', '')}/{kind}/{metadata['name']}"
    for at, (managers, keys) in _writes(metadata).items():
        made = at == moment(metadata["creationTimestamp"])
        shown = ", ".join(keys[:_MOST_KEYS])
        for service in users:
            yield Change(
                id=f"kubernetes:{place}@{at:%Y%m%dT%H%M%SZ}:{service}",
                at=at,
                kind="config",
                service=service,
                title=f"{kind} {name} {'made' if made else 'written'}{f': keys {shown}' if shown else ''}",
                author=", ".join(managers),
                outcome="succeeded",
                diff=f"keys that {', '.join(managers)} wrote (values are not read): {shown}" if shown else "",
                attributes={"namespace": metadata.get("namespace", ""), "written_by": ", ".join(managers)},
                source="kubernetes write",
            )


def _writes(metadata: Mapping[str, Any]) -> dict[datetime, tuple[list[str], list[str]]]:
    """Return the programs that wrote a thing and the keys that they own, by the time of their last write."""
    found: dict[datetime, tuple[list[str], list[str]]] = {}
    for entry in metadata.get("managedFields") or []:
        if entry.get("time"):
            managers, keys = found.setdefault(moment(entry["time"]), ([], []))
            managers.append(entry.get("manager", "?"))
            owned = entry.get("fieldsV1") or {}
            for part in ("f:data", "f:stringData", "f:binaryData"):
                keys += [key.removeprefix("f:") for key in owned.get(part) or {} if key != "."]
    return found
