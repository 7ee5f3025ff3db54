"""The state of a Cloud-OpsBench case's cluster, as objects of the API: what `kubectl` and the tools printed of it."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from midwatch_bench.importers import files, kubectl
from midwatch_bench.importers.kubectl import Object

_GET = re.compile(r"kubectl get (?P<plural>\w+)(?: -n (?P<namespace>\S+))?$")
_WHOLE = re.compile(r"kubectl get \w+ \S+(?: -n \S+)? -o yaml$")
_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DESCRIBE = re.compile(r"kubectl describe (?P<plural>\w+) (?P<name>\S+)(?: -n (?P<namespace>\S+))?$")
_DATED = re.compile(r"Active: (?P<state>[\w-]+) \((?P<sub>[\w-]+)\)")
_KINDS = {
    "pods": "Pod",
    "pod": "Pod",
    "services": "Service",
    "service": "Service",
    "deployments": "Deployment",
    "replicasets": "ReplicaSet",
    "statefulsets": "StatefulSet",
    "statefulset": "StatefulSet",
    "daemonsets": "DaemonSet",
    "jobs": "Job",
    "configmaps": "ConfigMap",
    "secrets": "Secret",
    "serviceaccounts": "ServiceAccount",
    "persistentvolumeclaims": "PersistentVolumeClaim",
    "persistentvolumes": "PersistentVolume",
    "storageclasses": "StorageClass",
    "resourcequota": "ResourceQuota",
    "ingresses": "Ingress",
    "networkpolicies": "NetworkPolicy",
    "nodes": "Node",
    "rolebindings": "RoleBinding",
}
_WIDE = ("Node", "PersistentVolume", "StorageClass")
_COMPONENTS = {"kubelet": "Kubelet", "kube-proxy": "KubeProxy", "containerd": "ContainerRuntime"}


def objects(folder: Path) -> tuple[list[Object], datetime]:
    """Return the objects of a case's cluster, and of when they are (UTC)."""
    texts: Mapping[str, str] = files.json_of(folder / "raw_data" / "k8s_states.json")
    tools: Mapping[str, Any] = files.json_of(folder / "tool_cache.json")
    at = _collected(texts)
    found: dict[tuple[str, str, str], Object] = {}
    listed: set[str] = set()
    for thing in _all(texts, at, listed):
        found[_key(thing)] = thing
    for thing in _applied(tools):
        if _key(thing) in found:
            found[_key(thing)] = _merged(found[_key(thing)], thing)
    for thing in _whole(texts):
        found[_key(thing)] = {**found.get(_key(thing), {}), **thing}
    for pod in [thing for thing in found.values() if thing["kind"] == "Pod"]:
        _complete(pod, found)
    for line in _component_conditions(tools):
        node = found.get(("Node", "", line["node"]))
        if node is not None:
            node["status"]["conditions"].append(line["condition"])
    lists = [{"kind": f"{kind}List", "metadata": {}} for kind in sorted({*listed, "Event", "Endpoints"})]
    return [*lists, *found.values()], at


def _all(texts: Mapping[str, str], at: datetime, listed: set[str]) -> Iterator[Object]:
    for command, text in texts.items():
        if (get := _GET.match(command)) and (kind := _KINDS.get(get["plural"])):
            listed.add(kind)
            yield from kubectl.names(kind, text, "" if kind in _WIDE else get["namespace"] or "")
    for command, text in texts.items():
        described = _DESCRIBE.match(command)
        kind = _KINDS.get(described["plural"]) if described else None
        thing = _described(kind, text, described["namespace"] or "") if described and kind else None
        if thing is not None:
            yield thing
            yield from [kubectl.endpoints(text)] if kind == "Service" else []
            yield from kubectl.events(kubectl.parse(text), thing, at)


