"""The command that tells an investigation what a person knows."""

import getpass
import os
from typing import Annotated

import typer
from rich.console import Console

from midwatch.cli.app import app
from midwatch.cli.shared import Json, console_for, open_journal, print_json, run_async, settings_or_fail
from midwatch.host import open_host
from midwatch.mitigation.approvals import AtTheTerminal
from midwatch.reading.live import LiveView
from midwatch.records import Hypothesis, Incident, Steer
from midwatch.settings import Settings
from midwatch.steering.steers import meaning, tell
from midwatch.storage.claim import claim
from midwatch.storage.named import find_incident
from midwatch.storage.snapshots import snapshot_of
from midwatch.telling import Fields
from midwatch.understanding import understand


@app.command()
def steer(  # noqa: PLR0913, PLR0917 - each is an option of its own
    incident: Annotated[str, typer.Argument(help="`latest`, or how its id begins or ends")],
    words: Annotated[str, typer.Argument(help="what to do, as in: look only at the latest wave")] = "",
    window: Annotated[
        str, typer.Option(help="latest, first, 2, whole, or START/END in UTC, one of which may lack")
    ] = "",
    kind: Annotated[str, typer.Option(help="a kind of cause to test, at --entity")] = "",
    entity: Annotated[str, typer.Option(help="where to test it: an id or a bare name")] = "",
    leave_out: Annotated[str, typer.Option(help="an entity that is noise")] = "",
    ignore: Annotated[str, typer.Option(help="a text: observations that say it are noise")] = "",
    by: Annotated[str, typer.Option(help="who says so")] = "",
    look: Annotated[bool, typer.Option("--look", help="look again here, if nobody else is at work on it")] = False,
    as_json: Json = False,
) -> None:
    """Tell a running or finished investigation when to look, what is noise, or which cause to test."""
    settings = settings_or_fail()
    given = Fields(kind, entity, leave_out, ignore, window)
    with open_journal() as journal:
        found = find_incident(journal, incident)
        said = run_async(understand, journal, settings, found, words or _typed(given), by or _whoever(), given)
        tell(journal, found.id, said)
        at_work = _somebody_is_at_work(settings, found)
        alone = snapshot_of(journal, found.id) is not None
    console = console_for(as_json=as_json)
    console.print(f"{found.id}: {meaning(said)}", highlight=False, markup=False, soft_wrap=True)
    if look and not at_work:
        packet = run_async(_look, settings, found, console)
        _say(found, said, as_json=as_json, packet=packet)
        return
    who = "with --look it is looked at again here" if alone else "`midwatch up` looks again; so does --look, here"
    console.print("it is looked at again now" if at_work else who, highlight=False, markup=False)
    _say(found, said, as_json=as_json)


async def _look(settings: Settings, incident: Incident, console: Console) -> str:
    with open_journal() as journal:
        snapshot = snapshot_of(journal, incident.id)
    where = settings.model_copy(update={"store": snapshot}) if snapshot else settings
    async with open_host(where) as host:
        with claim(settings.data_dir / "claims", host.journal.database, incident.id):
            view = LiveView(console)
            view.know(incident.id, host.journal.values(incident.id, Hypothesis))
            host.journal.listeners.append(view.show)
            return (await host.investigation(incident, AtTheTerminal(console)).run()).packet


def _somebody_is_at_work(settings: Settings, incident: Incident) -> bool:
    with open_journal() as journal, claim(settings.data_dir / "claims", journal.database, incident.id) as free:
        return not free


def _typed(given: Fields) -> str:
    """Return what was typed as options, in place of words."""
    named = {name: value for name, value in given.__dict__.items() if value}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in named.items())


def _whoever() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name
        return f"user {os.getuid()}" if hasattr(os, "getuid") else "a person"


def _say(incident: Incident, said: Steer, *, as_json: bool, packet: str = "") -> None:
    if as_json:
        print_json({"incident": incident.id, "steer": said.model_dump(mode="json"), "packet": packet or None})
    elif packet:
        typer.echo(packet)
