"""Whether a pod could run on a node, and what stands against it: the scheduler's own filters, one function each.

https://kubernetes.io/docs/concepts/scheduling-eviction/. Each filter returns the field of the pod or of the node that
stands against it, or None.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from midwatch_cluster.quantity import amount
from midwatch_cluster.state import Json, State, has_labels, look, ref_of

_CORDON = "node.kubernetes.io/unschedulable"
_NOT_READY = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
"""Taints by which the node controller repeats what a condition of the node says."""
_DONE = ("Succeeded", "Failed")
_CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")

Filter = Callable[[State, Json, Json], str | None]


def cordoned(_: State, spec: Json, node: Json) -> str | None:
    """The node takes no new pods."""
    if look(node, "/spec/unschedulable", False) and not _tolerated({"key": _CORDON, "effect": "NoSchedule"}, spec):
        return "/spec/unschedulable"
    return None


def tainted(_: State, spec: Json, node: Json) -> str | None:
    """The node has a taint that the pod does not tolerate, and that says more than that it is cordoned or not ready."""
    for number, taint in enumerate(look(node, "/spec/taints", [])):
        if taint.get("key") in (_CORDON, *_NOT_READY) or taint.get("effect") == "PreferNoSchedule":
            continue
        if not _tolerated(taint, spec):
            return f"/spec/taints/{number}"
    return None


def not_selected(_: State, spec: Json, node: Json) -> str | None:
    """The node lacks a label that the pod's nodeSelector asks for."""
    return None if has_labels(node, spec.get("nodeSelector") or {}) else "/metadata/labels"


def not_affine(_: State, spec: Json, node: Json) -> str | None:
    """The node is none of those that the pod's required node affinity names."""
    required = look(spec, "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution")
    terms = (required or {}).get("nodeSelectorTerms", [])
    if required is None or any(_term_matches(term, node) for term in terms):
        return None
    return "/metadata/labels"


def kept_apart(state: State, spec: Json, node: Json) -> str | None:
    """A pod that this one must not be near runs there already."""
    for term in _terms(spec, "podAntiAffinity"):
        if any(matches(term.get("labelSelector") or {}, other) for other in _neighbours(state, term, node)):
            return "/metadata/labels"
    return None


def not_beside(state: State, spec: Json, node: Json) -> str | None:
    """A pod that this one must be near does not run there."""
    for term in _terms(spec, "podAffinity"):
        if not any(matches(term.get("labelSelector") or {}, other) for other in _neighbours(state, term, node)):
            return "/metadata/labels"
    return None


def short_of_cpu(state: State, spec: Json, node: Json) -> str | None:
    """What is left of the node's CPU is less than the pod asks for."""
    return _short(state, spec, node, "cpu")


def short_of_memory(state: State, spec: Json, node: Json) -> str | None:
    """What is left of the node's memory is less than the pod asks for."""
    return _short(state, spec, node, "memory")


def short_of_pods(state: State, spec: Json, node: Json) -> str | None:
    """The node runs as many pods as it may."""
    limit = look(node, "/status/allocatable/pods")
    return "/status/allocatable/pods" if limit is not None and len(_pods_on(state, node)) >= int(limit) else None


def not_ready(_: State, __: Json, node: Json) -> str | None:
    """The node's kubelet does not say that it is ready."""
    for number, found in enumerate(look(node, "/status/conditions", [])):
        if found.get("type") == "Ready" and found.get("status") != "True":
            return f"/status/conditions/{number}/status"
    return None


FILTERS: Mapping[str, Filter] = {
    "node_not_ready": not_ready,
    "node_cordoned": cordoned,
    "taint_not_tolerated": tainted,
    "node_selector_unmatched": not_selected,
    "node_affinity_unmatched": not_affine,
    "pod_anti_affinity_conflict": kept_apart,
    "pod_affinity_unmatched": not_beside,
    "cpu_request_too_large": short_of_cpu,
    "memory_request_too_large": short_of_memory,
    "too_many_pods": short_of_pods,
}


def against(state: State, spec: Json) -> dict[str, dict[str, str]]:
    """Return, for each node, what stands against a pod: the filters' names and the field of the node that says so.

    Nodes of the control plane, which are not meant for workloads, count only where there are no others.
    """
    found: dict[str, dict[str, str]] = {}
    for node in [node for node in state.of("Node") if not is_control_plane(node)] or state.of("Node"):
        fields = {name: stands(state, spec, node) for name, stands in FILTERS.items()}
        found[ref_of(node).name] = {name: field for name, field in fields.items() if field is not None}
    return found


