"""Routing: Services, Ingresses and policies that don't lead to the pods that they are meant for."""

import re
from collections.abc import Iterator
from difflib import get_close_matches

from midwatch_cluster.checks.problem import Field, Problem
from midwatch_cluster.fit import matches
from midwatch_cluster.state import Json, Ref, State, has_labels, look, moment, pod_spec, ref_of, template_of

_ADDRESS = re.compile(
    r"(?:^|//|@)(?P<host>[a-z][a-z0-9-]*)(?:\.(?P<rest>[a-z0-9.-]+))?:(?P<port>\d{2,5})(?=$|[/?,;\"'\s])"
)

_ALIKE, _LONG_ENOUGH = 0.85, 5
"""From which share of equal letters on a name is another's misspelt, and from which length on a beginning tells."""
_LINK_LOCAL = ("169.254.", "fe80:")
"""Where the cluster's DNS is cached on each node (NodeLocal DNSCache)."""


def selects_nothing(state: State) -> Iterator[Problem]:
    """No pod has the labels that a Service selects by, and no workload makes such pods."""
    for service in selecting(state):
        ref, selector = ref_of(service), look(service, "/spec/selector")
        if state.matching("Pod", ref.namespace, selector) or _makers(state, ref.namespace, selector):
            continue
        near = _nearest(state, ref.namespace, selector, ref.name)
        fields: list[Field] = [(ref, "/spec/selector")]
        if near is not None:
            fields.append((ref_of(near), f"{template_of(near)[1]}/metadata/labels"))
        wanted = ", ".join(f"{key}={value}" for key, value in selector.items())
        yield Problem(
            ref,
            "service_selects_nothing",
            "change",
            f"service {ref.name} selects pods with {wanted}, and no workload makes such pods",
            tuple(fields),
            victim=ref_of(near) if near is not None else None,
            certain=near is not None or _is_addressed(state, ref),
        )


def leads_to_no_port(state: State) -> Iterator[Problem]:
    """A Service leads to a port on which no container of its pods says that it listens."""
    for service in selecting(state):
        ref, selector = ref_of(service), look(service, "/spec/selector")
        makers = [*state.matching("Pod", ref.namespace, selector), *_makers(state, ref.namespace, selector)]
        declared = [port for maker in makers for port in _ports(maker)]
        for number, port in enumerate(look(service, "/spec/ports", [])):
            target = port.get("targetPort", port.get("port"))
            if isinstance(target, str) and _resolves(state, ref):
                continue  # the endpoints have a number for the name
            if declared and not any(_is_port(target, each) for each in declared):
                numbers = ", ".join(sorted({str(each.get("containerPort")) for each in declared}))
                yield Problem(
                    ref,
                    "service_leads_to_no_port",
                    "change",
                    f"service {ref.name} leads to port {target}, and its pods listen on {numbers}",
                    ((ref, f"/spec/ports/{number}"),),
                    victim=state.owner(makers[0]),
                )
            elif declared and not any(_is_protocol(port, each) for each in declared if _is_port(target, each)):
                protocol = port.get("protocol", "TCP")
                yield Problem(
                    ref,
                    "service_speaks_other_protocol",
                    "change",
                    f"service {ref.name} leads to port {target} by {protocol}, and its pods listen there by another",
                    ((ref, f"/spec/ports/{number}"),),
                    victim=state.owner(makers[0]),
                )


def address_leads_nowhere(state: State) -> Iterator[Problem]:
    """A workload is given the address of a Service that has no such port, or that does not exist.

    Many are given addresses that they never use; one that is nearly that of a Service which they don't reach is wrong.
    """
    for workload in state.workloads:
        ref = ref_of(workload)
        for field, host, port in addresses(workload):
            service = state.get("Service", ref.namespace, host)
            if service is not None and look(service, "/spec/type") != "ExternalName":
                offered = {int(each["port"]) for each in look(service, "/spec/ports", [])}
                if offered and port not in offered:
                    numbers = ", ".join(map(str, sorted(offered)))
                    yield Problem(
                        ref,
                        "address_has_wrong_port",
                        "change",
                        f"{ref.name} is to reach {host} on port {port}, which offers {numbers}",
                        ((ref, field), (ref_of(service), "/spec/ports")),
                    )
            elif service is None and state.lacks("Service", ref.namespace, host):
                yield Problem(
                    ref,
                    "address_of_no_service",
                    "change",
                    f"{ref.name} is to reach {host}:{port}, and there is no service {host} in {ref.namespace}",
                    ((ref, field),),
                    certain=_is_misspelt(state, workload, host),
                )


