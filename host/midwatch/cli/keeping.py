"""Commands about what is kept, for how long, and how it is sent on: export, import, keep, prune."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from midwatch.cases.sending import export, receive
from midwatch.cases.snapshot import Source
from midwatch.cli.app import app
from midwatch.cli.shared import fail, open_journal, settings_or_fail, told
from midwatch.retention import keep, prune
from midwatch.storage.named import find_incident
from midwatch.storage.state import evidence_of

AnIncident = Annotated[str, typer.Argument(help="its id, or the end of it; '' is the latest")]


@app.command("export")
@told()
def export_command(
    incident: AnIncident,
    file: Annotated[Path, typer.Argument(help="a new file; a zip")],
    telemetry: Annotated[
        bool, typer.Option("--telemetry", help="take a snapshot of its telemetry along, so that it can be replayed")
    ] = False,
) -> None:
    """Write an investigation into one file: its records, and all evidence; whatever is on record is in it."""
    with open_journal() as journal:
        settings = settings_or_fail()
        found = find_incident(journal, incident)
        source = Source(journal, evidence_of(settings, journal), settings)
        contents = export(found, source, file, telemetry=telemetry)
    documents = sum(name.startswith("evidence/") for name in contents.files)
    typer.echo(f"{file}: {contents.incident}, {contents.records} records, {documents} documents of evidence")
    typer.echo(f"last hash {contents.last_hash}")
    for missing in contents.missing:
        typer.echo(f"not in it, since nobody keeps it any more: evidence {missing}", err=True)
    typer.echo("It holds all that is on record. Whoever gets it can read every log line that was looked at.", err=True)


@app.command("import")
@told()
def import_command(file: Annotated[Path, typer.Argument(help="a file that midwatch export wrote")]) -> None:
    """Take an exported investigation in, once it is found whole; it can be read here, and nobody goes on with it."""
    with open_journal() as journal:
        settings = settings_or_fail()
        done = receive(file, journal, evidence_of(settings, journal), settings.data_dir / "snapshots")
    for fault in done.audit.faults:
        typer.echo(f"\u2717 {fault}")
    known = "" if done.new else ", which is here already: nothing was changed"
    typer.echo(f"{done.contents.incident}, {done.contents.records} records{known}")
    typer.echo(f"last hash {done.contents.last_hash}: is it what the sender told you?")
    if any(name not in done.contents.missing for name in map(_missing, done.audit.faults)):
        fail("not everything in it stands on its evidence")


@app.command("keep")
@told()
def keep_command(
    incident: AnIncident,
    release: Annotated[bool, typer.Option("--release", help="keep it no longer than others")] = False,
    by: Annotated[str, typer.Option(help="who says so")] = "a person",
) -> None:
    """Keep an investigation whatever its age."""
    with open_journal() as journal:
        found = find_incident(journal, incident)
        keep(journal, found.id, by, release=release)
    typer.echo(f"{found.id} is kept {'no longer than others' if release else 'whatever its age'}, by {by}")


@app.command("prune")
@told()
def prune_command(
    dry: Annotated[bool, typer.Option("--dry-run", help="only say what would go")] = False,
) -> None:
    """Let go what is older than MIDWATCH_RETENTION__DAYS, and evidence that no record names."""
    documents = investigations = 0
    settings = settings_or_fail()
    if settings.retention.days is None:
        fail("everything is kept: set MIDWATCH_RETENTION__DAYS to say for how long")
    with open_journal() as journal:
        for step in prune(journal, evidence_of(settings, journal), settings, datetime.now(UTC), dry=dry):
            documents += step.count
            investigations += step.what == "gone"
            if step.text:
                typer.echo(f"{step.what:<6} {step.text}")
    would = "would go" if dry else "went"
    typer.echo(f"{investigations} investigations and {documents} documents {would}")


def _missing(fault: str) -> str:
    """Return the id of the document that a fault says is missing, '' for any other fault."""
    words = fault.split()
    return words[1] if len(words) == 4 and words[-1] == "missing" else ""
