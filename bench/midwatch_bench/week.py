"""A week of alerts in accelerated time: outages, flapping, noise, repeats, and what the host holds in memory meanwhile.

`python -m midwatch_bench.week` puts them through the book of alerts, with the clock passed in, and prints every twelve
hours what is remembered, what the process takes, and what is on record.
"""

import argparse
import random
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import sqlalchemy as sa

from midwatch.correlation import Neighbourhood, Rules
from midwatch.intake import alerts_from
from midwatch.reception import AlertBook
from midwatch.records import Alert
from midwatch.settings.correlation import CorrelationSettings
from midwatch.storage.journal import Journal
from midwatch.storage.tables import incidents
from midwatch_bench.storm_alerts import Fired, generic_body, storm
from midwatch_kit.evidence import EvidenceStore
from midwatch_kit.records import Basis, Relation, TopologyFragment
from midwatch_topology import Topology

_AT_ONCE = 200
_EVERY = timedelta(hours=12)


def main() -> None:
    """Print what is held, every twelve hours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=float, default=7)
    parser.add_argument("--alerts", type=int, default=1000, help="of the outages of four hours, besides noise")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _run(Path(folder), asked.days, asked.alerts, asked.seed)


def _run(folder: Path, days: float, alerts: int, seed: int) -> None:
    chance, began = random.Random(seed), time.perf_counter()
    start = datetime.now(UTC) - timedelta(days=days)
    journal = Journal(folder / "journal.db")
    made = storm(100, seed, start, "shared")
    area = Neighbourhood(topology(made.calls))
    book = AlertBook(journal, EvidenceStore(folder / "evidence", 2**40), CorrelationSettings(), Rules, lambda: area)
    print("hours | alerts incidents | fingerprints outages remembered | MB of the process | MB on disk | seconds")
    count, told = 0, start
    for block in range(round(days * 6)):
        end = start + timedelta(hours=4 * (block + 1))
        sent = storm(alerts, seed, end, "shared", outages=chance.randrange(1, 8)).sent
        sent = sorted([*sent, *_noise(chance, end)], key=lambda fired: fired.sent)
        received = [(_alert(fired), fired.sent) for fired in sent]
        for first in range(0, len(received), _AT_ONCE):
            book.store(received[first : first + _AT_ONCE])
        count += len(received)
        if end - told >= _EVERY:
            told = end
            _tell(book, journal, folder, (end - start).total_seconds() / 3600, count, time.perf_counter() - began)
    journal.close()


def _noise(chance: random.Random, end: datetime) -> list[Fired]:
    """Return four hours of alerts of no outage: some come and go, most are new every time."""
    found = []
    for _ in range(300):
        at = end - timedelta(hours=4 * chance.random())
        name = f"n{chance.randrange(10)}" if chance.random() < 0.3 else f"x{chance.randrange(10**9)}"
        labels = {"alertname": "Noise", "service": f"{name}-svc", "severity": "low", "instance": name}
        found.append(Fired(at, -1, labels, f"Queue of {name} grows", at, None))
        over = at + timedelta(minutes=chance.uniform(1, 9))
        found.append(Fired(over, -1, labels, f"Queue of {name} grows", at, over))
    return found


def _alert(fired: Fired) -> Alert:
    return alerts_from(generic_body(fired))[0]


def topology(calls: list[tuple[str, str]]) -> Topology:
    """Return an application by who calls whom."""
    relations = tuple(
        Relation(
            source=f"service:{one}", kind="calls", target=f"service:{other}", basis=Basis.DECLARED, learnt_from="bench"
        )
        for one, other in calls
    )
    return Topology.merge({"bench": TopologyFragment(relations=relations)})


def _tell(book: AlertBook, journal: Journal, folder: Path, hours: float, count: int, seconds: float) -> None:
    fingerprints, outages = book.remembered
    resident = psutil.Process().memory_info().rss / 2**20
    disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20
    with journal.database.reading() as connection:  # to read them all would be what memory grows by
        known = connection.execute(sa.select(sa.func.count()).select_from(incidents)).scalar_one()
    print(
        f"{hours:.0f} | {count} {known} | {fingerprints} {outages} | {resident:.0f} | {disk:.0f} | {seconds:.0f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
