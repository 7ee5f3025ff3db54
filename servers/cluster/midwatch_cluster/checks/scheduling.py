"""Scheduling: pods that no node takes. Asked is not what the scheduler says but what stands against each node."""

from collections.abc import Iterator, Mapping
from itertools import combinations

from midwatch_cluster.checks.problem import Field, Problem, earliest, said
from midwatch_cluster.fit import FILTERS, against
from midwatch_cluster.state import Json, Ref, State, condition, look, moment, pod_spec, ref_of

_ON_THE_POD = {
    "taint_not_tolerated": "tolerations",
    "node_selector_unmatched": "nodeSelector",
    "node_affinity_unmatched": "affinity/nodeAffinity",
    "pod_anti_affinity_conflict": "affinity/podAntiAffinity",
    "pod_affinity_unmatched": "affinity/podAffinity",
    "cpu_request_too_large": "containers",
    "memory_request_too_large": "containers",
}
_SAYS = {
    "node_not_ready": "the nodes that it could run on are not ready",
    "node_cordoned": "the nodes that it could run on are cordoned",
    "taint_not_tolerated": "it does not tolerate the taints of the nodes that are left",
    "node_selector_unmatched": "no node that takes pods has the labels of its nodeSelector",
    "node_affinity_unmatched": "no node that takes pods satisfies its node affinity",
    "pod_anti_affinity_conflict": "on every node that is left runs a pod that it must not be near",
    "pod_affinity_unmatched": "no pod that it must be near runs on a node that it could run on",
    "cpu_request_too_large": "it asks for more CPU than is left on any node",
    "memory_request_too_large": "it asks for more memory than is left on any node",
    "too_many_pods": "every node runs as many pods as it may",
}
_RESOURCES = {"cpu_request_too_large", "memory_request_too_large", "too_many_pods"}
_PLATFORM = {"node_not_ready", "node_cordoned"}


def no_node_takes_it(state: State) -> Iterator[Problem]:
    """A pod waits, and on every node something stands against it: what would have to go for one to take it."""
    told: set[tuple[Ref, str]] = set()
    for pod in unscheduled(state):
        spec, _ = pod_spec(pod)
        reasons = against(state, spec)
        for name in needed(reasons):
            owner = state.owner(pod)
            if (owner, name) not in told:
                told.add((owner, name))
                yield _problem(state, pod, owner, name, reasons)


def unscheduled(state: State) -> list[Json]:
    """Return the pods that have no node yet."""
    return [
        pod for pod in state.of("Pod") if look(pod, "/status/phase") == "Pending" and not look(pod, "/spec/nodeName")
    ]


def needed(reasons: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """Return the fewest filters without which at least one node would take the pod; none if one takes it as it is.

    Among sets of equal size the first is taken: what happened to a node before what the pod asks for.
    """
    present = [name for name in FILTERS if any(name in found for found in reasons.values())]
    for size in range(len(present) + 1):
        for without in combinations(present, size):
            if any(all(name in without for name in found) for found in reasons.values()):
                return without
    return ()


def _problem(state: State, pod: Json, owner: Ref, name: str, reasons: Mapping[str, Mapping[str, str]]) -> Problem:
    nodes = [node for node, found in reasons.items() if name in found]
    events = [event for event in state.events_about(ref_of(pod)) if event.get("reason") == "FailedScheduling"]
    fields: list[Field] = [(Ref("Node", "", node), reasons[node][name]) for node in nodes[:3]]
    workload = state.find(owner)
    asks = _ON_THE_POD.get(name)
    spec, where = pod_spec(workload if workload is not None else pod)
    if asks and look(spec, f"/{asks}") is not None:
        fields.insert(0, (owner if workload is not None else ref_of(pod), f"{where}/{asks}"))
    node = Ref("Node", "", nodes[0]) if len(nodes) == 1 and name in _PLATFORM else None
    scheduled = condition(pod, "PodScheduled")
    return Problem(
        node or owner,
        name,
        "resource" if name in _RESOURCES else "platform" if name in _PLATFORM else "change",
        f"a pod of {owner.name} waits for a node: {_SAYS[name]}",
        (*fields, *map(said, events[-1:])),
        victim=owner if node else None,
        since=moment(scheduled[0].get("lastTransitionTime")) if scheduled else earliest(events),
        effect=name == "node_not_ready",
    )


CHECKS = (no_node_takes_it,)
