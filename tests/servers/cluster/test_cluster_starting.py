"""Containers that never come to run, that end, and that their probes keep from their customers."""

from typing import Any

import pytest
from tests.servers.cluster.objects import (
    ago,
    container,
    deployment,
    event,
    pod,
    starting_pod,
    state,
    statuses,
    thing,
    told,
)

from midwatch_cluster.checks import runtime, startup

BOT = "Deployment shop/bot"
PULLING = 'failed to pull and unpack image "registry.example/x:1": '


@pytest.mark.parametrize(
    ("message", "spec", "reason"),
    [
        ("registry.example/x:1: not found", {}, "image_not_found"),
        ("manifest unknown", {}, "image_not_found"),
        ("dial tcp: lookup registry.example: no such host", {}, "image_registry_unreachable"),
        ("dial tcp 10.0.0.1:443: i/o timeout", {}, "image_registry_unreachable"),
        ("failed to authorize: 403 Forbidden", {}, "image_pull_secret_missing"),
        ("401 Unauthorized", {"imagePullSecrets": [{"name": "here"}]}, "image_pull_denied"),
        ("401 Unauthorized", {"imagePullSecrets": [{"name": "gone"}]}, "image_pull_secret_missing"),
    ],
)
def test_why_an_image_is_not_pulled(message: str, spec: dict[str, Any], reason: str) -> None:
    waits = starting_pod("bot", "ImagePullBackOff", **spec)
    failed = event(waits, "Failed", PULLING + message)
    problems = startup.image_not_pulled(state(deployment("bot"), waits, failed, thing("Secret", "here")))
    assert told(problems) == [(BOT, reason)]


FROM_MAP = {"configMapKeyRef": {"name": "conf", "key": "level"}}


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"volumes": [{"name": "keys", "secret": {"secretName": "keys"}}]}, "secret_missing"),
        ({"volumes": [{"name": "conf", "configMap": {"name": "conf"}}]}, "config_map_missing"),
        ({"containers": [container(envFrom=[{"secretRef": {"name": "keys"}}])]}, "secret_missing"),
        (
            {
                "containers": [
                    container(env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}])
                ]
            },
            "config_map_missing",
        ),
    ],
)
def test_what_a_pod_cannot_do_without_must_be_there(spec: dict[str, Any], reason: str) -> None:
    waits = starting_pod("bot", "CreateContainerConfigError", **spec)
    assert told(startup.configuration_missing(state(deployment("bot"), waits))) == [(BOT, reason)]
    assert not list(startup.configuration_missing(state(waits, unread=("Secret", "ConfigMap"))))


def test_what_is_optional_may_be_missing() -> None:
    waits = starting_pod("bot", "ContainerCreating", volumes=[{"secret": {"secretName": "keys", "optional": True}}])
    assert not list(startup.configuration_missing(state(waits)))


def ended(reason: str, code: int, seconds_ago: float, *, running: bool = False) -> dict[str, Any]:
    last = {"terminated": {"reason": reason, "exitCode": code, "finishedAt": ago(seconds_ago)}}
    now = {"running": {}} if running else {"waiting": {"reason": "CrashLoopBackOff"}}
    return {"ready": running, "restartCount": 4, "state": now, "lastState": last}


def test_a_container_that_is_killed_for_memory_needs_a_higher_limit_or_a_fix() -> None:
    limited = [container(resources={"limits": {"memory": "64Mi"}})]
    killed = pod("bot", status=statuses("Running", ended("OOMKilled", 137, 30)), containers=limited)
    found = state(deployment("bot"), killed)
    assert told(runtime.memory_exhausted(found)) == [(BOT, "memory_exhausted")]
    assert not list(runtime.crashes(found))


def test_a_restart_long_ago_says_nothing() -> None:
    well = pod("bot", status=statuses("Running", ended("OOMKilled", 137, 86_400, running=True)))
    assert not [problem for look in runtime.CHECKS for problem in look(state(deployment("bot"), well))]


def test_a_container_that_ends_with_an_error_again_and_again_crashes() -> None:
    down = pod("bot", status=statuses("Running", ended("Error", 1, 30)))
    assert told(runtime.crashes(state(deployment("bot"), down))) == [(BOT, "container_crashes")]


def probed(kind: str, message: str, *, ready: bool = False, **probes: Any) -> list[Any]:
    spec = container(port=8080, **{f"{name}Probe": probe for name, probe in probes.items()})
    state_ = {"ready": ready, "state": {"running": {}}}
    unwell = pod("bot", status=statuses("Running", state_), containers=[spec])
    return [*deployment("bot"), unwell, event(unwell, "Unhealthy", f"{kind.capitalize()} probe failed: {message}")]


HTTP, OTHER = {"httpGet": {"port": 8080}}, {"httpGet": {"port": 9090}}
GRPC = {"grpc": {"port": 8080}}
HASTY = {"grpc": {"port": 8080}, "periodSeconds": 1, "failureThreshold": 1}


@pytest.mark.parametrize(
    ("kind", "message", "probes", "reason"),
    [
        ("liveness", "connection refused", {"liveness": OTHER, "readiness": HTTP}, "liveness_probe_asks_wrong_port"),
        ("readiness", "connection refused", {"readiness": OTHER}, "readiness_probe_asks_wrong_port"),
        ("liveness", "EOF", {"liveness": HTTP, "readiness": GRPC}, "liveness_probe_asks_in_wrong_protocol"),
        ("readiness", "malformed HTTP response", {"readiness": HTTP}, "readiness_probe_asks_in_wrong_protocol"),
        ("liveness", "connection refused", {"liveness": HASTY, "readiness": GRPC}, "liveness_probe_is_impatient"),
        ("readiness", "HTTP probe failed with statuscode: 500", {"readiness": HTTP}, "readiness_probe_fails"),
    ],
)
def test_a_probe_that_fails_is_wrong_itself_or_says_that_the_container_is(
    kind: str, message: str, probes: dict[str, Any], reason: str
) -> None:
    assert told(runtime.probe_fails(state(probed(kind, message, **probes)))) == [(BOT, reason)]


def test_a_probe_that_failed_while_the_container_started_says_nothing_once_it_is_ready() -> None:
    assert not list(runtime.probe_fails(state(probed("readiness", "connection refused", ready=True, readiness=HTTP))))


def test_two_containers_of_a_pod_cannot_share_a_port() -> None:
    both = [container("main"), container("side", 8080)]
    spec = statuses("Running", {"ready": False, "state": {"waiting": {"reason": "CrashLoopBackOff"}}})
    clash = pod("bot", status=spec, containers=both)
    assert told(runtime.ports_collide(state(deployment("bot"), clash))) == [(BOT, "ports_collide")]
    apart = pod("bot", status=spec, containers=[container("main"), container("side", 8081)])
    assert not list(runtime.ports_collide(state(deployment("bot"), apart)))


def test_a_container_cannot_listen_where_its_sidecar_does() -> None:
    spec = statuses("Running", {"ready": False, "state": {"waiting": {"reason": "CrashLoopBackOff"}}})
    clash = pod("bot", status=spec, containers=[container("main", 15020), container("istio-proxy", 15090)])
    assert not list(runtime.ports_collide(state(clash)))
    clash["metadata"]["annotations"] = {"sidecar.istio.io/status": "{}"}
    assert told(runtime.ports_collide(state(deployment("bot"), clash))) == [(BOT, "ports_collide")]
