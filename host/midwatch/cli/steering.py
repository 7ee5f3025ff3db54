"""Commands about steering files."""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from midwatch.cases.tally import as_data, as_text, lines_of
from midwatch.cases.trial import NO_LIMIT, Paid, Trial, Tried
from midwatch.claude.day import DayPurse
from midwatch.claude.models import open_models
from midwatch.claude.purse import Purse
from midwatch.cli.app import app
from midwatch.cli.shared import Json, console_for, fail, print_json, run_async, settings_or_fail, told
from midwatch.errors import BadSettings, BadSteering
from midwatch.mcp_client.servers import server_specs
from midwatch.settings import Settings
from midwatch.steering.files import Steering, files_of, load_steering, read
from midwatch.steering.skill_files import missing_from
from midwatch.storage.state import journal_of

_LONG_TEXT = 6_000
"""Characters of a text that a model is shown at once."""

steering = typer.Typer(no_args_is_help=True, help="Files that tell midwatch what a team knows of its own systems.")
app.add_typer(steering, name="steering")


@steering.command()
def lint(folder: Annotated[Path | None, typer.Argument(help="where they are; as the settings say")] = None) -> None:
    """Read every steering file and say what is wrong with it; ends with 1 when one cannot be used."""
    console = console_for(as_json=False)
    where = folder or settings_or_fail().steering_dir
    if folder and not folder.is_dir():
        fail(f"there is no folder {folder}")
    every, servers = _readable(files_of(where)), [] if folder else _servers()
    seen: dict[str, Path] = {}
    broken = 0
    for path in files_of(where):
        try:
            file = read(path)
        except BadSteering as error:
            broken += 1
            console.print(f"FAIL {error}", highlight=False, markup=False, soft_wrap=True)
            continue
        twice = [f"{seen[file.name]} has the same name"] if file.name in seen else []
        faults = [*_doubts(file), *_unmeetable(file, every, servers), *twice]
        seen.setdefault(file.name, path)
        said = "; ".join(faults)
        console.print(
            f"{'warn' if said else 'ok  '} {path}{f': {said}' if said else ''}", highlight=False, soft_wrap=True
        )
    if not seen and not broken:
        console.print(f"warn {where} holds no steering file: neither NAME.md nor NAME/SKILL.md", highlight=False)
    raise typer.Exit(code=1 if broken else 0)


@steering.command("try")
@told()
def try_files(
    cases: Annotated[list[Path], typer.Argument(help="kept incidents: cases, or snapshots")],
    files: Annotated[Path | None, typer.Option(help="the folder of the files; as the settings say")] = None,
    parallel: Annotated[int, typer.Option(min=1, help="how many cases at the same time")] = 2,
    limit: Annotated[float | None, typer.Option(min=0, help="US dollars that models may cost in all")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="let models cost what the settings allow")] = False,
    as_json: Json = False,
) -> None:
    """Investigate kept incidents with all files, without each, and with none; ends with 1 when a file harms."""
    settings = settings_or_fail()
    where = files or settings.steering_dir
    if not (loaded := load_steering(where)):
        fail(f"{where} holds no steering file: neither NAME.md nor NAME/SKILL.md")
    began = time.monotonic()
    trial = Trial(loaded, settings, parallel, told=_say)
    tried = run_async(_try, trial, cases, limit if limit is not None or not yes else math.inf)
    lines = lines_of([file.name for file in loaded], tried)
    runs = [run for case in tried for run in {id(run): run for run in case.runs.values()}.values()]
    if as_json:
        print_json(
            {"files": [{**asdict(line), "verdict": line.verdict} for line in lines], "cases": list(map(as_data, tried))}
        )
    else:
        typer.echo(as_text(lines, thinks=trial.paid is not None))
        spent = f", ${sum(run.usd for run in runs):.2f}" if trial.paid else ""
        typer.echo(f"{len(runs)} investigations of {len(cases)} cases in {time.monotonic() - began:.0f} s{spent}")
    untried = any(not case.runs for case in tried)  # a path that holds no case must not pass for a check
    raise typer.Exit(1 if untried or any(line.harms for line in lines[:-1]) else 0)


async def _try(trial: Trial, cases: Sequence[Path], limit: float | None) -> list[Tried]:
    """Try the files; where a model takes part, say before what that may cost, and do it only if somebody said so."""
    settings = trial.settings
    async with open_models(settings) as models:
        if models is None:
            return await trial.over(cases)
        if models.why_not:
            raise BadSettings(f"the models cannot be asked: {models.why_not}")
        with closing(journal_of(settings)) as journal:
            day = DayPurse.of_today(journal, settings.model_day_usd)
            runs = trial.most_runs(len(cases))
            most = min(runs * settings.model_incident_usd, day.left, math.inf if limit is None else limit)
            said = (
                f"at most {runs} investigations with {settings.model} and {settings.tester_model}, each for at most "
                f"${settings.model_incident_usd:g}: no more than ${most:.2f} in all; the day has ${day.left:.2f} left"
            )
            if limit is None:
                raise BadSettings(f"{said}: say --yes, or --limit with how many dollars it may be")
            typer.echo(said, err=True)
            trial.paid = Paid(models, Purse("the trial", NO_LIMIT, limit, day))
            return await trial.over(cases)


def _say(case: Tried) -> None:
    """Tell people that a case is done, and what kept it, or a model in it, from being done well."""
    cut = [f"{name}: {run.cut_short}" for name, run in case.runs.items() if run.cut_short]
    typer.echo("; ".join([f"{case.case}: {len(case.applied)} files apply", *case.why_not, *cut]), err=True)


def _doubts(file: Steering) -> list[str]:
    """Return what can be used and is hardly meant so."""
    to = file.applies_to
    looks = file.checks or file.require or file.forbid or file.lag_seconds
    changes = looks or file.ignore or file.leave_out or file.never_roll_back
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
    doubts += [f"check of {c.entity!r}: an entity is kind:name" for c in file.to_test if ":" not in c.entity]
    return doubts


def _unmeetable(file: Steering, others: Iterable[Steering], servers: Iterable[str]) -> Iterator[str]:
    """Yield which of a file's requirements can hardly be met; `servers` are those that are known, none if none are."""
    forbidden, known = [(o.name, pattern) for o in others for pattern in o.forbid], [*servers]
    for tool in (rule.tool for rule in file.require if rule.tool):
        server, dot, _ = tool.partition(".")
        if not dot:
            yield f"require {tool!r} names no server: write server.tool"
        elif known and not any(fnmatchcase(name, server) for name in known):
            yield f"require {tool!r}: no server here is called so ({', '.join(known)})"
        yield from (f"require {tool!r}, which {name} forbids" for name, said in forbidden if fnmatchcase(tool, said))


def _readable(paths: Iterable[Path]) -> list[Steering]:
    """Return the files that can be used."""
    files = []
    for path in paths:
        with suppress(BadSteering):
            files.append(read(path))
    return files


def _servers() -> list[str]:
    """Return the servers of the settings; none where those cannot be read: then nothing is said of them."""
    try:
        return [*server_specs(Settings())]
    except (BadSettings, ValidationError):
        return []
