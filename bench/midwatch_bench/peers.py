"""The same questions on the same data, asked of midwatch's servers and of other MCP servers. Not a test.

    python -m midwatch_bench.peers RUN [--repeat 3]

RUN is what `midwatch demo --keep RUN` leaves. From the root of a clone: the telemetry of the run is told to a real
Prometheus, to the tests' Jaeger, Loki, Grafana, Elasticsearch and CloudWatch, and to the run's own git repository; all
servers that are asked a question read it there. Peers are started as their users do, with `uvx` or `npx`; the first
start of each, which downloads it, is not counted. A token is four characters. Of an answer that is given as text and as
structured content, the larger counts: hosts show one of the two.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TextIO

import anyio
from mcp import Client, StdioServerParameters, stdio_client
from tests.e2e.elsewhere import told_elsewhere

from midwatch.records import Incident
from midwatch.storage.journal import Journal
from midwatch_bench.peer_questions import QUESTIONS, Asking, Server
from midwatch_bench.peer_systems import told_to_peers

SERVICES = ("gateway", "bot", "forge", "schedule", "action")


@dataclass(frozen=True)
class Measured:
    """What one server cost: tools, tokens of their list and of the answer, seconds to start and to answer."""

    tools: int
    list_tokens: int
    answer_tokens: int
    start: float
    answer: float
    said: str


def main() -> None:
    """Ask, and print a table in markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--show", action="store_true", help="print the answers too")
    parser.add_argument("--only", default="", help="ask only questions that contain this")
    chosen = parser.parse_args()
    with closing(Journal(chosen.run / "host" / "journal.db")) as journal:
        seen = next(journal.values(name, Incident)[0] for name in journal.investigations()).first_seen
    until = seen + timedelta(seconds=2.5)
    with tempfile.TemporaryDirectory() as folder:
        until_ns = int(until.timestamp() * 1e9)
        with (
            told_elsewhere(chosen.run, until_ns, SERVICES, Path(folder)) as own,
            told_to_peers(chosen.run, until_ns, own) as others,
        ):
            settings = {**own, **others}
            repository = str(chosen.run.resolve() / "robots" / "repository")
            asking = Asking(settings, repository, until, Path(folder))
            print("| question | server | tools | their tokens | calls | tokens of the answer | start s | answer s |")
            print("|---|---|---:|---:|---:|---:|---:|---:|")
            for question, servers_of in QUESTIONS.items():
                if chosen.only not in question:
                    continue
                for server in servers_of(asking):
                    found = measured(server, chosen.repeat)
                    print(
                        f"| {question} | {server.name} | {found.tools} | {found.list_tokens} | {len(server.calls)} "
                        f"| {found.answer_tokens} | {found.start:.1f} | {found.answer:.2f} |",
                        flush=True,
                    )
                    if chosen.show:
                        print(found.said, file=sys.stderr)


def measured(server: Server, repeat: int) -> Measured:
    """Start a server `repeat` times and once more before, ask it each time, and return medians."""
    with Path(os.devnull).open("w") as log:
        runs = [anyio.run(_asked, server, log) for _ in range(repeat + 1)][1:]
    last = runs[-1]
    return Measured(
        last.tools,
        last.list_tokens,
        last.answer_tokens,
        statistics.median(run.start for run in runs),
        statistics.median(run.answer for run in runs),
        last.said,
    )


async def _asked(server: Server, log: TextIO) -> Measured:
    began = time.monotonic()
    parameters = StdioServerParameters(
        command=server.command[0], args=[*server.command[1:]], env={**os.environ, **server.env}
    )
    with anyio.fail_after(180):
        async with Client(stdio_client(parameters, errlog=log)) as client:
            tools = (await client.list_tools()).tools
            started = time.monotonic()
            said, tokens = "", 0
            for name, arguments in server.calls:
                result = await client.call_tool(name, dict(arguments(said)))
                text = "".join(getattr(part, "text", "") for part in result.content)
                structured = json.dumps(result.structured_content) if result.structured_content else ""
                if result.is_error or text.startswith("Error"):
                    raise SystemExit(f"{server.name}: {name} failed: {text[:500]}")
                said, tokens = structured or text, tokens + max(len(text), len(structured)) // 4
            answered = time.monotonic()
    listed = sum(len(tool.name) + len(tool.description or "") + len(json.dumps(tool.input_schema)) for tool in tools)
    return Measured(len(tools), listed // 4, tokens, started - began, answered - started, said)


if __name__ == "__main__":
    main()
