"""Commands about incidents: investigate, read, decide."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from midwatch.cases.replay import received_in
from midwatch.cases.snapshot import ALERTS
from midwatch.cli.app import (
    Json,
    app,
    console_for,
    fail,
    open_journal,
    print_json,
    run_async,
    settings_or_fail,
    told,
)
from midwatch.errors import BadAlert, HostError
from midwatch.host import Host, open_host
from midwatch.intake import alerts_from, from_sentence
from midwatch.investigation import find_incident
from midwatch.mitigation.approvals import AtTheTerminal, decide_by_name
from midwatch.reading.live import LiveView
from midwatch.reading.packet import packet
from midwatch.records import Alert, Conclusion, Report
from midwatch.settings import Settings
from midwatch.storage.audit import audit
from midwatch.storage.claim import claim
from midwatch.storage.journal import Journal
from midwatch.storage.snapshots import read_from_snapshot
from midwatch.storage.state import evidence_of
from midwatch_kit.window import parse_time, resolve_window


@app.command()
@told()
def investigate(
    what: Annotated[str, typer.Argument(help="an alert file, a snapshot directory, or a sentence naming a service")],
    as_json: Json = False,
) -> None:
    """Investigate one incident, once, and say what was found."""
    settings, path = settings_or_fail(), Path(what)
    if path.is_dir():
        known = received_in(path)
        settings, alerts, seen = settings.model_copy(update={"store": path}), [*known.received], known.seen_at
    else:
        alerts = _alerts_in(path) if path.suffix == ".json" else []
        seen = _first_seen(path) if alerts else datetime.now(UTC)
    incident_id, text = run_async(_investigate_once, settings, alerts or what, seen, console_for(as_json=as_json))
    _show(text, incident_id, as_json=as_json)


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
            _show(said.packet if said else packet(found, journal), found.id, as_json=as_json, look=key)
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


async def _investigate_once(
    settings: Settings, trigger: list[Alert] | str, seen: datetime, console: Console
) -> tuple[str, str]:
    async with open_host(settings) as host:
        host.journal.listeners.append(LiveView(console).show)
        alerts = [await _from_sentence(host, trigger)] if isinstance(trigger, str) else trigger
        if not (incidents := host.receive(alerts, seen)):
            raise BadAlert("the alert is over, and no incident on record is the one that it ended")
        incident = incidents[0]
        if settings.store and (settings.store / ALERTS).exists():
            read_from_snapshot(host.journal, incident.id, settings.store.absolute())
        with claim(
            settings.data_dir / "claims", host.journal.database, incident.id
        ):  # so that who steers it knows that it runs
            done = await host.investigation(incident, AtTheTerminal(console)).run()
    return incident.id, done.packet


def _alerts_in(path: Path) -> list[Alert]:
    try:
        return alerts_from(json.loads(path.read_text(encoding="utf-8")))
    except HostError as error:
        fail(f"{path}: {error}")
    except OSError as error:
        fail(f"cannot read an alert from {path}: {error.strerror}")
    except ValueError as error:
        fail(f"cannot read an alert from {path}: it is not JSON: {error}")


def _first_seen(path: Path) -> datetime:
    """Return when the alert in a file was seen: as its field `seen_at` says, or now."""
    body = json.loads(path.read_text(encoding="utf-8"))
    told = body.get("seen_at") if isinstance(body, dict) else None
    return parse_time(told, datetime.now(UTC)) if isinstance(told, str) else datetime.now(UTC)


async def _from_sentence(host: Host, sentence: str) -> Alert:
    now = datetime.now(UTC)
    known = await host.topology(resolve_window("-1h", "now", now))
    return from_sentence(sentence, {e.name for e in known.entities.values() if e.kind == "service"}, now)


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


def _show(text: str, incident: str, *, as_json: bool, look: str = "") -> None:
    """Print a packet, or for programs the latest conclusion, plan and report, or those of one look."""
    if not as_json:
        typer.echo(text)
        return
    with open_journal() as journal:
        entries = [entry.model_dump(mode="json") for entry in journal.entries(incident)]
        last = {entry["type"]: entry["body"] for entry in entries if look in ("", entry["key"])}
    print_json({"incident": incident, **{name: last.get(name) for name in ("conclusion", "plan", "report")}})
