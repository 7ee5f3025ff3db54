import ast
import sys
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from robots.faults import forge_field, no_op_deploy
from robots.herrings.deploy import PATCHES
from robots.history import Patch, commit_patch, commit_time, make_history, source
from robots.repository import Author, GitFailed, Repository

READ_BACK = """
from app.forge.blueprint import dumps, loads
from app.forge.planner import plan
loads(dumps(plan("porter", 5)))
"""


async def test_the_same_seed_makes_the_same_commits_and_another_seed_others(tmp_path: Path) -> None:
    shas = [
        (await make_history(Repository(tmp_path / name), seed)).sha for name, seed in (("a", 4), ("b", 4), ("c", 5))
    ]
    assert shas[0] == shas[1] != shas[2]


async def test_the_past_has_several_authors_and_brings_in_the_whole_application(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    await make_history(repository, 1)
    authors = (await repository.git("log", "--format=%an")).decode().splitlines()
    assert len(authors) == len(set(authors)) == 5
    deployed = {path.relative_to(repository.path / "app") for path in (repository.path / "app").rglob("*.*")}
    assert deployed == {path.relative_to(source()) for path in source().rglob("*.*") if "__pycache__" not in path.parts}


async def test_git_settings_of_the_user_have_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".gitconfig").write_text("[commit]\n\tgpgsign = true\n[core]\n\thooksPath = /nonexistent\n[broken\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    commit = await make_history(Repository(tmp_path / "repository"), 1)
    assert commit.subject == "Say what each service needs"


@pytest.mark.parametrize(
    "patch", [*PATCHES.values(), forge_field.PATCH, no_op_deploy.PATCH], ids=lambda patch: patch.file
)
async def test_every_patch_fits_and_touches_its_own_service_alone(tmp_path: Path, patch: Patch) -> None:
    repository = Repository(tmp_path / "repository")
    first = await make_history(repository, 2)
    commit = await commit_patch(repository, patch, commit_time(2, 6))
    files = await repository.files(first.sha, commit.sha, ())
    service = commit.subject.partition(":")[0]
    assert files
    assert all(name.startswith(f"app/{service}/") for name in files)
    assert f"+++ b/{files[0]}" in await repository.diff(first.version, commit.version, ())


async def test_only_the_faulty_commit_cant_read_what_it_writes(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    good = await make_history(repository, 2)
    bad = await commit_patch(repository, forge_field.PATCH, commit_time(2, 7))
    said = []
    for commit in (good, bad):
        release = tmp_path / commit.version
        await repository.export(commit.sha, release)
        done = await anyio.run_process([sys.executable, "-c", READ_BACK], cwd=release, check=False)
        said.append(done.stderr.decode())
    assert said[0] == ""
    assert said[1].strip().endswith("UnreadableBlueprint: can't read a blueprint: unknown field cycle_seconds")


async def test_the_idle_commit_changes_nothing_that_runs(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    await make_history(repository, 2)
    blueprint = repository.path / "app" / "forge" / "blueprint.py"
    before = blueprint.read_text()
    await commit_patch(repository, no_op_deploy.PATCH, commit_time(2, 7))
    after = blueprint.read_text()
    assert before != after
    assert code(before) == code(after)


def code(text: str) -> str:
    """Return what a module does, without what it says."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            del node.body[0]
    return ast.dump(tree)


async def test_an_unknown_revision_is_told_with_what_git_said(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    await make_history(repository, 1)
    for revision in ("abcdef123", "--all", "HEAD:app"):
        with pytest.raises(GitFailed, match="git log"):
            await repository.find(revision)


async def test_a_patch_that_doesnt_fit_changes_nothing(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    await make_history(repository, 1)
    await commit_patch(repository, forge_field.PATCH, commit_time(1, 7))
    with pytest.raises(GitFailed, match="does not apply"):
        await repository.apply(forge_field.PATCH.text())
    assert await repository.git("status", "--porcelain") == b""


async def test_a_commit_is_dated_as_told(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    await make_history(repository, 1)
    at = commit_time(1, 9) + timedelta(seconds=5)
    (repository.path / "note.txt").write_text("a")
    await repository.commit("Add a note", Author("A. Writer", "a@robots.example"), at)
    assert (await repository.git("log", "-1", "--format=%aI")).decode().strip() == at.isoformat()
