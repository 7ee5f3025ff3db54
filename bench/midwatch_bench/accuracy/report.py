"""What was measured on a set as a page in Markdown with a picture: figures, baselines, published tables, failures."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from midwatch.records import Outcome
from midwatch_bench.accuracy.diagram import reliability_diagram
from midwatch_bench.accuracy.measured import Measured
from midwatch_bench.accuracy.published import PUBLISHED, Published
from midwatch_bench.accuracy.reliability import SURE, bins, expected_calibration_error, named, sure_but_wrong
from midwatch_bench.accuracy.table import lines_of, table, top

_BASELINES = "Simple published methods on the metrics of the same snapshots; the place is that of the right service."


def write_report(data_set: str, command: str, results: Sequence[Measured], folder: Path) -> Path:
    """Write the page and the diagram of a set into a folder, over those that are there; return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / f"{data_set}-reliability.svg"
    picture.write_text(reliability_diagram(bins(named(results)), f"{data_set}: named causes"), encoding="utf-8")
    page = folder / f"{data_set}-results.md"
    page.write_text("\n".join(report_of(data_set, command, results, picture.name)) + "\n", encoding="utf-8")
    return page


def report_of(data_set: str, command: str, results: Sequence[Measured], picture: str) -> Iterator[str]:
    """Yield the lines of the page."""
    yield from (f"# {data_set}: results", "", "Written by:", "", "```", command, "```")
    for split in sorted({result.split for result in results}):
        yield from ("", f"## The {split} half", "", *lines_of([r for r in results if r.split == split]))
    yield from ("", "## Confidence", "", *_confidence(results), "", f"![reliability diagram]({picture})")
    yield from ("", "## Abstentions", "", *_abstentions(results))
    if any(result.baselines for result in results):
        yield from ("", "## Baselines", "", _BASELINES, "", *_baselines(results))
    if known := PUBLISHED.get(data_set):
        yield from ("", "## Published", "", *_published(known))
    yield from ("", "## Failures", "", *_failures(results))


def _confidence(results: Sequence[Measured]) -> Iterator[str]:
    causes = named(results)
    wrong, sure = sure_but_wrong(causes)
    yield (
        f"{len(causes)} causes were named. Expected calibration error {expected_calibration_error(causes):.3f}; "
        f"{wrong} of {sure} with a confidence above {SURE} are wrong."
    )
    yield ""
    yield from table(
        ("causes", "mean confidence", "right"),
        [(str(b.count), f"{b.confidence:.2f}", f"{b.right:.3f}") for b in bins(causes)],
    )


def _abstentions(results: Sequence[Measured]) -> Iterator[str]:
    silent = [result for result in results if result.abstained]
    sound = sum(not result.right and result.outcome != Outcome.NO_INCIDENT for result in silent)
    yield (
        f"{len(silent)} of {len(results)} named no cause. Of these, {sound} were right to: the likeliest was wrong, or "
        f"there was none. {len(silent) - sound} were not: the likeliest was right, or there was said to be no incident."
    )
    if silent:
        counted = sorted(Counter(result.outcome for result in silent).items())
        yield from ("", ", ".join(f"{count} {outcome}" for outcome, count in counted) + ".")


def _baselines(results: Sequence[Measured]) -> Iterator[str]:
    run = [result for result in results if result.baselines]
    methods = sorted({method for result in run for method in result.baselines})
    ranks = {"midwatch": [r.place for r in run], **{m: [r.baselines.get(m, 0) for r in run] for m in methods}}
    rows = [(method, *(f"{top(places, n):.3f}" for n in (1, 3, 5))) for method, places in ranks.items()]
    yield from table((f"method ({len(run)} cases)", "top-1", "top-3", "top-5"), rows)


def _published(known: Published) -> Iterator[str]:
    yield f"Of {known.of}. Not of the same cases, unless all of the set was run, so an orientation and no ranking."
    yield from ("", *table(known.columns, known.rows), "", f"Source: {known.source}.")


def _failures(results: Sequence[Measured]) -> Iterator[str]:
    wrong = [result for result in results if not result.right]
    if not wrong:
        yield "None."
    for result in wrong:
        place = f"place {result.place}" if result.place else "not among what was held"
        held = ", ".join(result.ranked[:3]) or "nothing"
        yield (
            f"- {result.name} ({result.split}): {result.outcome}. Right is {' or '.join(result.answers)}: {place}. "
            f"Held: {held}. Said: {result.said}."
        )
