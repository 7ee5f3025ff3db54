"""Commands about alerts: what came, what became of it and why, and deciding otherwise by hand."""

import getpass
import os
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from midwatch.cli.app import app
from midwatch.cli.shared import Json, open_journal, print_json, settings_or_fail
from midwatch.reception.by_hand import ByHand, Done
from midwatch.reception.rows import listed
from midwatch.records import Status
from midwatch.storage.named import find_incident
from midwatch.storage.state import evidence_of
from midwatch_kit.window import rfc3339

triage = typer.Typer(help="Decide by hand what alerts are part of.", no_args_is_help=True)
app.add_typer(triage, name="triage")
Because = Annotated[str, typer.Option(help="why, for whoever reads it later")]
By = Annotated[str, typer.Option(help="who says so")]


@app.command()
def alerts(
    incident: Annotated[str, typer.Argument(help="only those of one incident")] = "",
    most: Annotated[int, typer.Option(min=1, help="no more than the latest so many")] = 50,
    as_json: Json = False,
) -> None:
    """List alerts with what became of them and why, the latest last."""
    with open_journal() as journal:
        names = None
        if incident:
            found = find_incident(journal, incident)
            linked = (i.id for i in journal.incidents() if i.status is Status.LINKED and i.triage.linked_to == found.id)
            names = [found.id, *linked]
        with journal.database.reading() as connection:
            known = listed(connection, names, most)
    if as_json:
        print_json([_for_programs(row) for row in known])
        return
    for row in known:
        for line in _lines(row):
            typer.echo(line)


@triage.command()
def split(alert: str, because: Because = "", by: By = "") -> None:
    """Give an alert an incident of its own; or undo the linking of an incident."""
    _say(_by_hand(by, because, lambda hand: hand.split(alert)))


@triage.command()
def link(what: str, incident: str, because: Because = "", by: By = "") -> None:
    """Make an alert, or an incident, part of an incident."""
    _say(_by_hand(by, because, lambda hand: hand.link(what, incident)))


@triage.command()
def skip(alert: str, because: Because = "", by: By = "") -> None:
    """Open nothing for an alert, now and whenever it comes; `split` or `link` undo that."""
    _say(_by_hand(by, because, lambda hand: hand.skip(alert)))


def _by_hand(by: str, because: str, decide: Callable[[ByHand], Done]) -> Done:
    with open_journal() as journal:
        kept = evidence_of(settings_or_fail(), journal)
        return decide(ByHand(journal, kept, by or _whoever(), because or "no reason given"))


def _say(done: Done) -> None:
    typer.echo(done.said)


def _whoever() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name
        return f"user {os.getuid()}" if hasattr(os, "getuid") else "a person"


def _lines(row: Mapping[str, Any]) -> list[str]:
    """Return an alert and what became of it, in two lines."""
    alert, own, incident = row["alert"], row["own"], row["incident"]
    decision, part_of, why = row["decision"], own or incident or "-", row["why"]
    if own:  # in shadow mode
        into = f" {incident}" if incident and incident != own else ""
        why = f"shadow mode; it would have been {decision}{into}: {why}"
        decision = decision if decision in ("repeat", "resolves") else "new"
    over = " (over)" if row["action"] == "resolved" else ""
    started = rfc3339(alert.started_at)[:19]
    return [f"{alert.id[:12]}  {started}Z  {decision:<10} {part_of:<26} {alert.title}{over}", f"              {why}"]


def _for_programs(row: Mapping[str, Any]) -> dict[str, object]:
    shown = {name: value for name, value in row.items() if name not in ("body", "payload", "fingerprint", "joins")}
    alert = row["alert"].model_dump(mode="json", exclude={"raw"})
    return {**shown, "alert": alert, "parts": [part.model_dump(mode="json") for part in row["parts"]]}
