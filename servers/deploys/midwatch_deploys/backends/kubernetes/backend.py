"""Changes in a Kubernetes cluster, as the deploys server's tools ask for them. It only lists."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from midwatch_deploys.backend import Change, Found
from midwatch_deploys.backends.kubernetes.client import Cluster
from midwatch_deploys.backends.kubernetes.events import event_changes
from midwatch_deploys.backends.kubernetes.rollouts import rollouts
from midwatch_deploys.backends.kubernetes.writes import config_changes
from midwatch_deploys.backends.parts import each_at_once
from midwatch_deploys.resources import Resources
from midwatch_deploys.same import overlaps
from midwatch_deploys.settings import DeploysSettings
from midwatch_kit import BackendDown, Check, rfc3339
from midwatch_kit.kubernetes import Json

_ID: Final = "kubernetes:"
_KINDS: Final = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ControllerRevision", "ConfigMap", "Event")
_SEEN_AGAIN: Final = 5.0
"""Seconds for which a listing is used again: one survey asks twice."""


@dataclass(frozen=True)
class _Listing:
    things: Mapping[str, Sequence[Json]]
    unread: Mapping[str, str]
    at: float = field(default_factory=time.monotonic)


class KubernetesChanges:
    """The namespaces of a cluster that the settings name."""

    def __init__(self, settings: DeploysSettings) -> None:
        self._cluster = Cluster(settings)
        self._namespaces = settings.kubernetes_namespaces
        self._kinds = (*_KINDS, "Secret") if settings.kubernetes_secrets else _KINDS
        self._resources = Resources(settings.service_resources)
        self._lookback = timedelta(days=settings.lookback_days)
        self._lock = threading.Lock()
        self._listed: _Listing | None = None

    def between(self, begin: datetime | None, end: datetime) -> Found:
        """Return rollouts, writes of configuration and events in `[begin, end)`; raises `BackendDown`.

        The cluster tells of the past what it keeps: revisions (10 by default), the last write of a thing, and events of
        the last hour.
        """
        begin = begin or end - self._lookback
        listing = self._listing()
        changes = [replace(each, diff="") for each in self._changes(listing) if overlaps(each, begin, end)]
        spaces = ", ".join(self._namespaces)
        query = f"Kubernetes: {', '.join(listing.things)} of {spaces} within [{rfc3339(begin)}, {rfc3339(end)})"
        gaps = tuple(f"{kind}: {why}" for kind, why in listing.unread.items())
        return Found(tuple(changes), len(changes), query, gaps)

    def find(self, change_id: str) -> Change | None:
        """Return a change with what differs from before; raises `BackendDown`."""
        if not change_id.startswith(_ID):
            return None
        return next((change for change in self._changes(self._listing()) if change.id == change_id), None)

    def checks(self) -> Sequence[Check]:
        """Look at the API: does it answer, and which kinds may be listed."""
        try:
            version = self._cluster.version()
        except BackendDown as error:
            return [Check("api", ok=False, detail=str(error), do="look at the kubeconfig, its context and its account")]
        return [Check("api", ok=True, detail=f"Kubernetes {version}"), *each_at_once(self._check, self._kinds)]

    def _check(self, kind: str) -> Check:
        try:
            some = self._cluster.listed(kind, most=1)
        except BackendDown as error:
            return Check(
                kind, ok=False, detail=str(error), do="apply docs/deploys-rbac.yaml, and bind it to the account"
            )
        spaces = ", ".join(self._namespaces)
        return Check(kind, ok=True, detail="can be listed" if some else f"can be listed; there are none in {spaces}")

    def _changes(self, listing: _Listing) -> list[Change]:
        try:
            rolled_out = rollouts(listing.things, self._resources)
            written = config_changes(listing.things, self._resources)
            happened = event_changes(listing.things.get("Event", ()), rolled_out, self._resources)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BackendDown(f"the objects are in a shape that is not Kubernetes' ({type(error).__name__})") from None
        return sorted([*rolled_out, *written, *happened], key=lambda change: (change.at, change.id))

    def _listing(self) -> _Listing:
        with self._lock:
            if self._listed is None or time.monotonic() - self._listed.at > _SEEN_AGAIN:
                self._listed = self._list()
            return self._listed

    def _list(self) -> _Listing:
        answers = dict(zip(self._kinds, each_at_once(self._read, self._kinds), strict=True))
        unread = {kind: answer for kind, answer in answers.items() if isinstance(answer, str)}
        if len(unread) == len(answers):
            raise BackendDown(f"nothing of the cluster can be read: {'; '.join(dict.fromkeys(unread.values()))}")
        return _Listing({kind: answer for kind, answer in answers.items() if not isinstance(answer, str)}, unread)

    def _read(self, kind: str) -> list[Json] | str:
        """Return the things of a kind, or why they cannot be listed."""
        try:
            return self._cluster.listed(kind)
        except BackendDown as error:
            return str(error)
