"""The API of a Kubernetes cluster, asked through the official client: lists only, so a read-only account is enough.

Importing this module takes a second or more, for the official client's sake.
"""

import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml
from kubernetes.client import ApiClient, Configuration
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config
from urllib3 import Retry
from urllib3.exceptions import HTTPError

from midwatch_deploys.settings import DeploysSettings
from midwatch_kit import BackendDown
from midwatch_kit.abandoned import given_up

Json = dict[str, Any]

PATHS: Final[Mapping[str, tuple[str, str]]] = {
    "Deployment": ("/apis/apps/v1", "deployments"),
    "ReplicaSet": ("/apis/apps/v1", "replicasets"),
    "StatefulSet": ("/apis/apps/v1", "statefulsets"),
    "DaemonSet": ("/apis/apps/v1", "daemonsets"),
    "ControllerRevision": ("/apis/apps/v1", "controllerrevisions"),
    "Event": ("/api/v1", "events"),
    "ConfigMap": ("/api/v1", "configmaps"),
    "Secret": ("/api/v1", "secrets"),
}
"""Where the API lists each kind."""

_ANY: Final = "*"
_NAMES_ONLY: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_VALUES: Final = frozenset({"ConfigMap", "Secret"})
"""Kinds of which only the metadata is asked for: their values never come here."""
_PAGE: Final = 500
_MOST_BYTES: Final = 64 * 2**20
_RETRY: Final = Retry(connect=1, read=0, redirect=0, status=2, backoff_factor=0.2, raise_on_status=False)
"""Patience with an API that says `Retry-After`, none with one that hangs."""
_EXPIRED: Final = 410
_UNAUTHORIZED: Final = 401


class Refused(Exception):
    """The API answers a request with an error; `status` is HTTP's, the text says what was wrong and what to do."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


class Cluster:
    """A cluster's API; any number of threads may ask."""

    def __init__(self, settings: DeploysSettings) -> None:
        self._settings = settings
        self._seconds = settings.backend_seconds / 2
        self._lock = threading.Lock()
        self._client: ApiClient | None = None

    def version(self) -> str:
        """Return the version of Kubernetes; raises `Refused` and `BackendDown`."""
        return str(self._get("/version", {}).get("gitVersion", "?"))

    def listed(self, kind: str, most: int | None = None) -> list[Json]:
        """Return all things of a kind in the namespaces of the settings; raises `Refused` and `BackendDown`."""
        group, plural = PATHS[kind]
        spaces: Sequence[str] = self._settings.kubernetes_namespaces
        within = [""] if _ANY in spaces else [f"/namespaces/{space}" for space in spaces]
        try:
            return [thing for space in within for thing in self._pages(f"{group}{space}/{plural}", kind, most)]
        except Refused as error:
            if error.status == 403:
                api = group.removeprefix("/apis/").removeprefix("/api/").rpartition("/")[0]
                raise Refused(403, f"the account may not list {plural}{f'.{api}' if api else ''}") from None
            raise

    def _pages(self, path: str, kind: str, most: int | None) -> list[Json]:
        items: list[Json] = []
        query: dict[str, str] = {"limit": str(most or _PAGE)}
        restarted = False
        while True:
            try:
                page = self._get(path, query, _NAMES_ONLY if kind in _VALUES else "application/json")
            except Refused as error:
                if error.status != _EXPIRED or restarted:
                    raise
                items, query, restarted = [], {"limit": str(_PAGE)}, True  # it expired between two of its pages
                continue
            items += page.get("items") or []
            more = (page.get("metadata") or {}).get("continue")
            if not more or (most and len(items) >= most):
                return items
            query["continue"] = more

    def _get(self, path: str, query: Mapping[str, str], accept: str = "application/json") -> Json:
        if given_up().is_set():
            raise BackendDown("the Kubernetes API was not asked further: nobody waits for the answer")
        try:
            client = self._connected()
            request = client.param_serialize(
                "GET",
                path,
                query_params=list(query.items()),
                header_params={"Accept": accept},
                auth_settings=["BearerToken"],
            )
            answer = client.call_api(*request, _request_timeout=self._seconds)
            body = answer.response.read(_MOST_BYTES + 1)
        except (HTTPError, OSError, ConfigException) as error:
            why = str(error) if isinstance(error, ConfigException) else type(error).__name__
            raise BackendDown(f"the Kubernetes API cannot be reached: {why}") from None
        if answer.status == _UNAUTHORIZED:
            self._client = None  # next time the credentials are read again: they may have been renewed
            raise BackendDown("the Kubernetes API does not accept the credentials: renew those of the kubeconfig")
        if answer.status != 200:
            raise Refused(answer.status, f"GET {path} is answered with {answer.status} {answer.reason}")
        if len(body) > _MOST_BYTES:
            raise BackendDown(f"GET {path} answers more than {_MOST_BYTES // 2**20} MiB: name fewer namespaces")
        try:
            found = json.loads(body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise BackendDown(f"GET {path} is not answered as the Kubernetes API does: is this its address?")
        return found

    def _connected(self) -> ApiClient:
        with self._lock:
            if self._client is None:
                self._client = ApiClient(self._configuration())
            return self._client

    def _configuration(self) -> Configuration:
        """The kubeconfig that is named, else the usual one, else the account of the pod that this runs in."""
        found = Configuration(retries=_RETRY)
        wanted, context = self._settings.kubeconfig, self._settings.kube_context
        try:
            load_kube_config(str(wanted) if wanted else None, context, found, persist_config=False)
        except ConfigException:
            if wanted is not None or context is not None:
                raise
            try:
                load_incluster_config(found)
            except ConfigException:
                raise ConfigException("there is no kubeconfig, and this is no pod: set MIDWATCH_KUBECONFIG") from None
        except yaml.YAMLError:  # what it says shows a part of the file, where tokens are
            raise ConfigException("the kubeconfig is no YAML") from None
        return found
