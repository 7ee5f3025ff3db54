"""Results as a table in Markdown: a line for each group, then one for all."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from statistics import median

from midwatch_bench.accuracy.measured import Measured

_HEAD = ("group", "cases", "top-1", "top-3", "top-5", "MRR", "kind", "path", "outcomes", "s", "CPU s", "calls", "kB")
_FIGURE = re.compile(r"-|[\d.,/ *]+")


def lines_of(results: Sequence[Measured]) -> Iterator[str]:
    """Yield the table; seconds, calls and kB of evidence are medians, a dash stands where nothing was to be right."""
    ordered = sorted(results, key=lambda result: result.group)
    groups = groupby(ordered, key=lambda result: result.group)
    yield from table(_HEAD, [*(_cells(group, list(members)) for group, members in groups), _cells("all", ordered)])


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield a table in Markdown; columns of figures are set to the right."""
    lines = list(rows)
    figures = [all(_FIGURE.fullmatch(line[column]) for line in lines) for column in range(len(head))]
    for cells in (head, ["---:" if figure else "---" for figure in figures], *lines):
        yield f"| {' | '.join(cells)} |"


def top(places: Sequence[int], most: int) -> float:
    """Return the share of cases whose right label is among the first so many; places count from 1, 0 is nowhere."""
    return sum(0 < place <= most for place in places) / len(places)


def mean_reciprocal_rank(places: Sequence[int]) -> float:
    """Return the mean of one over the place of the right label, 0 where it is nowhere (Voorhees, TREC-8, 1999)."""
    return sum(1 / place for place in places if place) / len(places)


def _cells(name: str, results: Sequence[Measured]) -> list[str]:
    places = [result.place for result in results]
    counted = sorted(Counter(result.outcome for result in results).items())
    return [
        name,
        str(len(results)),
        *(f"{top(places, most):.3f}" for most in (1, 3, 5)),
        f"{mean_reciprocal_rank(places):.3f}",
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
