"""The folder that programs for the tests are brought into, once for all runs, and whose turn it is to bring one."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CACHE = Path.home() / ".cache" / "midwatch-tests"


@contextmanager
def turn(target: Path) -> Iterator[bool]:
    """Wait until nobody else brings `target`, neither a worker nor another run; yields whether it still isn't there.

    The kernel ends the turn of a process that is killed. What is brought becomes `target` by a rename, and so as a
    whole or not at all.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f"{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield not target.exists()
