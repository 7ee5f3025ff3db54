"""Changes in real git repositories: merges, tags, services by path, and repositories in trouble."""

import os
import stat
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path

import pytest
from mcp import Client
from tests.backends.deploys.asking import refusal, rows, told
from tests.backends.deploys.repositories import GitRepository
from tests.backends.deploys.worlds import AT, IN_WINDOW

Connect = Callable[..., AbstractAsyncContextManager[Client]]
PATHS = {"app/forge": "forge", "app/bot": "bot", "app:lib": "*"}
MINUTE = timedelta(minutes=1)


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    made = GitRepository(tmp_path / "app")
    made.commit("Begin", {"app/forge/a.py": "1\n", "app/bot/b.py": "1\n", "lib/c.py": "1\n"}, AT - 60 * 24 * MINUTE)
    return made


async def test_a_merge_is_one_change_with_all_it_brought_under_the_title_of_its_request(
    repository: GitRepository, deploys: Connect
) -> None:
    repository.git("checkout", "-q", "-b", "finish")
    repository.commit("wip", {"app/forge/a.py": "2\n"}, AT - 3 * MINUTE, "Grace")
    repository.commit("wip again", {"app/forge/new ü.py": "2\n"}, AT - 2 * MINUTE, "Grace")
    repository.git("checkout", "-q", "main")
    repository.merge("finish", "Merge pull request #7 from robots/finish\n\nCarry the finish through", AT)
    async with deploys(git_repositories=[repository.path], service_paths=PATHS) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW)
        whole = await told(client, "get_change", change_id=row["change_id"])
    assert (row["title"], row["files"]) == ("Carry the finish through", ["app/forge/a.py", "app/forge/new ü.py"])
    assert row["at"] == "2026-11-20T02:40:00Z"
    assert whole["lines"].count("+2") == 2


async def test_a_commit_to_several_services_is_a_change_of_each_and_shared_code_is_one_of_all(
    repository: GitRepository, deploys: Connect
) -> None:
    both = repository.commit("Both", {"app/forge/a.py": "2\n", "app/bot/b.py": "2\n"}, AT)
    repository.commit("Shared", {"lib/c.py": "2\n"}, AT + MINUTE)
    repository.commit("Words", {"README": "2\n"}, AT + 2 * MINUTE)
    async with deploys(git_repositories=[repository.path], service_paths=PATHS) as client:
        seen = await rows(client, "survey_changes", **IN_WINDOW)
        forge = await told(client, "get_change", change_id=f"git:app@{both[:7]}:forge")
        whole = await rows(client, "get_change", change_id=both)
    assert [(row["title"], row["service"]) for row in seen] == [
        ("Words", "app"),
        ("Shared", ""),
        ("Both", "forge"),
        ("Both", "bot"),
    ]
    assert "app/bot/b.py" not in "\n".join(forge["lines"])
    assert whole[0]["files"] == ["app/bot/b.py", "app/forge/a.py"]
    assert "+++ b/app/bot/b.py" in whole[0]["diff"]


async def test_commits_that_are_deploys_tell_the_version_to_go_back_to(
    repository: GitRepository, deploys: Connect
) -> None:
    first = repository.commit("One", {"app/forge/a.py": "2\n"}, AT)
    second = repository.commit("Two", {"app/forge/a.py": "3\n"}, AT + MINUTE)
    settings = {"git_repositories": [repository.path], "service_paths": PATHS, "lookback_days": 3_000}
    async with deploys(**settings, git_deployed_by="commits") as client:
        good = await told(client, "get_last_good_version", service="forge")
    async with deploys(**settings) as client:
        refused = await refusal(client, "get_last_good_version", service="forge")
    assert [line.split(" since ")[0] for line in good["lines"]] == [f"last good: {first[:7]}", f"current: {second[:7]}"]
    assert refused[0] == "not_found"


async def test_a_tag_is_a_release_of_the_service_it_names_with_what_came_since_the_one_before(
    repository: GitRepository, deploys: Connect
) -> None:
    repository.git("tag", "forge-v1")
    repository.git("tag", "bot-v8")
    repository.commit("Two", {"app/forge/a.py": "2\n"}, AT - 60 * 12 * MINUTE)
    repository.git("tag", "-a", "-m", "The second", "forge-v2", at=AT, author="Grace")
    async with deploys(
        git_repositories=[repository.path], service_paths=PATHS, git_deployed_by="tags", lookback_days=3_000
    ) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW)
        whole = await told(client, "get_change", change_id=row["change_id"])
        good = await told(client, "get_last_good_version", service="forge")
    assert (row["service"], row["version"], row["previous_version"]) == ("forge", "forge-v2", "forge-v1")
    assert (row["kind"], row["author"], row["title"]) == ("deploy", "Grace", "The second")
    assert row["files"] == ["app/forge/a.py"]
    assert "+2" in whole["lines"]
    assert good["lines"][0].startswith("last good: forge-v1 ")


