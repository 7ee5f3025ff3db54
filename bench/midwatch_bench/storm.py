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
import sqlite3
import subprocess
import sys
import tempfile
import time
import zlib
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast, get_args

import anyio
import httpx2
from pydantic import JsonValue

from midwatch_bench.storm_alerts import Set, Storm, alertmanager_body, generic_body, storm
from midwatch_kit.window import rfc3339

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


@dataclass(frozen=True)
class Sorted:
    """What became of a storm, beside the truth."""

    rows: int
    incidents: int
    mixed: int
    split: int
    astray: int
    linked: int


def main() -> None:
    """Print a table, one row for each storm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, nargs="*", default=[50_000])
    parser.add_argument("--seeds", type=int, nargs="*", default=[10])
    parser.add_argument("--kinds", nargs="*", choices=get_args(Set), default=["apart"])
    parser.add_argument("--alertmanager", help="a binary of Alertmanager to feed the same alerts")
    parser.add_argument("--database", help="address of an empty PostgreSQL; SQLite without")
    asked = parser.parse_args()
    print("alerts set seed | kept incidents mixed split astray | alerts/s p50 p99 put off | Alertmanager's | ratio")
    for kind in asked.kinds:
        for seed in asked.seeds:
            for alerts in asked.alerts:
                anyio.run(_measured, alerts, seed, kind, asked.alertmanager, asked.database)


async def _measured(alerts: int, seed: int, kind: Set, alertmanager: str | None, database: str | None) -> None:
    made = storm(alerts, seed, datetime.now(UTC), kind)
    with tempfile.TemporaryDirectory() as folder:
        with _host(Path(folder), made, database) as url:
            fed = await _feed(f"{url}/alerts", _bodies(made))
        found = _compared(Path(folder) / "data" / "journal.db", made) if database is None else None
    line = f"{alerts} {kind} {seed} | "
    if found:
        line += f"{found.rows} {found.incidents} {found.mixed} {found.split} {found.astray} (linked {found.linked}) | "
    line += f"{fed.rate:.0f} {fed.percentile(0.5):.1f} {fed.percentile(0.99):.1f} {fed.put_off}"
    if alertmanager:
        with tempfile.TemporaryDirectory() as folder, _alertmanager(alertmanager, Path(folder)) as url:
            other = await _feed(f"{url}/api/v2/alerts", _for_alertmanager(made))
        line += f" | {other.rate:.0f} {other.percentile(0.99):.1f} | {fed.rate / other.rate:.2f}"
    print(line, flush=True)


def _bodies(made: Storm) -> Iterator[tuple[bytes, int]]:
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
    for body, count in _bodies(made):
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


async def _feed(url: str, bodies: Iterator[tuple[bytes, int]]) -> Fed:
    """Post all bodies in order over several connections, and again what the other side asks to wait with."""
    waiting, each, put_off = deque(bodies), list[float](), [0]
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
        for _ in range(_CONNECTIONS):
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


def _compared(journal: Path, made: Storm) -> Sorted:
    """Compare the incidents of alerts on record with the outages that they are of."""
    truth: dict[tuple[str, str], int] = {}
    for fired in made.sent:
        for name in (fired.name, str(alertmanager_body([fired])["alerts"][0]["fingerprint"])):  # type: ignore[index, call-overload]
            truth[name, rfc3339(fired.start)] = fired.outage
    with closing(sqlite3.connect(journal)) as file:
        rows = file.execute("SELECT incident, body FROM alerts").fetchall()
        stands = {name: json.loads(body) for name, body in file.execute("SELECT id, body FROM incidents")}
    linked = {name: said["triage"]["linked_to"] for name, said in stands.items() if said["status"] == "linked"}
    of_incident: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for incident, body in rows:
        said = json.loads(zlib.decompress(body))
        started = rfc3339(datetime.fromisoformat(said["started_at"]))
        part_of = incident or ""
        while part_of in linked:
            part_of = linked[part_of]
        of_incident[part_of][truth[said["external_id"], started]] += 1
    nowhere = of_incident.pop("", {})
    incidents = of_incident
    outages: dict[int, int] = defaultdict(int)
    for counts in incidents.values():
        for outage in counts:
            outages[outage] += 1
    astray = sum(sum(counts.values()) - max(counts.values()) for counts in incidents.values())
    astray += sum(nowhere.values())
    mixed = sum(len(counts) > 1 for counts in incidents.values())
    return Sorted(len(rows), len(incidents), mixed, sum(n > 1 for n in outages.values()), astray, len(linked))


if __name__ == "__main__":
    main()
