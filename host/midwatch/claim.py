"""A claim on an investigation: one process works on it at a time, however many share the journal.

The operating system keeps the claim (flock) and lets go of it when the process ends, however it ends; among machines
the database does, by a transaction. Reading, telling and deciding need no claim.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from midwatch.database import Database

if sys.platform != "win32":
    import fcntl

_TRY = sa.text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")


@contextmanager
def claim(folder: Path, investigation: str) -> Iterator[bool]:
    """Hold the claim while the block runs, and yield whether it is ours; False when somebody else has it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{investigation}.lock").open("a", encoding="utf-8") as file:
        yield _locked(file.fileno())


@contextmanager
def claim_among_hosts(database: Database, investigation: str) -> Iterator[bool]:
    """Hold a claim that holds on all machines which share a database, for as long as it answers; else as `claim`."""
    with database.reading() as connection:
        yield bool(connection.execute(_TRY, {"name": f"claim:{investigation}"}).scalar())


def _locked(file: int) -> bool:
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
