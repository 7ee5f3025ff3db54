"""What Prometheus scrapes, as topology: instances with their health, their services, and their hosts."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from midwatch_kit import Entity, Relation, TopologyFragment
from midwatch_kit.http import shown_url
from midwatch_metrics.backends.prometheus.labels import UNKNOWN, LabelMap
from midwatch_metrics.timeline import from_rfc3339

_HOSTS: Final = ("node", "kubernetes_node", "nodename")
_LEARNT_FROM: Final = "metrics"
_LONGEST_ERROR: Final = 200


def fragment_of(answer: Any, mapping: LabelMap) -> TopologyFragment:
    """Return entities and relations of the active targets of `/api/v1/targets`."""
    targets = answer.get("activeTargets", []) if isinstance(answer, dict) else []
    entities: dict[str, Entity] = {}
    relations: dict[tuple[str, str], Relation] = {}
    for target in targets:
        labels = dict(target.get("labels") or {})
        who = mapping.identity(labels)
        if who.service == UNKNOWN or not who.instance:
            continue
        seen = from_rfc3339(str(target.get("lastScrape"))) if target.get("health") == "up" else None
        host = next((labels[name] for name in _HOSTS if labels.get(name)), "")
        service, instance = f"service:{who.service}", f"instance:{who.instance}"
        entities.setdefault(service, _entity(service, seen, {}))
        entities[instance] = _entity(instance, seen, _health(target, who.version))
        relations[service, instance] = _relation(service, instance, seen)
        if host:
            entities.setdefault(f"host:{host}", _entity(f"host:{host}", seen, {}))
            relations[instance, f"host:{host}"] = _relation(instance, f"host:{host}", seen)
    return TopologyFragment(entities=tuple(entities.values()), relations=tuple(relations.values()))


def _health(target: Mapping[str, Any], version: str) -> dict[str, str]:
    told = {
        "scrape": str(target.get("health", "")),
        "scrape_error": str(target.get("lastError", ""))[:_LONGEST_ERROR],
        "scrape_url": shown_url(str(target.get("scrapeUrl", ""))),
        "version": version,
    }
    return {name: value for name, value in told.items() if value}


def _entity(identity: str, seen: datetime | None, attributes: dict[str, str]) -> Entity:
    kind, name = identity.split(":", 1)
    return Entity(id=identity, kind=kind, name=name, learnt_from=_LEARNT_FROM, last_seen=seen, attributes=attributes)


def _relation(source: str, target: str, seen: datetime | None) -> Relation:
    return Relation(source=source, target=target, kind="runs_on", learnt_from=_LEARNT_FROM, last_seen=seen)
