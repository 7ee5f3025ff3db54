"""A claim on an investigation: one process works on it at a time, however many share the journal.

The operating system keeps the claim (flock) and lets go of it when the process ends, however it ends. Reading, telling
and deciding need no claim.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl


@contextmanager
def claim(folder: Path, investigation: str) -> Iterator[bool]:
    """Hold the claim while the block runs, and yield whether it is ours; False when somebody else has it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{investigation}.lock").open("a", encoding="utf-8") as file:
        yield _locked(file.fileno())


def _locked(file: int) -> bool:
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
