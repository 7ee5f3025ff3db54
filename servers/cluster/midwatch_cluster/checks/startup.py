"""Start-up: containers that never come to run, by what their kubelet waits for and what it is told."""

import re
from collections.abc import Iterator, Mapping

from midwatch_cluster.checks.problem import Problem, earliest, said
from midwatch_cluster.state import Json, State, first_seen, last_seen, look, moment, pod_spec, ref_of

_IMAGE = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable")
_SETUP = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_NAMED = re.compile(r"""(?P<kind>secret|configmap) ["']?(?:[\w.-]+/)?(?P<name>[\w.-]+)["']? not found""", re.IGNORECASE)
_MOUNT = ("FailedMount", "FailedAttachVolume")
_UNREACHABLE = (
    "no such host",
    "name resolution",
    "server misbehaving",
    "i/o timeout",
    "connection refused",
    "network is unreachable",
)
_DENIED = (
    "unauthorized",
    "authentication required",
    "authorization failed",
    "access denied",
    "denied:",
    "403 forbidden",
    "failed to authorize",
)
_MISSING = ("not found", "manifest unknown", "does not exist", "repository does not exist", "name unknown")
_Sources = Mapping[str, tuple[str, str]]
_VOLUMES: _Sources = {"secret": ("Secret", "secretName"), "configMap": ("ConfigMap", "name")}
_VARIABLES: _Sources = {"secretKeyRef": ("Secret", "name"), "configMapKeyRef": ("ConfigMap", "name")}
_SOURCES: _Sources = {"secretRef": ("Secret", "name"), "configMapRef": ("ConfigMap", "name")}
_FORBIDDEN = ("permission denied", "operation not permitted", "read-only file system", "eacces")


def image_not_pulled(state: State) -> Iterator[Problem]:
    """A container's image cannot be pulled: the reference, the way to the registry or the right to it is wrong."""
    for pod, number, part, status in waiting(state, _IMAGE):
        told = _messages(state, pod, status, ("Failed", "FailedToRetrieveImagePullSecret", "InspectFailed"))
        owner = state.owner(pod)
        image = status.get("image", "")
        spec, where = pod_spec(state.find(owner) or pod)
        secrets = _missing_pull_secrets(state, pod)
        reason, cause, says, field = "image_not_found", "change", "there is no such image", f"{where}/containers"
        if any(text in told for text in _UNREACHABLE):
            reason, cause, says = "image_registry_unreachable", "dependency", "its registry cannot be reached"
        elif secrets:
            reason, cause, says = "image_pull_secret_missing", "access", f"its pull secret {secrets[0]} does not exist"
            field = f"{where}/imagePullSecrets"
        elif any(text in told for text in _DENIED) and not any(text in told for text in _MISSING):
            reason, cause, says = "image_pull_denied", "access", "its registry does not let it in"
            if not _has_pull_secret(state, pod):
                reason, says = "image_pull_secret_missing", "its registry lets nobody in without a pull secret"
        if look(spec, field.removeprefix(where)) is None:
            field = f"{where}/containers"
        events = _failures(state, pod)
        yield Problem(
            owner,
            reason,
            cause,
            f"{owner.name} cannot pull {image}: {says}",
            (
                (ref_of(pod), f"/status/{part}/{number}/state/waiting/reason"),
                ((owner if state.find(owner) else ref_of(pod)), field),
                *map(said, events[-1:]),
            ),
            since=earliest(events),
        )


def configuration_missing(state: State) -> Iterator[Problem]:
    """A container, or a volume of a pod, is made of a Secret or a ConfigMap that does not exist, or lacks the key."""
    for pod in unready(state):
        owner = state.owner(pod)
        for kind, name, field in _mounted(pod):
            namespace = ref_of(pod).namespace
            if state.lacks(kind, namespace, name):
                events = _failures(state, pod)
                yield Problem(
                    owner,
                    f"{'secret' if kind == 'Secret' else 'config_map'}_missing",
                    "access" if kind == "Secret" else "change",
                    f"{owner.name} needs {kind} {name}, which is not in {namespace}",
                    ((ref_of(pod), field), *map(said, events[-1:])),
                    since=earliest(events),
                )


def container_not_made(state: State) -> Iterator[Problem]:
    """A container cannot be made as its spec says, for another reason than a missing Secret or ConfigMap."""
    for pod, number, part, status in waiting(state, _SETUP):
        message = str(look(status, "/state/waiting/message", ""))
        if _NAMED.search(message):
            continue
        owner = state.owner(pod)
        reason = "container_may_not_start" if _has(message, _FORBIDDEN) else "container_cannot_be_made"
        yield Problem(
            owner,
            reason,
            "access" if reason == "container_may_not_start" else "change",
            f"a container of {owner.name} cannot be made: {message or look(status, '/state/waiting/reason')}",
            ((ref_of(pod), f"/status/{part}/{number}/state/waiting"),),
            since=earliest(_failures(state, pod)),
        )


