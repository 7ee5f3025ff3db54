"""The `git` program, asked about one repository: only commands that read, with a deadline and a bound on what is read.

What a repository's own configuration could have run (hooks, monitors, external differs, fetches) is turned off.
"""

import os
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Final

from midwatch_kit import BackendDown

MOST_BYTES: Final = 64 * 2**20
_SAFE: Final = (
    *("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "log.showSignature=false"),
    *("-c", "protocol.allow=never", "-c", "core.quotePath=false", "-c", "color.ui=false"),
)
_READS: Final = frozenset({"cat-file", "config", "describe", "diff", "for-each-ref", "log", "ls-tree", "rev-parse"})


class GitFailed(Exception):
    """Git says no; the text is what it says, in one line."""


class GitProgram:
    """Git in one repository, bare or with a working tree."""

    def __init__(self, path: Path, seconds: float) -> None:
        self.path = path
        self._seconds = seconds

    def text(self, *arguments: str, most: int = MOST_BYTES) -> str:
        """Return what a command says; raises `GitFailed` if git refuses, `BackendDown` if it can't or takes too long.

        More than `most` bytes are not read; the text then ends with a line that says so.
        """
        if arguments[0] not in _READS:
            raise ValueError(f"git {arguments[0]} is not a command that only reads")
        command = ["git", "--no-pager", "-C", str(self.path), *_SAFE, *arguments]
        with tempfile.TemporaryFile() as said:
            try:
                read, code, late = _run(command, said.fileno(), most, self._seconds)
            except FileNotFoundError:
                raise BackendDown("there is no git program here: install git, or add it to PATH") from None
            said.seek(0)
            words = " ".join(said.read(2_000).decode(errors="replace").split())
        if late:
            raise BackendDown(f"git {arguments[0]} took longer than {self._seconds:g} s in {self.path}")
        if len(read) > most:
            return read[:most].decode(errors="replace") + f"\n… cut: more than {most:,} bytes"
        if code:
            raise GitFailed(words[:300] or f"git {arguments[0]} ended with {code}")
        return read.decode(errors="replace")


def _run(command: list[str], said: int, most: int, seconds: float) -> tuple[bytes, int, bool]:
    """Return what a command wrote (one byte more than `most` at most), its exit code, and whether it was too slow."""
    late = threading.Event()
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, env=environment
    ) as process:

        def give_up() -> None:
            late.set()
            process.kill()

        deadline = threading.Timer(seconds, give_up)
        deadline.start()
        try:
            read = process.stdout.read(most + 1) if process.stdout else b""
            if len(read) > most:
                process.kill()
            code = process.wait()
        finally:
            deadline.cancel()
            process.kill()
    return read, code, late.is_set()
