"""Commands that measure: how often an investigation is right, on what was really broken."""

import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from midwatch.accuracy.robots import Case, Result, known_faults, run_cases
from midwatch.accuracy.table import as_markdown
from midwatch.cli.app import app
from midwatch.cli.shared import Json, fail, print_json, run_async


class _Sets(TyperGroup):
    """Commands of this module, and those that another installed package offers for data sets: found when asked for.

    The types of click are private to typer.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted({*super().list_commands(ctx), *_offered()})

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if own := super().get_command(ctx, cmd_name):
            return own
        if not (offered := _offered()):
            fail(f"there is no {cmd_name} here: public data sets come with a package, pip install midwatch-bench")
        if cmd_name not in offered:
            fail(f"no data set is called {cmd_name}: there are {', '.join(self.list_commands(ctx))}")
        command = typer.Typer(add_completion=False)
        command.command(cmd_name)(offered[cmd_name].load())
        return typer.main.get_command(command)


def _offered() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group="midwatch.accuracy")}


bench = typer.Typer(help="Measure midwatch.", no_args_is_help=True)
accuracy = typer.Typer(help="How often an investigation is right.", no_args_is_help=True, cls=_Sets)
app.add_typer(bench, name="bench")
bench.add_typer(accuracy, name="accuracy")


@accuracy.command()
def robots(
    seeds: Annotated[int, typer.Option(min=1, help="how many seeds of each fault")] = 1,
    first_seed: Annotated[int, typer.Option(help="the first of them")] = 1,
    fault: Annotated[list[str] | None, typer.Option(help="only these; all, when left out")] = None,
    keep: Annotated[Path | None, typer.Option(help="a new folder for all journals and telemetry")] = None,
    as_json: Json = False,
) -> None:
    """Break the proving ground with each fault and each seed, live, and score what the investigation says.

    A case takes about a minute. The exit code is 0 when every case is right.
    """
    folder = keep or Path(tempfile.mkdtemp(prefix="midwatch-accuracy-"))
    names = run_async(known_faults, fault or [])
    cases = [Case(name, seed) for name in names for seed in range(first_seed, first_seed + seeds)]
    results = run_async(_all, cases, folder)
    if as_json:
        print_json([asdict(result) for result in results])
    else:
        typer.echo(as_markdown(results))
        typer.echo(f"Journals and telemetry: {folder}", err=True)
    raise typer.Exit(0 if all(result.right for result in results) else 1)


async def _all(cases: Sequence[Case], folder: Path) -> list[Result]:
    results = []
    async for result in run_cases(cases, folder):
        said = result.score.said if result.score else result.failed
        typer.echo(f"{'✓' if result.right else '✗'} {result.case.fault} {result.case.seed}: {said}", err=True)
        results.append(result)
    return results
