"""The same questions on the same data, asked of midwatch's servers and of other MCP servers. Not a test.

    python -m midwatch_bench.peers RUN [--repeat 3]

RUN is what `midwatch demo --keep RUN` leaves. From the root of a clone: the telemetry of the run is told to a real
Prometheus, to the tests' Jaeger and to the run's own git repository, and both servers of each pair read it there. Peers
are started as their users do, with `uvx`; the first start of each, which downloads it, is not counted. A token is four
characters. Of an answer that is given as text and as structured content, the larger counts: hosts show one of the two.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import anyio
from mcp import Client, StdioServerParameters, stdio_client
from tests.e2e.elsewhere import told_elsewhere

from midwatch.journal import Journal
from midwatch.records import Incident

SERVICES = ("gateway", "bot", "forge", "schedule", "action")
Arguments = Mapping[str, Any]
Said = Mapping[str, Any]


@dataclass(frozen=True)
class Server:
    """How a server is started, and the calls that answer the question; each call may use what the ones before said."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    calls: Sequence[tuple[str, Callable[[str], Arguments]]]


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
    chosen = parser.parse_args()
    with closing(Journal(chosen.run / "host" / "journal.db")) as journal:
        seen = next(journal.values(name, Incident)[0] for name in journal.investigations()).first_seen
    until = seen + timedelta(seconds=2.5)
    with tempfile.TemporaryDirectory() as folder:
        elsewhere = told_elsewhere(chosen.run, int(until.timestamp() * 1e9), SERVICES, Path(folder))
        with elsewhere as settings:
            repository = str(chosen.run.resolve() / "robots" / "repository")
            asking = Asking(settings, repository, until, Path(folder))
            print("| question | server | tools | their tokens | calls | tokens of the answer | start s | answer s |")
            print("|---|---|---:|---:|---:|---:|---:|---:|")
            for question, servers_of in QUESTIONS.items():
                for server in servers_of(asking):
                    found = measured(server, chosen.repeat)
                    print(
                        f"| {question} | {server.name} | {found.tools} | {found.list_tokens} | {len(server.calls)} "
                        f"| {found.answer_tokens} | {found.start:.1f} | {found.answer:.2f} |",
                        flush=True,
                    )
                    if chosen.show:
                        print(found.said, file=sys.stderr)


@dataclass(frozen=True)
class Asking:
    """Where the telemetry of a run is, and the times that are asked for: a window of 10 s, and 30 s before it."""

    settings: Mapping[str, str]
    repository: str
    until: datetime
    folder: Path

    def ours(self, name: str, *prefixes: str) -> tuple[str, list[str], dict[str, str]]:
        """Return the name, the command and the environment of a server of midwatch's, with its backends' settings."""
        env = {key: value for key, value in self.settings.items() if key.startswith(prefixes)}
        command = [sys.executable, "-m", f"midwatch_{name}"]
        return f"midwatch-{name}", command, {**env, "MIDWATCH_EVIDENCE_DIR": str(self.folder / "evidence")}

    def before(self, seconds: float) -> str:
        """Return a moment before the end of the run."""
        return (self.until - timedelta(seconds=seconds)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def window(self) -> Arguments:
        """The arguments of midwatch's surveys."""
        return {
            "start": self.before(10),
            "end": self.before(0),
            "baseline_start": self.before(40),
            "baseline_end": self.before(10),
        }


def of_metrics(asking: Asking) -> Sequence[Server]:
    """Return who is asked of metrics."""
    ours, url = asking.ours("metrics", "MIDWATCH_PROMETHEUS"), asking.settings["MIDWATCH_PROMETHEUS_URL"]
    answers = 'rate(http_server_request_duration_seconds_count{job="gateway"}[15s])'
    asked = {"query": f"sum by (http_response_status_code) ({answers})", "step": "2s"}
    times = {"start": asking.before(40), "end": asking.before(0)}
    return [
        Server(*ours, [("survey_metrics", lambda _: {**asking.window, "entities": ["service:gateway"]})]),
        Server(
            "prometheus-mcp-server",
            ["uvx", "prometheus-mcp-server@1.6.2"],
            {"PROMETHEUS_URL": url},
            [("execute_range_query", lambda _: {**asked, **times})],
        ),
    ]


def of_traces(asking: Asking) -> Sequence[Server]:
    """Return who is asked of traces."""
    ours, url = asking.ours("traces", "MIDWATCH_JAEGER"), asking.settings["MIDWATCH_JAEGER_URL"]
    times = {"start_time": asking.before(10), "end_time": asking.before(0)}
    return [
        Server(*ours, [("survey_traces", lambda _: asking.window)]),
        Server(
            "opentelemetry-mcp",
            ["uvx", "opentelemetry-mcp@0.2.2", "--backend", "jaeger", "--url", url],
            {},
            [("find_errors", lambda _: {**times, "service_name": "gateway", "limit": 100})],
        ),
    ]


def of_deploys(asking: Asking) -> Sequence[Server]:
    """Return who is asked of changes."""
    repository = {"repo_path": asking.repository}
    return [
        Server(
            *asking.ours("deploys", "MIDWATCH_GIT_", "MIDWATCH_SERVICE_PATHS"),
            [
                ("survey_changes", lambda _: {"start": "2026-10-20T00:00:00Z", "end": asking.before(0)}),
                ("get_change", lambda said: {"change_id": _first_change(said)}),
            ],
        ),
        Server(
            "mcp-server-git",
            ["uvx", "mcp-server-git@2026.10.19", "--repository", asking.repository],
            {},
            [
                ("git_log", lambda _: {**repository, "start_timestamp": "2026-10-20T00:00:00"}),
                ("git_show", lambda _: {**repository, "revision": "HEAD"}),
            ],
        ),
    ]


QUESTIONS = {
    "Which answers does gateway give, and since when?": of_metrics,
    "What fails, and where does it begin?": of_traces,
    "What was changed last, in full?": of_deploys,
}
"""The questions, and who is asked them; a peer is asked in the way that its own descriptions advise."""


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
                if result.is_error:
                    raise SystemExit(f"{server.name}: {name} failed: {text[:500]}")
                said, tokens = structured or text, tokens + max(len(text), len(structured)) // 4
            answered = time.monotonic()
    listed = sum(len(tool.name) + len(tool.description or "") + len(json.dumps(tool.input_schema)) for tool in tools)
    return Measured(len(tools), listed // 4, tokens, started - began, answered - started, said)


def _first_change(said: str) -> str:
    return str(json.loads(said)["lines"][0].rpartition("id=")[2])


if __name__ == "__main__":
    main()
