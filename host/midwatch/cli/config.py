"""Commands about settings: every mistake with its place, what holds and why, and a schema for editors."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from midwatch.cli.app import app
from midwatch.cli.shared import Json, print_json, settings_as_said
from midwatch.settings import Settings
from midwatch.settings.file import VARIABLE

config = typer.Typer(help="The settings: check them, show what holds, describe them to an editor.")
app.add_typer(config, name="config")


@config.command("check")
def check_command(
    file: Annotated[Path | None, typer.Argument(help="a settings file; midwatch.toml when left out")] = None,
    as_json: Json = False,
) -> None:
    """Find every mistake in the settings, in the environment and in the files that they name."""
    from midwatch.config.check import check  # noqa: PLC0415 - only who asks needs the parsers

    if file:
        os.environ[VARIABLE] = str(file)
    faults = check()
    if as_json:
        print_json([fault.__dict__ for fault in faults])
    for fault in [] if as_json else faults:
        typer.echo(fault)
    if not (as_json or faults):
        typer.echo("the settings are right")
    raise typer.Exit(1 if faults else 0)


@config.command("show")
def show_command(as_json: Json = False) -> None:
    """Print the settings that hold, and where each was said; secrets are masked."""
    from midwatch.config.show import shown  # noqa: PLC0415 - as above

    lines = shown(settings_as_said())
    if as_json:
        print_json([line.__dict__ for line in lines])
        return
    said = [f"{line.key} = {json.dumps(line.value, ensure_ascii=False)}" for line in lines]
    width = min(60, max(map(len, said)))
    for text, line in zip(said, lines, strict=True):
        typer.echo(f"{text:{width}}  # {line.origin}")


@config.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of the settings file, for editors that know TOML."""
    schema = Settings.model_json_schema()
    schema["$schema"] = "http://json-schema.org/draft-07/schema#"
    schema["title"] = "midwatch.toml"
    print_json(schema)
