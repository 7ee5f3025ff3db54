"""Investigations whose model is played by file: prepare, run, play, and see what they cost.

python -m midwatch_bench.played prepare CASES… --behind DIR --seats DIR
python -m midwatch_bench.played elsewhere DIR CASE server
python -m midwatch_bench.played run DIR
python -m midwatch_bench.played next SEATS/r01…
python -m midwatch_bench.played answer SEATS/r01/001 < answer.json
python -m midwatch_bench.played lie SEATS/r02…
python -m midwatch_bench.played table DIR
"""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from midwatch.errors import HostError
from midwatch_bench.bridge import write_json
from midwatch_bench.played import seat
from midwatch_bench.played.cases import take_case
from midwatch_bench.played.desk import Arm, Desk
from midwatch_bench.played.elsewhere import Teller, move
from midwatch_bench.played.liar import lie_at
from midwatch_bench.played.running import Running
from midwatch_bench.played.table import lines_of

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
Behind = Annotated[Path, typer.Argument(exists=True, file_okay=False, help="the folder that runs were prepared in")]
_ARMS = {arm.name.lower().replace("_", "-"): arm for arm in Arm}


@app.command()
def prepare(
    cases: Annotated[list[Path], typer.Argument(exists=True, file_okay=False, help="folders of cases")],
    behind: Annotated[Path, typer.Option(help="where all lies that players must not see")],
    seats: Annotated[Path, typer.Option(help="where they play")],
    arm: Annotated[list[str] | None, typer.Option(help=f"one of {', '.join(_ARMS)}; all, when left out")] = None,
    times: Annotated[int, typer.Option(min=1, help="runs of each case in each arm")] = 1,
) -> None:
    """Make cases ready, and a seat for each run; run it where the cases' steering folder is."""
    if unknown := sorted({*(arm or [])} - _ARMS.keys()):
        raise typer.BadParameter(f"no arm is called {unknown[0]}: there are {', '.join(_ARMS)}")
    desk = Desk(behind, seats)
    try:
        names = [take_case(case, desk) for case in cases]
    except HostError as error:
        raise typer.BadParameter(str(error)) from None
    for run in desk.add(names, [_ARMS[name] for name in arm or _ARMS], times):
        typer.echo(f"{run.name}  {run.arm:<18} {run.case}")


@app.command()
def elsewhere(
    behind: Behind,
    case: Annotated[str, typer.Argument(help="a case that was prepared there, by its name")],
    teller: Annotated[Teller, typer.Argument(help="who tells of changed settings, in place of the telemetry")],
    page: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="the page, as a steering file")] = None,
) -> None:
    """Make a case whose cause statistics cannot see out of one whose cause is a changed setting, and a seat for it."""
    desk = Desk.at(behind)
    for run in desk.add([move(desk, case, teller, page)], [Arm.SURVEYS], 1):
        typer.echo(f"{run.name}  {run.arm:<18} {run.case}")


@app.command()
def run(
    behind: Behind,
    names: Annotated[list[str] | None, typer.Argument(help="of runs; all without a result, when left out")] = None,
    at_once: Annotated[int, typer.Option(min=1, help="runs at the same time")] = 8,
    again: Annotated[bool, typer.Option("--again", help="also those that were begun before, from the start")] = False,
    holmes: Annotated[Path | None, typer.Option(exists=True, help="HolmesGPT's command, for its runs")] = None,
) -> None:
    """Run until all have ended; each has a bridge, and waits for its player."""
    desk = Desk.at(behind)
    running = Running(desk, holmes)
    wanted = [each for each in desk.prepared() if not names or each.name in names]
    if begun := [each.name for each in wanted if running.begun(each) and not again]:
        typer.echo(f"begun before, left alone without --again: {', '.join(begun)}", err=True)
    chosen = [each for each in wanted if again or each.name not in begun]
    for result in running.all_of(chosen, at_once):
        said = result.get("failed") or f"{result['calls']} calls, {result['input_tokens']:,} tokens sent"
        typer.echo(f"{result['run']} ended: {said}")


@app.command("next")
def next_requests(
    seats: Annotated[list[Path], typer.Argument(exists=True, file_okay=False, help="seats to look at")],
    seconds: Annotated[float, typer.Option(help="how long to wait for something")] = 60,
    again: Annotated[
        bool, typer.Option("--again", help="show all that waits, whole, as if for the first time")
    ] = False,
) -> None:
    """Show what waits for an answer, as far as it is new; ends with 3 when every seat has ended."""
    texts, over = seat.wait_for(seats, seconds, again=again)
    typer.echo("\n".join(texts or ["nothing new; ask again"]) if not over else "all have ended")
    raise typer.Exit(3 if over else 0)


@app.command("answer")
def answer_requests(
    place: Annotated[Path, typer.Argument(help="a request, as SEATS/r01/003; or SEATS, for several at once")],
) -> None:
    """Answer with the JSON on stdin: a list of blocks, or an object of them by their places, as r01/003.

    A text is a block of text; {"NAME": {…}} is the use of a tool.
    """
    try:
        told = json.load(sys.stdin)
        if place.is_dir():
            several, seats = dict(told), place
        else:
            several, seats = {f"{place.parent.name}/{place.name}": told}, place.parent.parent
        for each, blocks in several.items():
            seat.answer(seats, each, blocks)
    except ValueError as error:
        typer.echo(f"not answered: {error}", err=True)
        raise typer.Exit(1) from None


@app.command()
def judge(
    behind: Behind,
    name: Annotated[str, typer.Argument(help="of a run of HolmesGPT's that has ended")],
    right: Annotated[bool, typer.Option("--right/--wrong", help="whether it named all causes and no others")],
) -> None:
    """Say whether an answer in words is right: of HolmesGPT's no code can tell."""
    desk = Desk.at(behind)
    path = next((desk.result(run) for run in desk.prepared() if run.name == name and run.arm.is_holmes), None)
    if path is None or not path.exists():
        raise typer.BadParameter(f"no run of HolmesGPT's that has ended is called {name}")
    write_json(path, {**json.loads(path.read_bytes()), "right": right})


@app.command()
def lie(seats: Annotated[list[Path], typer.Argument(exists=True, file_okay=False, help="seats, as SEATS/r01")]) -> None:
    """Play at these seats as dishonestly as can be, until all have ended."""
    lie_at(seats)


@app.command("table")
def show_table(behind: Behind) -> None:
    """Print what runs cost, as tables in Markdown."""
    typer.echo("\n".join(lines_of(Desk.at(behind).results())))


if __name__ == "__main__":
    app()
