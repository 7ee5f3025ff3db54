"""The outbox: what was meant to be said to each channel, and what came of it, in the database.

It stands beside the journal and not in it, since it changes: a message gets a place, a lease passes from host to host,
and every telling is asked for by its channel. That something was told, or could not be, is a record of the journal too.
One host at a time tells one channel of one incident, by a lease that runs out when its holder dies.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import sqlalchemy as sa
from ulid import ULID

from midwatch.storage.database import Database
from midwatch.storage.tables import deliveries, incidents, records, tellings
from midwatch_kit.window import rfc3339

MESSAGE: Final = "message"
"""The part that is the message which changes; all others are turning points, by their keys."""
State = Literal["intended", "unsent", "told", "given_up"]


@dataclass(frozen=True)
class Delivery:
    """What came of one part: `intended` may have been said or not, `unsent` surely was not."""

    part: str
    letter: str
    state: State
    place: str
    said: str
    since: datetime


class Outbox:
    """The outbox of one host; `holder` is a name that no other host and no earlier process had."""

    def __init__(self, database: Database, holder: str | None = None) -> None:
        self._database = database
        self._holder = holder or str(ULID())

    def take(self, investigation: str, channel: str, seconds: float) -> bool:
        """Take or keep the lease for telling a channel of an incident; False while another host has it."""
        now = datetime.now(UTC)
        until = rfc3339(now + timedelta(seconds=seconds))
        mine = _this(tellings, investigation, channel)
        with self._database.writing(f"telling:{channel}:{investigation}") as connection:
            known = connection.execute(sa.select(tellings.c.holder, tellings.c.until).where(mine)).one_or_none()
            if known and known.holder not in ("", self._holder) and known.until > rfc3339(now):
                return False
            held = {"holder": self._holder, "until": until}
            if known:
                connection.execute(sa.update(tellings).where(mine).values(**held))
            else:
                new = {"investigation": investigation, "channel": channel, "seen": 0, **held}
                connection.execute(sa.insert(tellings).values(**new))
        return True

    def release(self, investigation: str, channel: str, seen: int | None = None) -> None:
        """Give the lease back; `seen` is the number of the last record of which everything is told."""
        mine = _this(tellings, investigation, channel)
        told = {} if seen is None else {"seen": seen}
        with self._database.writing(f"telling:{channel}:{investigation}") as connection:
            held = mine & (tellings.c.holder == self._holder)
            connection.execute(sa.update(tellings).where(held).values(holder="", until="", **told))

    def begun(self, investigation: str, channel: str) -> bool:
        """Return whether a channel was ever to be told of an incident."""
        with self._database.reading() as connection:
            found = connection.execute(sa.select(tellings.c.seen).where(_this(tellings, investigation, channel)))
            return found.one_or_none() is not None

    def known(self, investigation: str, channel: str) -> dict[str, Delivery]:
        """Return what came of each part that was meant to be said, by its name."""
        query = sa.select(deliveries).where(_this(deliveries, investigation, channel)).order_by(deliveries.c.since)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return {
            row.part: Delivery(row.part, row.letter, row.state, row.place, row.said, datetime.fromisoformat(row.since))
            for row in rows
        }

    def intend(self, investigation: str, channel: str, parts: Iterable[str], letter: str) -> None:
        """Put on record that some parts are about to be said by one letter, before it is sent."""
        self._put(investigation, channel, {part: {"letter": letter, "state": "intended"} for part in parts})

    def unsent(self, investigation: str, channel: str, parts: Iterable[str]) -> None:
        """Put on record that a letter surely was not received."""
        self._put(investigation, channel, {part: {"state": "unsent"} for part in parts})

    def told(self, investigation: str, channel: str, parts: Iterable[str], place: str, said: str) -> None:
        """Put on record that some parts were said by one letter: where it is, and the digest of what it says."""
        self._put(investigation, channel, {part: {"state": "told", "place": place, "said": said} for part in parts})

    def give_up(self, investigation: str, channel: str, parts: Iterable[str]) -> None:
        """Put on record that some parts will not be said."""
        self._put(investigation, channel, {part: {"state": "given_up"} for part in parts})

    def once(self, investigation: str, channel: str, part: str) -> bool:
        """Return whether this is the first time that anybody asks for this part, which is on record then."""
        with self._database.writing(f"telling:{channel}:{investigation}") as connection:
            known = connection.execute(_one(investigation, channel, part)).one_or_none()
            if known is None:
                connection.execute(sa.insert(deliveries).values(**_new(investigation, channel, part), state="told"))
            return known is None

    def incident_at(self, channel: str, place: str) -> str | None:
        """Return the incident whose message is at a place of a channel."""
        there = (deliveries.c.channel == channel) & (deliveries.c.place == place) & (deliveries.c.part == MESSAGE)
        with self._database.reading() as connection:
            return connection.execute(sa.select(deliveries.c.investigation).where(there)).scalar_one_or_none()

    def latest_in(self, channel: str) -> list[str]:
        """Return the incidents that a channel was told of, the latest first, ten at most."""
        told = (deliveries.c.channel == channel) & (deliveries.c.part == MESSAGE) & (deliveries.c.state == "told")
        query = sa.select(deliveries.c.investigation).where(told).order_by(deliveries.c.since.desc()).limit(10)
        with self._database.reading() as connection:
            return [*connection.execute(query).scalars()]

    def unseen(self, since: datetime, channels: Iterable[str]) -> list[tuple[str, str]]:
        """Return the incidents on record since a moment, and the channels, of which not every record was seen."""
        recent = sa.select(incidents.c.id).where(incidents.c.opened_at >= rfc3339(since))
        last = sa.select(records.c.investigation, sa.func.max(records.c.seq)).where(records.c.investigation.in_(recent))
        seen = sa.select(tellings.c.investigation, tellings.c.channel, tellings.c.seen)
        with self._database.reading() as connection:
            ends = [(row[0], row[1]) for row in connection.execute(last.group_by(records.c.investigation))]
            rows = connection.execute(seen.where(tellings.c.investigation.in_(recent)))
            known = {(row.investigation, row.channel): row.seen for row in rows}
        return [(name, each) for name, seq in ends for each in channels if known.get((name, each), 0) < seq]

    def last_record(self, investigation: str) -> int:
        """Return the number of an incident's last record."""
        query = sa.select(sa.func.max(records.c.seq)).where(records.c.investigation == investigation)
        with self._database.reading() as connection:
            return connection.execute(query).scalar() or 0

    def _put(self, investigation: str, channel: str, parts: Mapping[str, Mapping[str, str]]) -> None:
        with self._database.writing(f"telling:{channel}:{investigation}") as connection:
            for part, values in parts.items():
                mine = _this(deliveries, investigation, channel) & (deliveries.c.part == part)
                if not connection.execute(sa.update(deliveries).where(mine).values(**values)).rowcount:
                    new = {**_new(investigation, channel, part), **values}
                    connection.execute(sa.insert(deliveries).values(**new))


def _this(table: sa.Table, investigation: str, channel: str) -> sa.ColumnElement[bool]:
    return (table.c.investigation == investigation) & (table.c.channel == channel)


def _one(investigation: str, channel: str, part: str) -> sa.Select[tuple[str]]:
    mine = _this(deliveries, investigation, channel) & (deliveries.c.part == part)
    return sa.select(deliveries.c.state).where(mine)


def _new(investigation: str, channel: str, part: str) -> dict[str, str]:
    named = {"investigation": investigation, "channel": channel, "part": part, "since": rfc3339(datetime.now(UTC))}
    return {**named, "letter": "", "place": "", "said": ""}
