"""The git repository that the application is deployed from. It reads no user's git configuration."""

import io
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import anyio
import anyio.to_thread

GIT_SECONDS = 20.0
SHORT = 9
IDENTITY = {"GIT_COMMITTER_NAME": "Robots Merge Queue", "GIT_COMMITTER_EMAIL": "merge@robots.example"}


class GitFailed(Exception):
    """Raised when git refuses; its text holds the command and what git said."""


@dataclass(frozen=True)
class Author:
    """Who wrote a commit."""

    name: str
    email: str


@dataclass(frozen=True)
class Commit:
    """One commit as its reader sees it."""

    sha: str
    author: str
    subject: str

    @property
    def version(self) -> str:
        """The short id, which is the version that a release of this commit has."""
        return self.sha[:SHORT]


class Repository:
    """A repository with one branch, main."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def create(self) -> None:
        """Make the empty repository."""
        self.path.mkdir(parents=True)
        await self.git("init", "-q", "-b", "main")

    async def commit(self, message: str, author: Author, at: datetime) -> Commit:
        """Commit all that is in the working tree; `at` is both dates of the commit."""
        await self.git("add", "-A")
        who = {"GIT_AUTHOR_NAME": author.name, "GIT_AUTHOR_EMAIL": author.email}
        when = {"GIT_AUTHOR_DATE": at.isoformat(), "GIT_COMMITTER_DATE": at.isoformat()}
        await self.git("commit", "-q", "-m", message, environment=who | when)
        return await self.find("HEAD")

    async def apply(self, patch: str) -> None:
        """Change the working tree by a unified diff; raises GitFailed when it doesn't fit."""
        await self.git("apply", "--whitespace=nowarn", "-", stdin=patch.encode())

    async def find(self, revision: str) -> Commit:
        """Return the commit that a revision names; raises GitFailed when there is none."""
        shown = await self.git(
            "log", "-1", "--format=%H%x00%an%x00%s", "--end-of-options", f"{revision}^{{commit}}", "--"
        )
        sha, author, subject = shown.decode().strip().split("\0")
        return Commit(sha, author, subject)

    async def diff(self, before: str, after: str, paths: tuple[str, ...]) -> str:
        """Return the unified diff between two commits, of some paths."""
        return (await self.git("diff", before, after, "--", *paths)).decode(errors="replace")

    async def files(self, before: str, after: str, paths: tuple[str, ...]) -> list[str]:
        """Return the names of the files that differ between two commits, of some paths."""
        return (await self.git("diff", "--name-only", before, after, "--", *paths)).decode().splitlines()

    async def export(self, sha: str, target: Path) -> None:
        """Write a commit's files to a folder; a folder that is there is taken to be that export."""
        if not await anyio.Path(target).is_dir():
            packed = await self.git("archive", "--format=tar", sha)
            await anyio.to_thread.run_sync(_unpack, packed, target)

    async def git(
        self, *arguments: str, stdin: bytes | None = None, environment: Mapping[str, str] | None = None
    ) -> bytes:
        """Run git in the repository and return what it printed; raises GitFailed."""
        with anyio.fail_after(GIT_SECONDS):
            done = await anyio.run_process(
                ["git", *arguments],
                cwd=self.path,
                input=stdin,
                env=_environment(self.path) | IDENTITY | dict(environment or {}),
                check=False,
            )
        if done.returncode:
            raise GitFailed(f"git {' '.join(arguments)}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout


def _environment(home: Path) -> dict[str, str]:
    """No variable of the caller's but PATH: a GIT_DIR from outside would aim at another repository."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LC_ALL": "C",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }


def _unpack(packed: bytes, target: Path) -> None:
    unfinished = target.with_name(f".{target.name}.unfinished")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(unfinished, filter="data")
        else:  # before Python 3.11.4; the archive is git's own
            archive.extractall(unfinished)  # noqa: S202
    unfinished.rename(target)
