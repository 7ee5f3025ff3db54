"""The command that investigates once."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from midwatch.cases.replay import received_in
from midwatch.cases.snapshot import ALERTS
from midwatch.cli.app import app
from midwatch.cli.incidents import show_packet
from midwatch.cli.shared import Json, console_for, fail, run_async, settings_or_fail, told
from midwatch.errors import BadAlert, HostError
from midwatch.host import Host, open_host
from midwatch.intake import alerts_from, from_sentence
from midwatch.mitigation.approvals import AtTheTerminal
from midwatch.reading.live import LiveView
from midwatch.records import Alert
from midwatch.settings import Settings
from midwatch.storage.claim import claim
from midwatch.storage.snapshots import read_from_snapshot
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
    show_packet(text, incident_id, as_json=as_json)


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
