"""The journal: an append-only list of typed records for each investigation, chained by hashes, in a database.

Everything else (the live view, the report, resuming after a crash) is a reading of it. Noting is idempotent: a
record has a key within its investigation, and noting the same key again gives back what was noted first. That is
all that resuming takes: the flow runs again, and what was settled stays settled.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa
from pydantic import JsonValue, ValidationError

from midwatch.errors import JournalDamaged
from midwatch.records import BODIES, Incident, RecordType, Status
from midwatch.storage.database import Database
from midwatch.storage.tables import incidents as _incidents
from midwatch.storage.tables import records as _records
from midwatch.storage.tables import spending as _spending
from midwatch.storage.tables import tables
from midwatch_kit.evidence import canonical, evidence_id
from midwatch_kit.records import Moment, Record
from midwatch_kit.window import rfc3339

BodyT = TypeVar("BodyT", bound=Record)

_OF = _records.c.investigation == sa.bindparam("investigation")
_END = sa.select(_records.c.seq, _records.c.hash).where(_OF).order_by(_records.c.seq.desc()).limit(1)
_FIND = sa.select(_records.c.key, _records.c.body).where(
    _OF, _records.c.type == sa.bindparam("type"), _records.c.key.in_(sa.bindparam("keys", expanding=True))
)
_INSERT = sa.insert(_records)
_OF_ENTRY = [column for column in _records.c if column.name != "id"]
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


@dataclass(frozen=True)
class Place:
    """How far an investigation has come: how many records, and its last one."""

    investigation: str
    records: int
    last_at: datetime
    last_hash: str


class Journal:
    """Appends records and reads them back; any number of processes read, and write, each investigation in one chain.

    Beside them it counts what models cost on each day, since that is limited for all processes together.
    Without a path or a database it lives in memory, for questions that nobody will ask about later.
    `listeners` are called with each entry once it is on disk, in the order of the journal.
    """

    def __init__(self, where: Path | Database | None) -> None:
        self.database = where if isinstance(where, Database) else Database(where)
        self.listeners: list[Callable[[Entry], None]] = []
        self._allow: Callable[[sa.Connection], None] = _anybody

    def fenced(self, allow: Callable[[sa.Connection], None]) -> "Journal":
        """Return this journal for somebody who may write only as long as `allow` does not raise, in each transaction.

        It takes the lock that keeps that so until the commit. Listeners are the same.
        """
        fenced = copy(self)
        fenced._allow = allow
        return fenced

    def confirm(self) -> None:
        """Raise what would keep a note from being written now: before something that cannot be taken back."""
        if self._allow is not _anybody:
            with self.database.writing() as connection:
                self._allow(connection)

    def note(self, investigation: str, kind: RecordType, key: str, body: BodyT, actor: str = "host") -> BodyT:
        """Append `body` under `key` and return it; if the key was noted before, return what was noted then."""
        return self.note_all(investigation, kind, {key: body}, actor)[_fit(key)]

    def note_all(
        self, investigation: str, kind: RecordType, bodies: Mapping[str, BodyT], actor: str = "host"
    ) -> dict[str, BodyT]:
        """Append several bodies of one type under their keys, all or none; returns what stands under each key now."""
        with self.transaction() as notes:
            return notes.note_all(investigation, kind, bodies, actor)

    @contextmanager
    def transaction(self, lock: str = "") -> Iterator["Notes"]:
        """Yield what appends to any investigation, all at the end of the block or, after an error, nothing."""
        with self.database.writing(lock) as connection:
            self._allow(connection)
            notes = Notes(self.database, connection)
            yield notes
        for entry in notes.appended:
            for listener in self.listeners:
                listener(entry)

    def recall(self, investigation: str, kind: RecordType, key: str, shape: type[BodyT]) -> BodyT | None:
        """Return what was noted under `key`, or None."""
        with self.database.reading() as connection:
            known = _found(connection, investigation, kind, [_fit(key)])
        return shape.model_validate_json(*known.values()) if known else None

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
        with self.database.writing() as connection:
            begun = self.database.insert(_spending).values(day=day.isoformat(), usd=before)
            connection.execute(begun.on_conflict_do_nothing())
            of_the_day = sa.update(_spending).where(_spending.c.day == day.isoformat())
            fits = of_the_day if most is None else of_the_day.where(_spending.c.usd + usd <= most)
            return bool(connection.execute(fits.values(usd=_spending.c.usd + usd)).rowcount)

    def spent_on(self, day: date) -> float | None:
        """Return what was spent on a day (UTC), in US dollars; None when none was counted yet."""
        with self.database.reading() as connection:
            spent = connection.execute(sa.select(_spending.c.usd).where(_spending.c.day == day.isoformat())).scalar()
        return None if spent is None else float(spent)

    def everywhere(self, kind: RecordType) -> Iterator[Entry]:
        """Yield the records of one type of all investigations."""
        yield from self._entries(_records.c.type == kind)

    def latest(self, kind: RecordType, since: datetime | None = None) -> list[Entry]:
        """Return the last record of a type of each investigation; with a moment, where that was noted since then."""
        of_type = sa.select(_records.c.investigation, sa.func.max(_records.c.seq).label("seq"))
        recent = [_records.c.at >= rfc3339(since)] if since else []
        last = of_type.where(_records.c.type == kind, *recent).group_by(_records.c.investigation).subquery()
        same = sa.and_(_records.c.investigation == last.c.investigation, _records.c.seq == last.c.seq)
        with self.database.reading() as connection:
            return [_entry(row) for row in connection.execute(sa.select(*_OF_ENTRY).join(last, same)).mappings()]

    def investigations(self) -> list[str]:
        """Return the ids of all investigations, oldest first."""
        query = sa.select(_records.c.investigation).where(_records.c.seq == 1).order_by(_records.c.at)
        with self.database.reading() as connection:
            return list(connection.execute(query).scalars())

    def incident(self, investigation: str) -> Incident | None:
        """Return an incident as it stands now; None when there is none of that id."""
        return next(iter(self._incidents(_incidents.c.id == investigation)), None)

    def incidents(
        self, *, due: bool | None = None, status: Status | None = None, only: str | None = None
    ) -> list[Incident]:
        """Return every incident as it stands now, in the order in which they came on record.

        With `due`, only those that wait to be investigated, or only those that do not; with `status`, those that
        have it; with `only`, the one of that id.
        """
        asked = ((_incidents.c.due, due), (_incidents.c.status, status), (_incidents.c.id, only))
        return self._incidents(*(column == value for column, value in asked if value is not None))

    def last_noted(self, kind: RecordType, keys: Sequence[str] = ()) -> dict[str, datetime]:
        """Return when each incident that is due last had a record of a type, or one of it under one of the keys."""
        due = sa.select(_incidents.c.id).where(_incidents.c.due)
        of_them = [_records.c.investigation.in_(due), _records.c.type == kind]
        of_them += [_records.c.key.in_(keys)] if keys else []
        last = sa.select(_records.c.investigation, sa.func.max(_records.c.at)).where(*of_them)
        with self.database.reading() as connection:
            found = connection.execute(last.group_by(_records.c.investigation)).all()
        return {name: datetime.fromisoformat(at) for name, at in found}

    def places(self, before: datetime) -> list[Place]:
        """Return how far each investigation has come whose last record is older than a moment, the oldest first."""
        last = sa.select(_records.c.investigation, sa.func.max(_records.c.seq).label("seq"))
        found = _place(last.group_by(_records.c.investigation)).where(_records.c.at < rfc3339(before))
        with self.database.reading() as connection:
            return [_placed(row) for row in connection.execute(found.order_by(_records.c.at)).mappings()]

    def bodies(self, after: int, most: int) -> list[tuple[int, str, str]]:
        """Return place, investigation and body, as JSON, of the records after a place among all, in order."""
        columns = (_records.c.id, _records.c.investigation, _records.c.body)
        query = sa.select(*columns).where(_records.c.id > after).order_by(_records.c.id).limit(most)
        with self.database.reading() as connection:
            return [(row.id, row.investigation, row.body) for row in connection.execute(query)]

    def check(self, investigation: str) -> int:
        """Follow the chain of hashes and return how many records it has; raises `JournalDamaged`."""
        if not self.database.shared:
            with self.database.reading() as connection:
                found = connection.execute(sa.text("PRAGMA integrity_check(1)")).scalar_one()
            if found != "ok":  # a record that lost its place in an index would be missed, not read
                raise JournalDamaged(f"the journal {self.database.name} is damaged: {found}")
        previous, count = "", 0
        for entry in self.entries(investigation):
            if entry.prev_hash != previous or entry.hash != hash_of(entry) or entry.seq != count + 1:
                raise JournalDamaged(
                    f"record {entry.seq} ({entry.type}) of {investigation} is not what was written: its hash differs"
                )
            previous, count = entry.hash, count + 1
        return count

    def close(self) -> None:
        """Let go of the database."""
        self.database.close()

    def _incidents(self, *conditions: sa.ColumnElement[bool]) -> list[Incident]:
        found = sa.select(_incidents.c.body).where(*conditions).order_by(_incidents.c.opened_at, _incidents.c.id)
        with self.database.reading() as connection:
            bodies = [*connection.execute(found).scalars()]
        try:
            return [Incident.model_validate_json(body) for body in bodies]
        except ValidationError:
            raise JournalDamaged("an incident is not what was written in the table of incidents") from None

    def _entries(self, *conditions: sa.ColumnElement[bool]) -> Iterator[Entry]:
        with self.database.reading() as connection:
            for row in connection.execute(sa.select(*_OF_ENTRY).where(*conditions).order_by(_records.c.seq)).mappings():
                yield _entry(row)


@dataclass
class Notes:
    """What is appended in one transaction; `appended` is on disk once that is committed."""

    database: Database
    connection: sa.Connection
    appended: list[Entry] = field(default_factory=list)

    def note(self, investigation: str, kind: RecordType, key: str, body: BodyT, actor: str = "host") -> BodyT:
        """Append as `Journal.note` does."""
        return self.note_all(investigation, kind, {key: body}, actor)[_fit(key)]

    def note_all(
        self, investigation: str, kind: RecordType, bodies: Mapping[str, BodyT], actor: str = "host"
    ) -> dict[str, BodyT]:
        """Append as `Journal.note_all` does."""
        bodies = {_fit(key): body for key, body in bodies.items()}
        self.database.lock(self.connection, investigation)
        known = _found(self.connection, investigation, kind, [*bodies])
        seq, end = self._end(investigation)
        settled: dict[str, BodyT] = {}
        new: list[Entry] = []
        for key, body in bodies.items():
            if key in known:
                settled[key] = type(body).model_validate_json(known[key])
                continue
            seq, settled[key] = seq + 1, body
            new.append(_chained(investigation, seq, kind, key, body, actor, end))
            end = new[-1].hash
        if new:
            self.connection.execute(_INSERT, [_row(entry) for entry in new])
            self._keep_up(investigation, kind, new)
            self.appended += new
        return settled

    def incident(self, investigation: str) -> Incident | None:
        """Return an incident as it stands, with nobody else writing to it until the transaction ends."""
        self.database.lock(self.connection, investigation)
        of_it = sa.select(_incidents.c.body).where(_incidents.c.id == investigation)
        found = self.connection.execute(of_it).scalar()
        return None if found is None else Incident.model_validate_json(found)

    def adopt(self, entries: Sequence[Entry]) -> bool:
        """Append an investigation of another journal as it was written there; False when it is here already.

        Nobody goes on with it by itself, whatever it waited for there.
        """
        investigation = entries[0].investigation
        self.database.lock(self.connection, investigation)
        if self._end(investigation)[0]:
            return False
        for first in range(0, len(entries), _ASKED_AT_ONCE):
            self.connection.execute(_INSERT, [_row(entry) for entry in entries[first : first + _ASKED_AT_ONCE]])
        for entry in entries:
            if entry.type == "incident":
                self._stands(investigation, entry)
        waits = sa.update(_incidents).where(_incidents.c.id == investigation)
        self.connection.execute(waits.values(due=False))
        return True

    def place(self, investigation: str) -> Place | None:
        """Return how far an investigation has come; None when there is none."""
        last = sa.select(_records.c.investigation, sa.func.max(_records.c.seq).label("seq"))
        found = _place(last.where(_records.c.investigation == investigation).group_by(_records.c.investigation))
        return next((_placed(row) for row in self.connection.execute(found).mappings()), None)

    def forget(self, investigation: str) -> None:
        """Take an investigation out of the database, as a whole: all that any table has of it."""
        self.database.lock(self.connection, investigation)
        for table in tables.sorted_tables:
            if "investigation" in table.c:
                self.connection.execute(sa.delete(table).where(table.c.investigation == investigation))
        self.connection.execute(sa.delete(_incidents).where(_incidents.c.id == investigation))

    def _end(self, investigation: str) -> tuple[int, str]:
        """Return number and hash of the last record; of none, 0 and ''."""
        last = self.connection.execute(_END, {"investigation": investigation}).one_or_none()
        return (last.seq, last.hash) if last else (0, "")

    def _keep_up(self, investigation: str, kind: RecordType, new: Sequence[Entry]) -> None:
        """Bring the table of incidents up to date with what is appended."""
        if kind == "incident":
            for entry in new:
                self._stands(investigation, entry)
        elif kind in ("report", "steer"):
            due = sa.update(_incidents).where(_incidents.c.id == investigation)
            self.connection.execute(due.values(due=kind == "steer" or self._unheeded(investigation)))

    def _unheeded(self, investigation: str) -> bool:
        """Whether more was told than was heeded: each is a record of its own."""
        heeded = sa.case((_records.c.key.endswith(":heeded"), -1), else_=1)
        of_them = sa.and_(_records.c.investigation == investigation, _records.c.type == "steer")
        return bool(self.connection.execute(sa.select(sa.func.sum(heeded)).where(of_them)).scalar())

    def _stands(self, investigation: str, entry: Entry) -> None:
        body = {name: entry.body[name] for name in ("status", "severity", "service", "first_seen", "version")}
        opened = {"id": investigation, "opened_at": rfc3339(entry.at), "due": True}
        row = {**opened, "body": json.dumps(entry.body), **body}
        put = self.database.insert(_incidents).values(row)
        later = {name: put.excluded[name] for name in (*body, "body")}
        newer = put.excluded.version >= _incidents.c.version
        self.connection.execute(put.on_conflict_do_update(index_elements=["id"], set_=later, where=newer))


def _anybody(_: sa.Connection) -> None:
    """Let whoever wants to write do it."""


def _place(last: sa.Select[tuple[str, int]]) -> sa.Select[tuple[str, int, str, str]]:
    """Return the query for the last record of investigations, given the numbers of those."""
    end = last.subquery()
    same = sa.and_(_records.c.investigation == end.c.investigation, _records.c.seq == end.c.seq)
    columns = (_records.c.investigation, _records.c.seq, _records.c.at, _records.c.hash)
    return sa.select(*columns).join(end, same)


def _placed(row: sa.RowMapping) -> Place:
    return Place(row["investigation"], row["seq"], datetime.fromisoformat(row["at"]), row["hash"])


def _fit(key: str) -> str:
    """Return a key that every database takes: PostgreSQL has no text with a NUL."""
    return key.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _found(connection: sa.Connection, investigation: str, kind: str, keys: Sequence[str]) -> dict[str, str]:
    """Return what was noted under each of the keys, as JSON, for those under which something was."""
    known: dict[str, str] = {}
    for first in range(0, len(keys), _ASKED_AT_ONCE):
        some = keys[first : first + _ASKED_AT_ONCE]
        found = connection.execute(_FIND, {"investigation": investigation, "type": kind, "keys": some})
        known |= {row.key: row.body for row in found}
    return known


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
    return entry.model_copy(update={"hash": hash_of(entry)})


def hash_of(entry: Entry) -> str:
    """Return the hash that a record has to have."""
    return evidence_id(canonical(entry.model_dump(mode="json", exclude={"hash"})))


def _entry(row: sa.RowMapping) -> Entry:
    try:
        return Entry(**{**row, "body": json.loads(row["body"])})
    except (ValueError, TypeError):
        raise JournalDamaged(f"record {row['seq']} of {row['investigation']} is not what was written") from None


def _row(entry: Entry) -> dict[str, JsonValue]:
    return {**dict(entry), "at": rfc3339(entry.at), "body": json.dumps(entry.body)}
