"""A server of the suite as a process of its own, as its users start it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mcp import StdioServerParameters


def over(store: Path) -> dict[str, str]:
    """Return the environment of a server over a store, which keeps evidence beside it."""
    return {"MIDWATCH_STORE": str(store), "MIDWATCH_EVIDENCE_DIR": str(store.parent / "evidence")}


@contextmanager
def on_http(server: str, environment: Mapping[str, str]) -> Iterator[str]:
    """Start a server on streamable HTTP and yield its address."""
    with subprocess.Popen(
        [sys.executable, "-m", f"midwatch_{server}", "--transport", "streamable-http", "--port", "0"],
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr
            found = re.search(r"http://\S+", line := process.stderr.readline())
            assert found, line
            yield found[0]
        finally:
            process.terminate()


def on_stdio(server: str, environment: Mapping[str, str]) -> StdioServerParameters:
    """Return how a client starts a server on stdio."""
    command = ["-m", f"midwatch_{server}"]
    return StdioServerParameters(command=sys.executable, args=command, env={**os.environ, **environment})
