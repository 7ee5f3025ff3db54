"""Accuracy on public incident data, through the real servers and the real host. Not a test.

    python -m midwatch_bench.accuracy petshop|nezha --data DIR [--split fit|score|all] [--limit N]

`--data` is where an archive was unpacked; see docs/benchmarks. Each case becomes a snapshot, which is investigated as
`midwatch investigate` does it; then the hypotheses' entities, by probability, are held against the case's answer.
The reasoner never sees an answer: it isn't in the snapshot.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path

import anyio

from midwatch.host import Host, open_host
from midwatch.intake import from_generic
from midwatch.journal import Journal
from midwatch.records import Conclusion, Hypothesis, ToolCall, Verdict
from midwatch.settings import Settings
from midwatch_bench.importers import nezha, petshop
from midwatch_bench.importers.case import Case, write_snapshot
from midwatch_kit.records import EntityId


@dataclass(frozen=True)
class DataSet:
    """How to read a data set, and the settings that fit how coarse it is."""

    cases: Callable[[Path], Iterable[Case]]
    lookback_seconds: float


SETS = {
    "petshop": DataSet(petshop.cases, lookback_seconds=8 * 3600),
    "nezha": DataSet(nezha.cases, lookback_seconds=300),
}


@dataclass(frozen=True)
class Measured:
    """One case: the entities in the order of their probability, the place of the right one (from 1; 0: nowhere)."""

    case: Case
    ranked: tuple[EntityId, ...]
    place: int
    outcome: str
    seconds: float
    calls: int
    bytes: int


async def measure(case: Case, lookback_seconds: float) -> Measured:
    """Investigate one case in a folder of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        snapshot = await anyio.to_thread.run_sync(write_snapshot, case, Path(folder) / "snapshot")
        settings = Settings(
            data_dir=Path(folder) / "data",
            store=snapshot,
            declared_topology=snapshot / "topology.json",
            steering_dir=Path(folder) / "none",
            lookback_seconds=lookback_seconds,
            gather_seconds=0,
        )
        os.environ["TMPDIR"] = folder  # the servers keep their evidence there
        async with open_host(settings) as host:
            return await _investigated(host, case)


async def _investigated(host: Host, case: Case) -> Measured:
    (incident,) = host.receive([from_generic(dict(case.alert.body()))], case.alert.seen_at)
    began = time.perf_counter()
    await host.investigation(incident, None).run()
    seconds = time.perf_counter() - began
    ranked = ranking(host.journal, incident.id)
    calls = host.journal.values(incident.id, ToolCall)
    return Measured(
        case=case,
        ranked=ranked,
        place=next((n for n, entity in enumerate(ranked, 1) if entity in case.answers), 0),
        outcome=host.journal.values(incident.id, Conclusion)[-1].outcome.value,
        seconds=seconds,
        calls=len(calls),
        bytes=sum(call.evidence.bytes for call in calls if call.evidence),
    )


def ranking(journal: Journal, investigation: str) -> tuple[EntityId, ...]:
    """Return the entities of the hypotheses that were not refuted, the likeliest first, each once."""
    verdicts = {v.hypothesis: v for v in journal.values(investigation, Verdict) if v.result != "refuted"}
    tested = [h for h in journal.values(investigation, Hypothesis) if h.id in verdicts]
    tested.sort(key=lambda h: (-verdicts[h.id].probability, h.id))
    return tuple(dict.fromkeys(h.entity for h in tested))


def lines_of(measured: Sequence[Measured]) -> Iterator[str]:
    """Yield a table in Markdown: a line for each group, then one for all."""
    yield "| group | cases | top-1 | top-3 | outcomes | seconds | calls | KB |"
    yield "|---|---:|---:|---:|---|---:|---:|---:|"
    ordered = sorted(measured, key=lambda m: m.case.group)
    for group, members in groupby(ordered, key=lambda m: m.case.group):
        yield _line(group, list(members))
    yield _line("all", ordered)


def _line(name: str, them: Sequence[Measured]) -> str:
    first, third = (sum(0 < m.place <= n for m in them) / len(them) for n in (1, 3))
    counted = {outcome: sum(m.outcome == outcome for m in them) for outcome in sorted({m.outcome for m in them})}
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in counted.items())
    means = [
        sum(values) / len(them) for values in zip(*((m.seconds, m.calls, m.bytes / 1e3) for m in them), strict=True)
    ]
    seconds, calls, kilobytes = means
    costs = f"{seconds:.1f} | {calls:.0f} | {kilobytes:.0f}"
    return f"| {name} | {len(them)} | {first:.3f} | {third:.3f} | {outcomes} | {costs} |"


def main() -> None:
    """Measure the cases that were asked for; print each as it is done, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_set", choices=sorted(SETS))
    parser.add_argument("--data", type=Path, required=True, help="where the archive was unpacked")
    parser.add_argument("--split", choices=["fit", "score", "all"], default="all")
    parser.add_argument("--limit", type=int, help="no more cases than these")
    arguments = parser.parse_args()
    chosen = SETS[arguments.data_set]
    wanted = (c for c in chosen.cases(arguments.data) if arguments.split in ("all", c.split))
    measured = []
    for case in islice(wanted, arguments.limit):
        measured.append(one := anyio.run(measure, case, chosen.lookback_seconds))
        told = ", ".join(one.ranked[:3]) or "nothing"
        print(f"{one.place or '-'} {case.split:<5} {case.name:<28} {one.outcome:<12} {told}", flush=True)
    if not measured:
        parser.error(f"no cases under {arguments.data}")
    print("", *lines_of(measured), sep="\n")


if __name__ == "__main__":
    main()
