"""Old alerts: letting go of them with their incident, or by themselves where they are of none; sending them on."""

import json
from datetime import datetime

import sqlalchemy as sa
from pydantic import JsonValue

from midwatch.reception.rows import listed, payload_of
from midwatch.storage.tables import alerts, payloads
from midwatch_kit.window import rfc3339

_MOST = 100_000


def came_since(connection: sa.Connection, incident: str, moment: datetime) -> bool:
    """Return whether an alert of an incident came since a moment."""
    since = sa.and_(alerts.c.incident == incident, alerts.c.received_at >= rfc3339(moment))
    return connection.execute(sa.select(alerts.c.seq).where(since).limit(1)).scalar() is not None


def forget(connection: sa.Connection, incident: str) -> None:
    """Let go of an incident's alerts; what people decided about them stands."""
    connection.execute(sa.delete(alerts).where(alerts.c.incident == incident))


def forget_strays(connection: sa.Connection, before: datetime, most: int) -> int:
    """Let go of alerts of no incident, and of what was sent that no alert has any more; returns how many rows went."""
    stray = sa.select(alerts.c.seq).where(alerts.c.incident.is_(None), alerts.c.received_at < rfc3339(before))
    gone = connection.execute(sa.delete(alerts).where(alerts.c.seq.in_(stray.limit(most)))).rowcount
    held = sa.select(alerts.c.payload).where(alerts.c.received_at < rfc3339(before))  # younger alerts made it young
    old = sa.and_(payloads.c.received_at < rfc3339(before), payloads.c.id.not_in(held))
    loose = sa.select(payloads.c.id).where(old).limit(most)
    return gone + connection.execute(sa.delete(payloads).where(payloads.c.id.in_(loose))).rowcount


def as_they_came(connection: sa.Connection, incident: str) -> list[JsonValue]:
    """Return every alert of an incident with what became of it and why, in order, and with what the sender sent."""
    return [
        {
            **row["alert"].model_dump(mode="json"),
            "raw": payload_of(connection, row["payload"]),
            "received_at": row["received_at"],
            "decision": row["decision"],
            "why": row["why"],
            "parts": json.loads(json.dumps([part.model_dump(mode="json") for part in row["parts"]])),
        }
        for row in listed(connection, [incident], _MOST)
    ]
