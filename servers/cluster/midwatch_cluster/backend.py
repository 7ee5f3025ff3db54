"""What the tools need of a cluster: its state as of a moment, wherever that comes from."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from midwatch_cluster.state import State
from midwatch_kit import Check

KINDS = (
    "Namespace",
    "Node",
    "Pod",
    "Deployment",
    "ReplicaSet",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "CronJob",
    "HorizontalPodAutoscaler",
    "Service",
    "Endpoints",
    "Ingress",
    "NetworkPolicy",
    "ConfigMap",
    "Secret",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ResourceQuota",
    "LimitRange",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "StorageClass",
    "Lease",
    "Event",
    "ComponentStatus",
    "PodMetrics",
    "NodeMetrics",
)
"""The kinds that are looked at; of a Secret only its name and labels."""

OPTIONAL = frozenset({"ComponentStatus", "PodMetrics", "NodeMetrics"})
"""Kinds that clusters need not serve: to be without them is no gap."""


class ClusterBackend(Protocol):
    """Whoever can tell the state of a cluster; synchronous, thread safe; raises `BackendDown`."""

    def state(self, at: datetime) -> State:
        """Return the state as of `at` (UTC); its own `at` says of when it really is."""

    def checks(self) -> Sequence[Check]:
        """Look at the backend and say how it is."""
