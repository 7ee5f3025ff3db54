"""The reasons for a run to end from outside: a signal, a closed standard input, a parent that has gone."""

import os
import signal
import stat
import sys
from collections.abc import Callable

import anyio

PARENT_SECONDS = 0.5

End = Callable[[str], None]


async def stop_when_told(end: End) -> None:
    """Call `end` with a reason as soon as there is one."""
    async with anyio.create_task_group() as watchers:
        watchers.start_soon(_signals, end)
        watchers.start_soon(_standard_input, end)
        watchers.start_soon(_parent, end, os.getppid())


async def _signals(end: End) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
        async for number in received:
            end(f"got {number.name}")


async def _standard_input(end: End) -> None:
    """Watch a pipe or socket, whose end means that the starter has gone; a terminal or file means nothing."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return
    while True:
        await anyio.wait_readable(sys.stdin.fileno())
        if not os.read(sys.stdin.fileno(), 4096):
            end("standard input was closed")
            return


async def _parent(end: End, parent: int) -> None:
    while True:
        await anyio.sleep(PARENT_SECONDS)
        if os.getppid() != parent:
            end("the process that started this one has gone")
            return
