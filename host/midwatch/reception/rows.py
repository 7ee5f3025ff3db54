"""Alerts as rows of the database and back: what came, what became of it, and what people decided since.

Every function works in a transaction that is somebody else's.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from pydantic import JsonValue

from midwatch.correlation import ByHand, Decision, Part, fingerprint
from midwatch.records import Alert, Status
from midwatch.storage.database import Database
from midwatch.storage.tables import alerts, incidents, payloads, records, triage
from midwatch_kit.evidence import canonical, evidence_id
from midwatch_kit.window import parse_time, rfc3339

_ValueT = TypeVar("_ValueT")
_AT_ONCE = 500
"""Values in one question."""
_LEVEL = 1
"""Of compression: what is small gains nothing by more."""
_LATEST_KNOWN = sa.select(sa.func.max(alerts.c.seq))
_OF_DECISION = (
    alerts.c.seq,
    alerts.c.received_at,
    alerts.c.decision,
    alerts.c.incident,
    alerts.c.own,
    alerts.c.joins,
    alerts.c.body,
)


@dataclass(frozen=True)
class Row:
    """One alert on record, as much of it as memory is made from."""

    seq: int
    received_at: datetime
    decision: str
    incident: str | None
    own: str | None
    joins: bool
    alert: Alert


@dataclass(frozen=True)
class Standing:
    """How an incident stands, since when, and what it is linked to."""

    status: Status
    since: datetime
    linked_to: str | None


def put(
    connection: sa.Connection, database: Database, decided: Sequence[tuple[Alert, Decision, datetime, str | None]]
) -> int:
    """Append alerts with their decisions; returns the number of the last. What was sent is kept once, by its hash."""
    sent: dict[int, tuple[str, bytes]] = {}
    kept: dict[str, dict[str, object]] = {}
    rows: list[dict[str, object]] = []
    for alert, decision, now, own in decided:
        if id(alert.raw) not in sent:  # a body of many alerts is the same object in each
            raw = canonical(alert.raw)
            sent[id(alert.raw)] = evidence_id(raw), raw
        name, raw = sent[id(alert.raw)]
        if name not in kept:
            kept[name] = {"id": name, "received_at": rfc3339(now), "bytes": zlib.compress(raw, _LEVEL)}
        rows.append(_row(alert, decision, now, own, name))
    insert = database.insert(payloads)
    later = insert.on_conflict_do_update(index_elements=["id"], set_={"received_at": insert.excluded.received_at})
    connection.execute(later, [*kept.values()])
    connection.execute(sa.insert(alerts), rows)
    return int(connection.execute(_LATEST_KNOWN).scalar_one())


def _row(alert: Alert, decision: Decision, now: datetime, own: str | None, payload: str) -> dict[str, object]:
    body = alert.model_dump_json(exclude={"raw"}, exclude_defaults=True).encode()
    return {
        "received_at": rfc3339(now),
        "alert": alert.id,
        "fingerprint": fingerprint(alert),
        "action": alert.action,
        "decision": decision.verb,
        "incident": decision.incident,
        "own": own,
        "joins": decision.joins,
        "why": decision.why.replace("\0", ""),
        "parts": _parts(decision),
        "body": zlib.compress(body, _LEVEL),
        "payload": payload,
    }


def _parts(decision: Decision) -> str:
    return json.dumps([part.model_dump(mode="json") for part in decision.parts]) if decision.parts else ""


def of_incidents(connection: sa.Connection, names: Sequence[str]) -> Iterator[tuple[int, str, Alert]]:
    """Yield every alert of incidents in order: its number, its fingerprint, and the alert without what was sent."""
    query = sa.select(alerts.c.seq, alerts.c.fingerprint, alerts.c.body).where(alerts.c.incident.in_(names))
    for row in connection.execute(query.order_by(alerts.c.seq)).all():
        yield row.seq, row.fingerprint, alert_of(row.body)


def take_back(connection: sa.Connection, numbers: Sequence[int]) -> None:
    """Make alerts part of no incident, so that memory is made without them."""
    for some in _some(numbers):
        these = alerts.c.seq.in_(some)
        fired = sa.and_(these, alerts.c.action != "resolved")
        connection.execute(sa.update(alerts).where(fired).values(decision="repeat", joins=False))
        connection.execute(sa.update(alerts).where(these).values(incident=None))


def decide_anew(connection: sa.Connection, numbers: Sequence[int], decision: Decision, why: str) -> None:
    """Put on record what became of an alert that was taken back: the first row says so, the others repeat it."""
    move(connection, numbers, decision.incident)
    told = {"decision": decision.verb, "joins": decision.joins, "why": f"{decision.why}; {why}".replace("\0", "")}
    parts = _parts(decision)
    connection.execute(sa.update(alerts).where(alerts.c.seq == numbers[0]).values(**told, parts=parts))


def move(connection: sa.Connection, numbers: Sequence[int], incident: str | None) -> None:
    """Make alerts part of an incident."""
    for some in _some(numbers):
        connection.execute(sa.update(alerts).where(alerts.c.seq.in_(some)).values(incident=incident))


def begun_after(connection: sa.Connection, ends: Mapping[str, str]) -> None:
    """Make the ends that overtook their beginnings part of the incidents of those; `ends` are alerts' ids."""
    why = "it is over; its beginning came after its end"
    for name, incident in ends.items():
        end = sa.and_(alerts.c.alert == name, alerts.c.action == "resolved", alerts.c.incident.is_(None))
        connection.execute(sa.update(alerts).where(end).values(incident=incident, why=why))


