"""What each source of evidence is worth: the same cases again, without one after the other. Not a test.

    python -m midwatch_bench.accuracy.ablation SET[/NAMES]=DIR… [--every N] [--parallel N]

NAMES is a pattern for names of cases, so that one set can have several columns. Prints a table in Markdown with how
many cases were run, and top-1 and top-3: with everything, and without each server (logs, traces, cluster, and deploys,
which knows the changes) and without the topology: neither a declared one nor one that a server discovers.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from midwatch_bench.accuracy.data_sets import SETS
from midwatch_bench.accuracy.in_process import TOPOLOGY
from midwatch_bench.accuracy.measured import Measured
from midwatch_bench.accuracy.running import Run, run_cases
from midwatch_bench.accuracy.table import table, top

SOURCES = ("logs", "traces", "deploys", TOPOLOGY, "cluster")
NOTHING = "nothing"


def lines_of(results: Mapping[tuple[str, str], Sequence[Measured]]) -> Iterator[str]:
    """Yield the table of results by set and by the source that was left out; `NOTHING` where none was."""
    sets = list(dict.fromkeys(name for name, _ in results))
    left_out = list(dict.fromkeys(source for _, source in results))
    rows = [(f"without {source}", *(_cell(results.get((name, source), ())) for name in sets)) for source in left_out]
    head = [f"{name} ({len(results.get((name, NOTHING), ()))})" for name in sets]
    yield from table(("top-1 / top-3 (cases)", *head), rows)


def _cell(results: Sequence[Measured]) -> str:
    places = [result.place for result in results]
    return f"{top(places, 1):.3f} / {top(places, 3):.3f}" if places else "-"


def main() -> None:
    """Run every set with everything and without each source, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", metavar="SET[/NAMES]=DIR")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--parallel", type=int, default=1)
    asked = parser.parse_args()
    given = [(name, Path(folder)) for name, _, folder in (each.partition("=") for each in asked.sets)]
    if unknown := sorted({name.partition("/")[0] for name, _ in given} - set(SETS)):
        parser.error(f"no data set is called {', '.join(unknown)}: there are {', '.join(SETS)}")
    results: dict[tuple[str, str], Sequence[Measured]] = {}
    for source in (NOTHING, *SOURCES):
        for name, folder in given:
            data_set, _, names = name.partition("/")
            without = frozenset({source} - {NOTHING})
            run = Run(data_set, folder, cases=names or "*", every=asked.every, without=without)
            results[name, source] = list(run_cases(run, asked.parallel))
            print(f"without {source}: {name}", file=sys.stderr, flush=True)
    print("\n".join(lines_of(results)))


if __name__ == "__main__":
    main()