def ingress_leads_nowhere(state: State) -> Iterator[Problem]:
    """An Ingress sends requests to a Service, or a port of one, that does not exist."""
    for ingress in state.of("Ingress"):
        ref = ref_of(ingress)
        for pointer, backend in _backends(ingress):
            name = look(backend, "/service/name")
            service = state.get("Service", ref.namespace, name) if name else None
            if name and service is None and state.lacks("Service", ref.namespace, name):
                says = f"ingress {ref.name} sends requests to service {name}, which does not exist"
                yield Problem(ref, "ingress_leads_nowhere", "change", says, ((ref, pointer),))
            elif service is not None and not _offers(service, look(backend, "/service/port", {})):
                says = f"ingress {ref.name} sends requests to a port that service {name} does not have"
                yield Problem(
                    ref, "ingress_leads_to_no_port", "change", says, ((ref, pointer),), victim=ref_of(service)
                )


def scaled_to_nothing(state: State) -> Iterator[Problem]:
    """A workload that a Service leads to is to have no pods."""
    for service in selecting(state):
        namespace, selector = ref_of(service).namespace, look(service, "/spec/selector")
        for workload in _makers(state, namespace, selector):
            if look(workload, "/spec/replicas", 1) == 0:
                ref = ref_of(workload)
                says = f"{ref.name} is scaled to no pods, though service {ref_of(service).name} leads to it"
                yield Problem(ref, "scaled_to_nothing", "operator", says, ((ref, "/spec/replicas"),))


def policy_lets_nobody_in(state: State) -> Iterator[Problem]:
    """A NetworkPolicy lets no traffic at all into, or out of, pods that a Service leads to."""
    for policy in state.of("NetworkPolicy"):
        ref = ref_of(policy)
        pods = [p for p in state.of("Pod", ref.namespace) if matches(look(policy, "/spec/podSelector", {}), p)]
        for direction, way in (("Ingress", "into"), ("Egress", "out of")):
            applies = direction in look(policy, "/spec/policyTypes", ["Ingress"])
            shut = applies and not look(policy, f"/spec/{direction.lower()}", [])
            if pods and shut and not _let(state, pods, direction):
                owner = state.owner(pods[0])
                says = f"network policy {ref.name} lets nothing {way} {owner.name}"
                reason = f"policy_denies_all_{direction.lower()}"
                since = moment(look(policy, "/metadata/creationTimestamp"))
                yield Problem(ref, reason, "access", says, ((ref, "/spec"),), victim=owner, since=since)


def name_server_of_its_own(state: State) -> Iterator[Problem]:
    """Pods ask only name servers of their own (dnsPolicy None), so that they know no Service of the cluster by name."""
    offered = {look(service, "/spec/clusterIP") for service in state.of("Service")}
    for workload in state.workloads:
        ref, (spec, where) = ref_of(workload), pod_spec(workload)
        asked = look(spec, "/dnsConfig/nameservers", [])
        foreign = asked and not any(each in offered or each.startswith(_LINK_LOCAL) for each in asked)
        if spec.get("dnsPolicy") == "None" and foreign:
            yield Problem(
                ref,
                "name_server_of_its_own",
                "change",
                f"{ref.name} asks name servers {', '.join(asked)} only, which are none of the cluster's",
                ((ref, f"{where}/dnsPolicy"), (ref, f"{where}/dnsConfig/nameservers")),
                certain=not _all_well(state, ref),
            )


def selecting(state: State) -> list[Json]:
    """Return the Services that choose their pods by labels."""
    return [service for service in state.of("Service") if look(service, "/spec/selector")]


def addresses(workload: Json) -> Iterator[tuple[str, str, int]]:
    """Yield each address of the same cluster that a workload's environment holds: the field, the host and the port."""
    spec, where = pod_spec(workload)
    namespace = ref_of(workload).namespace
    for number, container in enumerate(spec.get("containers", [])):
        for place, variable in enumerate(container.get("env") or []):
            for found in _ADDRESS.finditer(str(variable.get("value", ""))):
                rest = found["rest"]
                if rest is None or (rest.split(".")[0] == namespace and rest.split(".")[1:2] in ([], ["svc"])):
                    yield f"{where}/containers/{number}/env/{place}/value", found["host"], int(found["port"])


