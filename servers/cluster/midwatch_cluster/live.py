"""The state of a live cluster, read through the official client: lists only, so a read-only account is enough.

A kind that may not be read, or that the cluster does not know, is left out and named in the state. The API tells the
present only; what was before is in its events, and in a store beside which a recorder runs.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException, load_incluster_config, new_client_from_config
from urllib3.exceptions import HTTPError

from midwatch_cluster.redact import redacted
from midwatch_cluster.settings import ClusterSettings
from midwatch_cluster.state import State
from midwatch_kit import BackendDown, Check

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

_WIDE: Final = frozenset({"Namespace", "Node", "PersistentVolume", "StorageClass", "ComponentStatus", "NodeMetrics"})
_NAMES_ONLY: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
_PAGE: Final = 500
_SECONDS: Final = 15.0
_NOT_THERE: Final = (401, 403, 404)


class LiveCluster:
    """A cluster's API; a listing is used again for a moment, since one survey asks for the state several times."""

    def __init__(self, settings: ClusterSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._client: ApiClient | None = None
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
            version = self._get("/version", {}, "application/json")
        except BackendDown as error:
            return [Check("api", ok=False, detail=str(error), do="look at the kubeconfig, its context and its account")]
        found = [Check("api", ok=True, detail=f"Kubernetes {version.get('gitVersion', '?')}")]
        unread = sorted(self.state(datetime.now(UTC)).unread)
        advice = "bind the ClusterRole of docs/cluster-rbac.yaml to the account" if unread else ""
        said = f"all but {', '.join(unread)}" if unread else "all"
        return [*found, Check("kinds", ok=not unread, detail=f"{said} can be read", do=advice)]

    def _list(self) -> State:
        at, objects, unread = datetime.now(UTC), list[dict[str, Any]](), list[str]()
        for kind in PATHS:
            try:
                objects += [redacted(thing) for thing in self._all(kind)]
            except PermissionError:
                unread.append(kind)
        return State(objects, at, unread)

    def _all(self, kind: str) -> Iterator[dict[str, Any]]:
        group, plural = PATHS[kind]
        spaces = self._settings.namespaces if kind not in _WIDE else []
        for path in [f"{group}/namespaces/{space}/{plural}" for space in spaces] or [f"{group}/{plural}"]:
            accept = _NAMES_ONLY if kind == "Secret" else "application/json"  # the values never leave the API server
            more: str | None = ""
            while more is not None:
                found = self._get(path, {"limit": _PAGE, **({"continue": more} if more else {})}, accept)
                for thing in found.get("items") or []:
                    yield {**thing, "kind": kind}
                more = (found.get("metadata") or {}).get("continue") or None

    def _get(self, path: str, query: Mapping[str, object], accept: str) -> dict[str, Any]:
        """Return what the API answers; raises `PermissionError` for what may not be read, or is not known."""
        try:
            answer: tuple[dict[str, Any], int, object] = self._connected().call_api(
                path,
                "GET",
                query_params=list(query.items()),
                header_params={"Accept": accept},
                response_type="object",
                auth_settings=["BearerToken"],
                _request_timeout=_SECONDS,
            )
            return answer[0]
        except ApiException as error:
            if error.status in _NOT_THERE and path != "/version":
                raise PermissionError(path) from None
            raise BackendDown(f"the Kubernetes API refuses GET {path}: {error.status} {error.reason}") from None
        except (HTTPError, OSError, ConfigException) as error:
            raise BackendDown(f"the Kubernetes API cannot be reached: {type(error).__name__}: {error}") from None

    def _connected(self) -> ApiClient:
        if self._client is None:
            self._client = self._connect()
        return self._client

    def _connect(self) -> ApiClient:
        wanted = self._settings.kubeconfig
        try:
            return new_client_from_config(str(wanted) if wanted else None, self._settings.context)
        except ConfigException:
            if wanted is not None:
                raise
            load_incluster_config()
            return ApiClient()
