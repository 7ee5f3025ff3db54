"""Nodes and the control plane: machines that are not well, and the parts of the cluster that run on them."""

from collections.abc import Iterator
from datetime import timedelta

from midwatch_cluster.checks.problem import Problem, earliest
from midwatch_cluster.checks.scheduling import unscheduled
from midwatch_cluster.fit import against
from midwatch_cluster.state import Json, Ref, State, condition, look, moment, pod_spec, ref_of

LEASE = timedelta(seconds=40)
"""How long a kubelet may be silent: the node controller's grace period (--node-monitor-grace-period)."""
SYSTEM = "kube-system"
_PRESSURES = {
    "MemoryPressure": ("node_short_of_memory", "is short of memory"),
    "DiskPressure": ("node_short_of_disk", "is short of disk"),
    "PIDPressure": ("node_short_of_processes", "is short of process ids"),
    "NetworkUnavailable": ("node_network_unavailable", "has no working network"),
}


def node_not_ready(state: State) -> Iterator[Problem]:
    """A node is not ready: its kubelet says so, or says nothing any more."""
    for node in state.of("Node"):
        found = condition(node, "Ready")
        if found and found[0].get("status") != "True":
            silent = found[0].get("status") == "Unknown"
            yield _problem(
                node,
                "kubelet_silent" if silent else "node_not_ready",
                "its kubelet says nothing any more" if silent else f"is not ready: {found[0].get('message', '')}",
                f"{found[1]}/status",
                found[0],
                effect=not silent,
            )


def node_under_pressure(state: State) -> Iterator[Problem]:
    """A node is short of memory, disk or process ids, or without a network."""
    for node in state.of("Node"):
        for name, (reason, says) in _PRESSURES.items():
            found = condition(node, name)
            if found and found[0].get("status") == "True":
                yield _problem(node, reason, says, f"{found[1]}/status", found[0])


def component_unhealthy(state: State) -> Iterator[Problem]:
    """A component of a node is unhealthy, as a node problem detector tells in a condition (`KubeletUnhealthy`)."""
    for node in state.of("Node"):
        for number, found in enumerate(look(node, "/status/conditions", [])):
            name = str(found.get("type", ""))
            if name.endswith("Unhealthy") and found.get("status") == "True":
                component = _snake(name.removesuffix("Unhealthy"))
                says = f"has an unhealthy {component}: {found.get('message', '')}"
                yield _problem(node, f"{component}_unhealthy", says, f"/status/conditions/{number}/status", found)


def control_plane_unhealthy(state: State) -> Iterator[Problem]:
    """A part of the control plane says that it is unhealthy."""
    for part in state.of("ComponentStatus"):
        for number, found in enumerate(part.get("conditions", [])):
            if found.get("type") == "Healthy" and found.get("status") != "True":
                ref = ref_of(part)
                yield Problem(
                    ref,
                    f"{_snake(ref.name)}_unhealthy",
                    "platform",
                    f"{ref.name} is unhealthy: {found.get('message', '')}",
                    ((ref, f"/conditions/{number}/status"),),
                )


def system_pods_missing(state: State) -> Iterator[Problem]:
    """A DaemonSet or a Deployment of kube-system, such as kube-proxy or CoreDNS, has fewer ready pods than it is to."""
    for kind, wanted, ready in (
        ("DaemonSet", "/status/desiredNumberScheduled", "/status/numberReady"),
        ("Deployment", "/spec/replicas", "/status/readyReplicas"),
    ):
        for workload in state.of(kind, SYSTEM):
            if look(workload, ready, 0) < look(workload, wanted, 1):
                ref = ref_of(workload)
                says = f"{ref.name} has {look(workload, ready, 0)} of {look(workload, wanted, 1)} pods ready"
                events = [event for pod in state.pods_of(ref) for event in state.events_about(ref_of(pod))]
                field = ready if look(workload, ready) is not None else wanted
                yield Problem(
                    ref,
                    f"{_snake(ref.name)}_unready",
                    "platform",
                    says,
                    ((ref, field),),
                    since=earliest(events),
                    effect=True,
                )


