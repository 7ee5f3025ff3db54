"""How surveys and paths grow with what they are asked of, over three sizes each, beside peers in the same run.

    python -m midwatch_bench.growth [logs] [series] [topology] [--largest 1.0]

Not a test. Lines to a ranked survey stand beside drain3 fed the same lines, shifts beside ruptures' kernel method, ways
of harm beside networkx asked for simple paths. Figures are CPU seconds of this process, and ratios to the peer's; the
growth is the exponent by which they grow from one size to the next: 1 is linear. A peer that is not installed is left
out.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import networkx as nx
import numpy as np
import pyarrow as pa

from midwatch_bench.statistics import drain_templates, log_lines, peer
from midwatch_kit import Window
from midwatch_kit.logs import SqlLogs
from midwatch_kit.logs.answers import survey
from midwatch_kit.records import Relation, TopologyFragment
from midwatch_logs.backends.store import StoredLogs
from midwatch_metrics.anomalies import compare_figures, find_anomalies
from midwatch_metrics.backend import Form, Series
from midwatch_metrics.figures import Figures, Measured, Statistic
from midwatch_metrics.timeline import slice_time
from midwatch_store.writer import Writer
from midwatch_topology import Topology

ValueT = TypeVar("ValueT")

SIZES = {"logs": 1_000_000, "series": 10_000, "topology": 100_000}
STEPS = (1 / 16, 1 / 4, 1)
START = datetime(2026, 11, 20, 2, tzinfo=UTC)
WINDOW = Window(start=START + timedelta(minutes=45), end=START + timedelta(minutes=60))
BASELINE = Window(start=START, end=WINDOW.start)
BATCH = 100_000
SHIFTED = 0.05
QUESTIONS = 20
WAYS = 5


@dataclass(frozen=True)
class Taken:
    """CPU seconds that a size took, those of the peer, if it is there, and what was found."""

    size: int
    own: float
    peer: float | None
    found: str


def timed(call: Callable[[], ValueT]) -> tuple[float, ValueT]:
    """CPU seconds of a call, of all threads, and what it gave."""
    began = time.process_time()
    value = call()
    return time.process_time() - began, value


def measure_logs(size: int) -> Taken:
    """Survey a store of so many lines; drain3 gets the lines themselves, one after the other."""
    lines = log_lines(size)
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder) / "store", lines)
        logs = SqlLogs(StoredLogs(Path(folder) / "store"))
        own, answer = timed(lambda: survey(logs, WINDOW, BASELINE, ()))
    taken = None
    if drain := peer("drain3"):
        masking = __import__("drain3.masking", fromlist=["masking"])
        taken, _ = timed(lambda: drain_templates(drain, masking, lines))
    return Taken(size, own, taken, f"{len(answer.lines)} findings")


def _write(folder: Path, lines: Sequence[str]) -> None:
    start, step = int(START.timestamp()) * 10**9, 3_600 * 10**9 // len(lines)
    with Writer(folder) as writer:
        for first in range(0, len(lines), BATCH):
            part = lines[first : first + BATCH]
            numbers = range(first, first + len(part))
            columns = {
                "Timestamp": pa.array([start + number * step for number in numbers], pa.timestamp("ns")),
                "ServiceName": [f"service-{number % 20}" for number in numbers],
                "SeverityNumber": pa.array([9] * len(part), pa.int32()),
                "Body": list(part),
            }
            writer.append_arrow("otel_logs", pa.table(columns))


def measure_series(size: int) -> Taken:
    """Find which of so many series shifted; one in twenty did, by six of its deviations."""
    rng = np.random.default_rng(1)
    timeline = slice_time(WINDOW, BASELINE)
    values = rng.normal(100, 15, (size, timeline.before + timeline.after))
    shifted = rng.random(size) < SHIFTED
    values[shifted, timeline.before + 10 :] += 90
    measured = [Measured(Series(f"m{i}", Form.GAUGE, "", f"s{i % 50}", ""), Statistic.VALUE, "") for i in range(size)]
    figures = Figures(measured, values)
    own, anomalies = timed(lambda: find_anomalies(figures, compare_figures(figures, timeline), timeline))
    told = {anomaly.row for anomaly in anomalies}
    right = len(told & {*np.flatnonzero(shifted).tolist()})
    found = f"{right} of {int(shifted.sum())} shifts, {len(told) - right} false"
    ruptures = peer("ruptures")
    taken = timed(lambda: [_change(ruptures, row) for row in values])[0] if ruptures else None
    return Taken(size, own, taken, found)


def _change(ruptures: Any, row: Any) -> list[int]:
    """Where ruptures sees changes; the penalty is 3 log n, as its documentation suggests for scaled values."""
    scaled = row / (np.median(np.abs(np.diff(row))) / 0.954 or 1.0)
    found: list[int] = ruptures.KernelCPD(kernel="linear", min_size=2).fit(scaled).predict(pen=3 * np.log(len(row)))
    return found


def measure_topology(size: int) -> Taken:
    """Ask for the ways from causes to the front door of an application of so many entities."""
    fragment, services = _application(size)
    causes = random.Random(2).choices(services, k=QUESTIONS)
    topology = Topology.merge({"traces": fragment})
    made, _ = timed(lambda: topology.upstream_of(services[0]))
    own, ways = timed(lambda: [topology.paths(cause, services[0], limit=WAYS) for cause in causes])
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_edges_from((relation.target, relation.source) for relation in fragment.relations)
    taken, _ = timed(lambda: [[*islice(nx.shortest_simple_paths(graph, cause, services[0]), WAYS)] for cause in causes])
    found = f"{sum(map(len, ways))} ways for {QUESTIONS} causes; {made:.1f} s to make the graph"
    return Taken(len(topology.entities), own, taken, found)


def _application(size: int) -> tuple[TopologyFragment, list[str]]:
    """A layered application: services that call later ones, mostly near ones, each with instances on shared hosts."""
    rng = random.Random(1)
    services = [f"service:s{i}" for i in range(size // 5)]
    relations = list(_calls(services, rng))
    for i, service in enumerate(services):
        for k in range(4):
            instance = f"instance:s{i}-{k}"
            relations.append(Relation(source=service, target=instance, kind="runs_on"))
            relations.append(Relation(source=instance, target=f"host:h{(i * 4 + k) % (size // 50)}", kind="runs_on"))
    return TopologyFragment(relations=tuple(relations)), services


def _calls(services: Sequence[str], rng: random.Random) -> Iterator[Relation]:
    for i in range(1, len(services)):
        near = range(max(0, i - 200), i)
        callers = {
            rng.choice(near) if rng.random() < 0.9 else rng.randrange(i) for _ in range(rng.choice((1, 1, 2, 3)))
        }
        yield from (Relation(source=services[caller], target=services[i], kind="calls") for caller in sorted(callers))


MEASURES: dict[str, Callable[[int], Taken]] = {
    "logs": measure_logs,
    "series": measure_series,
    "topology": measure_topology,
}


def told(name: str, sizes: Sequence[int]) -> Iterator[str]:
    """Yield a table of one measure, as Markdown."""
    yield f"| {name} | CPU s | growth | peer's CPU s | peer / own | found |"
    yield "|---:|---:|---:|---:|---:|---|"
    before: Taken | None = None
    for size in sizes:
        now = MEASURES[name](size)
        growth = f"{np.log(now.own / before.own) / np.log(now.size / before.size):.2f}" if before else ""
        beside = f"{now.peer:.2f} | {now.peer / now.own:.1f}" if now.peer is not None else "- | -"
        yield f"| {now.size:,} | {now.own:.2f} | {growth} | {beside} | {now.found} |"
        before = now


def main() -> None:
    """Print a table for each measure asked for; all without any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("measures", nargs="*", metavar="measure", help=f"some of {', '.join(MEASURES)}; none: all")
    parser.add_argument("--largest", type=float, default=1.0, help="this share of the sizes, for a quicker look")
    asked = parser.parse_args()
    if unknown := [name for name in asked.measures if name not in MEASURES]:
        parser.error(f"there is no measure {unknown[0]!r}: choose from {', '.join(MEASURES)}")
    for name in asked.measures or MEASURES:
        for line in told(name, [round(SIZES[name] * step * asked.largest) for step in STEPS]):
            print(line, flush=True)
        print()


if __name__ == "__main__":
    main()
