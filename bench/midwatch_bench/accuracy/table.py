"""Results as a table in Markdown: a line for each group, then one for all."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from statistics import median

from midwatch_bench.accuracy.measured import Measured

_HEAD = ("group", "cases", "top-1", "top-3", "top-5", "MRR", "kind", "path", "outcomes", "s", "CPU s", "calls", "kB")


def lines_of(results: Sequence[Measured]) -> Iterator[str]:
    """Yield the table; seconds, calls and kB of evidence are medians, a dash stands where nothing was to be right."""
    yield _line(_HEAD)
    yield _line(["---", *["---:"] * 7, "---", *["---:"] * 4])
    ordered = sorted(results, key=lambda result: result.group)
    for group, members in groupby(ordered, key=lambda result: result.group):
        yield _line(_cells(group, list(members)))
    yield _line(_cells("all", ordered))


def top(results: Sequence[Measured], place: int) -> float:
    """Return the share of cases whose right label is among the first so many."""
    return sum(0 < result.place <= place for result in results) / len(results)


def mean_reciprocal_rank(results: Sequence[Measured]) -> float:
    """Return the mean of one over the place of the right label, 0 where it is nowhere (Voorhees, TREC-8, 1999)."""
    return sum(1 / result.place for result in results if result.place) / len(results)


def _cells(name: str, results: Sequence[Measured]) -> list[str]:
    counted = sorted(Counter(result.outcome for result in results).items())
    return [
        name,
        str(len(results)),
        *(f"{top(results, place):.3f}" for place in (1, 3, 5)),
        f"{mean_reciprocal_rank(results):.3f}",
        _share([result.kind_right for result in results]),
        _share([result.path_right for result in results]),
        ", ".join(f"{count} {outcome}" for outcome, count in counted),
        f"{median(result.seconds for result in results):.1f}",
        f"{median(result.cpu_seconds for result in results):.1f}",
        f"{median(result.calls for result in results):.0f}",
        f"{median(result.bytes for result in results) / 1e3:.0f}",
    ]


def _share(judged: Sequence[bool | None]) -> str:
    known = [each for each in judged if each is not None]
    return f"{sum(known) / len(known):.3f}" if known else "-"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
