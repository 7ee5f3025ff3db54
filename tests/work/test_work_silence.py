"""A PostgreSQL that hangs: its connections stay, and nothing comes over them. Nobody waits for it without an end."""

import time
from collections.abc import Iterator

import pytest
from tests.postgresql import Server

from midwatch.errors import DatabaseDown
from midwatch.records import Message
from midwatch.storage import pulse
from midwatch.storage.database import Database
from midwatch.storage.journal import Journal

pytestmark = pytest.mark.xdist_group("postgresql")
SOON = 10.0


@pytest.fixture
def journal(postgresql: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    """Return a journal that asks sooner than usual whether its database is still there."""
    for name, seconds in {"_LONG_SECONDS": 0.2, "_LOOK_EVERY": 0.1, "_CONNECT_SECONDS": 2}.items():
        monkeypatch.setattr(pulse, name, seconds)
    opened = Journal(Database(postgresql))
    yield opened
    opened.close()


def test_who_waits_for_a_database_that_hangs_is_let_go_and_told_what_to_do(
    journal: Journal, postgresql_server: Server
) -> None:
    journal.note("one", "message", "before", Message(text="before"))
    with postgresql_server.paused():
        began = time.monotonic()
        with pytest.raises(DatabaseDown, match="PostgreSQL does not answer; see whether PostgreSQL is up"):
            journal.note("one", "message", "meanwhile", Message(text="meanwhile"))
        assert time.monotonic() - began < SOON
        began = time.monotonic()
        with pytest.raises(DatabaseDown, match="does not answer"):
            journal.note("one", "message", "meanwhile", Message(text="meanwhile"))
        assert time.monotonic() - began < 1, "whoever comes later waits for nothing"
    assert noted_once_it_is_back(journal)
    journal.check("one")


def noted_once_it_is_back(journal: Journal) -> bool:
    deadline = time.monotonic() + SOON
    while time.monotonic() < deadline:
        try:
            journal.note("one", "message", "after", Message(text="after"))
        except DatabaseDown:
            time.sleep(0.05)
        else:
            return True
    return False


def test_what_only_takes_long_is_waited_for(journal: Journal) -> None:
    with journal.database.reading() as connection:
        assert connection.exec_driver_sql("SELECT 1 FROM pg_sleep(0.6)").scalar_one() == 1
        assert connection.exec_driver_sql("SELECT 2").scalar_one() == 2