def system_pod_fails(state: State) -> Iterator[Problem]:
    """A pod of kube-system that no workload owns, such as the API server's or the scheduler's, is not ready."""
    for pod in state.of("Pod", SYSTEM):
        found = condition(pod, "Ready")
        if state.owner(pod).kind in ("Pod", "Node") and found and found[0].get("status") != "True":
            ref = ref_of(pod)
            component = _snake(str(look(pod, "/metadata/labels/component", ref.name)))
            since = moment(found[0].get("lastTransitionTime"))
            says = f"{ref.name} is not ready: {found[0].get('message', '')}"
            yield Problem(ref, f"{component}_unhealthy", "platform", says, ((ref, f"{found[1]}/status"),), since=since)


def nobody_schedules(state: State) -> Iterator[Problem]:
    """A pod waits for a node though nodes would take it, and nothing was ever said of it: the scheduler is away."""
    for pod in unscheduled(state):
        ref = ref_of(pod)
        free = [node for node, found in against(state, pod_spec(pod)[0]).items() if not found]
        if free and condition(pod, "PodScheduled") is None and not state.events_about(ref):
            says = f"{ref.name} waits for a node, {free[0]} would take it, and no scheduler has looked at it"
            scheduler = Ref("ComponentStatus", "", str(look(pod, "/spec/schedulerName", "scheduler")))
            since = moment(look(pod, "/metadata/creationTimestamp"))
            yield Problem(scheduler, "scheduler_away", "platform", says, ((ref, "/status/phase"),), ref, since)


def nobody_controls(state: State) -> Iterator[Problem]:
    """What was last asked of a Deployment has not been looked at: the controller manager is away."""
    for deployment in state.of("Deployment"):
        asked, seen = look(deployment, "/metadata/generation", 0), look(deployment, "/status/observedGeneration", 0)
        if asked > seen:
            ref = ref_of(deployment)
            controllers = Ref("ComponentStatus", "", "controller-manager")
            says = f"what was last asked of {ref.name} (generation {asked}) has not been looked at"
            yield Problem(
                controllers, "controller_manager_away", "platform", says, ((ref, "/metadata/generation"),), ref
            )


def kubelet_lease_old(state: State) -> Iterator[Problem]:
    """A node that still counts as ready has not renewed its lease in time."""
    for lease in state.of("Lease", "kube-node-lease"):
        ref = ref_of(lease)
        renewed = moment(look(lease, "/spec/renewTime"))
        node = state.get("Node", "", ref.name)
        if renewed and node is not None and state.at - renewed > LEASE and _is_ready(node):
            says = f"the kubelet of {ref.name} last renewed its lease {(state.at - renewed).total_seconds():.0f} s ago"
            yield Problem(ref_of(node), "kubelet_silent", "platform", says, ((ref, "/spec/renewTime"),), since=renewed)


def _is_ready(node: Json) -> bool:
    found = condition(node, "Ready")
    return found is not None and found[0].get("status") == "True"


def _problem(node: Json, reason: str, says: str, pointer: str, found: Json, *, effect: bool = False) -> Problem:
    ref = ref_of(node)
    since = moment(found.get("lastTransitionTime"))
    return Problem(ref, reason, "platform", f"node {ref.name} {says}", ((ref, pointer),), since=since, effect=effect)


def _snake(name: str) -> str:
    """`KubeProxy` and `kube-proxy` as `kube_proxy`."""
    parted = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return parted.strip("_").replace("-", "_")


CHECKS = (
    node_not_ready,
    node_under_pressure,
    component_unhealthy,
    control_plane_unhealthy,
    system_pods_missing,
    system_pod_fails,
    nobody_schedules,
    nobody_controls,
    kubelet_lease_old,
)
