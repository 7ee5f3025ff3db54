"""Rollouts of Deployments, StatefulSets and DaemonSets, out of the revisions that the cluster keeps of them. Pure.

A roll-back takes an old revision again and gives it a new number: its time is then when the template was written last.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from midwatch_deploys.backend import Change, revision_key
from midwatch_deploys.backends.kubernetes.fields import moment, name_of, newest, times_of
from midwatch_deploys.backends.kubernetes.template import differences, images_of
from midwatch_deploys.images import Image, version_of
from midwatch_deploys.resources import Resources
from midwatch_kit.kubernetes import Json

_KINDS: Final = ("Deployment", "StatefulSet", "DaemonSet")
_NUMBER: Final = "deployment.kubernetes.io/revision"
_HISTORY: Final = "deployment.kubernetes.io/revision-history"
_CAUSE: Final = "kubernetes.io/change-cause"
_TRACKING: Final = "argocd.argoproj.io/tracking-id"
_INSTANCE: Final = "app.kubernetes.io/instance"
_RESTARTED: Final = "kubectl.kubernetes.io/restartedAt"


@dataclass(frozen=True, slots=True)
class Revision:
    """A pod template that a workload had, from `at` on."""

    number: int
    at: datetime
    template: Mapping[str, Any]
    cause: str
    again: bool = False
    """Whether it had been there before: then the rollout of it was a roll-back."""


def rollouts(things: Mapping[str, Sequence[Json]], resources: Resources) -> list[Change]:
    """Return each rollout that the cluster still knows of as a change, oldest first for each workload."""
    found: list[Change] = []
    for kind in _KINDS:
        kept = things.get("ReplicaSet" if kind == "Deployment" else "ControllerRevision", ())
        for workload in things.get(kind, ()):
            own = [each for each in kept if _owner(each) == (kind, workload["metadata"]["uid"])]
            revisions = _revisions(workload, own)
            for number, revision in enumerate(revisions):
                before = revisions[number - 1] if number else None
                found.append(_change(kind, workload, revision, before, revision is revisions[-1], resources))
    return found


def _owner(thing: Json) -> tuple[str, str]:
    owners = thing["metadata"].get("ownerReferences") or []
    owner: Json = next((each for each in owners if each.get("controller")), {})
    return owner.get("kind", ""), owner.get("uid", "")


def _revisions(workload: Json, kept: Iterable[Json]) -> list[Revision]:
    """Return a workload's revisions by their numbers; of one that came again, its first time as well."""
    numbered = sorted((pair for each in kept if (pair := (_number(each), each))[0]), key=lambda pair: pair[0])
    found: list[Revision] = []
    latest: datetime | None = None
    for number, each in numbered:
        metadata = each["metadata"]
        made = moment(metadata["creationTimestamp"])
        template = each["spec"]["template"] if "spec" in each else each["data"]["spec"]["template"]
        cause = (metadata.get("annotations") or {}).get(_CAUSE, "")
        again = latest is not None and made < latest
        if again:
            first = (metadata.get("annotations") or {}).get(_HISTORY, "0").partition(",")[0]
            found.append(Revision(int(first), made, template, cause))
        at = made if latest is None or not again else max(latest, _written(workload, each, made))
        found.append(Revision(number, at, template, cause, again))
        latest = at
    return sorted(found, key=lambda each: (each.at, each.number))


def _number(thing: Json) -> int:
    told = thing.get("revision") or (thing["metadata"].get("annotations") or {}).get(_NUMBER) or 0
    return int(told)


def _written(workload: Json, revision: Json, made: datetime) -> datetime:
    """Return when a revision was taken again, as far as the cluster tells."""
    return newest(times_of(workload, "f:template")) or newest(times_of(revision)) or made


