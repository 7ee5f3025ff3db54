"""A file of SQLite among those who use it: whose turn it is to write, and whether its log is still there."""

import asyncio
import os
import sqlite3
import time
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from midwatch.errors import BadSettings

BUSY_SECONDS: Final = 15.0
_IN_THE_LOOP_SECONDS: Final = 5.0
"""Who waits in the event loop keeps everything else from going on: alerts, signals, the word that the host is well."""
_STILL_BUSY_SECONDS: Final = 0.2
"""Who found it locked for so long that they gave up need not all be waited for again."""
_BEGIN = sa.text("BEGIN IMMEDIATE")


class LogTakenAway(OSError):
    """Raised when the write-ahead log is not the one that connections write to: what they write is in no file."""


class OneFile:
    """What a process knows of the file that its connections are to; `path` is None for memory."""

    def __init__(self, engine: sa.Engine, path: Path | None) -> None:
        self._log = path and path.with_name(f"{path.name}-wal")
        self._number: int | None = None
        self._open = 0
        self._locked = False
        self._log_is_gone = False
        sa.event.listen(engine, "connect", self._opened)
        sa.event.listen(engine, "close", self._closed)

    def check(self) -> None:
        """Raise `LogTakenAway` once that was found out: until midwatch starts anew nothing may be asked."""
        if self._log_is_gone:
            raise LogTakenAway(f"its write-ahead log {self._log} was taken away while midwatch used it")

    def begin(self, connection: sa.Connection) -> None:
        """Begin a transaction that writes, when it is our turn."""
        patience = _STILL_BUSY_SECONDS if self._locked else _IN_THE_LOOP_SECONDS if _in_event_loop() else BUSY_SECONDS
        if connection.info.get("patience", BUSY_SECONDS) != patience:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={1000 * patience:.0f}")
            connection.info["patience"] = patience
        try:
            connection.execute(_BEGIN)
        except sa.exc.OperationalError as error:
            self._locked = _is_busy(error.orig)
            raise
        self._locked = False
        if self._log and self._number != (number := _number(self._log)):
            if self._number is not None:
                connection.exec_driver_sql("ROLLBACK")
                self._save(connection, self._log)
            self._number = number

    def _save(self, connection: sa.Connection, log: Path) -> None:
        """Move what is only in a log that nobody else can find into the file, unless others began a new one; raises."""
        self._log_is_gone = True
        if not log.exists() or log.stat().st_size == 0:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(FULL)")
        self.check()

    def _opened(self, connection: sa.engine.interfaces.DBAPIConnection, _: object) -> None:
        _keep_every_commit(connection)
        self._open += 1

    def _closed(self, *_: object) -> None:
        self._open -= 1
        if self._open == 0:
            self._number = None  # SQLite itself takes the log away with the last connection


def make_folder(folder: Path) -> None:
    """Make the data folder for our user alone, since log lines are in it; raises `BadSettings` where none can be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(0, "nothing can be written there by this user")
    except OSError as error:
        do = "name another with MIDWATCH_DATA_DIR, or data_dir in the settings file"
        raise BadSettings(f"cannot use the data folder {folder}: {error.strerror}; {do}") from None


def _number(file: Path) -> int:
    """Return what tells a file from one that was made anew under its name; 0 when there is none."""
    try:
        return file.stat().st_ino
    except FileNotFoundError:
        return 0


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _is_busy(error: object) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def _keep_every_commit(connection: sa.engine.interfaces.DBAPIConnection) -> None:
    cursor = connection.cursor()
    _write_ahead(cursor)
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _write_ahead(cursor: sa.engine.interfaces.DBAPICursor) -> None:
    """Switch to write-ahead logging: the one step at which SQLite does not wait by itself for whoever does the same."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() >= deadline:
                raise
            time.sleep(0.01)