def is_control_plane(node: Json) -> bool:
    """Whether a node is of the control plane: kubeadm labels it so, others write `kubernetes.io/role`."""
    labels = look(node, "/metadata/labels", {})
    return labels.get("kubernetes.io/role") == "master" or any(label in labels for label in _CONTROL_PLANE)


def requested(spec: Json, resource: str) -> Decimal:
    """Return how much of a resource a pod asks for: its containers together, or its largest init container."""
    asked = [_request(container, resource) for container in spec.get("containers", [])]
    first = [_request(container, resource) for container in spec.get("initContainers") or []]
    return max(sum(asked, Decimal(0)), *first, Decimal(0))


def matches(selector: Json, thing: Json) -> bool:
    """Whether an object's labels satisfy a LabelSelector; an empty one is satisfied by all."""
    labels = look(thing, "/metadata/labels", {})
    return has_labels(thing, selector.get("matchLabels") or {}) and all(
        _holds(expression, labels) for expression in selector.get("matchExpressions") or []
    )


def _request(container: Json, resource: str) -> Decimal:
    resources = container.get("resources") or {}
    asked = (resources.get("requests") or {}).get(resource) or (resources.get("limits") or {}).get(resource) or 0
    return amount(asked)


def _short(state: State, spec: Json, node: Json, resource: str) -> str | None:
    room = look(node, f"/status/allocatable/{resource}")
    asked = requested(spec, resource)
    if room is None or not asked:
        return None
    taken = sum((requested(pod.get("spec", {}), resource) for pod in _pods_on(state, node)), Decimal(0))
    taken = max(taken, amount(look(node, f"/status/requested/{resource}", 0)))
    return f"/status/allocatable/{resource}" if taken + asked > amount(room) else None


def _pods_on(state: State, node: Json) -> list[Json]:
    name = ref_of(node).name
    return [
        pod
        for pod in state.of("Pod")
        if look(pod, "/spec/nodeName") == name and look(pod, "/status/phase") not in _DONE
    ]


def _terms(spec: Json, kind: str) -> Sequence[Json]:
    found: Sequence[Json] = look(spec, f"/affinity/{kind}/requiredDuringSchedulingIgnoredDuringExecution", [])
    return found


def _neighbours(state: State, term: Json, node: Json) -> list[Json]:
    """The pods on nodes of the same topology domain as this one, which a term's topologyKey names."""
    key = term.get("topologyKey", "kubernetes.io/hostname")
    here = look(node, "/metadata/labels", {}).get(key)
    if here is None:
        return _pods_on(state, node)
    same = [other for other in state.of("Node") if look(other, "/metadata/labels", {}).get(key) == here]
    return [pod for other in same for pod in _pods_on(state, other)]


def _term_matches(term: Json, node: Json) -> bool:
    labels = look(node, "/metadata/labels", {})
    fields = {"metadata.name": ref_of(node).name}
    return all(_holds(each, labels) for each in term.get("matchExpressions") or []) and all(
        _holds(each, fields) for each in term.get("matchFields") or []
    )


def _holds(expression: Json, labels: Mapping[str, str]) -> bool:
    value, wanted = labels.get(expression["key"]), expression.get("values") or []
    holds: Mapping[str, Callable[[], bool]] = {
        "In": lambda: value in wanted,
        "NotIn": lambda: value not in wanted,
        "Exists": lambda: value is not None,
        "DoesNotExist": lambda: value is None,
        "Gt": lambda: value is not None and int(value) > int(wanted[0]),
        "Lt": lambda: value is not None and int(value) < int(wanted[0]),
    }
    return holds.get(expression.get("operator", ""), lambda: True)()


def _tolerated(taint: Json, spec: Json) -> bool:
    return any(_tolerates(each, taint) for each in spec.get("tolerations") or [])


def _tolerates(toleration: Json, taint: Json) -> bool:
    effect, key = toleration.get("effect"), toleration.get("key")
    if effect and effect != taint.get("effect"):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return not key or key == taint.get("key")
    return bool(key == taint.get("key") and toleration.get("value", "") == taint.get("value", ""))
