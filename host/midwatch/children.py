"""Child processes of a command: started, watched until ready, and never left behind."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import PIPE

import anyio
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream
from pydantic import JsonValue

from midwatch.errors import HostError

_GRACE_SECONDS = 8.0


@asynccontextmanager
async def child(
    command: Sequence[str], log_path: Path, env: Mapping[str, str] | None = None
) -> AsyncGenerator[Process]:
    """Run a process while the block runs; its stderr goes to `log_path`; it ends with the block, or with us.

    The child's stdin is a pipe that is never written to: it closes when this process dies, however it dies.
    """
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("ab") as log:
        process = await anyio.open_process(command, stdin=PIPE, stdout=PIPE, stderr=log, env=env)
        try:
            yield process
        finally:
            with anyio.CancelScope(shield=True):
                await _stop(process)


async def events(process: Process) -> AsyncGenerator[dict[str, JsonValue]]:
    """Yield the JSON objects that a child prints, one a line; other lines are passed over."""
    rest = ""
    if process.stdout is None:
        return
    async for text in TextReceiveStream(process.stdout, errors="replace"):
        *lines, rest = (rest + text).split("\n")
        for line in lines:
            if (event := _parsed(line)) is not None:
                yield event


def tail(path: Path, lines: int = 8) -> str:
    """Return the last lines of a log file, for an error that has to say why a child failed."""
    if not path.exists():
        return "(it wrote no log)"
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


async def failed(process: Process, name: str, log_path: Path) -> HostError:
    """Return the error that says that a child ended, and what it wrote last."""
    code = await process.wait()
    return HostError(f"{name} ended with code {code}. Its log {log_path} ends with:\n{tail(log_path)}")


def _parsed(line: str) -> dict[str, JsonValue] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


async def _stop(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
        with anyio.move_on_after(_GRACE_SECONDS):
            await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()
    await process.aclose()
