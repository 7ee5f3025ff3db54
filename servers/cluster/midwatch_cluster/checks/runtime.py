"""Run time: containers that start and then end, are killed, or are not let near their customers by a probe."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from midwatch_cluster.checks.problem import Problem, earliest, said
from midwatch_cluster.state import Json, Ref, State, last_seen, look, moment, ref_of

RECENT = timedelta(minutes=10)
"""How long after its last restart, or its last failed probe, a container still counts as unwell."""
_HANDLERS = ("httpGet", "tcpSocket", "grpc", "exec")
_OTHER_TONGUE = (
    "malformed http response",
    "http/1.x transport connection broken",
    "server gave http response to https client",
    "first record does not look like a tls handshake",
    "http: server closed idle connection",
    "error reading server preface",
    "unimplemented",
)
_ISTIO = {15000, 15001, 15004, 15006, 15008, 15020, 15021, 15053, 15090}
_LATE = ("context deadline exceeded", "timeout", "timed out", "connection refused")


def memory_exhausted(state: State) -> Iterator[Problem]:
    """A container was killed lately because it used more memory than its limit allows."""
    for pod, number, status in containers(state):
        ended = _ended(status, state.at)
        if ended and ended.get("reason") == "OOMKilled":
            limit = look(pod, f"/spec/containers/{number}/resources/limits/memory")
            field = (f"/spec/containers/{number}/resources/limits/memory",) if limit else ()
            yield _problem(
                state,
                pod,
                "memory_exhausted",
                "resource",
                f"was killed for using more memory than its limit{f' of {limit}' if limit else ''}",
                (f"/status/containerStatuses/{number}", *field),
                moment(ended.get("finishedAt")),
            )


def memory_limit_too_small(state: State) -> Iterator[Problem]:
    """A container's limit is too small even to start it: its init process is killed for memory."""
    for pod in state.of("Pod"):
        events = [e for e in state.events_about(ref_of(pod)) if "OOM-killed" in str(e.get("message", ""))]
        if events and not _all_ready(pod):
            owner = state.owner(pod)
            yield Problem(
                owner,
                "memory_exhausted",
                "resource",
                f"{ref_of(pod).name} cannot start within its memory limit",
                ((ref_of(pod), "/spec/containers/0/resources"), said(events[-1])),
                since=earliest(events),
            )


def host_path_not_writable(state: State) -> Iterator[Problem]:
    """A container that is not root crashes, and mounts a directory of its node, whose owner fsGroup does not change."""
    for pod, number, status in containers(state):
        ended = _ended(status, state.at)
        user = look(
            pod, f"/spec/containers/{number}/securityContext/runAsUser", look(pod, "/spec/securityContext/runAsUser")
        )
        mounted = {mount.get("name") for mount in look(pod, f"/spec/containers/{number}/volumeMounts", [])}
        for place, volume in enumerate(look(pod, "/spec/volumes", [])):
            if ended and ended.get("exitCode") == 1 and user and "hostPath" in volume and volume.get("name") in mounted:
                yield _problem(
                    state,
                    pod,
                    "volume_mount_denied",
                    "access",
                    f"crashes as user {user}, and mounts {volume['hostPath'].get('path')} of its node",
                    (f"/spec/volumes/{place}/hostPath", f"/status/containerStatuses/{number}"),
                    moment(ended.get("finishedAt")),
                )


def crashes(state: State) -> Iterator[Problem]:
    """A container ends with an error again and again, and neither memory nor a probe is why."""
    for pod, number, status in containers(state):
        ended = _ended(status, state.at) or {}
        code, why, times = ended.get("exitCode"), ended.get("reason", "Error"), status.get("restartCount", 0)
        if not code or why == "OOMKilled" or _killed_by_probe(state, pod):
            continue
        owner = state.owner(pod)
        yield Problem(
            owner,
            "container_crashes",
            "state",
            f"{ref_of(pod).name} ends with code {code} ({why}) and was restarted {times} times",
            ((ref_of(pod), f"/status/containerStatuses/{number}"),),
            since=moment(ended.get("finishedAt")),
            certain=not status.get("ready"),
            effect=True,
        )


