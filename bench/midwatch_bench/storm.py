"""Alert storms against a whole host, over HTTP: is every alert kept, does each outage make one incident, how fast?

`python -m midwatch_bench.storm --alertmanager /usr/bin/prometheus-alertmanager` feeds the same alerts to Alertmanager
through its own API in the same run, so that speed is told as a ratio. What an alert is of is compared with the truth
afterwards, from the table of alerts; the host is never told.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import cast, get_args

import anyio
import httpx2
from pydantic import JsonValue
from tests.postgresql import Server, running

from midwatch_bench.storm_alerts import Set, Storm, alertmanager_body, generic_body, storm
from midwatch_bench.storm_truth import compared

_CONNECTIONS = 16
_IN_ONE_BODY = 20
_READY_SECONDS = 90.0


@dataclass(frozen=True)
class Fed:
    """How one system took a storm: seconds in all, and of each request; how often it asked to wait."""

    alerts: int
    seconds: float
    each: Sequence[float]
    put_off: int

    @property
    def rate(self) -> float:
        """Alerts a second."""
        return self.alerts / self.seconds

    def percentile(self, share: float) -> float:
        """Return how many milliseconds so large a share of requests took, at most."""
        return sorted(self.each)[min(len(self.each) - 1, int(share * len(self.each)))] * 1000


def main() -> None:
    """Print a table, one row for each storm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, nargs="*", default=[50_000])
    parser.add_argument("--seeds", type=int, nargs="*", default=[10])
    parser.add_argument("--kinds", nargs="*", choices=get_args(Set), default=["apart"])
    parser.add_argument("--connections", type=int, default=_CONNECTIONS)
    parser.add_argument("--alertmanager", help="a binary of Alertmanager to feed the same alerts")
    parser.add_argument("--postgresql", action="store_true", help="keep them in a PostgreSQL of its own, not in SQLite")
    asked = parser.parse_args()
    print("alerts set seed | kept incidents mixed split astray | alerts/s p50 p99 put off | Alertmanager's | ratio")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        server = stack.enter_context(running(Path(folder))) if asked.postgresql else None
        for kind, seed, alerts in product(asked.kinds, asked.seeds, asked.alerts):
            made = storm(alerts, seed, datetime.now(UTC), kind)
            line = f"{alerts} {kind} {seed}"
            anyio.run(_measured, line, made, asked.connections, asked.alertmanager, server)