@pytest.mark.parametrize(
    ("remote", "page"),
    [
        ("https://user:pass-word@git.example/robots/app.git", "https://git.example/robots/app/commit/"),
        ("git@git.example:robots/app.git", "https://git.example/robots/app/commit/"),
        ("ssh://git@git.example:2222/robots/app.git", "https://git.example/robots/app/commit/"),
        ("/srv/git/app.git", "file:///"),
    ],
)
async def test_a_change_links_to_its_page_and_never_with_the_credentials_of_the_remote(
    tmp_path: Path, deploys: Connect, remote: str, page: str
) -> None:
    repository = GitRepository(tmp_path / "clone", remote)
    repository.commit("One", {"a": "1\n"}, AT)
    async with deploys(git_repositories=[repository.path]) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW)
    assert row["url"].startswith(page)
    assert row["service"] == "app"
    assert "pass-word" not in str(row)


async def test_a_fetched_clone_is_read_at_what_the_remote_has_and_its_age_is_told(
    tmp_path: Path, repository: GitRepository, deploys: Connect
) -> None:
    clone = tmp_path / "clone"
    repository.git("clone", "-q", str(repository.path), str(clone))
    repository.commit("Later", {"app/forge/a.py": "2\n"}, AT)
    repository.git("-C", str(clone), "fetch", "-q")
    async with deploys(git_repositories=[clone], service_paths=PATHS) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW)
        (fresh,) = (await told(client, "check_deploys"))["lines"]
        os.utime(clone / ".git" / "FETCH_HEAD", (1, 1))
        (stale,) = (await told(client, "check_deploys"))["lines"]
    assert row["title"] == "Later"
    assert fresh.startswith(f"ok   repository {clone}: origin/main is at ")
    assert stale.startswith("FAIL")
    assert f"git -C {clone} fetch --tags" in stale


async def test_what_is_no_repository_or_has_no_such_branch_is_told_with_the_near_names(
    tmp_path: Path, repository: GitRepository, deploys: Connect
) -> None:
    repository.git("branch", "mainline")
    async with deploys(git_repositories=[tmp_path / "nowhere"]) as client:
        code, words = await refusal(client, "survey_changes", **IN_WINDOW)
        (line,) = (await told(client, "check_deploys"))["lines"]
    async with deploys(git_repositories=[repository.path], git_branch="mainlin") as client:
        _, branch = await refusal(client, "survey_changes", **IN_WINDOW)
    assert code == "backend_down"
    assert "nowhere" in words
    assert line.startswith("FAIL repository")
    assert "there is no branch 'mainlin': there is mainline, main" in branch


async def test_one_broken_repository_of_several_leaves_a_gap_that_is_told_and_nothing_is_called_unchanged(
    tmp_path: Path, repository: GitRepository, deploys: Connect
) -> None:
    repository.commit("Two", {"app/forge/a.py": "2\n"}, AT)
    async with deploys(git_repositories=[repository.path, tmp_path / "gone"], service_paths=PATHS) as client:
        reply = await told(client, "survey_changes", **IN_WINDOW, entities=["forge", "bot"])
    assert len(reply["lines"]) == 1
    assert str(tmp_path / "gone") in reply["caveats"][0]


async def test_a_git_that_hangs_costs_an_answer_in_words_within_the_deadline(
    tmp_path: Path, repository: GitRepository, deploys: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    async with deploys(git_repositories=[repository.path], backend_seconds=0.4) as client:
        code, words = await refusal(client, "survey_changes", **IN_WINDOW)
    assert code == "backend_down"
    assert "took longer than 0.2 s" in words


async def test_a_repositorys_own_configuration_runs_nothing(
    tmp_path: Path, repository: GitRepository, deploys: Connect
) -> None:
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    for name in ("core.fsmonitor", "diff.external", "core.pager", "diff.x.textconv"):
        repository.git("config", name, str(trap))
    commit = repository.commit("Two", {"app/forge/a.py": "2\n", ".gitattributes": "* diff=x\n"}, AT)
    (tmp_path / "sprung").unlink(missing_ok=True)
    async with deploys(git_repositories=[repository.path]) as client:
        assert "+2" in (await told(client, "get_change", change_id=commit))["lines"]
        await told(client, "check_deploys")
    assert not (tmp_path / "sprung").exists()


async def test_an_option_in_place_of_a_name_is_no_command(repository: GitRepository, deploys: Connect) -> None:
    async with deploys(git_repositories=[repository.path]) as client:
        for name in ("git:app@--output=/tmp/x", "git:app@../../etc:forge", "git:app@*"):
            assert (await refusal(client, "get_change", change_id=name))[0] == "not_found"


async def test_a_giant_diff_is_cut_and_says_so(repository: GitRepository, deploys: Connect) -> None:
    commit = repository.commit("Much", {"data": "0123456789\n" * 200_000}, AT)
    async with deploys(git_repositories=[repository.path]) as client:
        (row,) = await rows(client, "get_change", change_id=commit)
    assert row["diff"].endswith("… cut: more than 1,048,576 bytes")