def probe_fails(state: State) -> Iterator[Problem]:
    """A liveness or readiness probe fails now: it asks the wrong port, in the wrong way, too early, or rightly."""
    for pod, number, status in containers(state):
        for kind in ("liveness", "readiness", "startup"):
            probe = look(pod, f"/spec/containers/{number}/{kind}Probe")
            events = _failed(state, pod, status.get("name", ""), kind)
            if probe is None or not events or _is_well(kind, status, state.at):
                continue
            fault = _fault(pod["spec"]["containers"][number], kind, str(events[-1].get("message", "")))
            owner = state.owner(pod)
            yield Problem(
                owner,
                f"{kind}_probe_{fault.name}",
                "change" if fault.of_the_probe else "state",
                f"the {kind} probe of {owner.name} fails: {fault.says}",
                ((ref_of(pod), f"/spec/containers/{number}/{kind}Probe"), said(events[-1])),
                since=earliest(events),
                effect=not fault.of_the_probe,
            )


def ports_collide(state: State) -> Iterator[Problem]:
    """Two containers of a pod are to listen on the same port, and one of them does not come to run."""
    for pod, number, _ in containers(state):
        ports = _ports(look(pod, f"/spec/containers/{number}", {}))
        if (
            (taken := ports & _sidecar_ports(pod))
            and not _all_ready(pod)
            and not _is_sidecar(pod["spec"]["containers"][number])
        ):
            says = f"is to listen on port {min(taken)}, on which its sidecar listens"
            since = moment(look(pod, "/metadata/creationTimestamp"))
            where = (f"/spec/containers/{number}/ports", "/metadata/annotations")
            yield _problem(state, pod, "ports_collide", "change", says, where, since)
        for other, container in enumerate(look(pod, "/spec/containers", [])):
            both = ports & _ports(container)
            if other > number and both and not _all_ready(pod):
                yield _problem(
                    state,
                    pod,
                    "ports_collide",
                    "change",
                    f"has two containers that are to listen on port {min(both)}",
                    (f"/spec/containers/{number}/ports", f"/spec/containers/{other}/ports"),
                    moment(look(pod, "/metadata/creationTimestamp")),
                )


def evicted(state: State) -> Iterator[Problem]:
    """A pod was evicted lately: its node ran short of something."""
    for pod in state.of("Pod"):
        if look(pod, "/status/reason") == "Evicted" and _recent(
            moment(look(pod, "/metadata/creationTimestamp")), state.at
        ):
            fields = ("/status/reason", "/status/message") if look(pod, "/status/message") else ("/status/reason",)
            yield _problem(
                state, pod, "evicted", "resource", f"was evicted: {look(pod, '/status/message', '')}", fields, None
            )


def containers(state: State) -> Iterator[tuple[Json, int, Json]]:
    """Yield each container of the pods that are not over: the pod, the container's number and its status."""
    for pod in state.of("Pod"):
        if look(pod, "/status/phase") in ("Succeeded", "Failed"):
            continue
        numbers = {container.get("name"): number for number, container in enumerate(look(pod, "/spec/containers", []))}
        for status in look(pod, "/status/containerStatuses", []):
            if status.get("name") in numbers:
                yield pod, numbers[status["name"]], status


@dataclass(frozen=True, slots=True)
class _Fault:
    """What is wrong with a probe that fails; `of_the_probe` tells whether with itself, or with what it asks."""

    name: str
    says: str
    of_the_probe: bool = True


def _fault(container: Json, kind: str, message: str) -> _Fault:
    probe, told = container[f"{kind}Probe"], message.lower()
    sibling = container.get("readinessProbe" if kind != "readiness" else "livenessProbe")
    handler, port = _asks(probe, container)
    declared = _ports(container) | (_ISTIO if _is_sidecar(container) else set())
    answered = "statuscode" in told
    if port is not None and declared and port not in declared and not answered:
        return _Fault("asks_wrong_port", f"it asks port {port}, and the container listens on {_list(declared)}")
    if any(text in told for text in _OTHER_TONGUE) or (sibling and _differ(handler, port, _asks(sibling, container))):
        return _Fault("asks_in_wrong_protocol", f"it asks by {handler}, which port {port} does not speak")
    patience = _patience(probe)
    if kind != "readiness" and any(text in told for text in _LATE) and patience < _patience(sibling or {}):
        return _Fault("is_impatient", f"it gives the container {patience:g} s to answer")
    return _Fault("fails", message, of_the_probe=False)


