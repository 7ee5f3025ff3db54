"""Changes in a Kubernetes cluster: rollouts and roll-backs, configuration, events, and what may not be read."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from mcp import Client
from tests.backends.deploys.asking import observed, refusal, rows, told
from tests.backends.deploys.worlds import AT, IN_WINDOW
from tests.backends.fakes.kubernetes import Kubernetes, at, kubeconfig, owner, template, written
from tests.backends.serving import Trouble, served

Connect = Callable[..., AbstractAsyncContextManager[Client]]
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
V1, V2 = template("registry.example/forge:9a8b7c6"), template("registry.example/forge:3f2c1ab")
RBAC = Path(__file__).parents[3] / "docs" / "deploys-rbac.yaml"


@pytest.fixture
def cluster() -> Kubernetes:
    return Kubernetes()


@pytest.fixture
def reached(cluster: Kubernetes, tmp_path: Path) -> Iterator[tuple[dict[str, Any], Trouble]]:
    """The settings of a server that reads the cluster, and the trouble before it."""
    with served(cluster) as (url, trouble):
        yield {"kubernetes_namespaces": ["shop"], "kubeconfig": kubeconfig(tmp_path, url)}, trouble


@pytest.fixture
def settings(reached: tuple[dict[str, Any], Trouble]) -> dict[str, Any]:
    return reached[0]


async def test_a_rollout_tells_its_images_its_cause_and_what_differs_but_no_value(
    cluster: Kubernetes, settings: dict[str, Any], deploys: Connect
) -> None:
    before = template("registry.example/forge:9a8b7c6", {"MODEL": "small-model", "OLD": "1"})
    after = template("registry.example/forge:3f2c1ab", {"MODEL": "large-model"}, serviceAccountName="forge")
    cluster.deployment("forge", (1, AT - DAY, before), (2, AT, after))
    cluster.last("ReplicaSet")["metadata"]["annotations"]["kubernetes.io/change-cause"] = "Carry the finish through"
    async with deploys(**settings) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW, entities=["forge"])
        (whole,) = await rows(client, "get_change", change_id=row["change_id"])
    assert (row["title"], row["version"], row["previous_version"]) == ("Carry the finish through", "3f2c1ab", "9a8b7c6")
    assert (row["outcome"], row["ended"]) == ("succeeded", "2026-11-20T02:40:30Z")
    assert whole["diff"].splitlines() == [
        "serviceAccountName: forge",
        "main: image: registry.example/forge:9a8b7c6 -> registry.example/forge:3f2c1ab",
        "main: environment MODEL: (hidden) -> (hidden), another value",
        "main: - environment OLD",
    ]
    assert "large-model" not in str(whole)


async def test_a_rollout_that_does_not_get_on_is_failed_and_one_under_way_is_running(
    cluster: Kubernetes, settings: dict[str, Any], deploys: Connect
) -> None:
    stuck = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}
    times = {"lastUpdateTime": at(AT + 10 * MINUTE), "lastTransitionTime": at(AT + 10 * MINUTE)}
    cluster.deployment("forge", (1, AT - DAY, V1), (2, AT, V2), conditions=[{**stuck, **times}])
    moving = {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", **times}
    cluster.deployment("bot", (1, AT - DAY, V1), (2, AT, V2), updatedReplicas=0, conditions=[moving])
    async with deploys(**settings) as client:
        seen = {row["service"]: row for row in await rows(client, "survey_changes", **IN_WINDOW)}
    assert (seen["forge"]["outcome"], seen["forge"]["ended"]) == ("failed", "2026-11-20T02:50:00Z")
    assert seen["forge"]["attributes"]["reason"] == "ProgressDeadlineExceeded: timed out"
    assert (seen["bot"]["outcome"], seen["bot"]["ended"]) == ("running", None)


async def test_a_roll_back_is_a_change_at_the_time_it_was_made_and_marks_the_version_as_bad(
    cluster: Kubernetes, settings: dict[str, Any], deploys: Connect
) -> None:
    deployment = cluster.deployment("forge", (3, AT - DAY, V1), (2, AT, V2))
    back = cluster.things[-2]
    back["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] = "1"
    fields: dict[str, Any] = {"f:spec": {"f:template": {}}}
    deployment["metadata"]["managedFields"] = [written("kubectl-rollout", AT + 5 * MINUTE, fields)]
    deployment["status"]["conditions"][0]["lastUpdateTime"] = at(AT + 6 * MINUTE)
    async with deploys(**settings) as client:
        rolled_back, bad = await rows(client, "survey_changes", **IN_WINDOW)
        good = await told(client, "get_last_good_version", service="forge", before="2026-11-20T02:44:00Z")
        later = await told(client, "map_deployments", end="2026-11-20T03:00:00Z")
    assert (bad["at"], bad["version"], bad["previous_version"]) == ("2026-11-20T02:40:00Z", "3f2c1ab", "9a8b7c6")
    assert (rolled_back["at"], rolled_back["version"]) == ("2026-11-20T02:45:00Z", "9a8b7c6")
    assert rolled_back["attributes"]["rolls_back"] == "3f2c1ab"
    assert rolled_back["attributes"]["written_by"] == "kubectl-rollout"
    assert rolled_back["title"] == "Deployment shop/forge: roll-back of revision 2"
    assert good["lines"][0].startswith("last good: 9a8b7c6 since 2026-11-19T02:40:00Z")
    assert later["lines"][0].startswith("forge: version 9a8b7c6 since 2026-11-20T02:45:00Z")


async def test_a_restart_is_told_as_such(cluster: Kubernetes, settings: dict[str, Any], deploys: Connect) -> None:
    again = {**V1, "metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": at(AT)}}}
    cluster.deployment("forge", (1, AT - DAY, V1), (2, AT, again))
    async with deploys(**settings) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW)
    assert row["title"] == "Deployment shop/forge: restart"


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
async def test_rollouts_of_other_workloads_come_from_their_controller_revisions(
    kind: str, cluster: Kubernetes, settings: dict[str, Any], deploys: Connect
) -> None:
    spec = {"selector": {"matchLabels": {"app": "x"}}, "template": V2}
    named = {"serviceName": "queue", "replicas": 1} if kind == "StatefulSet" else {}
    counts = {"currentNumberScheduled": 1, "numberMisscheduled": 0, "desiredNumberScheduled": 1, "numberReady": 1}
    done = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1}
    status = done if kind == "StatefulSet" else {**counts, "updatedNumberScheduled": 1, "numberAvailable": 1}
    cluster.add(kind, "queue", AT - DAY, spec={**spec, **named}, status=status)
    for number, when, own in ((1, AT - DAY, V1), (2, AT, V2)):
        metadata = {"ownerReferences": [owner(kind, "queue")]}
        data = {"spec": {"template": own}}
        cluster.add("ControllerRevision", f"queue-{number}", when, metadata=metadata, revision=number, data=data)
    async with deploys(**settings) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW, entities=["queue"])
    assert (row["version"], row["previous_version"], row["outcome"]) == ("3f2c1ab", "9a8b7c6", "succeeded")
    assert row["change_id"] == f"kubernetes:shop/{kind}/queue@2"


async def test_a_write_of_configuration_is_told_for_each_service_that_uses_it_and_its_values_are_not_asked_for(
    cluster: Kubernetes, settings: dict[str, Any], deploys: Connect
) -> None:
    uses = template("forge:v1", envFrom=None) | {
        "spec": {
            "containers": [{"name": "main", "image": "forge:v1", "envFrom": [{"configMapRef": {"name": "limits"}}]}],
            "volumes": [{"name": "keys", "secret": {"secretName": "keys"}}],
        }
    }
    for name in ("forge", "bot"):
        cluster.deployment(name, (1, AT - DAY, uses))
    wrote = written("kubectl-edit", AT, {"f:data": {".": {}, "f:rate": {}, "f:burst": {}}})
    values = {"rate": "the-value-1", "burst": "2"}
    cluster.add("ConfigMap", "limits", AT - DAY, metadata={"managedFields": [wrote]}, data=values)
    keys = written("external-secrets", AT + MINUTE, {"f:data": {"f:api": {}}})
    cluster.add("Secret", "keys", AT - DAY, metadata={"managedFields": [keys]}, data={"api": "dGhlLXZhbHVl"})
    async with deploys(**settings, kubernetes_secrets=True) as client:
        seen = await rows(client, "survey_changes", **IN_WINDOW, entities=["forge"])
        everyone = await rows(client, "survey_changes", **IN_WINDOW)
        (whole,) = await rows(client, "get_change", change_id=seen[1]["change_id"])
    assert [(row["kind"], row["author"], row["title"]) for row in seen] == [
        ("config", "external-secrets", "Secret shop/keys written: keys api"),
        ("config", "kubectl-edit", "ConfigMap shop/limits written: keys rate, burst"),
    ]
    assert sorted(row["service"] for row in everyone) == ["bot", "bot", "forge", "forge"]
    assert "the-value-1" not in str(whole)
    asked = {path.rpartition("/")[2]: accept for path, accept in cluster.asked}
    assert "PartialObjectMetadataList" in asked["configmaps"]
    assert "PartialObjectMetadataList" in asked["secrets"]


async def test_secrets_are_not_listed_unless_the_settings_say_so(
    cluster: Kubernetes, settings: dict[str, Any], deploys: Connect
) -> None:
    async with deploys(**settings) as client:
        await told(client, "survey_changes", **IN_WINDOW)
        await told(client, "check_deploys")
    assert not [path for path, _ in cluster.asked if path.endswith("secrets")]


async def test_scaling_and_evictions_are_changes_and_what_a_rollout_scales_is_a_part_of_it(
    cluster: Kubernetes, settings: dict[str, Any], deploys: Connect
) -> None:
    cluster.deployment("forge", (1, AT - DAY, V1), (2, AT, V2))

    def happened(name: str, kind: str, about: str, reason: str, minutes: float, message: str) -> None:
        when = AT + minutes * MINUTE
        times: dict[str, Any] = {"firstTimestamp": at(when), "lastTimestamp": at(when + MINUTE), "count": 2}
        target = {"kind": kind, "name": about, "namespace": "shop"}
        said: dict[str, Any] = {"reason": reason, "message": message, "involvedObject": target, "type": "Normal"}
        cluster.add("Event", name, when, **said, **times, source={"component": "deployment-controller"})

    happened("e1", "Deployment", "forge", "ScalingReplicaSet", 0.1, "Scaled up replica set forge-2 to 1")
    happened("e2", "Deployment", "forge", "ScalingReplicaSet", 6, "Scaled down replica set forge-2 to 0 from 1")
    happened("e3", "Pod", "forge-2-abc", "Evicted", 7, "The node was low on resource: memory.")
    happened("e4", "Pod", "forge-2-abc", "Pulled", 8, "Pulled image")
    async with deploys(**settings) as client:
        seen = await rows(client, "survey_changes", **IN_WINDOW)
        pod = await observed(client, **IN_WINDOW, entities=["instance:forge-2-abc"])
    assert [(row["kind"], row["service"], row["instance"], row["title"][:11]) for row in seen] == [
        ("infrastructure", "", "forge-2-abc", "The node wa"),
        ("infrastructure", "forge", "", "Scaled down"),
        ("deploy", "forge", "", "Deployment "),
    ]
    assert seen[1]["attributes"]["times"] == "2"
    assert pod[0].attributes["title"] == "The node was low on resource: memory."


async def test_only_the_namespaces_of_the_settings_are_read(
    cluster: Kubernetes, settings: dict[str, Any], deploys: Connect
) -> None:
    cluster.deployment("forge", (1, AT, V1))
    for thing in cluster.things:
        thing["metadata"]["namespace"] = "other"
    async with deploys(**settings) as client:
        assert (await told(client, "survey_changes", **IN_WINDOW))["matched"] == 0
    async with deploys(**{**settings, "kubernetes_namespaces": ["*"]}) as client:
        assert (await told(client, "survey_changes", **IN_WINDOW))["matched"] == 1


async def test_a_list_that_expires_between_its_pages_is_read_again(
    cluster: Kubernetes, settings: dict[str, Any], deploys: Connect
) -> None:
    cluster.expired = 1
    for name in ("a", "b", "c"):
        cluster.add("ConfigMap", name, AT, metadata={"managedFields": [written("helm", AT, {})]})
    async with deploys(**settings) as client:
        seen = await rows(client, "survey_changes", **IN_WINDOW)
    assert sorted(row["service"] for row in seen) == ["a", "b", "c"]


async def test_what_may_not_be_listed_is_named_and_the_rest_is_told(
    cluster: Kubernetes, settings: dict[str, Any], deploys: Connect
) -> None:
    cluster.deployment("forge", (1, AT, V1))
    cluster.refuses = {"ConfigMap", "ControllerRevision"}
    async with deploys(**settings) as client:
        reply = await told(client, "survey_changes", **IN_WINDOW, entities=["forge", "nobody"])
        lines = (await told(client, "check_deploys"))["lines"]
    assert reply["caveats"] == [
        "ControllerRevision: the account may not list controllerrevisions.apps",
        "ConfigMap: the account may not list configmaps",
    ]
    assert len(reply["lines"]) == 1
    assert [line.partition(":")[0] for line in lines if line.startswith("FAIL")] == [
        "FAIL ControllerRevision",
        "FAIL ConfigMap",
    ]


@pytest.mark.parametrize(
    ("kind", "words_of_it"),
    [
        ("cut", "cannot be reached: "),
        ("500", "is answered with 500"),
        ("garbage", "is not answered as the Kubernetes API does"),
        ("stall", "no answer within 1 s|cannot be reached: "),
    ],
)
async def test_whatever_goes_wrong_before_the_api_is_an_error_in_words(
    kind: str, words_of_it: str, reached: tuple[dict[str, Any], Trouble], deploys: Connect
) -> None:
    settings, trouble = reached
    trouble.kind = kind
    async with deploys(**settings, backend_seconds=1 if kind == "stall" else 30) as client:
        code, words = await refusal(client, "survey_changes", **IN_WINDOW)
        lines = (await told(client, "check_deploys"))["lines"]
    assert code == "backend_down"
    assert re.search(words_of_it, words)
    assert lines[0].startswith("FAIL")


async def test_credentials_that_are_refused_are_told_without_them(
    cluster: Kubernetes, tmp_path: Path, deploys: Connect
) -> None:
    with served(cluster) as (url, _):
        config = kubeconfig(tmp_path, url, "another-token")
        async with deploys(kubernetes_namespaces=["shop"], kubeconfig=config) as client:
            code, words = await refusal(client, "survey_changes", **IN_WINDOW)
    assert (code, "does not accept the credentials" in words) == ("backend_down", True)
    assert "another-token" not in words


def test_the_role_in_the_documentation_allows_just_the_lists_that_are_asked() -> None:
    from midwatch_deploys.backends.kubernetes.client import PATHS  # noqa: PLC0415 - takes a second to import

    documents = [each for each in yaml.safe_load_all(RBAC.read_text()) if each["kind"] == "ClusterRole"]
    allowed = {
        (group, plural): rule["verbs"]
        for each in documents
        for rule in each["rules"]
        for group in rule["apiGroups"]
        for plural in rule["resources"]
    }
    wanted = {("apps" if "/apps/" in group else "", plural): ["list"] for group, plural in PATHS.values()}
    assert allowed == wanted