async def _measured(line: str, made: Storm, connections: int, alertmanager: str | None, server: Server | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = server.database() if server else None
        with _host(Path(folder), made, url) as address:
            fed = await _feed(f"{address}/alerts", bodies(made), connections)
        found = compared(url or Path(folder) / "data" / "journal.db", made)
        if server and url:
            server.drop(url)
    line += f" | {found} | {fed.rate:.0f} {fed.percentile(0.5):.1f} {fed.percentile(0.99):.1f} {fed.put_off}"
    if alertmanager:
        with tempfile.TemporaryDirectory() as folder, _alertmanager(alertmanager, Path(folder)) as address:
            other = await _feed(f"{address}/api/v2/alerts", _for_alertmanager(made), connections)
        line += f" | {other.rate:.0f} {other.percentile(0.99):.1f} | {fed.rate / other.rate:.2f}"
    print(line, flush=True)


def bodies(made: Storm) -> Iterator[tuple[bytes, int]]:
    """Yield what is posted: by turns one alert in the plain form, and a group as Alertmanager sends it."""
    waiting = deque(made.sent)
    plain = True
    while waiting:
        some = [waiting.popleft() for _ in range(1 if plain else min(_IN_ONE_BODY, len(waiting)))]
        body = generic_body(some[0]) if plain else cast("JsonValue", alertmanager_body(some))
        yield json.dumps(body).encode(), len(some)
        plain = not plain


def _for_alertmanager(made: Storm) -> Iterator[tuple[bytes, int]]:
    """Yield the same alerts in the same groups as Alertmanager's own API takes them."""
    for body, count in bodies(made):
        said = json.loads(body)
        alerts = said["alerts"] if "alerts" in said else [_as_posted(said)]
        for alert in alerts:
            for field in ("status", "fingerprint"):
                alert.pop(field, None)
            if str(alert["endsAt"]).startswith("0001"):
                del alert["endsAt"]
        yield json.dumps(alerts).encode(), count


def _as_posted(plain: dict[str, JsonValue]) -> dict[str, JsonValue]:
    ended = plain.get("ended_at") or "0001-01-01T00:00:00Z"
    return {"labels": plain["labels"], "annotations": {}, "startsAt": plain["started_at"], "endsAt": ended}


async def _feed(url: str, posted: Iterator[tuple[bytes, int]], connections: int) -> Fed:
    """Post all bodies in order over several connections, and again what the other side asks to wait with."""
    waiting, each, put_off = deque(posted), list[float](), [0]
    alerts = sum(count for _, count in waiting)

    async def post() -> None:
        async with httpx2.AsyncClient(timeout=60) as client:
            while waiting:
                body, _ = waiting.popleft()
                while True:
                    began = time.perf_counter()
                    answer = await client.post(url, content=body, headers={"content-type": "application/json"})
                    each.append(time.perf_counter() - began)
                    if answer.status_code not in (429, 503):
                        break
                    put_off[0] += 1
                    await anyio.sleep(float(answer.headers.get("retry-after", "1")))
                if answer.status_code not in (200, 202):
                    raise RuntimeError(f"{url} answered {answer.status_code}: {answer.text[:300]}")

    began = time.perf_counter()
    async with anyio.create_task_group() as group:
        for _ in range(connections):
            group.start_soon(post)
    return Fed(alerts, time.perf_counter() - began, each, put_off[0])


@contextmanager
def _host(folder: Path, made: Storm, database: str | None) -> Iterator[str]:
    """Run `midwatch up` without servers, with the application declared; yields its address."""
    (folder / "servers.json").write_text('{"mcpServers": {}}')
    (folder / "topology.json").write_text(json.dumps(made.topology))
    settings = {
        "MIDWATCH_DATA_DIR": str(folder / "data"),
        "MIDWATCH_SERVERS_FILE": str(folder / "servers.json"),
        "MIDWATCH_STEERING_DIR": str(folder / "steering"),
        "MIDWATCH_DECLARED_TOPOLOGY": str(folder / "topology.json"),
        **({"MIDWATCH_DATABASE_URL": database} if database else {}),
    }
    command = [sys.executable, "-m", "midwatch", "up", "--no-store", "--port", "0"]
    log = (folder / "log").open("w+")
    running = subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield _address(folder / "log", running, r"webhook +(http://[^/\s]+)")
    finally:
        running.terminate()
        running.wait(30)
        log.close()


@contextmanager
def _alertmanager(binary: str, folder: Path) -> Iterator[str]:
    """Run Alertmanager, grouping by service; yields its address."""
    (folder / "am.yml").write_text("route: {receiver: nobody, group_by: [service]}\nreceivers: [{name: nobody}]\n")
    command = [
        shutil.which(binary) or binary,
        f"--config.file={folder / 'am.yml'}",
        f"--storage.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:19193",
        "--cluster.listen-address=",
    ]
    log = (folder / "log").open("w+")
    running = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        _address(folder / "log", running, r"address=(127\S+)")
        yield "http://127.0.0.1:19193"
    finally:
        running.terminate()
        running.wait(30)
        log.close()


def _address(log: Path, running: subprocess.Popen[bytes], wanted: str) -> str:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and running.poll() is None:
        if found := re.search(wanted, log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise RuntimeError(f"it did not come up: {log.read_text()[-2000:]}")


if __name__ == "__main__":
    main()