def _differ(handler: str, port: int | None, other: tuple[str, int | None]) -> bool:
    """Whether two probes ask the same port in different ways, of which a plain connection is compatible with all."""
    return port == other[1] and handler != other[0] and "tcpSocket" not in (handler, other[0]) and "exec" not in other


def _asks(probe: Json, container: Json) -> tuple[str, int | None]:
    handler = next((name for name in _HANDLERS if probe.get(name) is not None), "")
    port = (probe.get(handler) or {}).get("port") if handler and handler != "exec" else None
    if isinstance(port, str) and not port.isdecimal():
        named = {each.get("name"): each.get("containerPort") for each in container.get("ports") or []}
        port = named.get(port)
    return handler, int(port) if port is not None else None


def _patience(probe: Json) -> float:
    """How many seconds a probe gives a container before it counts as failed, with the API's own defaults."""
    looks = probe.get("failureThreshold", 3) - 1
    delay, period = probe.get("initialDelaySeconds", 0), probe.get("periodSeconds", 10)
    return float(delay + looks * period + probe.get("timeoutSeconds", 1))


def _is_well(kind: str, status: Json, at: datetime) -> bool:
    """Whether a container got over its failed probes: ready again, and not restarted lately for its liveness."""
    if kind == "readiness":
        return bool(status.get("ready"))
    return bool(status.get("ready")) and _ended(status, at) is None


def _ended(status: Json, at: datetime) -> dict[str, Any] | None:
    """How a container last ended, if it is down now or ended lately."""
    ended: dict[str, Any] | None = look(status, "/state/terminated") or look(status, "/lastState/terminated")
    if not ended:
        return None
    down = look(status, "/state/running") is None
    return ended if down or _recent(moment(ended.get("finishedAt")), at) else None


def _killed_by_probe(state: State, pod: Json) -> bool:
    return bool(_failed(state, pod, "", "liveness") or _failed(state, pod, "", "startup"))


def _failed(state: State, pod: Json, container: str, kind: str) -> list[Json]:
    """The recent events of a probe's failure, for one container, or all of them."""
    found = [
        event
        for event in state.events_about(ref_of(pod))
        if str(event.get("message", "")).startswith(f"{kind.capitalize()} probe ")
        and _recent(last_seen(event), state.at)
    ]
    own = [event for event in found if f"{{{container}}}" in str(look(event, "/involvedObject/fieldPath", ""))]
    return own or found


def _recent(then: datetime | None, at: datetime) -> bool:
    return then is not None and at - then <= RECENT


def _ports(container: Json) -> set[int]:
    return {int(port["containerPort"]) for port in container.get("ports") or [] if port.get("containerPort")}


def _sidecar_ports(pod: Json) -> set[int]:
    """The ports that an Istio sidecar takes in a pod; statusPort may be set in its proxy's configuration.

    https://istio.io/latest/docs/ops/deployment/application-requirements/#ports-used-by-istio
    """
    annotations = look(pod, "/metadata/annotations", {})
    if "sidecar.istio.io/status" not in annotations:
        return set()
    told = re.search(r"statusPort\W+(\d+)", str(annotations.get("proxy.istio.io/config", "")))
    return _ISTIO | ({int(told[1])} if told else set())


def _is_sidecar(container: Json) -> bool:
    return bool(container.get("name") == "istio-proxy")


def _all_ready(pod: Json) -> bool:
    return all(status.get("ready") for status in look(pod, "/status/containerStatuses", [{}]))


def _list(ports: set[int]) -> str:
    return ", ".join(map(str, sorted(ports)))


def _problem(
    state: State, pod: Json, reason: str, cause: str, says: str, pointers: tuple[str, ...], since: datetime | None
) -> Problem:
    owner: Ref = state.owner(pod)
    fields = tuple((ref_of(pod), pointer) for pointer in pointers)
    return Problem(owner, reason, cause, f"{ref_of(pod).name} {says}", fields, since=since)


CHECKS = (
    memory_exhausted,
    memory_limit_too_small,
    host_path_not_writable,
    crashes,
    probe_fails,
    ports_collide,
    evicted,
)
