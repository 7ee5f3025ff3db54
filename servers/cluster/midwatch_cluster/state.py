"""The state of a cluster at one moment: its objects as the API gives them, found by kind, by name and by selector.

Objects are plain JSON, shaped as https://kubernetes.io/docs/reference/kubernetes-api/ says. Nothing here judges.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, TypeAlias

from jsonpointer import resolve_pointer

Json: TypeAlias = Mapping[str, Any]

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob")
"""Kinds that make pods, directly or through each other."""


@dataclass(frozen=True, order=True, slots=True)
class Ref:
    """Which object: its kind, its namespace ('' for an object of the whole cluster) and its name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def ref_of(thing: Json) -> Ref:
    """Return which object this is."""
    metadata = thing.get("metadata", {})
    return Ref(thing["kind"], metadata.get("namespace", ""), metadata.get("name", ""))


def look(thing: Json, pointer: str, default: Any = None) -> Any:
    """Return what stands at a JSON Pointer (RFC 6901) in an object, or `default` where there is nothing, or null."""
    found = resolve_pointer(thing, pointer, default)
    return default if found is None else found


class State:
    """All objects of a cluster that were recorded, or could be read, as of `at` (UTC).

    `unread` names the kinds that could not be read, each with why: of those nothing may be said, least of all that one
    is missing.
    """

    def __init__(self, objects: Iterable[Json], at: datetime, unread: Mapping[str, str] | None = None) -> None:
        self.at = at
        self.unread = dict(unread or {})
        self._objects = {ref_of(thing): thing for thing in objects}

    def of(self, kind: str, namespace: str | None = None) -> list[Json]:
        """Return the objects of a kind, by namespace and name; those of one namespace, or of all."""
        found = self._by_kind.get(kind, [])
        return found if namespace is None else [thing for thing in found if ref_of(thing).namespace == namespace]

    def get(self, kind: str, namespace: str, name: str) -> Json | None:
        """Return one object; None when there is none."""
        return self._objects.get(Ref(kind, namespace, name))

    def find(self, ref: Ref) -> Json | None:
        """Return one object; None when there is none."""
        return self._objects.get(ref)

    def lacks(self, kind: str, namespace: str, name: str) -> bool:
        """Whether an object is known not to be there; never true of a kind that could not be read."""
        return kind not in self.unread and self.get(kind, namespace, name) is None

    def matching(self, kind: str, namespace: str, selector: Mapping[str, str]) -> list[Json]:
        """Return the objects of a namespace whose labels have all of `selector`; none for an empty one."""
        return [thing for thing in self.of(kind, namespace) if selector and has_labels(thing, selector)]

    def owner(self, thing: Json) -> Ref:
        """Return the workload at the top of an object's owners, the object itself when it has none."""
        own = ref_of(thing)
        for _ in WORKLOADS:  # deeper chains than this are not made
            controller = next(
                (o for o in look(thing, "/metadata/ownerReferences", []) if o.get("controller", True)), None
            )
            if controller is None:
                break
            own = Ref(controller["kind"], own.namespace, controller["name"])
            above = self.find(own)
            if above is None:
                break
            thing = above
        return own

    def pods_of(self, workload: Ref) -> list[Json]:
        """Return the pods that a workload owns, directly or through what it owns."""
        return self._pods_by_owner.get(workload, [])

    def events_about(self, ref: Ref) -> list[Json]:
        """Return the events about an object, oldest first."""
        return self._events.get(ref, [])

    def __iter__(self) -> Iterator[Json]:
        return iter(self._objects.values())

    def __len__(self) -> int:
        return len(self._objects)

    @cached_property
    def workloads(self) -> Sequence[Json]:
        """The workloads that nothing else owns."""
        tops = [thing for kind in WORKLOADS for thing in self.of(kind)]
        return [thing for thing in tops if not look(thing, "/metadata/ownerReferences", [])]

    @cached_property
    def _by_kind(self) -> dict[str, list[Json]]:
        found: dict[str, list[Json]] = {}
        for ref, thing in sorted(self._objects.items()):
            found.setdefault(ref.kind, []).append(thing)
        return found

    @cached_property
    def _pods_by_owner(self) -> dict[Ref, list[Json]]:
        found: dict[Ref, list[Json]] = {}
        for pod in self.of("Pod"):
            found.setdefault(self.owner(pod), []).append(pod)
        return found

    @cached_property
    def _events(self) -> dict[Ref, list[Json]]:
        found: dict[Ref, list[Json]] = {}
        for event in sorted(self.of("Event"), key=lambda event: str(last_seen(event) or "")):
            about = event.get("involvedObject") or event.get("regarding") or {}
            ref = Ref(about.get("kind", ""), about.get("namespace", ""), about.get("name", ""))
            found.setdefault(ref, []).append(event)
        return found


def has_labels(thing: Json, selector: Mapping[str, str]) -> bool:
    """Whether an object has all labels of an equality-based selector."""
    labels = look(thing, "/metadata/labels", {})
    return all(labels.get(key) == value for key, value in selector.items())


def template_of(workload: Json) -> tuple[Json, str]:
    """Return a workload's pod template, and the JSON Pointer to it; an empty one where there is none."""
    where = "/spec/jobTemplate/spec/template" if workload["kind"] == "CronJob" else "/spec/template"
    return look(workload, where, {}), where


def pod_spec(thing: Json) -> tuple[Json, str]:
    """Return the pod spec in a pod or in a workload's template, and the JSON Pointer to it."""
    if thing["kind"] == "Pod":
        return thing.get("spec", {}), "/spec"
    template, where = template_of(thing)
    return template.get("spec", {}), f"{where}/spec"


def moment(text: str | None) -> datetime | None:
    """Return the time that a field of the API tells (RFC 3339, UTC); None for an empty one."""
    return datetime.fromisoformat(text) if text else None


def last_seen(event: Json) -> datetime | None:
    """Return when an event was last seen: the newer API counts in `series`, the older one in `lastTimestamp`."""
    series = look(event, "/series/lastObservedTime")
    return moment(series or event.get("lastTimestamp") or event.get("eventTime") or event.get("firstTimestamp"))


def first_seen(event: Json) -> datetime | None:
    """Return when an event was first seen."""
    return moment(event.get("firstTimestamp") or event.get("eventTime") or event.get("lastTimestamp"))


def condition(thing: Json, name: str) -> tuple[Json, str] | None:
    """Return a condition of an object's status, and the JSON Pointer to it; None when it has none of that type."""
    for number, found in enumerate(look(thing, "/status/conditions", [])):
        if found.get("type") == name:
            return found, f"/status/conditions/{number}"
    return None
