"""Commands about incidents kept: snapshot, replay, feedback, diff, and cases as tests."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from midwatch.cases import case as cases
from midwatch.cases.archive import is_archive
from midwatch.cases.replay import replay as replay_snapshot
from midwatch.cases.sending import telemetry_of
from midwatch.cases.snapshot import Source, take
from midwatch.cli.app import app
from midwatch.cli.shared import Json, fail, open_journal, print_json, settings_or_fail, told
from midwatch.correlation import service_id
from midwatch.errors import BadSnapshot
from midwatch.reading.differences import as_text, differences
from midwatch.reading.findings import Findings, findings_in, findings_of
from midwatch.records import Feedback, HypothesisKind, Incident, NamedCause, Outcome
from midwatch.storage.journal import Journal
from midwatch.storage.named import find_incident
from midwatch.storage.state import evidence_of

case_app = typer.Typer(help="Incidents kept as tests: save one, check many.", no_args_is_help=True)
app.add_typer(case_app, name="case")
AnIncident = Annotated[str, typer.Argument(help="its id, or the end of it; '' is the latest")]


@app.command()
def snapshot(
    incident: AnIncident,
    to: Annotated[Path, typer.Option(help="a new directory, or a new file whose name ends in .tar.xz")],
) -> None:
    """Keep all that an investigation looked at as one portable directory or file."""
    with _source(incident) as (found, source):
        manifest = take(found, source, to)
    rows = ", ".join(f"{count:,} {table}" for table, count in manifest.rows.items() if count)
    typer.echo(f"{to}: {rows}")
    for missing in manifest.missing:
        typer.echo(f"not in it: {missing}", err=True)


@app.command()
@told()
def replay(
    path: Annotated[Path, typer.Argument(help="a snapshot (its directory, or its file), or an export with telemetry")],
    keep: Annotated[Path | None, typer.Option(help="new folder for the journal and the evidence")] = None,
    as_json: Json = False,
) -> None:
    """Investigate a snapshot again, the same way every time; asks nobody and changes nothing."""
    with (
        telemetry_of(path) as taken,
        nullcontext(str(keep)) if keep else tempfile.TemporaryDirectory(prefix="midwatch-replay-") as folder,
    ):
        done = replay_snapshot(taken, Path(folder), settings_or_fail())
    if as_json:
        print_json(done.findings.model_dump(mode="json"))
    else:
        typer.echo(done.packet)


@app.command()
def feedback(
    incident: AnIncident,
    by: Annotated[str, typer.Option(help="who says so")],
    cause: Annotated[tuple[str, str], typer.Option(metavar="KIND ENTITY", help="such as: change cart")] = ("", ""),
    also: Annotated[tuple[str, str], typer.Option(metavar="KIND ENTITY", help="a second cause")] = ("", ""),
    no_incident: Annotated[bool, typer.Option("--no-incident", help="nothing was wrong")] = False,
    note: Annotated[str, typer.Option(help="anything worth knowing later")] = "",
) -> None:
    """Put on record what the cause really was."""
    causes = tuple(_named(*pair) for pair in (cause, also) if any(pair))
    if bool(causes) == no_incident:
        fail("say what it was: --cause KIND ENTITY, or --no-incident")
    with open_journal() as journal:
        found = find_incident(journal, incident)
        said = Feedback(causes=causes, note=note, by=by)
        journal.note(found.id, "feedback", str(len(journal.values(found.id, Feedback)) + 1), said, by)
    text = ", ".join(f"{named.kind} at {named.entity}" for named in causes) or "no incident"
    typer.echo(f"on record for {found.id}, by {by}: {text}")


@app.command()
@told()
def diff(
    a: Annotated[str, typer.Argument(help="an incident, a folder that replay --keep filled, or a conclusion as JSON")],
    b: Annotated[str, typer.Argument(help="the same, later")],
    as_json: Json = False,
) -> None:
    """Show what changed between two conclusions on the same case; exit code 1 when something did."""
    found = differences(_side(a), _side(b))
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
    else:
        typer.echo(as_text(found))
    raise typer.Exit(1 if found else 0)


@case_app.command("save")
def save_case(
    incident: AnIncident,
    to: Annotated[Path, typer.Option(help="a new directory")],
    confirm: Annotated[str | None, typer.Option(help="who says that the conclusion is right")] = None,
    expect: Annotated[
        list[str] | None, typer.Option(metavar="ENTITY", help="where the cause is, or one of them")
    ] = None,
    kind: Annotated[HypothesisKind | None, typer.Option(help="of what kind the cause is")] = None,
    outcome: Annotated[list[Outcome] | None, typer.Option(help="how it should end, or one of the ways")] = None,
    must_rule_out: Annotated[list[str] | None, typer.Option(metavar="ENTITY", help="what must be refuted")] = None,
    by: Annotated[str, typer.Option(help="who says what to expect")] = "",
) -> None:
    """Turn a finished investigation, and what a person said of it, into a permanent test."""
    if is_archive(to):
        fail("a case is a directory, so that what is expected of it can be edited: name one with --to")
    if expect and not set(outcome or cases.NAMES_A_CAUSE) <= set(cases.NAMES_A_CAUSE):
        fail(f"--expect names a cause, so --outcome can only be {' or '.join(cases.NAMES_A_CAUSE)}")
    if kind and not expect:
        fail("--kind is that of the cause that --expect names")
    said = cases.Said(
        by=confirm or by,
        confirms=confirm is not None,
        outcomes=tuple(outcome or ()),
        causes=tuple(cases.Suspect(entity=service_id(name), kind=kind) for name in expect or ()),
        ruled_out=tuple(cases.Suspect(entity=service_id(name)) for name in must_rule_out or ()),
    )
    with _source(incident) as (found, source):
        expected = cases.save(found, source, to, said)
    causes = ", ".join(map(str, expected.causes))
    outcomes = " or ".join(expected.outcomes)
    typer.echo(f"{to}: expected is {outcomes}{f', {causes}' if causes else ''}; ruled out: {len(expected.ruled_out)}")


@case_app.command("check")
@told()
def check_cases(
    directories: Annotated[list[Path], typer.Argument(help="cases, as case save made them")], as_json: Json = False
) -> None:
    """Replay cases and compare with what is expected of them; exit code 1 when one fails."""
    done: list[cases.Checked] = []
    for directory in directories:
        began = time.monotonic()
        done.append(checked := cases.check(directory, settings_or_fail()))
        if not as_json:
            verdict = f"FAIL {directory}: {'; '.join(checked.faults)}" if checked.faults else f"ok   {directory}"
            typer.echo(f"{verdict}: {checked.found} ({time.monotonic() - began:.1f} s)")
    if as_json:
        print_json([{"case": str(each.case), "found": each.found, "faults": list(each.faults)} for each in done])
    raise typer.Exit(1 if any(checked.faults for checked in done) else 0)


@contextmanager
def _source(name: str) -> Iterator[tuple[Incident, Source]]:
    with open_journal() as journal:
        settings = settings_or_fail()
        kept = evidence_of(settings, journal)
        yield find_incident(journal, name), Source(journal, kept, settings)


def _named(kind: str, entity: str) -> NamedCause:
    if kind not in set(HypothesisKind) or not entity:
        fail(f"{kind} {entity!r} is no cause: write KIND ENTITY; the kinds are {', '.join(HypothesisKind)}")
    return NamedCause(kind=HypothesisKind(kind), entity=service_id(entity))


@contextmanager
def _journal(folder: Path | None) -> Iterator[Journal]:
    """Hold the journal in a folder, or else the one that the settings name."""
    if folder:
        with closing(Journal(folder / "journal.db")) as journal:
            yield journal
    else:
        with open_journal() as journal:
            yield journal


def _side(name: str) -> Findings:
    path = Path(name) if name else None  # an empty name is the latest incident, not this folder
    if path and path.is_file():
        return findings_in(path)
    if path and not path.exists() and (path.suffix or len(path.parts) > 1):
        raise BadSnapshot(f"{path}: there is no such file or folder")
    folder = path if path and path.is_dir() else None
    if folder and not (folder / "journal.db").exists():
        raise BadSnapshot(f"{folder} holds no investigation: replay a snapshot with --keep first")
    with _journal(folder) as journal:
        incident = find_incident(journal, "" if folder else name)
        if (found := findings_of(journal, incident.id)) is None:
            raise BadSnapshot(f"{incident.id} has no conclusion yet")
        return found
