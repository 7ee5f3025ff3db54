"""The database: one journal and one set of tables, whether it is a file or a server, new, old, or gone."""

import json
import resource
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from tests.postgresql import Server

from midwatch.errors import BadSettings, DatabaseDown, JournalDamaged
from midwatch.records import Incident, Message, Report, Status, Steer
from midwatch.settings import Settings
from midwatch.storage import one_file
from midwatch.storage.database import Database
from midwatch.storage.journal import Entry, Journal
from midwatch.storage.migrating import migrate, revisions
from midwatch.storage.state import evidence_of, journal_of
from midwatch.storage.tables import REVISION, evidence, tables
from midwatch_kit.errors import BadInput, NotFound
from midwatch_kit.window import rfc3339

on_postgresql = pytest.mark.xdist_group("postgresql")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=on_postgresql)])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Return where a new database is to be: a file, and a database of a real PostgreSQL."""
    if request.param == "sqlite":
        return tmp_path / "journal.db"
    url: str = request.getfixturevalue("postgresql")
    return url


@pytest.fixture
def database(where: Path | str) -> Iterator[Database]:
    opened = Database(where)
    yield opened
    opened.close()


def settings(where: Path | str, folder: Path) -> Settings:
    url = None if isinstance(where, Path) else where
    return Settings.model_validate({"data_dir": folder, "database_url": url})


def test_records_are_the_same_wherever_they_are_kept(database: Database, incident: Incident) -> None:
    journal, seen = Journal(database), list[Entry]()
    journal.listeners.append(seen.append)
    journal.note("one", "incident", "1", incident)
    odd = "\x00 'quoted\" 名前 \U0001f4a5"
    for key in ("b", "a\x00", "b"):
        journal.note("one", "message", key, Message(text=odd), "somebody")
    assert [(entry.seq, entry.key, entry.actor) for entry in journal.entries("one")] == [
        (1, "1", "host"),
        (2, "b", "somebody"),
        (3, "a\N{REPLACEMENT CHARACTER}", "somebody"),
    ]
    assert seen == [*journal.entries("one")]
    assert journal.values("one", Message) == [Message(text=odd)] * 2
    assert journal.recall("one", "incident", "1", Incident) == incident
    assert journal.check("one") == 3


def test_a_record_that_was_changed_is_found_out_wherever_it_is_kept(database: Database) -> None:
    journal = Journal(database)
    for key in "abc":
        journal.note("one", "message", key, Message(text=key))
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE records SET body = replace(body, 'b', 'x') WHERE key = 'b'"))
    with pytest.raises(JournalDamaged, match=r"record 2 \(message\) of one is not what was written"):
        journal.check("one")


def test_threads_that_note_at_once_keep_one_chain_and_the_first_under_a_key_stays(where: Path | str) -> None:
    def write(name: str) -> None:
        with closing(Journal(Database(where))) as journal:
            for number in range(15):
                journal.note("one", "message", f"{name}{number}", Message(text=name))
                journal.note("one", "message", f"both {number}", Message(text=name))

    Database(where).close()
    writers = [threading.Thread(target=write, args=name) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    with closing(Journal(Database(where))) as journal:
        assert journal.check("one") == 45


def test_many_opening_a_new_database_at_once_find_it_made_once(where: Path | str) -> None:
    said: list[BaseException] = []

    def open_it() -> None:
        try:
            Database(where).close()
        except BaseException as error:  # told below
            said.append(error)

    openers = [threading.Thread(target=open_it) for _ in range(6)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join()
    assert said == []


def test_what_is_noted_together_is_there_as_a_whole_or_not_at_all(database: Database) -> None:
    journal, seen = Journal(database), list[Entry]()
    journal.listeners.append(seen.append)

    def fail_halfway() -> None:
        with journal.transaction("x") as notes:
            notes.note("one", "message", "a", Message(text="hello"))
            raise RuntimeError("the power fails")

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert (seen, journal.investigations()) == ([], [])
    with journal.transaction("x") as notes:
        notes.note("one", "message", "a", Message(text="hello"))
        notes.note("two", "message", "a", Message(text="hello"))
        notes.note("one", "message", "b", Message(text="hello"))
        assert seen == []
    assert [(entry.investigation, entry.seq) for entry in seen] == [("one", 1), ("two", 1), ("one", 2)]
    assert (journal.check("one"), journal.check("two")) == (2, 1)


def test_who_listens_hears_of_a_record_once_everybody_can_read_it(where: Path | str) -> None:
    with closing(Journal(Database(where))) as journal, closing(Journal(Database(where))) as other:
        read: list[Entry] = []
        journal.listeners.append(lambda noted: read.extend(other.entries(noted.investigation)))
        journal.note("one", "message", "a", Message(text="hello"))
        assert [entry.key for entry in read] == ["a"]


def test_in_a_file_every_commit_is_on_the_disk_and_others_are_waited_for_within_bounds(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "journal.db")) as database, database.reading() as connection:
        told = [connection.execute(sa.text(f"PRAGMA {name}")).scalar() for name in ("synchronous", "busy_timeout")]
    assert told == [2, 1000 * one_file.BUSY_SECONDS], "2 is FULL: a power failure takes nothing that was answered"


@on_postgresql
def test_a_server_is_told_how_long_anything_may_be_waited_for(postgresql: str) -> None:
    with closing(Database(postgresql)) as database, database.reading() as connection:
        told = [connection.execute(sa.text(f"SHOW {name}")).scalar() for name in ("lock_timeout", "statement_timeout")]
    assert told == [f"{one_file.BUSY_SECONDS:.0f}s", "1min"]


def test_an_incident_stands_as_its_latest_version_says_and_is_due_until_it_is_reported(
    database: Database, incident: Incident
) -> None:
    journal = Journal(database)
    journal.note("01", "incident", "1", incident.model_copy(update={"id": "01"}))
    journal.note("00", "incident", "1", incident.model_copy(update={"id": "00"}))
    later = incident.model_copy(update={"id": "01", "version": 2, "status": Status.WATCHING})
    journal.note("01", "incident", "2", later)
    assert journal.incident("01") == later
    assert journal.incident("02") is None
    assert [known.id for known in journal.incidents()] == ["01", "00"]

    reported = Report(outcome="inconclusive", mitigated=False, packet="")
    journal.note("01", "report", "1", reported)
    assert [known.id for known in journal.incidents(due=True)] == ["00"]
    journal.note("01", "steer", "told:1", Steer(text="why not stock?", by="ann"))
    assert [known.id for known in journal.incidents(due=True)] == ["01", "00"]
    journal.note("01", "report", "2", reported)  # told while the report was written: nobody has heeded it
    assert [known.id for known in journal.incidents(due=True)] == ["01", "00"]
    journal.note("01", "steer", "told:1:heeded", Steer(text="why not stock?", by="ann", effect="tested"))
    journal.note("01", "report", "3", reported)
    assert [known.id for known in journal.incidents(due=True)] == ["00"]


def test_what_a_day_costs_is_counted_once_wherever_it_is_kept(database: Database) -> None:
    journal, day = Journal(database), date(2026, 11, 20)
    assert journal.spent_on(day) is None
    assert journal.spend(day, 2.0, most=5.0, before=1.0)
    assert not journal.spend(day, 2.5, most=5.0)
    assert journal.spent_on(day) == 3.0


def test_evidence_is_found_by_its_hash_also_by_a_host_on_another_machine(where: Path | str, tmp_path: Path) -> None:
    here, there = (
        settings(where, tmp_path),
        settings(where, tmp_path if isinstance(where, Path) else tmp_path / "there"),
    )
    with closing(journal_of(here)) as journal, closing(journal_of(there)) as other:
        name = evidence_of(here, journal).put(b'{"rows": [{"a": "1"}, {"a": "2"}]}')
        read = evidence_of(there, other)
        assert read.get(name) == b'{"rows": [{"a": "1"}, {"a": "2"}]}'
        assert read.named(name[:8]) == name
        assert read.grep(name, "2") == ['{"a": "2"}']
        with pytest.raises(NotFound, match="repeat the query"):
            read.get("0" * 64)
        with pytest.raises(NotFound, match="repeat the query"):
            read.named("0" * 8)
        with pytest.raises(BadInput, match="is not an evidence id"):
            read.named("%%%%%%%%")


@on_postgresql
def test_evidence_that_is_put_again_is_as_young_as_if_it_were_new(postgresql: str, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    with closing(Journal(Database(postgresql))) as journal:
        kept = evidence_of(settings(postgresql, tmp_path), journal)
        name = kept.put(b"{}")
        with journal.database.writing() as connection:
            connection.execute(sa.update(evidence).values(kept_at=rfc3339(now - timedelta(days=9))))
        assert kept.untouched_since(now - timedelta(days=7), name[:2]) == [name]
        kept.put(b"{}")
        assert kept.untouched_since(now - timedelta(days=7), name[:2]) == []


def test_tables_and_revisions_are_the_same(where: Path | str) -> None:
    assert revisions()[-1] == REVISION
    with closing(Database(where)) as new:
        _same_tables(new)
        with new.writing("migrations") as connection:
            migrate(connection, revisions()[0])
        with new.writing("migrations") as connection:
            migrate(connection, REVISION)
        _same_tables(new)


def _same_tables(database: Database) -> None:
    with database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables) == []


OLD = """
CREATE TABLE records (investigation VARCHAR NOT NULL, seq INTEGER NOT NULL, "key" VARCHAR NOT NULL, at VARCHAR NOT NULL,
    actor VARCHAR NOT NULL, type VARCHAR NOT NULL, body VARCHAR NOT NULL, prev_hash VARCHAR NOT NULL,
    hash VARCHAR NOT NULL, PRIMARY KEY (investigation, seq), UNIQUE (investigation, type, "key"));
