"""The state of a live cluster, read through the official client: lists only, so a read-only account is enough.

A kind that may not be read, or that the cluster does not know, is left out and named in the state, with why. The API
tells the present only; what was before is in its events, and in a store beside which a recorder runs.

Importing this module takes a second or more, for the official client's sake.
"""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import yaml
from kubernetes.client import ApiClient, Configuration
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config
from urllib3 import Retry
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

_NOT_SERVED: Final = "the cluster does not serve it"
_NOT_ACCEPTED: Final = "the credentials are not accepted"
_WIDE: Final = frozenset({"Namespace", "Node", "PersistentVolume", "StorageClass", "ComponentStatus", "NodeMetrics"})
_NAMES_ONLY: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
_PAGE: Final = 500
_SECONDS: Final = 15.0
_RETRY: Final = Retry(connect=1, read=0, redirect=0, status=2, backoff_factor=0.2, raise_on_status=False)
"""Patience with an API that says `Retry-After`, none with one that hangs."""
_AUTH: Final = ["BearerToken"]
_RESTARTS: Final = 3
_EXPIRED: Final = 410


class Refused(Exception):
    """The API answers a request with an error; `status` is HTTP's, the text says what was wrong."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


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
            version = self._get("/version", {})
            state = self.state(datetime.now(UTC))
        except (BackendDown, Refused) as error:
            return [Check("api", ok=False, detail=str(error), do="look at the kubeconfig, its context and its account")]
        api = Check("api", ok=True, detail=f"Kubernetes {version.get('gitVersion', '?')}, {len(state):,} objects")
        return [api, *_kinds(state)]

    def _list(self) -> State:
        at, objects, unread = datetime.now(UTC), list[dict[str, Any]](), dict[str, str]()
        for kind in PATHS:
            try:
                objects += self._all(kind)
            except Refused as error:
                unread[kind] = _why(kind, error)
        if _NOT_ACCEPTED in unread.values():
            self._client = None  # next time the credentials are read again: they may have been renewed
        if len(unread) == len(PATHS):
            raise BackendDown(f"nothing of the cluster may be read: {unread['Pod']}")
        return State(objects, at, unread)

    def _all(self, kind: str) -> list[dict[str, Any]]:
        group, plural = PATHS[kind]
        spaces = self._settings.cluster_namespaces if kind not in _WIDE else []
        paths = [f"{group}/namespaces/{space}/{plural}" for space in spaces] or [f"{group}/{plural}"]
        return [redacted({**thing, "kind": kind}) for path in paths for thing in self._listing(path, kind)]

    def _listing(self, path: str, kind: str) -> list[dict[str, Any]]:
        """Return a whole list; one that expires between two of its pages is begun again."""
        for restart in range(_RESTARTS):
            try:
                return self._pages(path, _NAMES_ONLY if kind == "Secret" else "application/json")
            except Refused as error:
                if error.status != _EXPIRED or restart + 1 == _RESTARTS:
                    raise
        raise AssertionError("the last time either returns or raises")

    def _pages(self, path: str, accept: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        query: dict[str, str] = {"limit": str(_PAGE)}
        while True:
            page = self._get(path, query, accept)
            items += page.get("items") or []
            more = (page.get("metadata") or {}).get("continue")
            if not more:
                return items
            query["continue"] = more

    def _get(self, path: str, query: Mapping[str, str], accept: str = "application/json") -> dict[str, Any]:
        """Return what the API answers; raises `Refused` if with an error, `BackendDown` if not at all."""
        try:
            client = self._connected()
            request = client.param_serialize(
                "GET", path, query_params=list(query.items()), header_params={"Accept": accept}, auth_settings=_AUTH
            )
            answer = client.call_api(*request, _request_timeout=_SECONDS)
            body = answer.read()
        except (HTTPError, OSError, ConfigException) as error:
            raise BackendDown(f"the Kubernetes API cannot be reached: {type(error).__name__}: {error}") from None
        if answer.status != 200:
            raise Refused(answer.status, f"GET {path} is answered with {answer.status} {answer.reason}")
        try:
            found: dict[str, Any] = json.loads(body)
        except ValueError:
            raise BackendDown(f"GET {path} is not answered in JSON: is this the Kubernetes API?") from None
        return found

    def _connected(self) -> ApiClient:
        if self._client is None:
            self._client = ApiClient(self._configuration())
        return self._client

    def _configuration(self) -> Configuration:
        """The kubeconfig that is named, else the usual one, else the account of the pod that this runs in."""
        found = Configuration(retries=_RETRY)
        wanted = self._settings.kubeconfig
        try:
            load_kube_config(str(wanted) if wanted else None, self._settings.kube_context, found, persist_config=False)
        except ConfigException:
            if wanted is not None or self._settings.kube_context is not None:
                raise
            try:
                load_incluster_config(found)
            except ConfigException:
                raise ConfigException("there is no kubeconfig, and this is no pod: set MIDWATCH_KUBECONFIG") from None
        except yaml.YAMLError:  # what it says shows a part of the file, where tokens are
            raise ConfigException("the kubeconfig is no YAML") from None
        return found


def _why(kind: str, refused: Refused) -> str:
    group, plural = PATHS[kind]
    match refused.status:
        case 401:
            return _NOT_ACCEPTED
        case 403:
            api = group.removeprefix("/apis/").rpartition("/")[0].removeprefix("/api")
            return f"the account may not list {f'{plural}.{api}' if api else plural}"
        case 404:
            return _NOT_SERVED
        case _:
            return str(refused)


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
