"""The state of a live cluster, read through the official client: lists only, so a read-only account is enough.

A kind that may not be read, or that the cluster does not know, is left out and named in the state, with why. The API
tells the present only; what was before is in its events, and in a store beside which a recorder runs.

Importing this module takes a second or more, for the official client's sake.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from midwatch_cluster.redact import redacted
from midwatch_cluster.settings import ClusterSettings
from midwatch_cluster.state import State
from midwatch_kit import BackendDown, Check
from midwatch_kit.kubernetes import KubernetesApi, Refused

PATHS: Final[Mapping[str, tuple[str, str]]] = {
    "Namespace": ("/api/v1", "namespaces"),
    "Node": ("/api/v1", "nodes"),
    "Pod": ("/api/v1", "pods"),
    "Service": ("/api/v1", "services"),
    "Endpoints": ("/api/v1", "endpoints"),
    "ConfigMap": ("/api/v1", "configmaps"),
    "Secret": ("/api/v1", "secrets"),
    "ServiceAccount": ("/api/v1", "serviceaccounts"),
    "ResourceQuota": ("/api/v1", "resourcequotas"),
    "LimitRange": ("/api/v1", "limitranges"),
    "PersistentVolume": ("/api/v1", "persistentvolumes"),
    "PersistentVolumeClaim": ("/api/v1", "persistentvolumeclaims"),
    "Event": ("/api/v1", "events"),
    "ComponentStatus": ("/api/v1", "componentstatuses"),
    "Deployment": ("/apis/apps/v1", "deployments"),
    "ReplicaSet": ("/apis/apps/v1", "replicasets"),
    "StatefulSet": ("/apis/apps/v1", "statefulsets"),
    "DaemonSet": ("/apis/apps/v1", "daemonsets"),
    "Job": ("/apis/batch/v1", "jobs"),
    "CronJob": ("/apis/batch/v1", "cronjobs"),
    "HorizontalPodAutoscaler": ("/apis/autoscaling/v2", "horizontalpodautoscalers"),
    "Ingress": ("/apis/networking.k8s.io/v1", "ingresses"),
    "NetworkPolicy": ("/apis/networking.k8s.io/v1", "networkpolicies"),
    "StorageClass": ("/apis/storage.k8s.io/v1", "storageclasses"),
    "Role": ("/apis/rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "rolebindings"),
    "Lease": ("/apis/coordination.k8s.io/v1", "leases"),
    "PodMetrics": ("/apis/metrics.k8s.io/v1beta1", "pods"),
    "NodeMetrics": ("/apis/metrics.k8s.io/v1beta1", "nodes"),
}
"""Where the API lists each kind."""

_NOT_SERVED: Final = "the cluster does not serve it"
_NOT_FOUND: Final = 404
_WIDE: Final = frozenset({"Namespace", "Node", "PersistentVolume", "StorageClass", "ComponentStatus", "NodeMetrics"})
"""Kinds that belong to no namespace."""
_SECONDS: Final = 15.0


class LiveCluster:
    """A cluster's API; a listing is used again for a moment, since one survey asks for the state several times."""

    def __init__(self, settings: ClusterSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._api = KubernetesApi(settings.kubeconfig, settings.kube_context, seconds=_SECONDS)
        self._listed: tuple[float, State] | None = None

    def state(self, at: datetime) -> State:
        """Return the present state, whatever `at` is; raises `BackendDown`."""
        with self._lock:
            if self._listed is None or time.monotonic() - self._listed[0] > self._settings.cluster_max_age_seconds:
                self._listed = (time.monotonic(), self._list())
            return self._listed[1]

    def checks(self) -> Sequence[Check]:
        """Look at the API: does it answer, and which kinds may be read."""
        try:
            version = self._api.version()
            state = self.state(datetime.now(UTC))
        except BackendDown as error:
            return [Check("api", ok=False, detail=str(error), do="look at the kubeconfig, its context and its account")]
        api = Check("api", ok=True, detail=f"Kubernetes {version}, {len(state):,} objects")
        return [api, *_kinds(state)]

    def _list(self) -> State:
        at, objects, unread = datetime.now(UTC), list[dict[str, Any]](), dict[str, str]()
        for kind in PATHS:
            try:
                objects += self._all(kind)
            except Refused as error:
                unread[kind] = _NOT_SERVED if error.status == _NOT_FOUND else str(error)
        if len(unread) == len(PATHS):
            raise BackendDown(f"nothing of the cluster may be read: {unread['Pod']}")
        return State(objects, at, unread)

    def _all(self, kind: str) -> list[dict[str, Any]]:
        spaces = self._settings.cluster_namespaces if kind not in _WIDE else []
        things = self._api.listed(*PATHS[kind], spaces, metadata_only=kind == "Secret")
        return [redacted({**thing, "kind": kind}) for thing in things]


def _kinds(state: State) -> Iterator[Check]:
    refused = [f"{kind} ({why})" for kind, why in sorted(state.unread.items()) if why != _NOT_SERVED]
    unserved = sorted(kind for kind, why in state.unread.items() if why == _NOT_SERVED)
    if refused:
        advice = "bind the ClusterRole of docs/cluster-rbac.yaml to the account, or set MIDWATCH_CLUSTER_NAMESPACES"
        yield Check("kinds", ok=False, detail=f"cannot be read: {', '.join(refused)}", do=advice)
    else:
        yield Check("kinds", ok=True, detail="every kind that the cluster serves can be read")
    if unserved:
        yield Check(
            "served", ok=True, detail=f"the cluster does not serve {', '.join(unserved)}: nothing is said of them"
        )
