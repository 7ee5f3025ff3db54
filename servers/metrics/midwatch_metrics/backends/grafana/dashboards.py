"""Which dashboards are about a service: those that have its name, as a word, in their title or among their tags."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from midwatch_kit import Entity, TopologyFragment
from midwatch_metrics.backends.grafana.api import GrafanaApi
from midwatch_metrics.backends.prometheus.api import Absent, Refused

MOST_DASHBOARDS: Final = 1_000
_MOST_OF_ONE: Final = 5
_LEARNT_FROM: Final = "metrics"


def of_services(api: GrafanaApi, services: Iterable[str]) -> TopologyFragment:
    """Return the services that have dashboards, each with the attribute `dashboards`; none where none may be read."""
    try:
        told = api.get("search", "dashboards:read", {"type": "dash-db", "limit": MOST_DASHBOARDS})
    except (Absent, Refused):
        return TopologyFragment()
    known = [one for one in told if isinstance(one, dict) and one.get("url")]
    entities = [
        Entity(
            id=f"service:{service}",
            kind="service",
            name=service,
            learnt_from=_LEARNT_FROM,
            attributes={"dashboards": "; ".join(_shown(api, one) for one in found[:_MOST_OF_ONE])},
        )
        for service in sorted(set(services))
        if (found := _about(service, known))
    ]
    return TopologyFragment(entities=tuple(entities))


def _about(service: str, dashboards: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    word = re.compile(rf"(?<![\w-]){re.escape(service)}(?![\w-])", re.IGNORECASE)
    return [one for one in dashboards if word.search(" ".join([str(one.get("title", "")), *_tags(one)]))]


def _tags(one: Mapping[str, Any]) -> list[str]:
    return [str(tag) for tag in one.get("tags") or []]


def _shown(api: GrafanaApi, one: Mapping[str, Any]) -> str:
    """A dashboard's title and address, under the address by which Grafana is asked."""
    path = str(one["url"])
    found = path.find("/d/")  # Grafana under a path tells addresses with that path
    return f"{str(one.get('title', ''))[:80]} {api.name}{path[found:] if found >= 0 else path}"
