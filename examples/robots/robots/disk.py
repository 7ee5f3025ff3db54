"""A small disk of its own for a folder, a real one: a tmpfs, which takes the right to mount, that root has.

It's unmounted in the end whatever happens, see `mount`. What is on it is lost with it.
"""

import errno
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from robots.processes import NotStarted, start, stop, until_ready

MOUNT = Path(__file__).with_name("mount.py")
READY_SECONDS = 10.0
UNMOUNT_SECONDS = 5.0
BLOCK_BYTES = 65_536


@asynccontextmanager
async def small_disk(folder: Path, kibibytes: int, log: Path) -> AsyncGenerator[None]:
    """Hold a disk at a folder, which is made where it isn't there; raises NotStarted without the right to mount."""
    await anyio.Path(folder).mkdir(parents=True, exist_ok=True)
    ready, told = os.pipe()
    try:
        child = await start(
            "mount",
            [sys.executable, "-I", "-S", str(MOUNT), str(folder), str(kibibytes), str(told)],
            log=log,
            cwd=folder.parent,
            environment={"PATH": os.environ.get("PATH", os.defpath)},
            pass_fds=[told],
            farewell=signal.SIGTERM,
        )
        os.close(told)
        told = -1
        await until_ready(child, ready, READY_SECONDS)
    except NotStarted as error:
        raise NotStarted("the small disk", f"needs the right to mount, as root has it on Linux: {error}") from error
    finally:
        os.close(ready)
        if told >= 0:
            os.close(told)
    try:
        yield
    finally:
        await stop(child, grace_seconds=UNMOUNT_SECONDS)


def fill(file: Path) -> int:
    """Write to a file until its disk takes no more, and return the bytes written; raises OSError for other trouble."""
    written = 0
    with file.open("ab", buffering=0) as full:
        size = BLOCK_BYTES
        while size:
            try:
                written += full.write(bytes(size))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                size //= 2
    return written