CREATE TABLE spending (day VARCHAR NOT NULL, usd FLOAT NOT NULL, PRIMARY KEY (day));
CREATE TABLE format (version INTEGER NOT NULL, PRIMARY KEY (version));
INSERT INTO format VALUES (1);
"""
"""A journal as midwatch made it before its database had revisions."""


def test_a_journal_from_before_there_were_revisions_is_read_and_can_go_back(tmp_path: Path, incident: Incident) -> None:
    path, body = tmp_path / "journal.db", incident.model_dump(mode="json")
    later = {**body, "version": 2, "status": "resolved"}
    rows = [("one", 1, "1", body, "incident"), ("one", 2, "2", later, "incident"), ("one", 3, "1", {}, "report")]
    with closing(sqlite3.connect(path)) as file, file:
        file.executescript(OLD)
        for name, seq, key, said, kind in [*rows, ("two", 1, "1", body, "incident")]:
            values = (name, seq, key, "2026-11-20T02:48:00Z", "host", kind, json.dumps(said), "", "")
            file.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    with closing(Journal(path)) as journal:
        assert journal.incident("one") == Incident.model_validate(later)
        assert [known.model_dump(mode="json") for known in journal.incidents(due=True)] == [body]
        with journal.database.writing() as connection:
            migrate(connection, "0001")
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT version FROM format").fetchall() == [(1,)]
        assert file.execute("SELECT count(*) FROM records").fetchall() == [(4,)]


def test_evidence_that_only_the_database_has_is_not_thrown_away_by_going_back(database: Database) -> None:
    with database.writing() as connection:
        row = {"id": "0", "kept_at": "2026", "bytes": b""}
        connection.execute(sa.insert(tables.tables["evidence"]).values(row))
    with pytest.raises(JournalDamaged, match=r"cannot go from revision \d+ to 0001: .*export"):  # noqa: SIM117
        with database.writing() as connection:
            migrate(connection, "0001")
    _same_tables(database)


def test_who_reads_an_incident_to_change_it_is_the_next_to_change_it(where: Path | str, incident: Incident) -> None:
    journal, other = Journal(Database(where)), Journal(Database(where))
    journal.note("one", "incident", "1", incident)
    linked, begun = (
        incident.model_copy(update={"status": each, "version": 2}) for each in (Status.LINKED, Status.INVESTIGATING)
    )
    came_second: list[Incident] = []
    with journal.transaction() as notes:
        assert notes.incident("one") == incident
        begins = threading.Thread(target=lambda: came_second.append(other.note("one", "incident", "2", begun)))
        begins.start()
        begins.join(0.3)  # time in which it would be first, were it let
        notes.note("one", "incident", "2", linked)
    begins.join()
    assert (journal.incident("one"), came_second) == (linked, [linked])
    journal.close()
    other.close()


@pytest.mark.parametrize("url", ["mysql://a:geheim@b/c", "geheim", "postgresql:/geheim"])
def test_an_address_that_is_none_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(BadSettings, match="postgresql://user:password@host") as told:
        Database(url)
    assert "geheim" not in str(told.value)


@on_postgresql
def test_the_short_name_that_postgresql_itself_takes_is_taken(postgresql: str) -> None:
    database = Database(postgresql.replace("postgresql://", "postgres://", 1))
    assert database.shared
    database.close()


def test_a_driver_that_is_not_installed_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(BadSettings, match="midwatch's extra postgresql"):
        Database("postgresql://somebody@127.0.0.1/x")


@on_postgresql
def test_a_server_that_is_away_is_told_of_without_its_password_and_used_again_when_it_is_back(
    postgresql_server: Server,
) -> None:
    url = postgresql_server.database().replace("midwatch@", "midwatch:geheim@")
    with closing(Journal(Database(url))) as journal:
        journal.note("one", "message", "a", Message(text="before"))
        postgresql_server.stop()
        for what in (lambda: journal.note("one", "message", "b", Message(text="meanwhile")), lambda: Database(url)):
            with pytest.raises(DatabaseDown, match=r"the journal 127\.0\.0\.1/test_") as told:
                what()
            assert "geheim" not in str(told.value)
        postgresql_server.start()
        before = datetime.now(UTC)
        journal.note("one", "message", "c", Message(text="after"))
        assert [entry.key for entry in journal.entries("one")] == ["a", "c"]
        assert next(journal.entries("one", after=1)).at >= before
    postgresql_server.drop(url)


def test_a_full_disk_takes_nothing_and_loses_nothing(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "journal.db")) as journal:
        journal.note("one", "message", "a", Message(text="before"))
        with journal.database.reading() as connection:
            pages = connection.execute(sa.text("PRAGMA page_count")).scalar_one()
        sa.event.listen(
            journal.database.engine, "checkout", lambda raw, *_: raw.execute(f"PRAGMA max_page_count={pages}")
        )
        with pytest.raises(DatabaseDown, match="database or disk is full"):
            journal.note("one", "message", "b", Message(text="x" * 500_000))
        assert journal.check("one") == 1


def test_whether_anything_can_be_written_is_tried_by_writing(where: Path | str) -> None:
    with closing(Database(where)) as database:
        database.try_writing()
        with database.reading() as connection:
            assert connection.execute(sa.select(sa.func.count()).select_from(tables.tables["spending"])).scalar() == 0


def test_a_disk_that_is_full_is_no_disk_that_can_be_written(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "journal.db")) as database, a_full_disk(tmp_path):
        with pytest.raises(DatabaseDown, match=r"; (make room on|see whether) the disk of"):
            database.try_writing()
        with pytest.raises(DatabaseDown):
            Journal(database).note("one", "message", "a", Message(text="meanwhile"))


@contextmanager
def a_full_disk(folder: Path) -> Iterator[None]:
    """Let no file of this process become larger than the largest of a folder is."""
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (max(file.stat().st_size for file in folder.iterdir()), most[1]))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)


async def test_a_file_that_somebody_has_locked_is_waited_for_in_the_event_loop_once_and_not_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_file, "_IN_THE_LOOP_SECONDS", 0.5)
    file = tmp_path / "journal.db"
    with closing(Journal(file)) as journal, closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        took = []
        for _ in range(3):
            began = time.monotonic()
            with pytest.raises(DatabaseDown, match="is locked; another process writes to it: `fuser"):
                journal.note("one", "message", "1", Message(text="meanwhile"))
            took.append(time.monotonic() - began)
        assert 0.5 <= took[0] < 2
        assert max(took[1:]) < 0.5
        other.execute("ROLLBACK")
        assert journal.note("one", "message", "1", Message(text="after")).text == "after"


def test_nothing_is_taken_into_a_log_that_was_deleted_and_what_was_taken_before_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    with closing(Journal(file)) as journal:
        journal.note("one", "message", "1", Message(text="before"))
        for name in ("journal.db-wal", "journal.db-shm"):
            (tmp_path / name).unlink()
        for _ in range(2):
            with pytest.raises(DatabaseDown, match="was taken away while midwatch used it; start midwatch anew"):
                journal.note("one", "message", "2", Message(text="after"))
    with closing(Journal(file)) as anew:
        assert [entry.key for entry in anew.entries("one")] == ["1"]
        anew.check("one")
        anew.note("one", "message", "2", Message(text="after"))


def test_the_folder_of_a_journal_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "data" / "journal.db")):
        assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
