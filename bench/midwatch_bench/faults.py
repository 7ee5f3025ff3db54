"""What becomes of a host whose journal's place is in trouble while it works and is sent alerts. Not a test.

    python -m midwatch_bench.faults hangs|restarts|full|locked|log-deleted [--seconds 20]

`hangs` and `restarts` are done to a PostgreSQL, the others to a file; `full` needs root, for a disk of its own (tmpfs).
"""

import argparse
import json
import re
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from tests.postgresql import Server, running

from midwatch.records import Gap, Report
from midwatch.storage.database import Database
from midwatch.storage.journal import Journal
from midwatch.storage.tables import alerts
from midwatch_bench.hosts import open_all, up

_INCIDENTS, _AFTER_SECONDS, _DONE_SECONDS = 6, 8.0, 120.0
_ON_POSTGRESQL = ("hangs", "restarts")


@dataclass(frozen=True)
class Asked:
    """One question to the host: which, when (monotonic), how long it took, and what was answered."""

    name: str
    at: float
    took: float
    status: int
    text: str


@dataclass
class Asking:
    """Asks a host again and again how it is, and sends it alerts, from threads of its own."""

    address: str
    told: list[Asked] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> None:
        for name, pause in (("healthz", 0.2), ("readyz", 0.5), ("alerts", 0.1), ("alerts", 0.1)):
            threading.Thread(target=self._keep_asking, args=(name, pause), daemon=True).start()

    def _keep_asking(self, name: str, pause: float) -> None:
        while not self.over.is_set():
            at = datetime.now(UTC).isoformat()
            alert = {"title": "errors", "service": "shop", "external_id": at, "started_at": at}
            self.told.append(self._ask(name, json.dumps(alert).encode() if name == "alerts" else None))
            self.over.wait(pause)

    def _ask(self, name: str, body: bytes | None) -> Asked:
        began = time.monotonic()
        request = urllib.request.Request(f"{self.address}/{name}", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        except OSError as error:
            status, text = 0, str(error)
        return Asked(name, began, time.monotonic() - began, status, text)

    def taken(self) -> list[str]:
        """Return the ids of the alerts that were answered with 202."""
        good = [json.loads(each.text) for each in self.told if each.name == "alerts" and each.status == 202]
        return [alert["alert"] for each in good for alert in each["alerts"]]


def main() -> None:
    """Do one thing to a host, and print what became of it."""
    asked = argparse.ArgumentParser()
    asked.add_argument("fault", choices=[*_ON_POSTGRESQL, "full", "locked", "log-deleted"])
    asked.add_argument("--seconds", type=float, default=20.0)
    chosen = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        host = Path(folder) / "host"
        server = stack.enter_context(running(Path(folder))) if chosen.fault in _ON_POSTGRESQL else None
        url = server.database() if server else ""
        if chosen.fault == "full":
            stack.enter_context(_small_disk(host / "data"))
        process = stack.enter_context(up(host, url, 0.5))
        found = re.search(r"webhook\s+(\S+)/alerts", (host / "log").read_text())
        asking = Asking(found[1] if found else "")
        where = url or host / "data" / "journal.db"
        with closing(Journal(Database(where))) as journal:
            open_all(journal, _INCIDENTS)
        asking.begin()
        time.sleep(2)
        began = time.monotonic()
        with _trouble(chosen.fault, host / "data", server):
            time.sleep(chosen.seconds)
        ended = time.monotonic()
        if chosen.fault == "log-deleted":  # midwatch has to be started anew
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        _wait(where, ended, done=chosen.fault != "log-deleted")
        asking.over.set()
        time.sleep(1)
        _tell(asking, where, (began, ended))
        print(
            *[line for line in (host / "log").read_text().splitlines() if " waits: " in line or "goes on" in line],
            sep="\n",
        )


@contextmanager
def _trouble(fault: str, data: Path, server: Server | None) -> Iterator[None]:
    with ExitStack() as stack:
        if server and fault == "hangs":
            stack.enter_context(server.paused())
        elif server:
            server.stop()
            stack.callback(server.start)
        elif fault == "locked":
            other = stack.enter_context(closing(sqlite3.connect(data / "journal.db", isolation_level=None, timeout=30)))
            other.execute("BEGIN IMMEDIATE")
        elif fault == "full":
            stack.callback((data / "ballast").unlink)
            subprocess.run(["dd", "if=/dev/zero", f"of={data}/ballast", "bs=64k", "status=none"], check=False)
        else:
            for name in ("journal.db-wal", "journal.db-shm"):
                (data / name).unlink()
        yield


@contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def _wait(where: Path | str, since: float, *, done: bool) -> None:
    """Wait until all incidents are investigated, and a little longer, and say how long that took."""
    with closing(Journal(Database(where))) as journal:
        while done and [i for i in journal.incidents(due=True) if i.id.startswith("01BENCH")]:
            if time.monotonic() - since > _DONE_SECONDS:
                raise RuntimeError("it does not go on")
            time.sleep(0.2)
    print(f"all investigated {time.monotonic() - since:.1f} s after it was over" if done else "started anew by nobody")
    time.sleep(_AFTER_SECONDS if done else 0)


def _tell(asking: Asking, where: Path | str, trouble: tuple[float, float]) -> None:
    for name in ("healthz", "readyz", "alerts"):
        mine = [each for each in asking.told if each.name == name]
        during = [each for each in mine if each.at + each.took > trouble[0] and each.at < trouble[1]]
        slowest = max(each.took for each in mine)
        print(f"{name}: {dict(Counter(each.status for each in during))} meanwhile, the slowest after {slowest:.1f} s")
    said = next((each.text for each in asking.told if each.name == "readyz" and each.status == 503), "")
    print(said)
    with closing(Journal(Database(where))) as journal:
        with journal.database.reading() as connection:
            on_record = {*connection.execute(sa.select(alerts.c.alert)).scalars()}
        taken = asking.taken()
        print(f"alerts with their 202: {len(taken)}, missing on record: {len({*taken} - on_record)}")
        names = [name for name in journal.investigations() if name.startswith("01BENCH")]
        reports = sum(len(journal.values(name, Report)) for name in names)
        gaps = sum(len(journal.values(name, Gap)) for name in names)
        for name in journal.investigations():
            journal.check(name)
        print(f"incidents: {len(names)}, reports: {reports}, gaps: {gaps}, chains valid")


if __name__ == "__main__":
    main()
