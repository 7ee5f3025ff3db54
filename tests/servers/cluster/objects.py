"""Objects of a small cluster, as the API gives them, for tests to break."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from midwatch_cluster.checks.problem import Problem
from midwatch_cluster.state import State

AT = datetime(2026, 3, 1, 2, 48, tzinfo=UTC)
SHOP = "shop"
Object = dict[str, Any]


def ago(seconds: float) -> str:
    """Return a time before the state's, as the API writes it."""
    return (AT - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def thing(kind: str, name: str, namespace: str = SHOP, **more: Any) -> Object:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **more.pop("metadata", {})}
    return {"kind": kind, "metadata": metadata, **more}


def container(name: str = "main", port: int = 8080, **more: Any) -> Object:
    return {"name": name, "image": f"registry.example/{name}:1", "ports": [{"containerPort": port}], **more}


def pod(app: str, *, node: str | None = "node-1", status: Mapping[str, Any] | None = None, **spec: Any) -> Object:
    """Return a pod of an app's Deployment: running and ready on a node, or as `status` says."""
    owner = {"kind": "ReplicaSet", "name": f"{app}-7d", "controller": True}
    well = {"phase": "Running", "containerStatuses": [{"name": "main", "ready": True, "state": {"running": {}}}]}
    placed = {"nodeName": node} if node else {}
    return thing(
        "Pod",
        f"{app}-7d-x",
        metadata={"labels": {"app": app}, "ownerReferences": [owner]},
        spec={"containers": [container()], **placed, **spec},
        status=dict(status or well),
    )


def waiting_pod(app: str, **spec: Any) -> Object:
    """Return a pod that no node has taken."""
    condition = {"type": "PodScheduled", "status": "False", "lastTransitionTime": ago(60)}
    return pod(app, node=None, status={"phase": "Pending", "conditions": [condition]}, **spec)


def starting_pod(app: str, reason: str, message: str = "", **spec: Any) -> Object:
    """Return a pod whose container waits to be started."""
    state = {"waiting": {"reason": reason, "message": message}}
    return pod(
        app, status=statuses("Pending", {"ready": False, "state": state, "image": "registry.example/x:1"}), **spec
    )


def statuses(phase: str, *containers: Mapping[str, Any]) -> Object:
    return {"phase": phase, "containerStatuses": [{"name": "main", **each} for each in containers]}


def deployment(app: str, *, replicas: int = 1, **spec: Any) -> list[Object]:
    """Return a Deployment and its ReplicaSet."""
    template = {"metadata": {"labels": {"app": app}}, "spec": {"containers": [container()], **spec}}
    owner = {"kind": "Deployment", "name": app, "controller": True}
    made = {"replicas": replicas, "template": template}
    return [
        thing("Deployment", app, spec={**made, "selector": {"matchLabels": {"app": app}}}, status={}),
        thing(
            "ReplicaSet", f"{app}-7d", metadata={"ownerReferences": [owner]}, spec=made, status={"replicas": replicas}
        ),
    ]


def service(name: str, selector: Mapping[str, str] | None = None, port: int = 80, target: int | str = 8080) -> Object:
    ports = [{"port": port, "targetPort": target, "protocol": "TCP"}]
    return thing(
        "Service", name, spec={"selector": dict(selector or {"app": name}), "ports": ports, "type": "ClusterIP"}
    )


def node(name: str = "node-1", **more: Any) -> Object:
    conditions = more.pop("conditions", [{"type": "Ready", "status": "True"}])
    labels = {"kubernetes.io/hostname": name, **more.pop("labels", {})}
    room = {"cpu": "4", "memory": "8Gi", "pods": "110"}
    return thing(
        "Node", name, "", metadata={"labels": labels}, spec=more, status={"conditions": conditions, "allocatable": room}
    )


def event(about: Mapping[str, Any], reason: str, message: str, seconds_ago: float = 20, **more: Any) -> Object:
    ref = {
        "kind": about["kind"],
        "namespace": about["metadata"].get("namespace", ""),
        "name": about["metadata"]["name"],
    }
    times = {"firstTimestamp": ago(seconds_ago + 30), "lastTimestamp": ago(seconds_ago)}
    name = f"{ref['name']}.{reason}.{seconds_ago}"
    return thing("Event", name, involvedObject=ref, type="Warning", reason=reason, message=message, **times, **more)


def state(*things: Object | Sequence[Object], unread: Iterable[str] = ()) -> State:
    """Return the state of a cluster of these objects; lists of objects are taken apart."""
    flat = [each for some in things for each in ([some] if isinstance(some, dict) else some)]
    return State(flat, AT, dict.fromkeys(unread, "the account may not list it"))


def told(problems: Iterable[Problem]) -> list[tuple[str, str]]:
    """Return what is to be put right, and why."""
    return [(str(problem.about), problem.reason) for problem in problems]