def volume_not_mounted(state: State) -> Iterator[Problem]:
    """A volume of a pod cannot be mounted now."""
    for pod in unready(state):
        events = [
            e for e in state.events_about(ref_of(pod)) if e.get("reason") in ("FailedMount", "FailedAttachVolume")
        ]
        events = [e for e in events if not _NAMED.search(str(e.get("message", "")))]
        if events and not look(pod, "/status/containerStatuses/0/started", False):
            owner = state.owner(pod)
            denied = _has(str(events[-1].get("message", "")), _FORBIDDEN)
            yield Problem(
                owner,
                "volume_mount_denied" if denied else "volume_mount_failed",
                "access" if denied else "platform",
                f"a volume of {owner.name} cannot be mounted: {events[-1].get('message', '')}",
                (said(events[-1]),),
                since=earliest(events),
            )


def init_container_fails(state: State) -> Iterator[Problem]:
    """An init container ends with an error, so the pod's own containers never start."""
    for pod in unready(state):
        for number, status in enumerate(look(pod, "/status/initContainerStatuses", [])):
            ended = look(status, "/lastState/terminated") or look(status, "/state/terminated") or {}
            if ended.get("exitCode"):
                owner = state.owner(pod)
                yield Problem(
                    owner,
                    "init_container_fails",
                    "change",
                    f"init container {status.get('name')} of {owner.name} ends with code {ended['exitCode']}",
                    ((ref_of(pod), f"/status/initContainerStatuses/{number}"),),
                    since=moment(ended.get("finishedAt")),
                    effect=True,
                )


def waiting(state: State, reasons: tuple[str, ...]) -> Iterator[tuple[Json, int, str, Json]]:
    """Yield the containers that wait for one of some reasons: the pod, the number, the list and the status."""
    for pod in state.of("Pod"):
        for part in ("initContainerStatuses", "containerStatuses"):
            for number, status in enumerate(look(pod, f"/status/{part}", [])):
                if look(status, "/state/waiting/reason") in reasons:
                    yield pod, number, part, status


def unready(state: State) -> list[Json]:
    """Return the pods that have a node, are not over, and of which some container is not ready."""
    return [
        pod
        for pod in state.of("Pod")
        if look(pod, "/spec/nodeName")
        and look(pod, "/status/phase") in ("Pending", "Running")
        and not all(status.get("ready") for status in look(pod, "/status/containerStatuses", [{}]))
    ]


def _has_pull_secret(state: State, pod: Json) -> bool:
    """Whether a pod, or the account that it runs as, has secrets for registries."""
    account = state.get("ServiceAccount", ref_of(pod).namespace, look(pod, "/spec/serviceAccountName", "default"))
    return bool(look(pod, "/spec/imagePullSecrets", []) or (account or {}).get("imagePullSecrets"))


def _missing_pull_secrets(state: State, pod: Json) -> list[str]:
    names = [secret.get("name", "") for secret in look(pod, "/spec/imagePullSecrets", [])]
    return [name for name in names if state.lacks("Secret", ref_of(pod).namespace, name)]


def _mounted(pod: Json) -> Iterator[tuple[str, str, str]]:
    """Yield each Secret and ConfigMap that a pod cannot do without: kind, name and the field that names it."""
    for number, volume in enumerate(look(pod, "/spec/volumes", [])):
        yield from _needed(volume, _VOLUMES, f"/spec/volumes/{number}")
    for number, container in enumerate(look(pod, "/spec/containers", [])):
        for place, variable in enumerate(container.get("env") or []):
            where = f"/spec/containers/{number}/env/{place}/valueFrom"
            yield from _needed(variable.get("valueFrom") or {}, _VARIABLES, where)
        for place, every in enumerate(container.get("envFrom") or []):
            yield from _needed(every, _SOURCES, f"/spec/containers/{number}/envFrom/{place}")


def _needed(part: Json, sources: _Sources, where: str) -> Iterator[tuple[str, str, str]]:
    for source, (kind, key) in sources.items():
        found = part.get(source)
        if found and not found.get("optional") and found.get(key):
            yield kind, found[key], f"{where}/{source}/{key}"


def _messages(state: State, pod: Json, status: Json, reasons: tuple[str, ...]) -> str:
    """What was told of a container's start, in small letters: its own status and the latest events of some reasons."""
    events = [event for event in state.events_about(ref_of(pod)) if event.get("reason") in reasons]
    told = [look(status, "/state/waiting/message", ""), *(event.get("message", "") for event in events)]
    return "\n".join(map(str, told)).lower()


def _failures(state: State, pod: Json) -> list[Json]:
    events = [event for event in state.events_about(ref_of(pod)) if event.get("type") == "Warning"]
    return sorted(events, key=lambda event: str(last_seen(event) or first_seen(event) or ""))


def _has(text: str, parts: tuple[str, ...]) -> bool:
    return any(part in text.lower() for part in parts)


CHECKS = (image_not_pulled, configuration_missing, container_not_made, volume_not_mounted, init_container_fails)
