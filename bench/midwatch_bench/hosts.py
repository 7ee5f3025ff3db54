"""How several hosts share the work over one PostgreSQL. Not a test.

    python -m midwatch_bench.hosts [--incidents 60] [--hosts 1 2 3] [--answer-seconds 0.5] [--kill]

Each host is a `midwatch up` of its own, with data of its own, and all of them are up before the incidents come on
record, all at once. With `--kill`, one host is killed by SIGKILL as soon as it has begun some.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.postgresql import Server, running

from midwatch.records import Incident, Message, Report, Severity, Status, ToolCall
from midwatch.storage.database import Database
from midwatch.storage.journal import Journal

_UP_SECONDS, _DONE_SECONDS, _LOOK_EVERY = 60.0, 900.0, 0.1


@dataclass(frozen=True)
class Measured:
    """What came of one run; `by_host` counts the incidents that each host began, `again` those begun twice."""

    hosts: int
    seconds: float
    reports: int
    calls: int
    by_host: dict[str, int]
    again: int


@contextmanager
def up(folder: Path, url: str, answer_seconds: float, within: Sequence[str] = ()) -> Iterator[subprocess.Popen[str]]:
    """Run a host while the block runs, and yield it once it is up; `within` are words that go before its command.

    Without a `url` its journal is a file.
    """
    folder.mkdir(exist_ok=True)
    server = {"command": sys.executable, "args": ["-m", "midwatch_bench.slow_server"], "suite": True}
    server["env"] = {"MIDWATCH_ANSWER_SECONDS": str(answer_seconds)}
    (folder / "servers.json").write_text(json.dumps({"mcpServers": {"slow": server}}), encoding="utf-8")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MIDWATCH_")},
        **({"MIDWATCH_DATABASE_URL": url} if url else {}),
        "MIDWATCH_DATA_DIR": str(folder / "data"),
        "MIDWATCH_SERVERS_FILE": str(folder / "servers.json"),
        "MIDWATCH_STEERING_DIR": str(folder / "steering"),
        "MIDWATCH_GATHER_SECONDS": "0",
        "MIDWATCH_APPROVAL_SECONDS": "0.1",
    }
    log = folder / "log"
    command = [*within, sys.executable, "-m", "midwatch", "up", "--no-store", "--port", "0"]
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, text=True)
    try:
        deadline = time.monotonic() + _UP_SECONDS
        while "ready " not in log.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text())
            time.sleep(_LOOK_EVERY)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(_UP_SECONDS)


def measure(server: Server, hosts: int, incidents: int, answer_seconds: float, *, kill: bool) -> Measured:
    """Put incidents on record for so many hosts, and wait until none is due."""
    url = server.database()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack, closing(Journal(Database(url))) as journal:
        started = [stack.enter_context(up(Path(folder) / str(n), url, answer_seconds)) for n in range(hosts)]
        began = time.monotonic()
        open_all(journal, incidents)
        while journal.incidents(due=True):
            if time.monotonic() - began > _DONE_SECONDS:
                raise RuntimeError("it takes too long")
            if kill and _begun(journal, started[0].pid) >= 2:
                started[0].kill()
                kill = False
            time.sleep(_LOOK_EVERY)
        seconds = time.monotonic() - began
        begun = [each for name in journal.investigations() for each in worked_on_by(journal, name)]
        names = journal.investigations()
        for name in names:
            journal.check(name)
        return Measured(
            hosts=hosts,
            seconds=round(seconds, 1),
            reports=sum(len(journal.values(name, Report)) for name in names),
            calls=sum(len(journal.values(name, ToolCall)) for name in names),
            by_host=dict(Counter(begun)),
            again=sum(len({*worked_on_by(journal, name)}) > 1 for name in names),
        )


def open_all(journal: Journal, count: int) -> None:
    """Put incidents on record, all at once."""
    at = datetime.now(UTC) - timedelta(seconds=30)
    with journal.transaction() as notes:
        for number in range(count):
            incident = Incident(
                id=f"01BENCH{number:04}",
                title="Errors at gateway",
                status=Status.TRIAGING,
                severity=Severity.HIGH,
                service="service:gateway",
                started_at=at,
                first_seen=at,
            )
            notes.note(incident.id, "incident", "1", incident)


def worked_on_by(journal: Journal, name: str) -> list[str]:
    """Return the hosts that worked on an incident, each as often as it began."""
    said = [each.text for each in journal.values(name, Message) if each.text.startswith("worked on by ")]
    return [text.removeprefix("worked on by ") for text in said]


def _begun(journal: Journal, number: int) -> int:
    return sum(f":{number}" in host for name in journal.investigations() for host in worked_on_by(journal, name))


def main() -> None:
    """Measure, and print a table."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--incidents", type=int, default=60)
    asked.add_argument("--hosts", type=int, nargs="+", default=[1, 2, 3])
    asked.add_argument("--answer-seconds", type=float, default=0.5)
    asked.add_argument("--kill", action="store_true")
    chosen = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as server:
        first = 0.0
        print("| hosts | s | speed-up | incidents reported | tool calls | begun by each | worked on by two |")
        print("|---|---|---|---|---|---|---|")
        for hosts in chosen.hosts:
            found = measure(server, hosts, chosen.incidents, chosen.answer_seconds, kill=chosen.kill)
            first = first or found.seconds * chosen.hosts[0]
            shares = ", ".join(map(str, sorted(found.by_host.values(), reverse=True)))
            row = (
                hosts,
                found.seconds,
                f"{first / found.seconds:.2f}",
                found.reports,
                found.calls,
                shares,
                found.again,
            )
            print("| " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    main()
