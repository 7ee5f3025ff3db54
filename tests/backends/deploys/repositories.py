"""Real git repositories for tests, made with the git program: commits at given times, merges and tags."""

import os
import subprocess
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

ALONE = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "GIT_TERMINAL_PROMPT": "0"}


class GitRepository:
    """A repository with a working tree; `main` is its branch."""

    def __init__(self, path: Path, remote: str = "") -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main")
        if remote:
            self.git("remote", "add", "origin", remote)

    def git(self, *arguments: str, at: datetime | None = None, author: str = "Ada Byron") -> str:
        """Run a command and return what it says."""
        who = {f"GIT_{role}_{what}": f"{author}@x" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        who |= {f"GIT_{role}_NAME": author for role in ("AUTHOR", "COMMITTER")}
        when = {f"GIT_{role}_DATE": at.isoformat() for role in ("AUTHOR", "COMMITTER")} if at else {}
        command = ["git", "-C", str(self.path), *arguments]
        environment = {**os.environ, **ALONE, **who, **when}
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()

    def write(self, files: Mapping[str, str]) -> None:
        """Put files into the working tree."""
        for name, text in files.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(text)
        self.git("add", "-A")

    def commit(self, title: str, files: Mapping[str, str], at: datetime, author: str = "Ada Byron") -> str:
        """Commit files and return the commit's hash."""
        self.write(files)
        self.git("commit", "-q", "--allow-empty", "-m", title, at=at, author=author)
        return self.head()

    def merge(self, branch: str, message: str, at: datetime, author: str = "Ada Byron") -> str:
        """Merge a branch as a forge does, and return the merge's hash."""
        self.git("merge", "-q", "--no-ff", "-m", message, branch, at=at, author=author)
        return self.head()

    def head(self) -> str:
        """Return the hash of what is checked out."""
        return self.git("rev-parse", "HEAD")
