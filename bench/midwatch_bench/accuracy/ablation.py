"""What each server is worth: the same cases again, with one server after the other down. Not a test.

    python -m midwatch_bench.accuracy.ablation SET=DIR… [--split fit|score|all] [--limit N] [--parallel N]

Prints a table in Markdown with top-1 and top-3 of each set: with all servers, and without each.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from midwatch_bench.accuracy.data_sets import SETS
from midwatch_bench.accuracy.measured import Measured
from midwatch_bench.accuracy.running import Run, run_cases
from midwatch_bench.accuracy.table import table, top

SERVERS = ("logs", "metrics", "traces", "deploys", "cluster")
NOTHING = "nothing"


def lines_of(results: Mapping[tuple[str, str], Sequence[Measured]]) -> Iterator[str]:
    """Yield the table of results by set and by the server that was down; `NOTHING` where none was."""
    sets = list(dict.fromkeys(name for name, _ in results))
    down = list(dict.fromkeys(server for _, server in results))
    rows = [(f"without {server}", *(_cell(results.get((name, server), ())) for name in sets)) for server in down]
    yield from table(("top-1 / top-3", *sets), rows)


def _cell(results: Sequence[Measured]) -> str:
    places = [result.place for result in results]
    return f"{top(places, 1):.3f} / {top(places, 3):.3f}" if places else "-"


def main() -> None:
    """Run every set with all servers and without each, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", metavar="SET=DIR")
    parser.add_argument("--split", choices=["fit", "score", "all"], default="all")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--parallel", type=int, default=1)
    asked = parser.parse_args()
    given = [(name, Path(folder)) for name, _, folder in (each.partition("=") for each in asked.sets)]
    if unknown := sorted({name for name, _ in given} - set(SETS)):
        parser.error(f"no data set is called {', '.join(unknown)}: there are {', '.join(SETS)}")
    results: dict[tuple[str, str], Sequence[Measured]] = {}
    for server in (NOTHING, *SERVERS):
        for name, folder in given:
            without = frozenset({server} - {NOTHING})
            run = Run(name, folder, asked.split, limit=asked.limit, without=without)
            results[name, server] = list(run_cases(run, asked.parallel))
    print("\n".join(lines_of(results)))


if __name__ == "__main__":
    main()
