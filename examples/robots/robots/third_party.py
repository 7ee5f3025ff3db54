"""Atlas as the runner has it: its process, the way to it, and a customer's tokens. What it does is in `atlas`."""

import json
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from robots.processes import start, stop
from robots.tokens import Claims, issue

CUSTOMER = "robots"
LONG_SECONDS = 90 * 24 * 3600.0
GRACE_SECONDS = 1.0


@dataclass(frozen=True)
class ThirdParty:
    """A running atlas: the proxy that leads to it, the key that it signs tokens with, the application's token file."""

    egress_url: str
    key: str
    token_file: Path

    def token(self, customer: str, seconds: float) -> str:
        """Return a token that is good for some seconds."""
        return issue(self.key, Claims(customer, round(time.time() + seconds, 3)))

    async def hand_out(self, seconds: float = LONG_SECONDS) -> None:
        """Put a new token for the application into its file, in place of the one before."""
        await anyio.to_thread.run_sync(_replace, self.token_file, self.token(CUSTOMER, seconds))


@asynccontextmanager
async def third_party(folder: Path, token_file: Path) -> AsyncGenerator[ThirdParty]:
    """Run atlas and hand out a token; requests that come before it is ready wait in its socket's queue."""
    key = secrets.token_hex(32)
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    try:
        child = await start(
            "atlas",
            [sys.executable, "-m", "robots.atlas"],
            log=folder / "logs" / "atlas.log",
            cwd=folder,
            environment={
                "PATH": os.environ.get("PATH", os.defpath),
                "LISTEN_FD": str(listening.fileno()),
                "ATLAS_KEY": key,
            },
            pass_fds=[listening.fileno()],
        )
        try:
            atlas = ThirdParty(f"http://127.0.0.1:{listening.getsockname()[1]}", key, token_file)
            await atlas.hand_out()
            yield atlas
        finally:
            await stop(child, grace_seconds=GRACE_SECONDS, by=signal.SIGTERM)
    finally:
        listening.close()


def _replace(path: Path, token: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.fresh")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps({"token": token}), encoding="utf-8")
    fresh.rename(path)
