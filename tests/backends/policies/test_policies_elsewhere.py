"""What the documentation lets the servers do outside of AWS: roles and tokens that fakes enforce as their vendors tell.

They are read out of the pages. With the whole of it nothing is refused; of what one lacks the check says what it is.
"""

import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from tests.backends.deploys.worlds import AT, DIFF, FILE, IN_WINDOW
from tests.backends.fakes.elasticsearch import FakeElasticsearch
from tests.backends.fakes.github import TOKEN, GitHub
from tests.backends.fakes.github import served as github_at
from tests.backends.fakes.kubernetes import Kubernetes, kubeconfig, template
from tests.backends.fakes.rbac import rules_in, without
from tests.backends.logs.conftest import ECS, ecs_document
from tests.backends.logs.story import HOUR, QUARTER, TRACE, tell
from tests.backends.policies.account import DOCS, shown_in
from tests.backends.serving import served

from midwatch_deploys.server import build as build_deploys
from midwatch_deploys.settings import DeploysSettings
from midwatch_logs.server import build as build_logs
from midwatch_logs.settings import LogSettings

[ROLE] = shown_in("logs.md", "indices")["indices"]
RBAC = DOCS / "deploys-rbac.yaml"
RESOURCES = [resource for rule in rules_in(RBAC) for resource in rule["resources"]]
PERMISSIONS = set(re.findall(r"(?m)^\| (\w[\w ]+: \w+) \|", (DOCS / "deploys.md").read_text(encoding="utf-8")))
SHA = "c3" * 20
Connect = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def deploys(tmp_path: Path) -> Connect:
    """Returns a maker of clients of a deploys server with some settings."""

    def connect(**settings: Any) -> Client:
        return Client(build_deploys(DeploysSettings(evidence_dir=tmp_path / "evidence", **settings)).build())

    return connect


@pytest.fixture
def logs(tmp_path: Path) -> Connect:
    """Returns a maker of clients of a logs server that asks Elasticsearch at an address with the key `k`."""

    def connect(url: str, **settings: Any) -> Client:
        at = {"elasticsearch_url": url, "elasticsearch_api_key": "k", "evidence_dir": tmp_path / "evidence"}
        return Client(build_logs(LogSettings.model_validate({**at, **settings})).build())

    return connect


def elasticsearch(*privileges: str) -> FakeElasticsearch:
    documents = [ecs_document(line) for line in tell()[:50]]
    return FakeElasticsearch({"logs-app-prod": documents}, ECS, granted={"ApiKey k": set(privileges)})


async def said(client: Client, tool: str, **arguments: Any) -> str:
    """The lines and the hints of a reply, or the error."""
    reply = await client.call_tool(tool, arguments)
    caveats = (reply.structured_content or {}).get("caveats") or []
    return "\n".join([reply.content[0].text, *map(str, caveats)])  # type: ignore[union-attr]


async def test_with_the_role_for_elasticsearch_nothing_is_refused(logs: Connect) -> None:
    fake = elasticsearch(*ROLE["privileges"])
    with served(fake.app) as (url, _):
        async with logs(url) as client:
            told = [
                await said(client, "list_log_sources", **HOUR),
                await said(client, "survey_logs", **QUARTER),
                await said(client, "search_logs", **HOUR, text="part"),
                await said(client, "get_trace_logs", **HOUR, trace_id=TRACE),
                await said(client, "query_logs", **HOUR, query="FROM logs-* | LIMIT 2"),
                await said(client, "check_logs"),
            ]
    assert "refuses" not in "\n".join(told)
    assert {each.endpoint for each in fake.exchanges if each.status in {401, 403}} <= {"info"}
    assert LogSettings.model_fields["elasticsearch_index"].default == ROLE["names"]