_READERS: Mapping[str, Callable[[str], Object]] = {
    "Pod": kubectl.pod,
    "Node": lambda text: kubectl.node(text)[0],
    "Service": kubectl.service,
    "PersistentVolumeClaim": kubectl.claim,
    "PersistentVolume": kubectl.volume,
    "ResourceQuota": kubectl.quota,
    "NetworkPolicy": kubectl.policy,
    "StorageClass": kubectl.storage_class,
    **{kind: partial(kubectl.workload, kind) for kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet")},
}


def _described(kind: str, text: str, namespace: str) -> Object | None:
    if not text.strip() or text.startswith("Error from server"):
        return None
    named = {"kind": kind, "metadata": kubectl.metadata(kubectl.parse(text), "" if kind in _WIDE else namespace)}
    try:
        return _READERS[kind](text) if kind in _READERS else named
    except (IndexError, KeyError, ValueError):  # printed in another way than known: of one object its name has to do
        return named


def _applied(tools: Mapping[str, Any]) -> Iterator[Object]:
    """The documents that were applied, as far as a tool shows them."""
    for name, text in tools.items():
        if name.startswith("GetAppYAML:") and isinstance(text, str):
            yield from _documents(text)


def _whole(texts: Mapping[str, str]) -> Iterator[Object]:
    """The objects that were printed in full."""
    for command, text in texts.items():
        if _WHOLE.match(command):
            yield from (thing for thing in _documents(text) if "metadata" in thing)


def _documents(text: str) -> Iterator[Object]:
    try:
        yield from (each for each in yaml.load_all(text, _Loader) if isinstance(each, dict) and "kind" in each)
    except yaml.YAMLError:
        return


def _component_conditions(tools: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What a node problem detector would say of the services that run a node."""
    for name, text in tools.items():
        if not name.startswith("CheckNodeServiceStatus:"):
            continue
        asked = json.loads(name.partition(":")[2])
        state = _DATED.search(str(text))
        component = _COMPONENTS.get(asked["service_name"], _camel(asked["service_name"]))
        if state is None:
            continue
        well = state["state"] == "active"
        condition = {
            "type": f"{component}Unhealthy",
            "status": "False" if well else "True",
            "message": f"{asked['service_name']} is {state['state']} ({state['sub']})",
        }
        yield {"node": asked["node_name"], "condition": condition}


def _collected(texts: Mapping[str, str]) -> datetime:
    """When the state was collected: the latest renewal of a node's lease."""
    renewed = [kubectl.node(text)[1] for command, text in texts.items() if command.startswith("kubectl describe node")]
    return max((each for each in renewed if each), default=datetime(2026, 1, 1, tzinfo=UTC)) + timedelta(seconds=1)


def _merged(thing: Object, applied: Object) -> Object:
    """An object as it was applied, which tells more than a description; how many replicas are wanted now is newer."""
    metadata = {**applied.get("metadata", {}), **thing["metadata"]}
    described = thing.get("spec", {})
    wanted = {"replicas": described["replicas"]} if "replicas" in described else {}
    spec = {**described, **applied.get("spec", {}), **wanted}
    return {**applied, **thing, "metadata": metadata, **({"spec": spec} if spec else {})}


def _complete(pod: Object, found: Mapping[tuple[str, str, str], Object]) -> None:
    """Give a pod what a description leaves out and its Deployment's template tells."""
    controller = pod["metadata"].get("ownerReferences", [{}])[0].get("name", "")
    owner = found.get(("Deployment", pod["metadata"].get("namespace", ""), controller.rpartition("-")[0]))
    template = owner["spec"].get("template", {}).get("spec", {}) if owner else {}
    for part in ("affinity", "securityContext", "imagePullSecrets"):
        if part in template:
            pod["spec"].setdefault(part, template[part])


def _key(thing: Object) -> tuple[str, str, str]:
    metadata = thing.get("metadata", {})
    return thing["kind"], str(metadata.get("namespace", "")).strip(), metadata.get("name", "")


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))
