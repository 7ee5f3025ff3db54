"""The application that commands register with, and what commands share: settings, journal, errors, printing."""

import gc
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from typing import Annotated, NoReturn, TypeVar

import anyio
import typer
from pydantic import ValidationError
from rich.console import Console

from midwatch.errors import HostError, first_of
from midwatch.journal import Journal
from midwatch.settings import Settings
from midwatch.state import journal_of
from midwatch_kit.errors import KitError
from midwatch_topology import UnknownEntity

app = typer.Typer(
    name="midwatch", help="Investigates production incidents.", no_args_is_help=True, add_completion=False
)
ResultT = TypeVar("ResultT")
Json = Annotated[bool, typer.Option("--json", help="print JSON for programs")]
_INTERRUPTED = 130


def main() -> None:
    """Run the command line; exits with 0 when all is well, 1 with a clear line when not, 130 when interrupted."""
    gc.freeze()  # what was imported stays: no later collection need walk through it
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


@contextmanager
def told() -> Iterator[None]:
    """Turn the errors that are for people into one line and exit code 1, however deep in a group they are."""
    said = ""
    try:
        yield
    except* (HostError, KitError, UnknownEntity) as group:
        said = str(first_of(group))
    if said:
        fail(said)


@contextmanager
def open_journal() -> Iterator[Journal]:
    """Hold the journal that the settings name."""
    with told(), closing(journal_of(settings_or_fail())) as journal:
        yield journal


def settings_or_fail() -> Settings:
    """Return the settings, or end with a line that names each variable at fault."""
    try:
        return Settings()
    except ValidationError as error:
        faults = [f"{_variable(*map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        fail("these settings cannot be used: " + "; ".join(faults))


def _variable(name: str, *inside: str) -> str:
    """Return a setting's variable, and the place in its value that is at fault, if it is one of several."""
    place = f" ({'.'.join(inside)})" if inside else ""
    return f"MIDWATCH_{name.upper()}{place}"


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


def print_json(value: object) -> None:
    """Print a value for programs."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))
