"""A deployment of an ECS service as a change, whichever of ECS' two records tells of it. Pure: it asks nobody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from midwatch_deploys.backend import Change, revision_key
from midwatch_deploys.backends.aws.account import utc
from midwatch_deploys.images import Image, version_of
from midwatch_deploys.resources import last_part

_OUTCOMES: Final = {
    "SUCCESSFUL": "succeeded",
    "COMPLETED": "succeeded",
    "PENDING": "running",
    "IN_PROGRESS": "running",
    "STOP_REQUESTED": "running",
    "ROLLBACK_REQUESTED": "running",
    "ROLLBACK_IN_PROGRESS": "running",
}


@dataclass(frozen=True, slots=True)
class Deployment:
    """What was to run and what ran before: task definitions as `family:revision`, images by container."""

    name: str
    at: datetime
    ended: datetime | None
    status: str
    reason: str
    task_definition: str
    before: str = ""
    images: Mapping[str, Image] | None = None
    images_before: Mapping[str, Image] | None = None


def deployment_of(told: Mapping[str, Any], revisions: Mapping[str, Mapping[str, Any]]) -> Deployment:
    """Return a deployment out of ECS' history; `revisions` are what services ran, by their ARNs."""
    target = revisions.get((told.get("targetServiceRevision") or {}).get("arn", ""), {})
    sources = [revisions[arn] for each in told.get("sourceServiceRevisions", []) if (arn := each["arn"]) in revisions]
    source = sources[0] if sources else {}
    ended = told.get("finishedAt") or told.get("stoppedAt")
    rolled_back = (told.get("rollback") or {}).get("reason", "")
    alarms = (told.get("alarms") or {}).get("triggeredAlarmNames", [])
    reasons = [told.get("statusReason", ""), rolled_back, f"alarms: {', '.join(alarms)}" if alarms else ""]
    return Deployment(
        name=last_part(told["serviceDeploymentArn"]),
        at=utc(told.get("startedAt") or told["createdAt"]),
        ended=utc(ended) if ended else None,
        status=told.get("status", ""),
        reason="; ".join(dict.fromkeys(filter(None, reasons))),
        task_definition=last_part_of_definition(target.get("taskDefinition", "")),
        before=last_part_of_definition(source.get("taskDefinition", "")),
        images=_images(target),
        images_before=_images(source),
    )


def present(service: Mapping[str, Any]) -> list[Deployment]:
    """Return the deployments that a service has now; what ran before them is known only while it still runs."""
    there = sorted(service.get("deployments", []), key=lambda each: each["createdAt"])
    return [
        Deployment(
            name=last_part(each["id"]),
            at=utc(each["createdAt"]),
            ended=utc(each["updatedAt"]) if each.get("rolloutState") in ("COMPLETED", "FAILED") else None,
            status=each.get("rolloutState", ""),
            reason=each.get("rolloutStateReason", "") if each.get("rolloutState") == "FAILED" else "",
            task_definition=last_part_of_definition(each["taskDefinition"]),
            before=last_part_of_definition(there[number - 1]["taskDefinition"]) if number else "",
        )
        for number, each in enumerate(there)
    ]


def change_of(deployment: Deployment, place: str, service: str, page: str) -> Change:
    """Return a deployment as a change of a service; `place` is `cluster/service`."""
    images = list((deployment.images or {}).values())
    changed = [i for name, i in (deployment.images or {}).items() if (deployment.images_before or {}).get(name) != i]
    version = version_of(changed or images) or deployment.task_definition
    before = version_of(list((deployment.images_before or {}).values())) or deployment.before
    facts = {
        "cluster": place.partition("/")[0],
        "status": deployment.status,
        "reason": deployment.reason,
        "task_definition": deployment.task_definition,
        "task_definition_before": deployment.before,
        "images": ", ".join(str(image) for image in images),
    }
    same = deployment.task_definition == deployment.before
    what = "new deployment of the same task definition" if same else deployment.task_definition
    why = f"; {deployment.reason}" if deployment.reason and _outcome(deployment) == "failed" else ""
    return Change(
        id=f"ecs:{place}@{deployment.name}",
        at=deployment.at,
        kind="deploy",
        service=service,
        title=f"ECS service {place}: {what}{why}",
        version=version,
        previous_version="" if before == version else before,
        url=page,
        ended=deployment.ended,
        outcome=_outcome(deployment),
        attributes={name: text for name, text in facts.items() if text},
        source="ecs deployment",
        keys=frozenset({f"ecs:{place}", revision_key(version), *(each.key for each in changed)} - {""}),
    )


def last_part_of_definition(arn: str) -> str:
    """Return `family:revision` of a task definition's ARN."""
    return arn.rpartition("/")[2]


def _images(revision: Mapping[str, Any]) -> dict[str, Image]:
    told: Sequence[Mapping[str, Any]] = revision.get("containerImages", [])
    return {each["containerName"]: Image.of(each.get("image", ""), each.get("imageDigest", "")) for each in told}


def _outcome(deployment: Deployment) -> str:
    return _OUTCOMES.get(deployment.status, "failed" if deployment.status else "")
