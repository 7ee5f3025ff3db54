"""`midwatch bench accuracy SET`: the command that the host's command line finds by the entry points of this package."""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from midwatch.cli.shared import Json, fail, print_json
from midwatch_bench.accuracy.measured import Measured
from midwatch_bench.accuracy.report import write_report
from midwatch_bench.accuracy.running import Run, run_cases
from midwatch_bench.accuracy.table import lines_of


class Split(StrEnum):
    """The halves of a set."""

    FIT = "fit"
    SCORE = "score"
    ALL = "all"


def accuracy(  # noqa: PLR0913, PLR0917 - each is an option
    context: typer.Context,
    data: Annotated[Path, typer.Option(exists=True, help="the set, laid out as its authors publish it, or a part")],
    cases: Annotated[str, typer.Option(metavar="GLOB", help="only cases whose name matches")] = "*",
    split: Annotated[Split, typer.Option(help="only this half")] = Split.ALL,
    every: Annotated[int, typer.Option(min=1, help="only every so many of them, from the first on")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="no more cases than these")] = None,
    parallel: Annotated[int, typer.Option(min=1, help="cases at once, each on a core of its own")] = 1,
    without: Annotated[
        list[str] | None, typer.Option(help="a server that is to seem down, or topology; repeat for more")
    ] = None,
    keep: Annotated[Path | None, typer.Option(help="a new folder for all snapshots and journals")] = None,
    baselines: Annotated[bool, typer.Option("--baselines", help="let simpler methods rank the same snapshots")] = False,
    report: Annotated[Path | None, typer.Option(help="a folder for a page with tables, failures and a picture")] = None,
    as_json: Json = False,
) -> None:
    """Investigate the cases of a public data set, and say how often the cause was found."""
    data_set = str(context.info_name)
    run = Run(data_set, data, split.value, cases, every, limit, frozenset(without or ()), keep, baselines)
    results = []
    for result in run_cases(run, parallel):
        typer.echo(_told(result), err=True)
        results.append(result)
    if not results:
        fail(f"there are no such cases under {data}")
    results.sort(key=lambda result: result.name)
    if report:
        page = write_report(data_set, _command(run), results, report)
        typer.echo(f"written: {page}", err=True)
    if as_json:
        print_json([asdict(result) for result in results])
    else:
        typer.echo("\n".join(lines_of(results)))


def _told(result: Measured) -> str:
    held = ", ".join(result.ranked[:3]) or result.said
    return f"{result.place or '-'} {result.split:<5} {result.name:<28} {result.outcome:<12} {held}"


def _command(run: Run) -> str:
    """Return the command again, without the folders of this machine."""
    told = [f"--split {run.split}", f"--cases '{run.cases}'" if run.cases != "*" else ""]
    told += [f"--every {run.every}" if run.every > 1 else ""]
    told += [f"--limit {run.limit}" if run.limit else "", *(f"--without {name}" for name in sorted(run.without))]
    chosen = " ".join(filter(None, [*told, "--baselines" if run.baselines else ""]))
    return f"midwatch bench accuracy {run.data_set} --data DIR {chosen} --report DIR"
