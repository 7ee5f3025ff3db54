"""Why no node takes a pod, and why no volume fits a claim."""

from typing import Any

import pytest
from tests.servers.cluster.objects import container, deployment, node, pod, state, thing, told, waiting_pod

from midwatch_cluster.checks import scheduling, storage

TAINT = {"key": "dedicated", "value": "batch", "effect": "NoSchedule"}
HOST = "kubernetes.io/hostname"


def rule(kind: str, **term: Any) -> dict[str, Any]:
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": term["terms"]}}


def asking(**requests: str) -> list[dict[str, Any]]:
    return [container(resources={"requests": requests})]


AFFINE = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}]}
APART = [{"labelSelector": {"matchLabels": {"app": "bot"}}, "topologyKey": HOST}]


@pytest.mark.parametrize(
    ("spec", "nodes", "about", "reason"),
    [
        ({"nodeSelector": {"disk": "ssd"}}, [node()], "Deployment shop/bot", "node_selector_unmatched"),
        ({"affinity": rule("nodeAffinity", terms=AFFINE)}, [node()], "Deployment shop/bot", "node_affinity_unmatched"),
        ({}, [node(taints=[TAINT])], "Deployment shop/bot", "taint_not_tolerated"),
        ({}, [node(unschedulable=True)], "Node node-1", "node_cordoned"),
        ({}, [node(conditions=[{"type": "Ready", "status": "Unknown"}])], "Node node-1", "node_not_ready"),
        ({"containers": asking(cpu="5")}, [node()], "Deployment shop/bot", "cpu_request_too_large"),
        ({"containers": asking(memory="9Gi")}, [node()], "Deployment shop/bot", "memory_request_too_large"),
    ],
)
def test_what_stands_against_every_node_is_told(
    spec: dict[str, Any], nodes: list[Any], about: str, reason: str
) -> None:
    problems = scheduling.no_node_takes_it(state(deployment("bot"), waiting_pod("bot", **spec), nodes))
    assert told(problems) == [(about, reason)]


def test_pods_that_must_be_apart_need_a_node_each() -> None:
    waits = waiting_pod("bot", affinity=rule("podAntiAffinity", terms=APART))
    waits["metadata"]["name"] = "bot-7d-y"
    reasons = told(scheduling.no_node_takes_it(state(deployment("bot", replicas=2), pod("bot"), waits, node())))
    assert reasons == [("Deployment shop/bot", "pod_anti_affinity_conflict")]


def test_what_is_requested_already_is_no_longer_left() -> None:
    taken = pod("forge", containers=asking(cpu="3"))
    waits = waiting_pod("bot", containers=asking(cpu="2"))
    assert told(scheduling.no_node_takes_it(state(deployment("bot"), taken, waits, node()))) == [
        ("Deployment shop/bot", "cpu_request_too_large")
    ]


def test_the_fewest_reasons_are_told_and_not_all_that_stand_against_some_node() -> None:
    waits = waiting_pod("bot", nodeSelector={"disk": "ssd"})
    nodes = [node("node-1", taints=[TAINT]), node("node-2", labels={"disk": "ssd"}, unschedulable=True)]
    assert told(scheduling.no_node_takes_it(state(deployment("bot"), waits, nodes))) == [
        ("Node node-2", "node_cordoned")
    ]


def test_nodes_of_the_control_plane_are_not_for_workloads() -> None:
    plane = node("plane", labels={"node-role.kubernetes.io/control-plane": ""}, unschedulable=True)
    waits = waiting_pod("bot", containers=asking(cpu="5"))
    assert told(scheduling.no_node_takes_it(state(deployment("bot"), waits, plane, node()))) == [
        ("Deployment shop/bot", "cpu_request_too_large")
    ]


def test_a_toleration_a_label_or_room_is_all_that_it_takes() -> None:
    tolerant = {"tolerations": [{"key": "dedicated", "operator": "Exists"}], "nodeSelector": {"disk": "ssd"}}
    waits = waiting_pod("bot", **tolerant, containers=asking(cpu="4"))
    assert not list(scheduling.no_node_takes_it(state(waits, node(taints=[TAINT], labels={"disk": "ssd"}))))


def claim(**spec: Any) -> list[Any]:
    asked = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "slow",
    }
    mounts = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    return [
        thing("PersistentVolumeClaim", "data", spec=asked | spec, status={"phase": "Pending"}),
        thing("StorageClass", "slow", "", provisioner="kubernetes.io/no-provisioner"),
        waiting_pod("bot", volumes=mounts),
        *deployment("bot"),
    ]


def volume(phase: str = "Available", labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    offered = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "storageClassName": "slow"}
    metadata = {"labels": labels or {}}
    return thing("PersistentVolume", "disk-1", "", metadata=metadata, spec=offered | spec, status={"phase": phase})


OTHERS = {"namespace": "shop", "name": "other"}


@pytest.mark.parametrize(
    ("asked", "offered", "reason"),
    [
        ({"resources": {"requests": {"storage": "2Gi"}}}, volume(), "volume_too_small"),
        ({"accessModes": ["ReadWriteMany"]}, volume(), "volume_access_mode_unmatched"),
        ({"selector": {"matchLabels": {"tier": "gold"}}}, volume(), "volume_selector_unmatched"),
        ({}, volume(storageClassName="fast"), "volume_class_unmatched"),
        ({}, volume("Bound", claimRef=OTHERS), "volume_bound_to_another"),
        ({}, volume("Released", claimRef=OTHERS), "volume_released"),
        ({"volumeMode": "Block"}, volume(), "volume_mode_unmatched"),
    ],
)
def test_what_stands_against_the_nearest_volume_is_told(
    asked: dict[str, Any], offered: dict[str, Any], reason: str
) -> None:
    problems = list(storage.no_volume_fits(state(claim(**asked), offered)))
    assert told(problems) == [("PersistentVolumeClaim shop/data", reason)]
    assert str(problems[0].victim) == "Deployment shop/bot"


def test_a_volume_that_fits_is_waited_for_without_a_word() -> None:
    assert not list(storage.no_volume_fits(state(claim(), volume())))


def test_a_class_that_does_not_exist_makes_no_volume() -> None:
    problems = storage.storage_class_missing(state(claim(storageClassName="gold")))
    assert told(problems) == [("PersistentVolumeClaim shop/data", "storage_class_missing")]


def test_a_claim_that_a_quota_may_have_refused_is_the_quotas() -> None:
    _, *rest = claim()
    missing = [each for each in rest if each["kind"] != "PersistentVolumeClaim"]
    quota = thing("ResourceQuota", "disks", spec={"hard": {"requests.storage": "1Gi"}})
    assert told(storage.claim_missing(state(missing))) == [("Deployment shop/bot", "volume_claim_missing")]
    assert told(storage.claim_missing(state(missing, quota))) == [
        ("ResourceQuota shop/disks", "quota_of_storage_exceeded")
    ]
