"""What runs cost, as tables: each run beside its limits, and the median of each arm."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from statistics import median
from typing import Any, Final

from midwatch_bench.accuracy.table import table

MOST_TOKENS: Final = 60_000
MOST_USD: Final = 0.15
"""What the median investigation should stay below: tokens that are sent, cached or not, and US dollars."""

_HEAD: Final = ("fault", "who", "right", "calls", "sent", "new", "written", "read", "out", "$ uncached", "$ cached")
_FIGURES: Final = ("calls", "input_tokens", "new_tokens", "cache_write_tokens", "cache_read_tokens", "output_tokens")
_MONEY: Final = ("usd_uncached", "usd_cached")


def lines_of(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield both tables in Markdown; what is above a limit is bold. Runs that broke are named below."""
    good = sorted((r for r in results if "failed" not in r), key=lambda r: (r["fault"], r["arm"], r["run"]))
    yield from table(_HEAD, [_cells(r["fault"], r["arm"], [r]) for r in good])
    yield ""
    by_arm = sorted(good, key=lambda r: str(r["arm"]))
    arms = [(arm, list(members)) for arm, members in groupby(by_arm, key=lambda r: str(r["arm"]))]
    yield f"Medians; below {MOST_TOKENS:,} tokens sent and ${MOST_USD} is the aim."
    yield ""
    yield from table(_HEAD, [_cells(f"all {len(members)}", arm, members) for arm, members in arms])
    for result in results:
        if "failed" in result:
            yield f"- {result['run']} ({result['fault']}, {result['arm']}) broke: {result['failed']}"


def _cells(fault: str, arm: str, results: Sequence[Mapping[str, Any]]) -> list[str]:
    figures = {name: median(r[name] for r in results) for name in (*_FIGURES, *_MONEY)}
    return [
        fault,
        arm,
        _right([r.get("right") for r in results]),
        *(_bold(f"{figures[name]:,.0f}", name == "input_tokens" and figures[name] > MOST_TOKENS) for name in _FIGURES),
        *(_bold(f"{figures[name]:.3f}", figures[name] > MOST_USD) for name in _MONEY),
    ]


def _bold(text: str, above: bool) -> str:
    return f"**{text}**" if above else text


def _right(judged: Sequence[bool | None]) -> str:
    """Return how many are right of those that were judged."""
    known = [each for each in judged if each is not None]
    if len(judged) == 1:
        return {True: "yes", False: "no", None: "-"}[judged[0]]
    return f"{sum(known)}/{len(known)}"
