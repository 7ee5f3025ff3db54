"""The records of all investigations in one order, for whoever follows them: by a number that never comes back.

In PostgreSQL a number is given before its transaction ends, so a lower one may come to be seen after a higher one. The
feed gives a record only when every transaction that ran when the record came to be seen has ended: then nothing lower
can follow any more. In SQLite one transaction writes at a time, and the highest number is always the last.
"""

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from midwatch.records import RecordType
from midwatch.storage.database import Database
from midwatch.storage.journal import Entry
from midwatch.storage.tables import records

MOST: Final = 500
"""Records of one page."""
_XMAX = sa.text("SELECT CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint)")
_XMIN = sa.text("SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)")
_NEWEST = sa.select(sa.func.coalesce(sa.func.max(records.c.id), 0))
_LOOK_EVERY: Final = 0.05
_OF_ENTRY = [column for column in records.c if column.name in Entry.model_fields]


class Placed(Entry):
    """A record with its place among all."""

    position: int


@dataclass
class Feed:
    """What is noted, by anybody, in the order of `position`; may be used from several threads."""

    database: Database
    _marks: list[tuple[int, int]] = field(default_factory=list)
    """Positions that were seen, each with the first transaction that had not begun by then."""
    _settled: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def settled(self, patience: float = 0.0) -> int:
        """Return the highest position up to which nothing more will come to be seen.

        `patience` is how many seconds to wait until that is so for what can be seen now.
        """
        deadline = time.monotonic() + patience
        with self._lock, self.database.reading() as connection:
            newest = int(connection.execute(_NEWEST).scalar_one())
            if connection.dialect.name != "postgresql":
                self._settled = max(self._settled, newest)
                return self._settled
        while self._settle() < newest and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY)
        return self._settled

    def after(self, position: int, until: int, most: int = MOST) -> list[Placed]:
        """Return the records after a position, up to and with another."""
        beyond = sa.and_(records.c.id > position, records.c.id <= until)
        with self.database.reading() as connection:
            query = sa.select(records).where(beyond).order_by(records.c.id).limit(most)
            return [_placed(row) for row in connection.execute(query).mappings()]

    def of(self, investigation: str, after: int, most: int, kinds: Sequence[RecordType] = ()) -> list[Placed]:
        """Return the records of one investigation after a number of its own, of some types or of all."""
        mine = sa.and_(records.c.investigation == investigation, records.c.seq > after)
        query = sa.select(records).where(mine).order_by(records.c.seq).limit(most)
        with self.database.reading() as connection:
            rows = connection.execute(query.where(records.c.type.in_(kinds)) if kinds else query).mappings()
            return [_placed(row) for row in rows]

    def _settle(self) -> int:
        """Mark what can be seen now, and return the highest of the earlier marks that has come to be certain.

        A mark is never certain at once: a transaction takes its number an instant before it has a number of its own.
        """
        with self._lock, self.database.reading() as connection:
            oldest = int(connection.execute(_XMIN).scalar_one())
            certain = [position for position, begun in self._marks if begun <= oldest]
            self._settled = max([self._settled, *certain])
            self._marks = [(position, begun) for position, begun in self._marks if position > self._settled]
            newest = int(connection.execute(_NEWEST).scalar_one())
            if newest > max([self._settled, *(position for position, _ in self._marks)]):
                self._marks.append((newest, int(connection.execute(_XMAX).scalar_one())))
            return self._settled


def _placed(row: sa.RowMapping) -> Placed:
    told: dict[str, Any] = {column.name: row[column.name] for column in _OF_ENTRY}
    return Placed(**{**told, "body": json.loads(row["body"])}, position=row["id"])