def _change(
    kind: str, workload: Json, revision: Revision, before: Revision | None, latest: bool, resources: Resources
) -> Change:
    name = name_of(workload)
    images, old = images_of(revision.template), images_of(before.template) if before else {}
    changed = [image for container, image in images.items() if old.get(container) != image]
    version = version_of(changed) or version_of(list(images.values()))
    previous = version_of(list(old.values()))
    outcome, ended, reason = _outcome(kind, workload, revision) if latest else ("", None, "")
    facts = {
        "workload": f"{kind} {name}",
        "namespace": workload["metadata"].get("namespace", ""),
        "revision_number": str(revision.number),
        "images": ", ".join(map(str, images.values())),
        "rolls_back": previous if revision.again and previous != version else "",
        "reason": reason,
        "written_by": ", ".join(sorted(times_of(workload, "f:template"))) if latest else "",
    }
    return Change(
        id=f"kubernetes:{workload['metadata'].get('namespace', '')}/{kind}/{workload['metadata']['name']}"
        f"@{revision.number}",
        at=revision.at,
        kind="deploy",
        service=resources.service_of(name, workload["metadata"]["name"]),
        title=_title(f"{kind} {name}", revision, before, changed),
        version=version,
        previous_version="" if previous == version else previous,
        diff="\n".join(differences(before.template if before else None, revision.template)),
        ended=ended if ended and ended >= revision.at else None,
        outcome=outcome,
        attributes={name: text for name, text in facts.items() if text},
        source="kubernetes rollout",
        keys=_keys(workload, version, changed),
    )


def _title(what: str, revision: Revision, before: Revision | None, changed: Sequence[Image]) -> str:
    if revision.again and before is not None:
        return f"{what}: roll-back of revision {before.number}"
    if revision.cause:
        return revision.cause
    if before is None:
        return f"{what}: revision {revision.number}"
    if _is_restart(before.template, revision.template):
        return f"{what}: restart"
    images = f": {', '.join(map(str, changed))}" if changed else ", the same images"
    return f"{what}: revision {revision.number}{images}"


def _is_restart(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    return _restarted(before) != _restarted(after) and not [
        line for line in differences(before, after) if _RESTARTED not in line
    ]


def _restarted(template: Mapping[str, Any]) -> str:
    return str(((template.get("metadata") or {}).get("annotations") or {}).get(_RESTARTED, ""))


def _keys(workload: Json, version: str, changed: Sequence[Image]) -> frozenset[str]:
    metadata = workload["metadata"]
    tracked = (metadata.get("annotations") or {}).get(_TRACKING, "").partition(":")[0]
    app = tracked or (metadata.get("labels") or {}).get(_INSTANCE, "")
    named = {f"argocd:{app.rpartition('_')[2]}"} if app else set()
    return frozenset({*named, revision_key(version), *(image.key for image in changed)} - {""})


def _outcome(kind: str, workload: Json, revision: Revision) -> tuple[str, datetime | None, str]:
    """Return what came of a workload's latest rollout, when that was over, and why it failed."""
    spec, status = workload.get("spec") or {}, workload.get("status") or {}
    if kind == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        ready = min(status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0))
        return ("succeeded" if ready >= wanted else "running"), None, ""
    wanted = spec.get("replicas", 1)
    if kind == "StatefulSet":
        ready = min(status.get("updatedReplicas", 0), status.get("readyReplicas", 0))
        return ("succeeded" if ready >= wanted else "running"), None, ""
    progress: Json = next((c for c in status.get("conditions") or [] if c.get("type") == "Progressing"), {})
    told = moment(progress["lastUpdateTime"]) if progress.get("lastUpdateTime") else None
    if progress.get("status") == "False":
        return "failed", told, f"{progress.get('reason', '')}: {progress.get('message', '')}"
    done = min(status.get("updatedReplicas", 0), status.get("availableReplicas", 0)) >= wanted
    rests = progress.get("reason") == "NewReplicaSetAvailable"
    return ("succeeded" if done or rests else "running"), told if rests else None, ""
