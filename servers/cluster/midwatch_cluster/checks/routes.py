"""Route tables: which path leads to which Service, in Ingresses and in the configuration of gateways.

Read are Ingresses, and ConfigMaps with the routes of a Spring Cloud Gateway
(https://docs.spring.io/spring-cloud-gateway/reference/): `id`, `uri` and the predicate `Path=`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import yaml

from midwatch_cluster.checks.problem import Problem
from midwatch_cluster.state import Json, Ref, State, look, ref_of

BY_NAME = 0.8
"""The share of a table's routes that lead to the Service that their path names, for the others to be mistakes."""
_FEWEST = 4
_SHORTEST_NAME = 4
_URI = re.compile(r"\w+://(?:\$\{[^:}]+:)?(?P<host>[a-z0-9-]+)")
_GATEWAY = "/spring/cloud/gateway/routes"


@dataclass(frozen=True, slots=True)
class Route:
    """A path, the Service that it leads to, and the field that says so."""

    path: str
    service: str
    field: str


def path_leads_elsewhere(state: State) -> Iterator[Problem]:
    """A path bears the name of one Service and leads to another, in a table whose other routes go by name.

    No other route of the table leads to the Service that the path names, so that its requests arrive nowhere.
    """
    for table, routes in _tables(state):
        services = [ref_of(service).name for service in state.of("Service", table.namespace)]
        named = [(route, name) for route in routes if (name := _named(route.path, services))]
        wrong = [(route, name) for route, name in named if route.service != name]
        by_name = len(named) - len(wrong)
        if by_name < _FEWEST or by_name < BY_NAME * len(named):
            continue
        for route, name in wrong:
            if all(other.service != name for other in routes):
                yield Problem(
                    table,
                    "path_leads_elsewhere",
                    "change",
                    f"path {route.path} leads to {route.service}, and no path of {table.name} leads to {name}",
                    ((table, route.field),),
                    victim=_workload(state, table.namespace, name),
                )


def _tables(state: State) -> Iterator[tuple[Ref, Sequence[Route]]]:
    for ingress in state.of("Ingress"):
        yield ref_of(ingress), list(_of_ingress(ingress))
    for config in state.of("ConfigMap"):
        for key, text in look(config, "/data", {}).items():
            if "gateway" in str(text) and (routes := list(_of_gateway(key, str(text)))):
                yield ref_of(config), routes


def _of_ingress(ingress: Json) -> Iterator[Route]:
    for number, rule in enumerate(look(ingress, "/spec/rules", [])):
        for place, path in enumerate(look(rule, "/http/paths", [])):
            if name := look(path, "/backend/service/name"):
                field = f"/spec/rules/{number}/http/paths/{place}/backend"
                yield Route(path.get("path", "/"), name, field)


def _of_gateway(key: str, text: str) -> Iterator[Route]:
    try:
        told = yaml.safe_load(text)
    except yaml.YAMLError:
        return
    for route in look(told, _GATEWAY, []) if isinstance(told, Mapping) else ():
        to = _URI.match(str(route.get("uri", "")))
        paths = [each.partition("=")[2] for each in route.get("predicates") or [] if str(each).startswith("Path=")]
        if to and paths:
            yield Route(paths[0], to["host"], f"/data/{key.replace('/', '~1')}")


def _named(path: str, services: Sequence[str]) -> str | None:
    """The Service whose name is a segment of a path, written in any way; the shortest of those that end so."""
    segments = [_plain(segment) for segment in path.split("/")]
    ends = [
        name
        for name in services
        for segment in segments
        if len(segment) >= _SHORTEST_NAME and _plain(name).endswith(segment)
    ]
    return min(ends, key=lambda name: (len(name), name), default=None)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _workload(state: State, namespace: str, service: str) -> Ref:
    """The workload behind a Service: by its selector, or else the Service itself."""
    found = state.get("Service", namespace, service)
    pods = state.matching("Pod", namespace, look(found, "/spec/selector", {})) if found is not None else []
    return state.owner(pods[0]) if pods else Ref("Service", namespace, service)


CHECKS = (path_leads_elsewhere,)
