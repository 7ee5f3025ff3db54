"""Results as a table for people and documents: one line for each fault, and every failure said in full below."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from statistics import median

from midwatch.accuracy.robots import Result

_HEAD = ("fault", "right", "ruled out", "mended", "seconds", "calls", "kB of evidence")


def as_markdown(results: Sequence[Result]) -> str:
    """Return the table in Markdown; figures of a fault are medians over its seeds."""
    rows = [_row(fault, list(group)) for fault, group in groupby(results, key=lambda result: result.case.fault)]
    total = f"{sum(result.right for result in results)}/{len(results)}"
    lines = [" | ".join(_HEAD), " | ".join("---" for _ in _HEAD), *(" | ".join(row) for row in rows)]
    return "\n".join([*(f"| {line} |" for line in lines), "", f"{total} right.", *_failures(results)])


def _row(fault: str, results: Sequence[Result]) -> tuple[str, ...]:
    scores = [result.score for result in results if result.score]
    count = len(results)
    return (
        fault,
        f"{sum(result.right for result in results)}/{count}",
        f"{sum(not score.not_ruled_out for score in scores)}/{count}",
        f"{sum(result.mended for result in results)}/{count}",
        _middle([result.seconds for result in results if result.score], "{:.1f}"),
        _middle([score.calls for score in scores], "{:.0f}"),
        _middle([score.bytes / 1000 for score in scores], "{:.0f}"),
    )


def _middle(values: Sequence[float], form: str) -> str:
    return form.format(median(values)) if values else "-"


def _failures(results: Iterable[Result]) -> list[str]:
    return ["", *(f"- {line}" for result in results for line in _faults_of(result))]


def _faults_of(result: Result) -> list[str]:
    name = f"{result.case.fault}, seed {result.case.seed}"
    if result.score is None:
        return [f"{name}: it was not investigated: {result.failed}"]
    wrong = [] if result.right else [f"{name}: it said {result.score.said}"]
    missed = [f"{name}: not ruled out: {each.kind} {each.entity}" for each in result.score.not_ruled_out]
    return [*wrong, *missed, *([] if result.mended else [f"{name}: the fault's own fix did not help within the time"])]
