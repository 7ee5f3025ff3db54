"""What repositories declare for Backstage: who owns a service and what it stands on, beside what was deployed."""

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp import Client
from tests.backends.deploys.asking import stored
from tests.backends.deploys.repositories import GitRepository
from tests.backends.deploys.worlds import AT
from tests.backends.fakes.github import TOKEN, GitHub, served

from midwatch_deploys.catalogue import Unreadable, declared_in, fragment_of, resolved
from midwatch_kit import Basis, TopologyFragment

Connect = Callable[..., AbstractAsyncContextManager[Client]]
END = "2026-11-20T03:00:00Z"
FORGE = """
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: forge, description: makes riggings}
spec:
  type: service
  lifecycle: production
  owner: group:default/makers
  system: robots
  dependsOn: [resource:default/blueprints, component:bot]
  consumesApis: [ratings-api]
---
apiVersion: backstage.io/v1alpha1
kind: Resource
metadata: {name: blueprints}
spec: {type: database, owner: user:default/ada}
---
apiVersion: backstage.io/v1alpha1
kind: API
metadata: {name: ratings-api}
spec: {type: openapi, owner: makers, definition: "openapi: 3.1.0"}
"""
RATINGS = """
kind: Component
metadata: {name: ratings}
spec: {type: service, owner: raters, providesApis: [default/ratings-api]}
---
kind: Component
metadata: {name: words}
spec: {type: library, owner: raters}
"""


async def mapped(client: Client) -> tuple[dict[str, Any], TopologyFragment]:
    """Return what the map says, and its part of the topology."""
    result = await client.call_tool("map_deployments", {"end": END})
    assert not result.is_error, result.content
    records = json.loads(await stored(client, (result.meta or {})["midwatch/records"]))
    return result.structured_content or {}, TopologyFragment.model_validate(records["fragment"])


def relations(fragment: TopologyFragment) -> set[tuple[str, str, str, str]]:
    return {(each.source, each.kind, each.target, each.basis.value) for each in fragment.relations}


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    made = GitRepository(tmp_path / "robots", "git@git.example:robots/app.git")
    files = {"app/forge/catalog-info.yaml": FORGE, "app/ratings/catalog-info.yml": RATINGS}
    made.commit("Declare what there is", files, AT - timedelta(days=2))
    return made


async def test_owners_and_dependencies_come_from_the_repositorys_files(
    repository: GitRepository, deploys: Connect
) -> None:
    async with deploys(git_repositories=[repository.path]) as client:
        reply, fragment = await mapped(client)
    declared = {each for each in relations(fragment) if each[3] == "declared"}
    assert declared == {
        ("service:forge", "owned_by", "team:makers", "declared"),
        ("service:forge", "depends_on", "database:blueprints", "declared"),
        ("service:forge", "depends_on", "service:bot", "declared"),
        ("service:forge", "depends_on", "service:ratings", "declared"),
        ("service:ratings", "owned_by", "team:raters", "declared"),
        ("database:blueprints", "owned_by", "person:ada", "declared"),
    }
    assert "service:forge is declared in app/app/forge/catalog-info.yaml: owner makers" in "\n".join(reply["lines"])
    assert "service:words" not in str(fragment)


async def test_a_file_that_cannot_be_read_is_a_gap_and_the_others_are_told(
    repository: GitRepository, tmp_path: Path, deploys: Connect
) -> None:
    other = GitRepository(tmp_path / "other", "git@git.example:robots/other.git")
    other.commit("Declare badly", {"catalog-info.yaml": "kind: Component\nmetadata: [oops\n"}, AT)
    async with deploys(git_repositories=[repository.path, other.path]) as client:
        reply, fragment = await mapped(client)
    assert any("other/catalog-info.yaml, line 3" in caveat for caveat in reply["caveats"])
    assert "service:ratings" in str(fragment)


async def test_github_is_asked_at_the_top_and_beside_each_service(deploys: Connect) -> None:
    github = GitHub("robots/app")
    github.files = {"catalog-info.yaml": RATINGS, "app/forge/catalog-info.yaml": FORGE}
    with served(github) as url:
        settings = {"github_url": url, "github_token": TOKEN, "service_paths": {"app/forge": "forge"}}
        async with deploys(github_repositories=["robots/app"], **settings) as client:
            _, fragment = await mapped(client)
    found = relations(fragment)
    assert ("service:forge", "depends_on", "service:ratings", "declared") in found
    assert ("service:ratings", "owned_by", "team:raters", "declared") in found


def test_a_resource_is_called_by_the_kind_that_its_own_file_gives() -> None:
    fragment = fragment_of(resolved(declared_in(FORGE, "forge.yaml")), "deploys", AT)
    assert ("service:forge", "database:blueprints", Basis.DECLARED) in {
        (each.source, each.target, each.basis) for each in fragment.relations
    }


@pytest.mark.parametrize("text", ["kind: 2026-13-45", "[" * 5_000, "a: [", "\0"])
def test_what_cannot_be_read_is_told_with_its_file(text: str) -> None:
    with pytest.raises(Unreadable, match=r"catalog-info\.yaml"):
        declared_in(text, "catalog-info.yaml")


@settings(deadline=None)
@given(st.text(max_size=300))
def test_no_text_makes_it_fail_but_what_is_no_yaml(text: str) -> None:
    with suppress(Unreadable):
        assert all(one.id.partition(":")[2] for one in declared_in(text, "catalog-info.yaml"))


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    )
)
def test_a_component_with_anything_for_its_spec_is_still_a_component(spec: object) -> None:
    text = json.dumps({"kind": "Component", "metadata": {"name": "forge"}, "spec": spec})
    found = declared_in(text, "x")
    assert [one.id for one in found] == ["service:forge"]
    fragment_of(resolved(found), "deploys", AT)