def last_number(connection: sa.Connection) -> int:
    """Return the number of the last alert on record; 0 when there is none."""
    return connection.execute(_LATEST_KNOWN).scalar_one() or 0


def since(connection: sa.Connection, after: int, begun: datetime | None = None, most: int | None = None) -> list[Row]:
    """Return the alerts after a number that memory is made from, the latest ones when they are too many, in order."""
    told = sa.or_(alerts.c.decision != "repeat", alerts.c.joins)
    query = sa.select(*_OF_DECISION).where(alerts.c.seq > after, told)
    if begun:
        query = query.where(alerts.c.received_at >= rfc3339(begun))
    found = connection.execute(query.order_by(alerts.c.seq.desc()).limit(most)).all()
    return [_known(row) for row in reversed(found)]


def latest_of(connection: sa.Connection, fingerprints: Iterable[str]) -> dict[str, Row]:
    """Return the latest alert of each fingerprint that was part of an incident and fired."""
    found: dict[str, Row] = {}
    for some in _some([*fingerprints]):
        newest = (
            sa.select(sa.func.max(alerts.c.seq))
            .where(alerts.c.fingerprint.in_(some), alerts.c.incident.is_not(None), alerts.c.action != "resolved")
            .group_by(alerts.c.fingerprint)
        )
        rows = connection.execute(sa.select(*_OF_DECISION).where(alerts.c.seq.in_(newest)))
        found |= {fingerprint(row.alert): row for row in map(_known, rows)}
    return found


def standings(connection: sa.Connection, names: Iterable[str]) -> dict[str, Standing]:
    """Return how incidents stand."""
    found: dict[str, Standing] = {}
    for some in _some([*names]):
        of_them = records.c.investigation.in_(some), records.c.type == "incident"
        last = sa.select(records.c.investigation, sa.func.max(records.c.at).label("at")).where(*of_them)
        noted = last.group_by(records.c.investigation).subquery()
        query = sa.select(incidents.c.id, incidents.c.status, incidents.c.body, noted.c.at)
        for row in connection.execute(query.join(noted, incidents.c.id == noted.c.investigation)):
            linked = json.loads(row.body).get("triage", {}).get("linked_to") if row.status == Status.LINKED else None
            found[row.id] = Standing(Status(row.status), moment(row.at), linked)
    return found


