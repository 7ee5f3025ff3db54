"""A claim on an investigation: one process works on it at a time, however many share the journal.

On one machine the operating system keeps the claim (flock); where machines share a database, that does, by a lock of a
connection. Both let go of it when the process ends, however it ends. Reading, telling and deciding need no claim.
"""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa

from midwatch.storage.database import Database
from midwatch.storage.locks import Locks

if sys.platform != "win32":
    import fcntl

_QUEUE = sa.text("SELECT to_regclass('procrastinate_jobs') IS NOT NULL")
_QUEUED = sa.text("SELECT 1 FROM procrastinate_jobs WHERE lock = :name AND status = 'doing'")


@contextmanager
def claim(folder: Path, database: Database, investigation: str) -> Iterator[bool]:
    """Hold the claim while the block runs, and yield whether it is ours; False when somebody else has it.

    `folder` is where the claims of this machine are. Raises `DatabaseDown`.
    """
    with _among_machines(database, investigation) if database.shared else _here(folder, investigation) as ours:
        yield ours


def is_claimed(database: Database, investigation: str) -> bool:
    """Return whether somebody, at a terminal perhaps, has the claim on an investigation in a shared database."""
    with database.writing() as connection:  # a lock that is tried for goes with the transaction
        return not database.try_lock(connection, _name(investigation))


@contextmanager
def _here(folder: Path, investigation: str) -> Iterator[bool]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{investigation}.lock").open("a", encoding="utf-8") as file:
        yield _locked(file.fileno())


@contextmanager
def _among_machines(database: Database, investigation: str) -> Iterator[bool]:
    name = _name(investigation)
    with closing(Locks(database)) as locks:
        ours = locks.take(name)
        try:
            yield ours and not _a_host_is_at_work(database, investigation)
        finally:
            if ours:
                locks.give(name)


def _name(investigation: str) -> str:
    return f"claim:{investigation}"


def _a_host_is_at_work(database: Database, investigation: str) -> bool:
    """Whether a host has the investigation from the queue: it holds that by its heartbeat, and needs no claim."""
    with database.reading() as connection:
        there = connection.execute(_QUEUE).scalar()
        return bool(there and connection.execute(_QUEUED, {"name": investigation}).scalar())


def _locked(file: int) -> bool:
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
