"""The reception's memory: what is going on, made from the tables and kept up with what others commit."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa

from midwatch.correlation import Neighbourhood, Ongoing, Rules, fingerprint
from midwatch.reception import rows
from midwatch.reception.rows import Row
from midwatch.records import Alert

MOST_FINGERPRINTS = 200_000
_LOOK_EVERY = 1.0
_FORGET_EVERY = timedelta(minutes=1)


@dataclass
class Memory:
    """Everything that is remembered between two transactions; after one that failed it is made anew."""

    ongoing: Ongoing
    last: int = 0
    by_hand: int = 0
    looked: float = 0.0
    newest: str = ""
    forgot: datetime | None = None
    own: dict[str, str] = field(default_factory=dict)
    """In shadow mode, the incident that each fingerprint has for itself."""


def remembered(connection: sa.Connection, area: Neighbourhood, rules: Rules, now: datetime, hours: float) -> Memory:
    """Return what the tables say is going on: of the last hours, and no more than memory holds."""
    number, by_hand = rows.by_hand(connection)
    memory = Memory(Ongoing(by_hand=by_hand), by_hand=number)
    for row in rows.since(connection, 0, now - timedelta(hours=hours), MOST_FINGERPRINTS):
        replay(memory, row, area, rules)
    memory.last = rows.last_number(connection)
    if by_hand.apart or by_hand.together:
        for incident, root in rows.openers(connection, memory.ongoing.outages).items():
            memory.ongoing.outages[incident].root = root
    look(connection, memory)
    return memory


def catch_up(connection: sa.Connection, memory: Memory, area: Neighbourhood, rules: Rules) -> None:
    """Learn what others committed since, and how incidents stand, when that may have changed."""
    for row in rows.since(connection, memory.last):
        replay(memory, row, area, rules)
    if time.monotonic() - memory.looked >= _LOOK_EVERY or rows.last_of_incidents(connection) != memory.newest:
        look(connection, memory)


def look(connection: sa.Connection, memory: Memory) -> None:
    """Learn how the incidents stand that are remembered."""
    memory.looked, memory.newest = time.monotonic(), rows.last_of_incidents(connection)
    for name, standing in rows.standings(connection, [*memory.ongoing.outages]).items():
        memory.ongoing.settle(name, standing.status, standing.since, standing.linked_to)


def recall(
    connection: sa.Connection, memory: Memory, alerts: Iterable[Alert], area: Neighbourhood, rules: Rules
) -> None:
    """Learn what the tables know of alerts whose fingerprints were forgotten or never heard of."""
    unheard = {fingerprint(alert) for alert in alerts if memory.ongoing.of(alert) is None}
    known = rows.latest_of(connection, unheard)
    for row in known.values():
        replay(memory, row, area, rules)
    if known:
        look(connection, memory)


def replay(memory: Memory, row: Row, area: Neighbourhood, rules: Rules) -> None:
    """Learn from one alert on record as was learnt when it came."""
    memory.last = max(memory.last, row.seq)
    if row.alert.action == "resolved":
        memory.ongoing.resolve(row.alert, row.received_at)
        return
    marks = rules.marks(row.alert)
    again = row.decision == "repeat" and not row.joins
    memory.ongoing.learn(row.alert, row.incident, area, marks, row.received_at, joins=row.joins, again=again)
    if row.own:
        memory.own[fingerprint(row.alert)] = row.own


def forget(memory: Memory, now: datetime, hours: float) -> None:
    """Forget, now and then, what is old and what is too much."""
    if memory.forgot and now - memory.forgot < _FORGET_EVERY and len(memory.ongoing.known) <= 2 * MOST_FINGERPRINTS:
        return
    memory.forgot = now
    memory.ongoing.forget(now - timedelta(hours=hours), MOST_FINGERPRINTS)
    memory.own = {name: own for name, own in memory.own.items() if name in memory.ongoing.known}
