"""The database over the years: an old one is taken along, one can go back, and a newer one is left alone."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from midwatch.cli import app
from midwatch.records import Message
from midwatch.storage.database import Database
from midwatch.storage.journal import Journal
from midwatch.storage.migrating import revisions
from midwatch.storage.tables import REVISION

OLD = Path(__file__).parent / "journal-1.sql"
"""What midwatch wrote before there were revisions: two incidents, of which one has a report."""
ANSWERED, OPEN = "01M7VEB1W0SS6WEB930S0T7RBC", "01M7VEB1W06W23CMD818PJ668Z"

Run = Callable[..., tuple[int, str]]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql"))])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A place for a database: a file, or a real PostgreSQL."""
    if request.param == "sqlite":
        return tmp_path / "journal.db"
    url: str = request.getfixturevalue("postgresql")
    return url


@pytest.fixture
def run(where: Path | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command over that database."""
    monkeypatch.setenv("MIDWATCH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("MIDWATCH_DATABASE_URL", "" if isinstance(where, Path) else where)

    def command(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, arguments)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output

    return command


def old_file(path: Path) -> bytes:
    """Write the old database; returns its records."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(OLD.read_text(encoding="utf-8"))
        return records_of(connection)


def records_of(connection: sqlite3.Connection) -> bytes:
    columns = "investigation, seq, key, at, actor, type, body, prev_hash, hash"
    rows = connection.execute(f"SELECT {columns} FROM records ORDER BY investigation, seq").fetchall()
    return repr(rows).encode()


@pytest.mark.parametrize("where", ["sqlite"], indirect=True)
def test_a_database_from_before_there_were_revisions_goes_up_and_back_with_every_byte_of_its_records(
    run: Run, where: Path
) -> None:
    written = old_file(where)
    assert run("db", "current") == (1, f"{where}: none; this midwatch: {REVISION}\n")
    assert run("db", "upgrade") == (0, f"{where}: from none to {REVISION}\n")
    assert run("db", "current")[0] == 0
    with closing(Journal(where)) as journal:
        assert [incident.id for incident in journal.incidents()] == [ANSWERED, OPEN]
        assert [incident.id for incident in journal.incidents(due=True)] == [OPEN]
        assert journal.check(ANSWERED) == 4
    assert run("db", "downgrade", "0001", "--yes") == (0, f"{where}: from {REVISION} to 0001\n")
    with closing(sqlite3.connect(where)) as connection:
        assert records_of(connection) == written
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert tables - {"sqlite_sequence"} == {"records", "spending", "format", "alembic_version"}
        assert connection.execute("SELECT version FROM format").fetchall() == [(1,)]


def test_every_revision_can_be_gone_back_to_and_come_from(run: Run, where: Path | str) -> None:
    assert run("db", "upgrade")[0] == 0
    with closing(Journal(Database(where))) as journal:
        for number in range(3):
            journal.note("one", "message", str(number), Message(text="hello"))
    for revision in reversed(revisions()[:-1]):
        assert run("db", "downgrade", revision, "--yes")[0] == 0
    for revision in revisions()[1:]:
        assert run("db", "upgrade", revision)[0] == 0
    with closing(Journal(Database(where))) as journal:
        assert journal.check("one") == 3
        journal.note("one", "message", "4", Message(text="hello"))
        assert journal.check("one") == 4


def test_a_database_of_a_newer_midwatch_is_left_alone(run: Run, where: Path | str) -> None:
    assert run("db", "upgrade")[0] == 0
    newer = Database(where)
    with newer.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    newer.close()
    for command in (["incidents"], ["db", "upgrade"], ["db", "downgrade", "0001", "--yes"]):
        code, said = run(*command)
        assert code == 1
        assert f"the journal is of revision 9999, this midwatch knows {REVISION}: use a newer one" in said
    assert run("db", "current")[1].endswith(f": 9999; this midwatch: {REVISION}\n")


def test_going_back_asks_first_and_names_what_there_is(run: Run) -> None:
    assert run("db", "upgrade")[0] == 0
    code, said = run("db", "downgrade", "0001")
    assert code == 1
    assert "Tables that revision 0001 does not know are removed. Go on?" in said
    code, said = run("db", "downgrade", "first", "--yes")
    assert (code, "'first' is no revision of the journal; there are 0001, 0002" in said) == (1, True)
    assert run("db", "current")[0] == 0


def test_nothing_of_the_address_but_host_and_name_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDWATCH_DATABASE_URL", "postgresql://me:hush@127.0.0.1:1/shop")
    code, said = run("db", "current")
    assert (code, "hush" in said, "127.0.0.1/shop" in said) == (1, False, True)
    assert "hush" not in run("config", "show")[1]
