"""Commands about incidents on record: read, decide."""

from typing import Annotated

import typer

from midwatch.cli.app import app
from midwatch.cli.shared import Json, open_journal, print_json, settings_or_fail
from midwatch.errors import HostError
from midwatch.mitigation.approvals import decide_by_name
from midwatch.reading.packet import packet
from midwatch.records import Conclusion, Report
from midwatch.storage.audit import audit
from midwatch.storage.journal import Journal
from midwatch.storage.named import find_incident
from midwatch.storage.state import evidence_of


@app.command()
def report(
    incident: Annotated[str, typer.Argument(help="its id, or the end of it; the latest when left out")] = "",
    check: Annotated[bool, typer.Option("--check", help="verify every citation against the stored bytes")] = False,
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="an earlier conclusion, as it was reported")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what an investigation found, or verify that its evidence still stands."""
    with open_journal() as journal:
        found = find_incident(journal, incident)
        if not check:
            key = _look_of_version(journal, found.id, version) if version else ""
            said = journal.recall(found.id, "report", key, Report) if key else None
            show_packet(said.packet if said else packet(found, journal), found.id, as_json=as_json, look=key)
            return
        kept = evidence_of(settings_or_fail(), journal)
        checked = audit(found.id, journal, kept)
    if as_json:
        print_json({"incident": found.id, **checked.__dict__})
    else:
        for fault in checked.faults:
            typer.echo(f"✗ {fault}")
        typer.echo(
            f"{checked.records} records, {checked.observations} observations, {checked.citations} citations: "
            + ("all stand on the stored bytes" if not checked.faults else f"{len(checked.faults)} faults")
        )
    raise typer.Exit(1 if checked.faults else 0)


@app.command()
def incidents(as_json: Json = False) -> None:
    """List the incidents on record, the latest last."""
    with open_journal() as journal:
        known = journal.incidents()
    if as_json:
        print_json([found.model_dump(mode="json") for found in known])
        return
    for found in known:
        typer.echo(f"{found.id}  {found.status:<18} {found.service:<24} {found.title}")


@app.command()
def approve(incident: str, digest: str, by: Annotated[str, typer.Option(help="who says so")] = "a person") -> None:
    """Approve a plan, as a whole, by its digest."""
    _decide(incident, digest, by, approved=True)


@app.command()
def reject(incident: str, digest: str, by: Annotated[str, typer.Option(help="who says so")] = "a person") -> None:
    """Reject a plan by its digest."""
    _decide(incident, digest, by, approved=False)


def _decide(incident: str, digest: str, by: str, *, approved: bool) -> None:
    with open_journal() as journal:
        found = find_incident(journal, incident)
        decision = decide_by_name(journal, found.id, digest, approved=approved, by=by)
    typer.echo(f"{'approved' if decision.approved else 'rejected'} by {decision.by}: plan {decision.digest[:12]}")


def _look_of_version(journal: Journal, incident: str, version: int) -> str:
    """Return the key of the look that reported a version last; the latest version goes on, and has none."""
    known = {entry.key: Conclusion.model_validate(entry.body) for entry in journal.entries(incident, kind="conclusion")}
    if not known:
        raise HostError(f"{incident} has no conclusion yet")
    latest = [*known.values()][-1].version
    if version > latest:
        raise HostError(f"{incident} has no version {version}: the latest is {latest}")
    return [key for key, conclusion in known.items() if conclusion.version == version][-1] if version < latest else ""


def show_packet(text: str, incident: str, *, as_json: bool, look: str = "") -> None:
    """Print a packet, or for programs the latest conclusion, plan and report, or those of one look."""
    if not as_json:
        typer.echo(text)
        return
    with open_journal() as journal:
        entries = [entry.model_dump(mode="json") for entry in journal.entries(incident)]
        last = {entry["type"]: entry["body"] for entry in entries if look in ("", entry["key"])}
    print_json({"incident": incident, **{name: last.get(name) for name in ("conclusion", "plan", "report")}})