def last_of_incidents(connection: sa.Connection) -> str:
    """Return when anything was last noted of how an incident stands; '' for never."""
    newest = sa.select(sa.func.max(records.c.at)).where(records.c.type == "incident")
    return connection.execute(newest).scalar_one() or ""


def by_hand(connection: sa.Connection) -> tuple[int, ByHand]:
    """Return what people decided and still holds, and the number of the last decision: the latest counts."""
    skip: set[str] = set()
    linked: set[str] = set()
    pairs: dict[tuple[str, str], str] = {}
    number = 0
    for row in connection.execute(sa.select(triage).order_by(triage.c.seq)):
        number = row.seq
        if row.fingerprint is None:
            (linked.add if row.verb == "link" else linked.discard)(row.incident)
            continue
        if row.verb == "skip":
            skip.add(row.fingerprint)
        else:
            skip.discard(row.fingerprint)
        if row.root:
            pairs[row.fingerprint, row.root] = row.verb
    apart = frozenset(pair for pair, verb in pairs.items() if verb == "split")
    together = frozenset(pair for pair, verb in pairs.items() if verb == "link")
    return number, ByHand(frozenset(skip), apart, together, frozenset(linked))


def openers(connection: sa.Connection, names: Iterable[str]) -> dict[str, str]:
    """Return the fingerprint of the alert that opened each of these incidents."""
    found: dict[str, str] = {}
    for some in _some([*names]):
        first = sa.select(sa.func.min(alerts.c.seq)).where(alerts.c.incident.in_(some)).group_by(alerts.c.incident)
        rows = connection.execute(sa.select(alerts.c.incident, alerts.c.fingerprint).where(alerts.c.seq.in_(first)))
        found |= {row.incident: row.fingerprint for row in rows}
    return found


def number_by_hand(connection: sa.Connection) -> int:
    """Return the number of the last decision by hand; 0 when there is none."""
    return connection.execute(sa.select(sa.func.max(triage.c.seq))).scalar_one() or 0


def payload_of(connection: sa.Connection, name: str) -> JsonValue:
    """Return what a sender sent, by its hash; None when it is not kept any more."""
    found = connection.execute(sa.select(payloads.c.bytes).where(payloads.c.id == name)).scalar()
    return None if found is None else json.loads(zlib.decompress(found))


def sent(connection: sa.Connection, number: int) -> JsonValue:
    """Return what the sender sent, by the number of an alert; None when it is not kept any more."""
    return payload_of(
        connection, connection.execute(sa.select(alerts.c.payload).where(alerts.c.seq == number)).scalar_one()
    )


def listed(connection: sa.Connection, names: Sequence[str] | None, most: int) -> list[Mapping[str, Any]]:
    """Return the latest alerts of incidents, or of all, with what became of them, in order."""
    query = sa.select(alerts).order_by(alerts.c.seq.desc()).limit(most)
    if names is not None:
        query = query.where(sa.or_(alerts.c.incident.in_(names), alerts.c.own.in_(names)))
    return [
        {**row, "alert": alert_of(row["body"]), "parts": [Part(**part) for part in json.loads(row["parts"] or "[]")]}
        for row in reversed(connection.execute(query).mappings().all())
    ]


def alert_of(body: bytes) -> Alert:
    """Return an alert as a row keeps it, without what the sender sent."""
    return Alert.model_validate_json(zlib.decompress(body))


def moment(text: str) -> datetime:
    """Return a moment as rows write it."""
    return parse_time(text, datetime.min)


def _known(row: Any) -> Row:
    return Row(row.seq, moment(row.received_at), row.decision, row.incident, row.own, row.joins, alert_of(row.body))


def _some(values: Sequence[_ValueT]) -> Iterator[Sequence[_ValueT]]:
    for first in range(0, len(values), _AT_ONCE):
        yield values[first : first + _AT_ONCE]
