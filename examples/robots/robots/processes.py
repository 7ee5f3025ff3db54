"""Child processes: started so that they die with this process, stopped within a deadline, their output in a file.

It knows nothing of what the children do; start them from the main thread, whose end is what the kernel watches.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL

import anyio
from anyio.abc import Process

TETHER = Path(__file__).with_name("tether.py")
TAIL_LINES = 15


class NotStarted(Exception):
    """Raised when a child can't be started, or ended or stayed silent before it was ready; tells the end of its log."""

    def __init__(self, name: str, what: str, log: Path | None = None) -> None:
        super().__init__(f"{name} {what}" + (f"; the end of {log}:\n{tail(log) or '(empty)'}" if log else ""))


@dataclass(frozen=True)
class Child:
    """A running child and the file that its output goes to."""

    name: str
    process: Process
    log: Path

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.returncode is None


async def start(
    name: str,
    command: Sequence[str],
    *,
    log: Path,
    cwd: Path,
    environment: Mapping[str, str],
    pass_fds: Sequence[int] = (),
    user: str = "",
    farewell: signal.Signals = signal.SIGKILL,
) -> Child:
    """Start a command; `farewell` is the signal it gets when this process dies, `user` whom root becomes for it."""
    how = "exec" if sys.platform == "linux" else "poll"
    tethered = [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), str(int(farewell)), user, how, *command]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = await anyio.open_process(
            tethered,
            stdin=DEVNULL,
            stdout=output,
            stderr=output,
            cwd=cwd,
            env=environment,
            pass_fds=pass_fds,
            start_new_session=True,  # a Ctrl-C in the terminal is for the runner, which stops them in order
        )
    return Child(name, process, log)


async def stop(child: Child, *, grace_seconds: float, by: signal.Signals = signal.SIGTERM) -> None:
    """End a child by a signal, and with all that it started by SIGKILL after the grace time; safe to call again."""
    with anyio.CancelScope(shield=True):
        with anyio.move_on_after(grace_seconds), suppress(ProcessLookupError):
            child.process.send_signal(by)
            await child.process.wait()
        if child.alive:
            with suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGKILL)
            await child.process.wait()


async def until_ready(child: Child, ready_fd: int, seconds: float) -> None:
    """Wait for a line on a pipe whose other end the child holds; raises NotStarted, and then the child is gone."""
    try:
        with anyio.fail_after(seconds):
            await anyio.wait_readable(ready_fd)
            said = os.read(ready_fd, 64)
    except TimeoutError:
        await stop(child, grace_seconds=0.5)
        raise NotStarted(child.name, f"wasn't ready after {seconds:.0f} s", child.log) from None
    if not said:
        with anyio.move_on_after(0.5):
            await child.process.wait()  # a signal to one that has just ended would lose its exit code
        await stop(child, grace_seconds=0.5)
        raise NotStarted(child.name, f"ended with exit code {child.process.returncode}", child.log)


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """Return the last lines of a log, '' when there is none."""
    with suppress(FileNotFoundError), log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 16_384))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    return ""
