"""Several backends at once: one change is told once, whoever tells of it, and one that is down is a gap."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from tests.backends.deploys.asking import observed, refusal, rows, told
from tests.backends.deploys.repositories import GitRepository
from tests.backends.deploys.worlds import AT, IN_WINDOW

from midwatch_kit import ObservationKind
from midwatch_kit.secrets import without_secrets
from midwatch_store.writer import Writer

Connect = Callable[..., AbstractAsyncContextManager[Client]]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    made = GitRepository(tmp_path / "forge", "git@git.example:robots/forge.git")
    made.commit("Begin", {"a.py": "1\n"}, AT - 3_000 * MINUTE)
    return made


@pytest.fixture
def both(tmp_path: Path, repository: GitRepository) -> dict[str, Any]:
    """The settings of a server with a store and a repository."""
    Writer(tmp_path / "store").close()
    return {"store": tmp_path / "store", "git_repositories": [repository.path]}


def deployed(folder: Path, change_id: str, minutes: float, version: str, previous: str = "", **fields: Any) -> None:
    row = {"Timestamp": AT + minutes * MINUTE, "ChangeId": change_id, "Kind": "deploy", "ServiceName": "forge"}
    more = {"Version": version, "PreviousVersion": previous, "Url": f"https://cd.example/{change_id}", **fields}
    with Writer(folder / "store") as writer:
        writer.append({"changes": [{**row, **more}]})


async def test_a_deploy_and_the_commit_it_brought_are_one_change_with_both_links(
    tmp_path: Path, repository: GitRepository, both: dict[str, Any], deploys: Connect
) -> None:
    before = repository.head()
    commit = repository.commit("Two", {"a.py": "2\n"}, AT - MINUTE)
    deployed(tmp_path, "d-1", 3, commit[:7], before[:7], Author="deployer[bot]")
    async with deploys(**both) as client:
        reply = await told(client, "survey_changes", **IN_WINDOW)
        (row,) = await rows(client, "survey_changes", **IN_WINDOW)
        for name in ("d-1", f"git:forge@{commit[:7]}:forge"):
            (whole,) = await rows(client, "get_change", change_id=name)
            assert (whole["change_id"], "+2\n" in whole["diff"]) == ("d-1", True)
            assert len(whole["links"]) == 2
    assert reply["matched"] == 1
    assert (row["at"], row["kind"], row["title"], row["author"]) == (
        "2026-11-20T02:43:00Z",
        "deploy",
        "Two",
        "Ada Byron",
    )
    assert row["links"] == ["https://cd.example/d-1", f"https://git.example/robots/forge/commit/{commit}"]
    assert row["attributes"]["seen_by"] == "store, git commit"
    assert row["files"] == ["a.py"]
    assert reply["query"].startswith("store: changes")
    assert "; git: git log --first-parent" in reply["query"]


async def test_a_deploy_of_a_commit_from_before_the_window_still_says_what_it_brought(
    tmp_path: Path, repository: GitRepository, both: dict[str, Any], deploys: Connect
) -> None:
    commit = repository.commit("Long ago", {"a.py": "2\n"}, AT - 2_000 * MINUTE)
    deployed(tmp_path, "d-1", 0, "v2", Attributes={"revision": commit})
    async with deploys(**both) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW)
    assert (row["title"], row["version"], len(row["links"])) == ("Long ago", "v2", 2)


async def test_a_revision_that_is_deployed_again_is_another_change(
    tmp_path: Path, repository: GitRepository, both: dict[str, Any], deploys: Connect
) -> None:
    commit = repository.commit("Two", {"a.py": "2\n"}, AT - 300 * MINUTE)
    deployed(tmp_path, "d-1", -290, commit[:7])
    deployed(tmp_path, "d-2", 0, commit[:7])
    async with deploys(**both) as client:
        span = {"start": "2026-11-20T02:00:00Z", "end": "2026-11-20T03:00:00Z"}
        seen = await rows(
            client, "survey_changes", **span, baseline_start="2026-11-19T12:00:00Z", baseline_end="2026-11-20T02:00:00Z"
        )
    assert [row["change_id"] for row in seen] == ["d-2", "d-1"]
    assert all(len(row["links"]) == 2 for row in seen)


async def test_a_deploy_that_lists_its_files_takes_title_and_person_from_its_commit_all_the_same(
    tmp_path: Path, repository: GitRepository, both: dict[str, Any], deploys: Connect
) -> None:
    commit = repository.commit("Two", {"a.py": "2\n"}, AT - 600 * MINUTE)
    deployed(tmp_path, "d-1", 3, commit[:7], Files=["a.py"], Author="deployer[bot]")
    async with deploys(**both) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW)
    assert (row["title"], row["author"], row["files"]) == ("Two", "Ada Byron", ["a.py"])


async def test_changes_of_different_services_or_revisions_are_never_one(
    tmp_path: Path, repository: GitRepository, both: dict[str, Any], deploys: Connect
) -> None:
    commit = repository.commit("Two", {"a.py": "2\n"}, AT)
    deployed(tmp_path, "d-1", 1, commit[:7], ServiceName="bot")
    deployed(tmp_path, "d-2", 1, "v3")
    async with deploys(**both) as client:
        reply = await told(client, "survey_changes", **IN_WINDOW)
    assert reply["matched"] == 3


async def test_a_backend_that_is_down_is_told_the_others_answer_and_nothing_is_called_unchanged(
    tmp_path: Path, repository: GitRepository, both: dict[str, Any], deploys: Connect
) -> None:
    repository.commit("Two", {"a.py": "2\n"}, AT)
    async with deploys(**{**both, "store": tmp_path / "nowhere"}) as client:
        seen = await observed(client, **IN_WINDOW, entities=["forge", "bot"])
        reply = await told(client, "survey_changes", **IN_WINDOW)
        lines = (await told(client, "check_deploys"))["lines"]
        code, words = await refusal(client, "get_change", change_id="d-9")
    assert [each.kind for each in seen] == [ObservationKind.CHANGE]
    assert "store could not be asked: there is no telemetry store at" in reply["caveats"][0]
    assert [line[:4] for line in lines] == ["FAIL", "ok  "]
    assert (code, "store could not be asked" in words) == ("backend_down", True)


async def test_only_when_no_backend_answers_is_that_an_error(tmp_path: Path, deploys: Connect) -> None:
    async with deploys(store=tmp_path / "no", git_repositories=[tmp_path / "none"]) as client:
        code, words = await refusal(client, "survey_changes", **IN_WINDOW)
    assert code == "backend_down"
    assert "store: " in words
    assert "git: " in words


def test_a_server_without_a_backend_says_which_settings_turn_one_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "midwatch_deploys"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path, env={})
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[1].startswith(
        "  no place to read changes from: set one of MIDWATCH_STORE, MIDWATCH_GIT_REPOSITORIES, MIDWATCH_GITHUB_"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('+DB_PASSWORD="hunter2"', "+DB_PASSWORD=(hidden)"),
        ("+  api_key: abc123", "+  api_key: (hidden)"),
        ('+  "client_secret": "s3cr3t",', '+  "client_secret": (hidden),'),
        ("postgres://app:pw1@db/x", "postgres://(hidden)@db/x"),
        ("Authorization: Bearer abcdefgh1234", "Authorization: Bearer (hidden)"),
        ("token ghp_0123456789abcdefghijABCDEFGHIJ012345 leaked", "token (hidden) leaked"),
        ("key AKIAIOSFODNN7EXAMPLE", "key (hidden)"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nrest", "(hidden)\nrest"),
        ("+token = read_token(request)", "+token = read_token(request)"),
        ("+password: str | None = None", "+password: str | None = None"),
        ("+password: ${DB_PASSWORD}", "+password: ${DB_PASSWORD}"),
        ("+tokens_per_second: limit", "+tokens_per_second: (hidden)"),
        ("+timeout = 30", "+timeout = 30"),
    ],
)
def test_secrets_are_hidden_by_form_and_by_name_and_code_stays_readable(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
