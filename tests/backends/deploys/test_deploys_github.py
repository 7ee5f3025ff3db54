"""Changes on GitHub: what its deployments, runs, releases and owners say, and how its troubles read."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client
from tests.backends.deploys.asking import refusal, rows, stored, told
from tests.backends.deploys.repositories import GitRepository
from tests.backends.deploys.worlds import AT, FILE, IN_WINDOW
from tests.backends.fakes.github import TOKEN, GitHub, example, job_of, run_of, served

from midwatch_deploys.backends.github.workflow import Rule, workflow_in
from midwatch_kit import TopologyFragment

Connect = Callable[..., AbstractAsyncContextManager[Client]]
Settings = dict[str, Any]
BEFORE, BAD = "a1" * 20, "b2" * 20
SPOKEN = '{"message": "API rate limit exceeded for user ID 1."}'


@pytest.fixture
def github() -> GitHub:
    """A repository whose latest deployment to production brought one commit."""
    made = GitHub("robots/forge")
    made.commit(BEFORE, "Begin", "2026-11-18T02:00:00Z", "Ada Byron", {FILE: "+a"})
    made.commit(
        BAD, "Carry the finish through (#7)", "2026-11-20T02:30:00Z", "Ada Byron", {FILE: "+finish: str"}, BEFORE
    )
    made.deploy(1, BEFORE, "2026-11-18T02:10:00Z")
    return made


@pytest.fixture
def settings(github: GitHub) -> Iterator[Settings]:
    """The settings of a server that reads it."""
    with served(github) as url:
        yield {"github_repositories": [github.name], "github_url": url, "github_token": TOKEN, "lookback_days": 3_000}


async def test_a_deployment_and_its_commit_are_one_change_with_the_version_before_and_all_links(
    github: GitHub, settings: Settings, deploys: Connect
) -> None:
    github.owners = "* @robots/makers\n"
    github.deploy(2, BAD, "2026-11-20T02:40:00Z")
    async with deploys(**settings) as client:
        (row,) = await rows(
            client,
            "survey_changes",
            **IN_WINDOW,
            baseline_start="2026-11-20T02:00:00Z",
            baseline_end="2026-11-20T02:35:00Z",
        )
        good = await told(client, "get_last_good_version", service="forge")
        teams = await told(client, "map_deployments")
    assert (row["at"], row["version"], row["previous_version"]) == ("2026-11-20T02:40:00Z", BAD[:7], BEFORE[:7])
    assert (row["author"], row["outcome"], row["files"]) == ("Ada Byron", "succeeded", [FILE])
    assert [link.split("robots/forge/")[1] for link in row["links"]] == [
        "actions/runs/2",
        "deployments/production",
        f"commit/{BAD}",
        "pull/7",
    ]
    assert row["attributes"]["team"] == "robots/makers"
    assert "team robots/makers" in teams["lines"][0]
    assert good["lines"][0].startswith(f"last good: {BEFORE[:7]}")


async def test_a_failed_deployment_shows_the_end_of_the_log_of_the_job_that_failed_without_secrets(
    github: GitHub, settings: Settings, deploys: Connect
) -> None:
    github.deploy(2, BAD, "2026-11-20T02:40:00Z", state="failure")
    github.runs = [run_of(BAD, 9, "2026-11-20T02:40:00Z", "failure")]
    github.jobs[9] = [job_of(91, "test", "success"), job_of(92, "deploy", "failure")]
    github.logs[92] = "".join(f"line {n}\n" for n in range(50_000)) + "password=hunter2\nError: quota exceeded\n"
    async with deploys(**settings) as client:
        reply = await told(client, "get_change", change_id="github:robots/forge@deployment/2:forge")
    shown = "\n".join(reply["lines"])
    assert "outcome: failed" in shown
    assert "job deploy failed at Apply the manifests: " in shown
    assert "Error: quota exceeded" in shown
    assert "line 49999" in shown
    assert "line 49000\n" not in shown
    assert "hunter2" not in shown
    assert "+finish: str" in shown


@pytest.mark.parametrize("what", [f"{BAD[:12]}", "deployment/2"])
async def test_a_change_in_full_names_the_pull_request_that_brought_it_and_who_approved(
    github: GitHub, settings: Settings, deploys: Connect, what: str
) -> None:
    github.deploy(2, BAD, "2026-11-20T02:40:00Z")
    reviews = [("grace", "CHANGES_REQUESTED"), ("alan", "APPROVED"), ("grace", "APPROVED"), ("alan", "COMMENTED")]
    address = "https://github.example/robots/forge/pull/7"
    github.request(7, "Tell the finish", BAD, [*reviews, ("mary", "APPROVED"), ("mary", "DISMISSED")], html_url=address)
    async with deploys(**settings) as client:
        (row,) = await rows(client, "get_change", change_id=f"github:robots/forge@{what}:forge")
    assert row["attributes"]["pull_request"] == "#7 Tell the finish, opened by octocat"
    assert row["attributes"]["approved_by"] == "alan, grace"
    assert address in row["links"]


@pytest.mark.parametrize("merged", ["2026-11-20T02:39:00Z", None])
async def test_what_nobody_approved_says_so_and_what_was_not_merged_is_not_told(
    github: GitHub, settings: Settings, deploys: Connect, merged: str | None
) -> None:
    github.request(7, "Tell the finish", BAD, [], merged_at=merged)
    async with deploys(**settings) as client:
        (row,) = await rows(client, "get_change", change_id=f"github:robots/forge@{BAD[:12]}:forge")
    assert row["attributes"].get("approved_by") == ("nobody" if merged else None)


async def test_without_the_permission_for_pull_requests_the_rest_is_told_and_the_permission_named(
    github: GitHub, settings: Settings, deploys: Connect
) -> None:
    github.forbidden = ("pulls",)
    async with deploys(**settings) as client:
        (row,) = await rows(client, "get_change", change_id=f"github:robots/forge@{BAD[:12]}:forge")
        checks = "\n".join((await told(client, "check_deploys"))["lines"])
    assert "the token needs 'Pull requests: read'" in row["attributes"]["pull_request"]
    assert "+finish: str" in row["diff"]
    assert "the token needs 'Pull requests: read' of robots/forge" in checks


async def test_runs_of_workflows_that_deploy_count_where_they_are_named_and_others_never(
    github: GitHub, settings: Settings, deploys: Connect
) -> None:
    github.runs = [
        run_of(BAD, 9, "2026-11-20T02:41:00Z", "failure"),
        {**run_of(BAD, 8, "2026-11-20T02:40:00Z", "success", "Test"), "path": ".github/workflows/test.yml"},
    ]
    async with deploys(**settings, github_workflows=["deploy.yml"]) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW, entities=["forge"])
    assert (row["kind"], row["outcome"], row["attributes"]["workflow"]) == ("deploy", "failed", "Deploy")


async def test_commits_inside_of_a_merge_are_told_by_the_merge_alone(
    github: GitHub, settings: Settings, deploys: Connect
) -> None:
    side, merge = "c3" * 20, "d4" * 20
    github.commit(side, "wip", "2026-11-20T02:41:00Z", "Grace", {FILE: "+x"}, BAD)
    message = "Merge pull request #8 from robots/side\n\nHone the blade"
    github.commit(merge, message, "2026-11-20T02:42:00Z", "Ada Byron", {FILE: "+x"}, BAD, side)
    async with deploys(**settings) as client:
        found = await rows(client, "survey_changes", start="2026-11-20T02:40:00Z", end="2026-11-20T02:50:00Z")
    assert [row["title"] for row in found if row["at"] > "2026-11-20T02:40"] == ["Hone the blade"]


async def test_a_release_is_told_and_deployments_to_other_environments_can_be_left_out(
    github: GitHub, settings: Settings, deploys: Connect
) -> None:
    github.releases = [example("releases", id=5, tag_name="v2", name="Two", published_at="2026-11-20T02:40:00Z")]
    github.deploy(2, BAD, "2026-11-20T02:41:00Z", environment="staging")
    async with deploys(**settings, github_environments=["production"]) as client:
        (row, *_) = await rows(client, "survey_changes", start="2026-11-20T02:39:00Z", end="2026-11-20T02:50:00Z")
    assert (row["kind"], row["version"], row["title"]) == ("release", "v2", "Two")


async def test_git_and_github_tell_one_change_when_both_are_on(
    tmp_path: Path, github: GitHub, settings: Settings, deploys: Connect
) -> None:
    clone = GitRepository(tmp_path / "forge", "git@github.com:robots/forge.git")
    sha = clone.commit("Carry on", {FILE: "a\n"}, AT)
    github.commit(sha, "Carry on", "2026-11-20T02:40:00Z", "Ada Byron", {FILE: "+a"}, BAD)
    github.deploy(2, sha, "2026-11-20T02:44:00Z")
    async with deploys(**settings, git_repositories=[clone.path]) as client:
        (row,) = await rows(
            client,
            "survey_changes",
            start="2026-11-20T02:39:00Z",
            end="2026-11-20T02:50:00Z",
            baseline_start="2026-11-20T02:38:00Z",
            baseline_end="2026-11-20T02:39:00Z",
        )
    assert row["attributes"]["seen_by"] == "github deployment, git commit, github commit"
    assert f"https://github.com/robots/forge/commit/{sha}" in row["links"]


async def test_what_the_token_may_not_read_is_a_gap_that_names_the_permission(
    github: GitHub, settings: Settings, deploys: Connect
) -> None:
    github.forbidden = ("/deployments",)
    async with deploys(**settings) as client:
        reply = await told(client, "survey_changes", start="2026-11-20T02:29:00Z", end="2026-11-20T02:35:00Z")
        lines = (await told(client, "check_deploys"))["lines"]
    assert "the token needs 'Deployments: read' of robots/forge" in reply["caveats"][0]
    assert "Carry the finish through" in reply["lines"][0]
    assert [line[:4] for line in lines] == ["ok  ", "FAIL", "ok  ", "ok  ", "ok  "]
    assert "Deployments: read" in lines[1]


async def test_an_unknown_repository_is_told_with_the_near_names_and_a_bad_token_without_itself(
    settings: Settings, deploys: Connect
) -> None:
    async with deploys(**{**settings, "github_repositories": ["robots/forg"]}) as client:
        unknown = await refusal(client, "survey_changes", **IN_WINDOW)
    async with deploys(**{**settings, "github_token": "not-the-token"}) as client:
        refused = await refusal(client, "survey_changes", **IN_WINDOW)
    assert unknown[0] == refused[0] == "backend_down"
    assert "there is no robots/forg, or the token may not see it: there is robots/forge" in unknown[1]
    assert "GitHub does not accept the token" in refused[1]
    assert "not-the-token" not in refused[1]


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ((429, {"Retry-After": "3600"}, b"{}"), "GitHub asks to wait 3600 s"),
        ((403, {"X-RateLimit-Reset": "9999999999", "X-RateLimit-Remaining": "0"}, SPOKEN.encode()), "rate limit"),
        ((500, {}, b"{}"), "GitHub "),
        ((200, {"content-length": "4000"}, b'[{"id": '), "gives no sound answer"),
        ((200, {"content-type": "text/html"}, b"<html>sign in</html>"), "is not GitHub's API"),
        ((200, {"x-stall": "yes"}, b"[]"), "gives no sound answer"),
    ],
    ids=["wait-an-hour", "rate-limit", "fails", "half-a-body", "no-json", "stalls"],
)
async def test_a_github_in_trouble_costs_a_clear_answer_in_time(
    github: GitHub, settings: Settings, deploys: Connect, trouble: tuple[int, dict[str, str], bytes], words: str
) -> None:
    for end in ("/deployments", "/commits", "/releases"):
        github.trouble[end] = [trouble] * 8
    began = time.monotonic()
    async with deploys(**settings, backend_seconds=3) as client:
        code, said = await refusal(client, "survey_changes", **IN_WINDOW)
    assert (code, words in said) == ("backend_down", True), said
    assert time.monotonic() - began < 20


async def test_an_answer_in_an_unknown_shape_is_a_gap_and_nothing_is_called_unchanged(
    github: GitHub, settings: Settings, deploys: Connect
) -> None:
    github.trouble["/deployments"] = [(200, {}, b'[{"id": 1, "sha": 2}]')]
    async with deploys(**settings) as client:
        reply = await told(client, "survey_changes", start="2026-11-19T02:29:00Z", end="2026-11-19T02:35:00Z")
    assert reply["caveats"] == ["robots/forge deployments: the answer is in a shape that is not GitHub's (KeyError)"]
    assert reply["hint"].startswith("No change is known, but not all could be looked at")


async def test_a_short_wait_that_github_asks_for_is_waited(
    github: GitHub, settings: Settings, deploys: Connect
) -> None:
    github.trouble["/commits"] = [(429, {"Retry-After": "1"}, b"{}")]
    async with deploys(**settings) as client:
        reply = await told(client, "survey_changes", start="2026-11-20T02:29:00Z", end="2026-11-20T02:35:00Z")
    assert "caveats" not in reply
    assert reply["matched"] == 1


async def test_the_token_may_come_from_a_file_and_nothing_but_reading_is_asked(
    tmp_path: Path, github: GitHub, settings: Settings, deploys: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    monkeypatch.setenv("MIDWATCH_GITHUB_TOKEN_FILE", str(tmp_path / "token"))
    del settings["github_token"]
    async with deploys(**settings) as client:
        lines = (await told(client, "check_deploys"))["lines"]
    assert [line for line in lines if not line.startswith("ok")] == []
    assert TOKEN not in str(lines)


FORGE = """
name: Ship the forge
on:
  push:
    branches: [main]
    paths: ["app/forge/**", "libs/**", ".github/workflows/forge.yml"]
