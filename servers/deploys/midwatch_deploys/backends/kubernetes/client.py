"""What is listed of a Kubernetes cluster for its changes: the kinds, and the namespaces that the settings name.

Importing this module takes a second or more, for the official client's sake.
"""

from collections.abc import Mapping
from typing import Final

from midwatch_deploys.settings import DeploysSettings
from midwatch_kit.kubernetes import Json, KubernetesApi

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
_VALUES: Final = frozenset({"ConfigMap", "Secret"})
"""Kinds of which only the metadata is asked for: their values never come here."""


class Cluster:
    """What a cluster has in the namespaces of the settings; any number of threads may ask."""

    def __init__(self, settings: DeploysSettings) -> None:
        spaces = settings.kubernetes_namespaces
        self._namespaces = [] if _ANY in spaces else spaces
        self._api = KubernetesApi(settings.kubeconfig, settings.kube_context, seconds=settings.backend_seconds / 2)

    def version(self) -> str:
        """Return the version of Kubernetes; raises `BackendDown`."""
        return self._api.version()

    def listed(self, kind: str, most: int | None = None) -> list[Json]:
        """Return the things of a kind, all or `most` of each namespace; raises `BackendDown`."""
        return self._api.listed(*PATHS[kind], self._namespaces, metadata_only=kind in _VALUES, most=most)