def _is_misspelt(state: State, workload: Json, host: str) -> bool:
    """Whether an address is nearly that of a Service of the namespace that the workload has no address of."""
    names = {ref_of(service).name for service in state.of("Service", ref_of(workload).namespace)}
    others = names - {known for _, known, _ in addresses(workload)}
    begun = any(host.startswith(name) or name.startswith(host) for name in others if len(name) >= _LONG_ENOUGH)
    return begun or bool(get_close_matches(host, sorted(others), n=1, cutoff=_ALIKE))


def _all_well(state: State, workload: Ref) -> bool:
    """Whether a workload has pods, and all containers of them are ready; also where pods could not be read."""
    pods = state.pods_of(workload)
    statuses = [status for pod in pods for status in look(pod, "/status/containerStatuses", [{}])]
    return "Pod" in state.unread or (bool(statuses) and all(status.get("ready") for status in statuses))


def _is_addressed(state: State, service: Ref) -> bool:
    """Whether some workload is given the address of a Service."""
    own = [workload for workload in state.workloads if ref_of(workload).namespace == service.namespace]
    return any(host == service.name for workload in own for _, host, _ in addresses(workload))


def _resolves(state: State, service: Ref) -> bool:
    """Whether a Service leads to addresses now."""
    endpoints = state.get("Endpoints", service.namespace, service.name)
    return (
        any(subset.get("addresses") for subset in look(endpoints, "/subsets", [])) if endpoints is not None else False
    )


def _let(state: State, pods: list[Json], direction: str) -> bool:
    """Whether another policy lets traffic of that direction pass for all of the pods: policies add up."""
    namespace = ref_of(pods[0]).namespace
    others = [p for p in state.of("NetworkPolicy", namespace) if look(p, f"/spec/{direction.lower()}", [])]
    return all(any(matches(look(other, "/spec/podSelector", {}), pod) for other in others) for pod in pods)


def _makers(state: State, namespace: str, selector: dict[str, str]) -> list[Json]:
    """The workloads of a namespace whose pods have the labels of a selector."""
    return [
        workload
        for workload in state.workloads
        if ref_of(workload).namespace == namespace and has_labels(template_of(workload)[0], selector)
    ]


def _nearest(state: State, namespace: str, selector: dict[str, str], name: str) -> Json | None:
    """The workload that a Service most likely is for: of its own name, else the one that shares a label."""
    own = [workload for workload in state.workloads if ref_of(workload).namespace == namespace]
    named = [workload for workload in own if ref_of(workload).name == name]
    sharing = [
        workload
        for workload in own
        if set(selector.items()) & set(look(template_of(workload)[0], "/metadata/labels", {}).items())
    ]
    return next(iter([*named, *sharing]), None)


def _ports(maker: Json) -> list[Json]:
    spec, _ = pod_spec(maker)
    return [port for container in spec.get("containers", []) for port in container.get("ports") or []]


def _is_port(target: str | int, port: Json) -> bool:
    return str(target) in (str(port.get("containerPort")), str(port.get("name")))


def _is_protocol(port: Json, listened: Json) -> bool:
    return bool(port.get("protocol", "TCP") == listened.get("protocol", "TCP"))


def _backends(ingress: Json) -> Iterator[tuple[str, Json]]:
    if default := look(ingress, "/spec/defaultBackend"):
        yield "/spec/defaultBackend", default
    for number, rule in enumerate(look(ingress, "/spec/rules", [])):
        for place, path in enumerate(look(rule, "/http/paths", [])):
            yield f"/spec/rules/{number}/http/paths/{place}/backend", path.get("backend", {})


def _offers(service: Json, port: Json) -> bool:
    return any(
        port.get("number") == each.get("port") or (port.get("name") and port.get("name") == each.get("name"))
        for each in look(service, "/spec/ports", [])
    )


CHECKS = (
    selects_nothing,
    leads_to_no_port,
    address_leads_nowhere,
    ingress_leads_nowhere,
    scaled_to_nothing,
    policy_lets_nobody_in,
    name_server_of_its_own,
)
