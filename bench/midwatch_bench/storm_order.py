"""Storms decided on without HTTP, in an order that is told: what does overtaking do to incidents?

`python -m midwatch_bench.storm_order --alerts 1000 --overtaking 0 16 64` puts the requests of a storm through the book
of alerts. Each can be overtaken by up to so many that were sent after it; with 0 they come as they were sent.
"""

import argparse
import json
import random
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import get_args

from midwatch.correlation import Neighbourhood, Rules
from midwatch.intake import alerts_from
from midwatch.reception import AlertBook
from midwatch.settings.correlation import CorrelationSettings
from midwatch.storage.journal import Journal
from midwatch_bench.storm import bodies
from midwatch_bench.storm_alerts import Set, Storm, storm
from midwatch_bench.storm_truth import Sorted, compared
from midwatch_bench.week import topology
from midwatch_kit.evidence import EvidenceStore

_AT_ONCE = 16
_BETWEEN = timedelta(milliseconds=10)


def main() -> None:
    """Print a table, one row for each order of each storm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, nargs="*", default=[2000])
    parser.add_argument("--seeds", type=int, nargs="*", default=[10, 11, 12, 13, 14])
    parser.add_argument("--kinds", nargs="*", choices=get_args(Set), default=["apart"])
    parser.add_argument("--overtaking", type=int, nargs="*", default=[0])
    parser.add_argument("--orders", type=int, default=1, help="orders by chance, of each storm")
    asked = parser.parse_args()
    print("alerts set seed overtaking | kept incidents mixed split astray")
    for kind, alerts, seed, overtaking in product(asked.kinds, asked.alerts, asked.seeds, asked.overtaking):
        for order in range(asked.orders if overtaking else 1):
            found = decided(storm(alerts, seed, datetime.now(UTC), kind), overtaking, order)
            print(f"{alerts} {kind} {seed} {overtaking} | {found}", flush=True)


def decided(made: Storm, overtaking: int, order: int) -> Sorted:
    """Return what becomes of a storm whose requests overtake each other by up to so many, all of them sent now."""
    chance = random.Random(order)
    sent = [body for body, _ in bodies(made)]
    arrived = sorted(range(len(sent)), key=lambda number: number + chance.uniform(0, overtaking))
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as folder, closing(Journal(Path(folder) / "journal.db")) as journal:
        area = Neighbourhood(topology(made.calls))
        kept = EvidenceStore(Path(folder) / "evidence", 2**40)
        book = AlertBook(journal, kept, CorrelationSettings(), Rules, lambda: area)
        for first in range(0, len(arrived), _AT_ONCE):
            some = [
                alert for number in arrived[first : first + _AT_ONCE] for alert in alerts_from(json.loads(sent[number]))
            ]
            now += _BETWEEN
            book.store([(alert, now) for alert in some])
        return compared(Path(folder) / "journal.db", made)


if __name__ == "__main__":
    main()
