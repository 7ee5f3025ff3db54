"""Commands about steering files."""

from pathlib import Path
from typing import Annotated

import typer

from midwatch.cli.app import app, console_for, fail, settings_or_fail
from midwatch.errors import BadSteering
from midwatch.skill_files import missing_from
from midwatch.steering import Steering, files_of, read

_LONG_TEXT = 6_000
"""Characters of a text that a model is shown at once."""

steering = typer.Typer(no_args_is_help=True, help="Files that tell midwatch what a team knows of its own systems.")
app.add_typer(steering, name="steering")


@steering.callback()
def group() -> None:
    """Keep `lint` a command of its own, though it is the only one."""


@steering.command()
def lint(folder: Annotated[Path | None, typer.Argument(help="where they are; as the settings say")] = None) -> None:
    """Read every steering file and say what is wrong with it; ends with 1 when one cannot be used."""
    console = console_for(as_json=False)
    where = folder or settings_or_fail().steering_dir
    if folder and not folder.is_dir():
        fail(f"there is no folder {folder}")
    seen: dict[str, Path] = {}
    broken = 0
    for path in files_of(where):
        try:
            file = read(path)
        except BadSteering as error:
            broken += 1
            console.print(f"FAIL {error}", highlight=False, markup=False, soft_wrap=True)
            continue
        faults = [*_doubts(file), *([f"{seen[file.name]} has the same name"] if file.name in seen else [])]
        seen.setdefault(file.name, path)
        said = "; ".join(faults)
        console.print(
            f"{'warn' if said else 'ok  '} {path}{f': {said}' if said else ''}", highlight=False, soft_wrap=True
        )
    if not seen and not broken:
        console.print(f"warn {where} holds no steering file: neither NAME.md nor NAME/SKILL.md", highlight=False)
    raise typer.Exit(code=1 if broken else 0)


def _doubts(file: Steering) -> list[str]:
    """Return what can be used and is hardly meant so."""
    to = file.applies_to
    changes = file.checks or file.lag_seconds or file.ignore or file.leave_out or file.never_roll_back or file.forbid
    doubts = []
    if not file.text and not changes:
        doubts.append("it has no text, and changes nothing")
    if not file.text and (to.kinds or to.phases):
        doubts.append("kinds and phases say who reads the text, and there is none")
    if len(file.text) > _LONG_TEXT:
        doubts.append(f"a model reads the first {_LONG_TEXT} characters of its {len(file.text)}")
    doubts += [f"forbid {entry!r} names no server: write server.tool" for entry in file.forbid if "." not in entry]
    if file.folder:
        doubts += [f"a skill has the name of its folder: {file.folder.name}"] if file.name != file.folder.name else []
        gone = missing_from(file.text, file.folder)
        doubts += [f"it names {name}: there is no such file in its folder" for name in gone]
    doubts += [f"check of {c.entity!r}: an entity is kind:name" for c in file.checks if ":" not in c.entity]
    return doubts