jobs:
  test: {runs-on: ubuntu-latest, steps: [{run: make test}]}
  ship:
    runs-on: ubuntu-latest
    environment: {name: production, url: "https://forge.example"}
    steps: [{uses: actions/checkout@v5}, {run: make ship}]
"""
WORDS = ["push", "paths", "name", "environment", "uses", "steps", "strategy", "matrix", "include", "with", "deploy"]
PATHS = {"app/forge": "forge", "app/bot": "bot", "app/forge-api": "forge-api", "libs": "*"}


async def workflows(client: Client) -> tuple[dict[str, dict[str, Any]], dict[tuple[str, str], str], list[str]]:
    """Return what is told of workflows by file, which services they deploy and on which basis, and the caveats."""
    result = await client.call_tool("map_deployments", {})
    assert not result.is_error, result.content
    meta = result.meta or {}
    fragment = TopologyFragment.model_validate(json.loads(await stored(client, meta["midwatch/records"]))["fragment"])
    known = {
        each.name.removeprefix("robots/forge/"): dict(each.attributes)
        for each in fragment.entities
        if each.kind == "workflow"
    }
    ties = {
        (each.source.removeprefix("service:"), each.target.rpartition("/")[2]): each.basis.value
        for each in fragment.relations
        if each.kind == "deployed_by"
    }
    return known, ties, (result.structured_content or {}).get("caveats", [])


async def test_a_workflow_with_an_environment_deploys_the_services_whose_paths_trigger_it(
    github: GitHub, settings: Settings, deploys: Connect
) -> None:
    github.files = {".github/workflows/forge.yml": FORGE}
    async with deploys(**settings, service_paths=PATHS) as client:
        known, ties, _ = await workflows(client)
        lines = (await told(client, "map_deployments"))["lines"]
    assert known == {
        "forge.yml": {
            "name": "Ship the forge",
            "environments": "production",
            "because": "job ship has environment production",
            "url": "https://github.example/robots/forge/blob/main/.github/workflows/forge.yml",
        }
    }
    assert ties == {("forge", "forge.yml"): "declared"}
    tie = "service:forge deployed_by workflow:robots/forge/forge.yml (declared: on.push.paths has app/forge/**)"
    assert tie in lines


@pytest.mark.parametrize(
    ("jobs", "because"),
    [
        ("{go: {environment: staging}}", "job go has environment staging"),
        ("{go: {environment: {name: staging, deployment: false}}}", ""),
        ("{test: {steps: [{uses: actions/checkout@v5}]}}", ""),
        ("{deploy: {steps: [{run: make}]}}", "job deploy is named so"),
        ("{go: {name: Undeployed, steps: [{run: make deploy}]}}", ""),
        (
            "{go: {steps: [{uses: aws-actions/amazon-ecs-deploy-task-definition@v2}]}}",
            "job go uses aws-actions/amazon-ecs-deploy-task-definition@v2",
        ),
        (
            "{go: {uses: ./.github/workflows/any.yml, with: {where: staging}}}",
            "job go calls any.yml: job it has environment staging",
        ),
        ("{go: {uses: ./.github/workflows/ci.yml}}", ""),
    ],
)
async def test_what_a_file_declares_decides_whether_its_workflow_deploys(
    github: GitHub, settings: Settings, deploys: Connect, jobs: str, because: str
) -> None:
    called = 'jobs: {it: {environment: "${{ inputs.where }}"}}'
    github.files = {
        ".github/workflows/ci.yml": f"on: [push]\njobs: {jobs}",
        ".github/workflows/any.yml": f"on: {{workflow_call: {{inputs: {{where: {{type: string}}}}}}}}\n{called}",
    }
    async with deploys(**settings) as client:
        known, _, caveats = await workflows(client)
    assert {file: about["because"] for file, about in known.items()} == ({"ci.yml": because} if because else {})
    assert caveats == []


async def test_settings_name_workflows_that_deploy_and_the_environments_that_count(
    github: GitHub, settings: Settings, deploys: Connect
) -> None:
    github.files = {
        ".github/workflows/roll.yml": "name: Roll out\non: push\njobs: {a: {}}",
        ".github/workflows/deploy-staging.yml": "on: push\njobs: {a: {environment: staging}}",
    }
    async with deploys(**settings, github_environments=["production"], github_workflows=["Roll out"]) as client:
        known, ties, _ = await workflows(client)
    assert known["roll.yml"]["because"] == "the settings name it"
    assert ties == {("forge", "roll.yml"): "inferred"}
    assert "deploy-staging.yml" not in known


@pytest.mark.parametrize(
    ("file", "services"),
    [
        ('on: {push: {paths: ["app/**", "!app/bot/**"]}}', {"forge": "declared", "forge-api": "declared"}),
        ('on: {push: {paths: ["app/*/src/**"]}}', {"forge": "declared", "bot": "declared", "forge-api": "declared"}),
        ('on: {push: {paths: ["app/*.py", "**.md", "libs/**"]}}', {}),
        ('on: {push: {paths: ["**", "!app/forge*/**", "!app/bot/docs/**"]}}', {"bot": "declared"}),
        ('on: {push: {paths-ignore: ["app/bot/**"]}}', {}),
        ('name: Deploy the forge API\n"on": {push: {paths: ["docs/**"]}}', {"forge-api": "inferred"}),
    ],
)
async def test_paths_decide_which_services_a_workflow_deploys_and_its_names_only_without_these(
    github: GitHub, settings: Settings, deploys: Connect, file: str, services: dict[str, str]
) -> None:
    github.files = {".github/workflows/deploy.yml": f"{file}\njobs: {{go: {{environment: production}}}}"}
    async with deploys(**settings, service_paths=PATHS) as client:
        known, ties, _ = await workflows(client)
    assert list(known) == ["deploy.yml"]
    assert {service: basis for (service, _), basis in ties.items()} == services


async def test_services_in_a_matrix_are_named_by_the_workflow(
    github: GitHub, settings: Settings, deploys: Connect
) -> None:
    matrix = "{service: [forge], include: [{service: bot, size: 2}]}"
    job = f"{{environment: production, strategy: {{matrix: {matrix}}}}}"
    github.files = {".github/workflows/deploy.yml": f"on: push\njobs: {{go: {job}, test: {{name: forge-api}}}}"}
    async with deploys(**settings, service_paths=PATHS) as client:
        _, ties, _ = await workflows(client)
    assert ties == {("forge", "deploy.yml"): "inferred", ("bot", "deploy.yml"): "inferred"}


async def test_a_workflow_that_cannot_be_read_is_a_caveat_that_names_it_and_the_others_are_told(
    github: GitHub, settings: Settings, deploys: Connect
) -> None:
    github.files = {
        ".github/workflows/deploy.yml": FORGE,
        ".github/workflows/broken.yml": "on: push\njobs: {go: [",
        ".github/workflows/none.yaml": "- a list",
        ".github/workflows/huge.yml": FORGE + "#" * 70_000,
        ".github/workflows/README.md": "jobs: [",
    }
    async with deploys(**settings) as client:
        known, _, caveats = await workflows(client)
    assert list(known) == ["deploy.yml"]
    assert len(caveats) == 3, caveats
    for words in ("broken.yml, line 2: ", "none.yaml: it is no workflow", "huge.yml: it is not read, since it has 70,"):
        assert any(f"robots/forge/.github/workflows/{words}" in each for each in caveats), caveats


async def test_at_most_thirty_workflows_are_read_those_named_for_deploying_first_and_each_once(
    github: GitHub, settings: Settings, deploys: Connect
) -> None:
    github.files = {f".github/workflows/a{n:02}.yml": "on: push\njobs: {a: {}}" for n in range(30)}
    github.files[".github/workflows/deploy.yml"] = FORGE
    async with deploys(**settings) as client:
        known, _, caveats = await workflows(client)
        await workflows(client)
    assert list(known) == ["deploy.yml"]
    assert any("only 30 of 31 files are read" in each for each in caveats)
    read = [url for url, _ in github.asked if url.partition("?")[0].endswith(".yml") and "/workflows/" in url]
    assert len(read) == 30


async def test_without_the_permission_for_contents_the_workflows_are_a_gap_that_names_it(
    github: GitHub, settings: Settings, deploys: Connect
) -> None:
    github.forbidden = ("/contents/.github/workflows",)
    async with deploys(**settings) as client:
        _, _, caveats = await workflows(client)
    assert any(".github/workflows: " in each and "the token needs 'Contents: read'" in each for each in caveats)


@hypothesis.settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    )
)
def test_whatever_a_job_or_a_trigger_is_made_of_a_file_with_jobs_is_a_workflow(some: object) -> None:
    found = workflow_in(
        json.dumps({"on": some, "name": some, "jobs": {"go": {"environment": "x"}, "a": some}}), "a", "b"
    )
    assert Rule(frozenset(), frozenset(), {"a": found}).of(found).environments[0] == "x"
