"""From an incident to its conclusion on synthetic telemetry, against the servers' own surveys alone. Not a test.

    python -m midwatch_bench.investigation [--times 1 4 16]

The snapshot is the one that the end-to-end tests solve, with more requests a second each time. Servers are up before
the clock starts: what is timed is the host's work and theirs, as `midwatch up` does it. The surveys alone are each
server's survey of the same two windows, all at once, by a host that does nothing else.
"""

import argparse
import os
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import anyio
from rich.console import Console
from tests.e2e.story import LENGTH, SEEN_AT, Story

from midwatch.host import Host, open_host
from midwatch.inquiry import Inquiry, Limits
from midwatch.intake import alerts_from
from midwatch.mitigation.approvals import AtTheTerminal
from midwatch.records import Budget, Conclusion, Incident, Scope
from midwatch.scoping import survey_arguments
from midwatch.settings import Settings
from midwatch.storage.journal import Entry, Journal
from midwatch_kit.server import Role


@dataclass(frozen=True)
class Measured:
    """One snapshot: how many spans, how long each part took in seconds, what was found and in how many calls."""

    spans: int
    surveys: float
    first: float
    again: float
    calls: int
    named: str


async def measure(times: int) -> Measured:
    """Write a snapshot with so many times the requests, and investigate it twice."""
    with tempfile.TemporaryDirectory() as folder:
        story = Story(per_second=20.0 * times)
        await anyio.to_thread.run_sync(story.write, Path(folder) / "snapshot")
        settings = Settings(
            data_dir=Path(folder) / "data",
            store=Path(folder) / "snapshot",
            steering_dir=Path(folder) / "none",
            lookback_seconds=40,
            gather_seconds=2.5,
        )
        os.environ["TMPDIR"] = folder  # the servers keep their evidence there
        async with open_host(settings) as host:
            return await _measured(host, story)


async def _measured(host: Host, story: Story) -> Measured:
    first, _ = await _investigate(host, story)
    host = replace(host, journal=Journal(host.settings.data_dir / "again.db"))  # one that knows nothing of the first
    again, incident = await _investigate(host, story)
    scope = host.journal.values(incident.id, Scope)[-1]
    budget = host.journal.values(incident.id, Budget)[-1]
    conclusion = host.journal.values(incident.id, Conclusion)[-1]
    host.journal.close()
    spans = len(story.telemetry(0, LENGTH)["otel_traces"])
    named = f"{conclusion.outcome} {conclusion.root_causes[0].entity}"
    return Measured(spans, await _surveys(host, scope), first, again, budget.tool_calls, named)


async def _investigate(host: Host, story: Story) -> tuple[float, Incident]:
    """Investigate the alert and return the seconds until its conclusion was on record."""
    alert = alerts_from(dict(story.alert()))[0]
    seen = story.start + timedelta(seconds=SEEN_AT)
    concluded: list[float] = []

    def watch(entry: Entry) -> None:
        if entry.type == "conclusion":
            concluded.append(time.perf_counter())

    host.journal.listeners[:] = [watch]
    (incident,) = host.receive([alert], seen)
    began = time.perf_counter()
    await host.investigation(incident, AtTheTerminal(Console(quiet=True))).run()
    return concluded[0] - began, incident


async def _surveys(host: Host, scope: Scope) -> float:
    """Ask each server for its survey, all at once; the least of three, each with a window of its own."""
    taken = []
    services = [entity.id for entity in scope.topology.entities if entity.kind == "service"]
    for turn in range(3):
        window = scope.window.model_copy(update={"end": scope.window.end - timedelta(milliseconds=turn)})
        tools = host.eyes.tools(Role.SURVEY)
        asked = [(tool, survey_arguments(tool, window, scope.baseline, services)) for tool in tools]
        began = time.perf_counter()
        inquiry = Inquiry("bench", Journal(None), host.eyes, host.eyes.kept, Limits(600, 100, 60))
        assert len(await inquiry.ask_all(asked, "bench")) == len(tools)
        taken.append(time.perf_counter() - began)
    return min(taken)


def main() -> None:
    """Measure each size and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, nargs="+", default=[1, 4, 16], help="multiples of 20 requests a second")
    print("|    spans | surveys alone | to the conclusion | ratio | calls | found |")
    print("|---------:|--------------:|------------------:|------:|------:|-------|")
    for times in parser.parse_args().times:
        it = anyio.run(measure, times)
        best = min(it.first, it.again)
        print(
            f"| {it.spans:8,} | {it.surveys:11.2f} s | {best:15.2f} s | {best / it.surveys:4.1f}x "
            f"| {it.calls:5} | {it.named} |"
        )


if __name__ == "__main__":
    main()
