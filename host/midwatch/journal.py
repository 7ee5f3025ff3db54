"""The journal: an append-only list of typed records for each investigation, chained by hashes, in SQLite.

Everything else (the live view, the report, resuming after a crash) is a reading of it. Noting is idempotent: a
record has a key within its investigation, and noting the same key again gives back what was noted first. That is
all that resuming takes: the flow runs again, and what was settled stays settled.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa
from pydantic import JsonValue, ValidationError

from midwatch.errors import JournalDamaged
from midwatch.records import BODIES, RecordType
from midwatch_kit.evidence import canonical, evidence_id
from midwatch_kit.records import Moment, Record
from midwatch_kit.window import rfc3339

BodyT = TypeVar("BodyT", bound=Record)

_tables = sa.MetaData()
_records = sa.Table(
    "records",
    _tables,
    sa.Column("investigation", sa.String, primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("key", sa.String, nullable=False),
    sa.Column("at", sa.String, nullable=False),
    sa.Column("actor", sa.String, nullable=False),
    sa.Column("type", sa.String, nullable=False),
    sa.Column("body", sa.String, nullable=False),
    sa.Column("prev_hash", sa.String, nullable=False),
    sa.Column("hash", sa.String, nullable=False),
    sa.UniqueConstraint("investigation", "type", "key"),
)
_spending = sa.Table(
    "spending", _tables, sa.Column("day", sa.String, primary_key=True), sa.Column("usd", sa.Float, nullable=False)
)
_meta = sa.Table("format", _tables, sa.Column("version", sa.Integer, primary_key=True))
FORMAT_VERSION = 1
_OF = _records.c.investigation == sa.bindparam("investigation")
_BEGIN = sa.text("BEGIN IMMEDIATE")
_END = sa.select(_records.c.seq, _records.c.hash).where(_OF).order_by(_records.c.seq.desc()).limit(1)
_FIND = sa.select(_records.c.key, _records.c.body).where(
    _OF, _records.c.type == sa.bindparam("type"), _records.c.key.in_(sa.bindparam("keys", expanding=True))
)
_INSERT = sa.insert(_records)
_BUSY_SECONDS = 15.0
_ASKED_AT_ONCE = 1000
"""Keys in one question; SQLite takes no more than 32,766 parameters."""


class Entry(Record):
    """One record as it stands in the journal."""

    investigation: str
    seq: int
    key: str
    at: Moment
    actor: str
    type: RecordType
    body: dict[str, JsonValue]
    prev_hash: str
    hash: str

    def value(self) -> Record:
        """Return the body in its own shape."""
        return BODIES[self.type].model_validate(self.body)


class Journal:
    """Appends records and reads them back; one process writes to an investigation, any number read.

    Beside them it counts what models cost on each day, since that is limited for all processes together.
    Without a path it lives in memory, for questions that nobody will ask about later.
    `listeners` are called with each entry as it is appended, in the order of the journal.
    """

    def __init__(self, path: Path | None) -> None:
        pool = {} if path else {"poolclass": sa.StaticPool}
        self._name = str(path or "in memory")
        self._engine = sa.create_engine(
            f"sqlite:///{path or ':memory:'}", connect_args={"timeout": _BUSY_SECONDS}, **pool
        )
        sa.event.listen(self._engine, "connect", _keep_every_commit)
        self.listeners: list[Callable[[Entry], None]] = []
        with self._translated():
            if path:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._prepare()

    def note(self, investigation: str, kind: RecordType, key: str, body: BodyT, actor: str = "host") -> BodyT:
        """Append `body` under `key` and return it; if the key was noted before, return what was noted then."""
        return self.note_all(investigation, kind, {key: body}, actor)[key]

    def note_all(
        self, investigation: str, kind: RecordType, bodies: Mapping[str, BodyT], actor: str = "host"
    ) -> dict[str, BodyT]:
        """Append several bodies of one type under their keys, all or none; returns what stands under each key now."""
        settled: dict[str, BodyT] = {}
        appended: list[Entry] = []
        with self._writing() as connection:
            known = self._find(connection, investigation, kind, [*bodies])
            seq, end = self._end(connection, investigation)
            for key, body in bodies.items():
                if key in known:
                    settled[key] = type(body).model_validate_json(known[key])
                    continue
                seq, settled[key] = seq + 1, body
                appended.append(_chained(investigation, seq, kind, key, body, actor, end))
                end = appended[-1].hash
            if appended:
                connection.execute(_INSERT, [_row(entry) for entry in appended])
        for entry in appended:
            for listener in self.listeners:
                listener(entry)
        return settled

    def recall(self, investigation: str, kind: RecordType, key: str, shape: type[BodyT]) -> BodyT | None:
        """Return what was noted under `key`, or None."""
        with self._reading() as connection:
            known = self._find(connection, investigation, kind, [key])
        return shape.model_validate_json(known[key]) if key in known else None

    def entries(self, investigation: str, after: int = 0, kind: RecordType | None = None) -> Iterator[Entry]:
        """Yield the records of an investigation, of one type or of all, with a number above `after`, in order."""
        of_type = [_records.c.type == kind] if kind else []
        yield from self._entries(_records.c.investigation == investigation, _records.c.seq > after, *of_type)

    def values(self, investigation: str, shape: type[BodyT]) -> list[BodyT]:
        """Return every value of one shape that an investigation noted, in order."""
        kinds = [kind for kind, body in BODIES.items() if body is shape]
        of_them = self._entries(_records.c.investigation == investigation, _records.c.type.in_(kinds))
        try:
            return [shape.model_validate(entry.body) for entry in of_them]
        except ValidationError:
            raise JournalDamaged(f"a {shape.__name__} of {investigation} is not what was written") from None

    def values_since(self, at: datetime, shape: type[BodyT]) -> list[BodyT]:
        """Return every value of one shape that any investigation noted since a moment."""
        kinds = [kind for kind, body in BODIES.items() if body is shape]
        of_them = self._entries(_records.c.at >= rfc3339(at), _records.c.type.in_(kinds))
        return [shape.model_validate(entry.body) for entry in of_them]

    def spend(self, day: date, usd: float, most: float | None = None, before: float = 0.0) -> bool:
        """Add to what was spent on a day (UTC), in US dollars, unless it then were more than `most`; says if it did.

        That is one step for all processes on this file. A day begins with what was spent `before` any was counted.
        """
        with self._writing() as connection:
            _spending.create(connection, checkfirst=True)  # journals are older than the count
            connection.execute(sa.insert(_spending).prefix_with("OR IGNORE").values(day=day.isoformat(), usd=before))
            of_the_day = sa.update(_spending).where(_spending.c.day == day.isoformat())
            fits = of_the_day if most is None else of_the_day.where(_spending.c.usd + usd <= most)
            return bool(connection.execute(fits.values(usd=_spending.c.usd + usd)).rowcount)

    def spent_on(self, day: date) -> float | None:
        """Return what was spent on a day (UTC), in US dollars; None when none was counted yet."""
        with self._reading() as connection:
            if not sa.inspect(connection).has_table(_spending.name):
                return None
            spent = connection.execute(sa.select(_spending.c.usd).where(_spending.c.day == day.isoformat())).scalar()
        return None if spent is None else float(spent)

    def everywhere(self, kind: RecordType) -> Iterator[Entry]:
        """Yield the records of one type of all investigations."""
        yield from self._entries(_records.c.type == kind)

    def investigations(self) -> list[str]:
        """Return the ids of all investigations, oldest first."""
        query = sa.select(_records.c.investigation).where(_records.c.seq == 1).order_by(_records.c.at)
        with self._reading() as connection:
            return list(connection.execute(query).scalars())

    def without(self, kind: RecordType) -> list[str]:
        """Return the ids of the investigations that have no record of a type, oldest first."""
        lacking = sa.func.sum(sa.case((_records.c.type == kind, 1), else_=0)) == 0
        query = sa.select(_records.c.investigation).group_by(_records.c.investigation).having(lacking)
        with self._reading() as connection:
            return list(connection.execute(query.order_by(sa.func.min(_records.c.at))).scalars())

    def having(self, kind: RecordType) -> list[str]:
        """Return the ids of the investigations that have a record of a type, oldest first."""
        query = sa.select(_records.c.investigation).where(_records.c.type == kind).group_by(_records.c.investigation)
        with self._reading() as connection:
            return list(connection.execute(query.order_by(sa.func.min(_records.c.at))).scalars())

    def check(self, investigation: str) -> int:
        """Follow the chain of hashes and return how many records it has; raises `JournalDamaged`."""
        with self._reading() as connection:
            found = connection.execute(sa.text("PRAGMA integrity_check(1)")).scalar_one()
        if found != "ok":  # a record that lost its place in an index would be missed, not read
            raise JournalDamaged(f"the journal {self._name} is damaged: {found}")
        previous, count = "", 0
        for entry in self.entries(investigation):
            if entry.prev_hash != previous or entry.hash != _hash(entry) or entry.seq != count + 1:
                raise JournalDamaged(
                    f"record {entry.seq} ({entry.type}) of {investigation} is not what was written: its hash differs"
                )
            previous, count = entry.hash, count + 1
        return count

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    def _find(self, connection: sa.Connection, investigation: str, kind: str, keys: Sequence[str]) -> dict[str, str]:
        """Return what was noted under each of the keys, as JSON, for those under which something was."""
        known: dict[str, str] = {}
        for first in range(0, len(keys), _ASKED_AT_ONCE):
            some = keys[first : first + _ASKED_AT_ONCE]
            found = connection.execute(_FIND, {"investigation": investigation, "type": kind, "keys": some})
            known |= {row.key: row.body for row in found}
        return known

    def _end(self, connection: sa.Connection, investigation: str) -> tuple[int, str]:
        """Return number and hash of the last record; of none, 0 and ''."""
        last = connection.execute(_END, {"investigation": investigation}).one_or_none()
        return (last.seq, last.hash) if last else (0, "")

    def _entries(self, *conditions: sa.ColumnElement[bool]) -> Iterator[Entry]:
        with self._reading() as connection:
            for row in connection.execute(sa.select(_records).where(*conditions).order_by(_records.c.seq)).mappings():
                yield _entry(row)

    def _prepare(self) -> None:
        with self._reading() as connection:
            new = not sa.inspect(connection).has_table(_meta.name)
        if new:
            with self._writing() as connection:  # whoever comes second finds it done
                _tables.create_all(connection)
                connection.execute(sa.insert(_meta).prefix_with("OR IGNORE").values(version=FORMAT_VERSION))
        with self._reading() as connection:
            version = connection.execute(sa.select(_meta.c.version)).scalar_one_or_none()
        if version != FORMAT_VERSION:
            raise JournalDamaged(
                f"the journal {self._name} has format {version}, this midwatch reads {FORMAT_VERSION}: "
                "use a matching version"
            )

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self._translated(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._translated(), self._engine.begin() as connection:
            connection.execute(_BEGIN)
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.SQLAlchemyError, UnicodeError, OSError) as error:
            why = (error.orig if isinstance(error, sa.exc.DBAPIError) else None) or error
            raise JournalDamaged(f"the journal {self._name} cannot be used: {why}") from error


def _chained(investigation: str, seq: int, kind: RecordType, key: str, body: Record, actor: str, end: str) -> Entry:
    """Return a body as the record that follows the one whose hash is `end`."""
    entry = Entry(
        investigation=investigation,
        seq=seq,
        key=key,
        at=datetime.now(UTC),
        actor=actor,
        type=kind,
        body=body.model_dump(mode="json"),
        prev_hash=end,
        hash="",
    )
    return entry.model_copy(update={"hash": _hash(entry)})


def _hash(entry: Entry) -> str:
    return evidence_id(canonical(entry.model_dump(mode="json", exclude={"hash"})))


def _entry(row: sa.RowMapping) -> Entry:
    try:
        return Entry(**{**row, "body": json.loads(row["body"])})
    except (ValueError, TypeError):
        raise JournalDamaged(f"record {row['seq']} of {row['investigation']} is not what was written") from None


def _row(entry: Entry) -> dict[str, JsonValue]:
    return {**dict(entry), "at": rfc3339(entry.at), "body": json.dumps(entry.body)}


def _keep_every_commit(connection: sa.engine.interfaces.DBAPIConnection, _: object) -> None:
    cursor = connection.cursor()
    _write_ahead(cursor)
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _write_ahead(cursor: sa.engine.interfaces.DBAPICursor) -> None:
    """Switch to write-ahead logging: the one step at which SQLite does not wait by itself for whoever does the same."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(0.01)
