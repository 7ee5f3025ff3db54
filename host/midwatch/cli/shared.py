"""What commands share: settings, journal, errors, printing."""

import json
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Annotated, Any, NoReturn, TypeVar

import anyio
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from midwatch.errors import BadSettings, HostError, first_of
from midwatch.settings import Settings
from midwatch.storage.journal import Journal
from midwatch.storage.state import journal_of
from midwatch_kit.errors import KitError

ResultT = TypeVar("ResultT")
Json = Annotated[bool, typer.Option("--json", help="print JSON for programs")]
_WIDEST = 400
_NARROW = 100


@contextmanager
def told() -> Iterator[None]:
    """Turn the errors that are for people into one line and exit code 1, however deep in a group they are."""
    said = ""
    try:
        yield
    except* (HostError, KitError) as group:
        said = str(first_of(group))
    if said:
        fail(said)


@contextmanager
def open_journal() -> Iterator[Journal]:
    """Hold the journal that the settings name."""
    with told(), closing(journal_of(settings_or_fail())) as journal:
        yield journal


def settings_or_fail(**said: object) -> Settings:
    """Return the settings as `settings_as_said` does, with the store that `midwatch up` keeps in the data folder.

    So every command looks at what `up` looks at, unless a store is named, or none is to run.
    """
    settings = settings_as_said(**said)
    if settings.store is None and settings.run_store and settings.own_store.is_dir():
        return settings.model_copy(update={"store": settings.own_store})
    return settings


def settings_as_said(**said: object) -> Settings:
    """Return the settings, or end with every fault, each with its line or variable.

    What the command line `said` goes before all else, unless it is None.
    """
    given: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    try:
        return Settings(**given)
    except BadSettings as error:
        fail(str(error))
    except ValidationError as error:
        from midwatch.config.faults import of_settings, origins  # noqa: PLC0415 - only needed where something is wrong

        faults = [str(fault) for fault in of_settings(error.errors(include_url=False), origins())]
        fail("these settings cannot be used: " + "; ".join(faults) + " (midwatch config check)")


@told()
def run_async(work: Callable[..., Awaitable[ResultT]], *arguments: object) -> ResultT:
    """Run asynchronous work to its end."""
    return anyio.run(work, *arguments)


def fail(text: str) -> NoReturn:
    """End with one line for a person and exit code 1."""
    typer.echo(f"midwatch: {text}", err=True)
    raise typer.Exit(1)


def console_for(*, as_json: bool) -> Console:
    """Return where the live view goes: beside the JSON, not into it."""
    return Console(stderr=as_json)


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table of which nothing is cut.

    Where it goes to no terminal it is as wide as its words are; where it does not fit a narrow one, each row is a
    few lines.
    """
    table, said = Table(), [tuple(row) for row in rows]
    for name in head:
        table.add_column(name, overflow="fold")
    for row in said:
        table.add_row(*map(Text, row))
    console = Console()
    wanted = Measurement.get(console, console.options.update(max_width=_WIDEST), table).maximum
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=max(console.width, wanted))
    if wanted > console.width and console.width < _NARROW:
        _print_rows(console, head, said)
    else:
        console.print(table)


def _print_rows(console: Console, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print each row as its first two cells, with what has no heading before them, and a line for each other cell."""
    for row in rows:
        marks = [cell for name, cell in zip(head, row, strict=True) if not name]
        console.print(Text(" ".join([*marks, *row[:2]]), style="bold"))
        for name, cell in list(zip(head, row, strict=True))[2:]:
            if name and cell:
                for line in Text(f"{name}: {cell}").wrap(console, console.width - 2, overflow="fold"):
                    console.print(f"  {line.plain.rstrip()}", highlight=False, markup=False)


def print_json(value: object) -> None:
    """Print a value for programs."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))