@pytest.mark.parametrize(
    ("privilege", "lost"),
    [("read", "refuses these credentials (HTTP 403)"), ("view_index_metadata", "set MIDWATCH_ELASTICSEARCH_INDEX")],
)
async def test_without_a_privilege_of_the_role_the_check_names_it(logs: Connect, privilege: str, lost: str) -> None:
    with served(elasticsearch(*set(ROLE["privileges"]) - {privilege}).app) as (url, _):
        async with logs(url) as client:
            checked = await said(client, "check_logs")
        async with logs(url, elasticsearch_index=["logs-*" if privilege == "read" else "logs-ap-prod"]) as client:
            searched = await said(client, "search_logs", **HOUR)
    assert f"grant {privilege} on logs-* to the role" in checked
    assert lost in searched
    assert "there are logs-app-prod" not in searched


def cluster() -> Kubernetes:
    """A cluster with one rollout."""
    made = Kubernetes()
    made.deployment("forge", (1, AT, template("registry.example/forge:9a8b7c6")))
    return made


@pytest.mark.parametrize("secrets", [False, True])
async def test_with_the_roles_for_kubernetes_nothing_is_refused(
    secrets: bool, deploys: Connect, tmp_path: Path
) -> None:
    fake = cluster()
    fake.rules = rules_in(RBAC, *([] if secrets else ["midwatch-deploys"]))
    with served(fake) as (url, _):
        on = {"kubernetes_namespaces": ["shop"], "kubernetes_secrets": secrets}
        async with deploys(**on, kubeconfig=kubeconfig(tmp_path, url)) as client:
            told = [await said(client, "survey_changes", **IN_WINDOW), await said(client, "check_deploys")]
    assert "may not" not in "\n".join(told)
    assert "FAIL" not in told[1]


@pytest.mark.parametrize("resource", RESOURCES)
async def test_without_a_resource_of_the_roles_the_check_names_it(
    resource: str, deploys: Connect, tmp_path: Path
) -> None:
    fake = cluster()
    fake.rules = without(rules_in(RBAC), resource)
    with served(fake) as (url, _):
        on = {"kubernetes_namespaces": ["*"], "kubernetes_secrets": True}
        async with deploys(**on, kubeconfig=kubeconfig(tmp_path, url)) as client:
            checked = await said(client, "check_deploys")
    assert re.findall(r"may not list ([a-z]+)", checked) == [resource]


def repository() -> GitHub:
    """A repository with a deployment of one commit, which a pull request brought."""
    made = GitHub("robots/forge")
    made.commit("a1" * 20, "Begin", "2026-11-18T02:00:00Z", "Ada Byron", {FILE: "+a"})
    made.commit(SHA, "Carry the finish through (#7)", "2026-11-20T02:30:00Z", "Ada Byron", {FILE: DIFF}, "a1" * 20)
    made.deploy(1, SHA, "2026-11-20T02:40:00Z", "failure")
    made.request(7, "Carry the finish through", SHA, [("grace", "APPROVED")])
    return made


@pytest.mark.parametrize("lacking", ["", *sorted(PERMISSIONS - {"Metadata: read"})])
async def test_of_the_permissions_of_a_github_token_the_check_names_the_one_that_it_lacks(
    lacking: str, deploys: Connect
) -> None:
    github = repository()
    github.permissions = PERMISSIONS - {lacking}
    with github_at(github) as url:
        on = {"github_repositories": [github.name], "github_url": url, "github_token": TOKEN, "lookback_days": 3_000}
        async with deploys(**on, github_workflows=["deploy.yml"]) as client:
            told = [
                await said(client, "survey_changes", **IN_WINDOW),
                await said(client, "get_change", change_id=f"github:robots/forge@{SHA[:12]}:forge"),
                await said(client, "map_deployments"),
            ]
            checked = await said(client, "check_deploys")
    assert set(re.findall(r"the token needs '([^']+)'", checked)) == ({lacking} if lacking else set())
    assert lacking or "needs" not in "\n".join(told)


def test_the_table_for_github_has_the_permissions_that_github_names() -> None:
    assert {
        f"{what}: read" for what in ("Metadata", "Contents", "Deployments", "Actions", "Pull requests")
    } == PERMISSIONS
