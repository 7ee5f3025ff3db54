"""What starts an investigation: a sentence, an alert's body, or a snapshot; each becomes alerts and a moment."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import anyio
from pydantic import JsonValue

from midwatch.cases.replay import received_in
from midwatch.errors import BadAlert
from midwatch.host import Host
from midwatch.intake import alerts_from, from_sentence
from midwatch.records import Alert
from midwatch_kit.window import parse_time, resolve_window


@dataclass(frozen=True)
class Trigger:
    """Alerts, the moment at which they were seen, and the snapshot that holds their telemetry, if one does."""

    alerts: tuple[Alert, ...]
    seen: datetime
    snapshot: Path | None = None


async def trigger_of(host: Host, what: str, alert: JsonValue, snapshot: str) -> Trigger:
    """Return what was given, of which there must be just one; raises `BadAlert` and `BadSnapshot`."""
    given = [name for name, value in (("what", what), ("alert", alert), ("snapshot", snapshot)) if value]
    if len(given) != 1:
        raise BadAlert(f"give one of what, alert and snapshot, not {' and '.join(given) or 'none of them'}")
    now = datetime.now(UTC)
    if snapshot:
        return await anyio.to_thread.run_sync(_from_snapshot, Path(snapshot))
    if alert:
        return Trigger(tuple(alerts_from(alert)), _seen(alert, now))
    known = await host.topology(resolve_window("-1h", "now", now))
    services = {entity.name for entity in known.entities.values() if entity.kind == "service"}
    return Trigger((from_sentence(what, services, now),), now)


def _from_snapshot(folder: Path) -> Trigger:
    folder = folder.expanduser().absolute()
    received = received_in(folder)
    return Trigger(received.received, received.seen_at, folder)


def _seen(alert: JsonValue, now: datetime) -> datetime:
    """Return when an alert was seen: as its field `seen_at` says, or now."""
    told = alert.get("seen_at") if isinstance(alert, dict) else None
    return parse_time(told, now) if isinstance(told, str) else now
