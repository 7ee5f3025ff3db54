"""Reading a store: SQL in, rows out, safe while another process writes, merges and expires files.

Synchronous and thread safe: call it through `anyio.to_thread.run_sync`. It knows no telemetry format, never imports
Arrow, and is no catalogue: every query lists the files afresh, by name.
"""

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import duckdb

from midwatch_store import segments
from midwatch_store.clock import from_ns, to_ns
from midwatch_store.errors import QueryTimeout, StoreNotFound
from midwatch_store.scan import find_damage, literal, view_sql
from midwatch_store.schema import TABLES, Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Columns = dict[str, NDArray[Any] | np.ma.MaskedArray[Any, Any]]

Parameters = Sequence[object] | Mapping[str, object]
Rows = list[tuple[Any, ...]]

_Result = TypeVar("_Result")
_Files = Mapping[str, Sequence[Path]]


_Take = Callable[[duckdb.DuckDBPyConnection], _Result]


@dataclass(frozen=True)
class Damaged:
    """A file that queries leave out, and why."""

    path: Path
    reason: str


class Store:
    """A directory of telemetry, opened for reading; raises StoreNotFound when the directory is not there.

    `timeout_seconds` bounds each query (QueryTimeout), `memory` is DuckDB's limit for all queries together, `threads`
    how many work on them.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, timeout_seconds: float = 30.0, memory: str = "2GB", threads: int = 2
    ) -> None:
        self.path: Final = Path(os.path.abspath(path))
        self._timeout = timeout_seconds
        self._lock = threading.Lock()
        self._damaged: dict[Path, str] = {}
        self._require_directory()
        self._database = _open_database(self.path, memory, threads)

    def query(
        self, sql: str, parameters: Parameters = (), *, start: datetime | None = None, end: datetime | None = None
    ) -> Rows:
        """The rows of a SELECT over the store's tables, reading only files that overlap `[start, end)`.

        `start` and `end` are aware datetimes and choose *files*, by name: the SQL filters rows, with
        `TimeColumn >= make_timestamp_ns(?)` and `to_ns(start)`. Times come back as naive UTC datetimes in whole
        microseconds; select `epoch_ns(TimeColumn)` where nanoseconds count. Errors in the SQL are `duckdb.Error`.
        """
        with self._cursor() as cursor:
            return self._run(cursor, sql, parameters, (start, end), _rows)

    def columns(
        self, sql: str, parameters: Parameters = (), *, start: datetime | None = None, end: datetime | None = None
    ) -> "Columns":
        """As `query`, but one numpy array per column, times as `datetime64[ns]`; masked where there are NULLs."""
        with self._cursor() as cursor:
            return self._run(cursor, sql, parameters, (start, end), _columns)

    @contextmanager
    def excerpt(
        self,
        name: str,
        sql: str,
        parameters: Parameters = (),
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> "Iterator[Excerpt]":
        """As `query`, but the rows stay in DuckDB while the block runs, as a table called `name`, to be asked further.

        Files are read once, however many questions follow; a row's types and order are those of the SELECT.
        """
        with self._cursor() as cursor:
            self._run(cursor, f'CREATE TEMP TABLE "{name}" AS {sql}', parameters, (start, end), _rows)
            yield Excerpt(cursor, lambda: self._until(time.monotonic() + self._timeout, cursor))

    def holding(self, tables: Iterable[str], start: datetime | None, end: datetime | None) -> tuple[str, ...]:
        """Those of the tables that have files which overlap `[start, end)`, from their names alone."""
        first, last = (None if bound is None else to_ns(bound) for bound in (start, end))
        return tuple(name for name in tables if self._list(_known(name).name, first, last))

    def extent(self, table: str) -> tuple[datetime, datetime] | None:
        """The first and last event time of a table, from file names alone, rounded outward to microseconds."""
        folders = list(segments.hour_folders(self.path, _known(table).name))
        first = next((found for folder in folders if (found := segments.read_folder(folder)[0])), None)
        last = next((found for folder in reversed(folders) if (found := segments.read_folder(folder)[0])), None)
        if first is None or last is None:
            return None
        newest = max(segment.max_ns for segment in last)
        return from_ns(min(segment.min_ns for segment in first)), _round_up(newest)

    def last_seq(self) -> int:
        """The largest Seq given out so far; pin it *before* a query, and `Seq <= ?` is a stable snapshot from then on.

        Files appear in the order of their Seq, so whatever is listed later holds every row up to it.
        """
        self._require_directory()
        return segments.last_seq(self.path)

    def bytes(self) -> int:
        """The size of all data files in bytes."""
        self._require_directory()
        return sum(segments.size(path) for table in TABLES for path in (self.path / table).rglob("*.parquet"))

    def damaged(self) -> list[Damaged]:
        """The files that queries so far had to leave out: torn, or not of this store; reopen it to try them again."""
        with self._lock:
            found = dict(self._damaged)
        return [Damaged(path, reason) for path, reason in sorted(found.items()) if path.exists()]

    def close(self) -> None:
        """Release DuckDB; queries after this fail."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(
        self,
        cursor: duckdb.DuckDBPyConnection,
        sql: str,
        parameters: Parameters,
        window: tuple[datetime | None, datetime | None],
        take: _Take[_Result],
    ) -> _Result:
        start, end = (None if bound is None else to_ns(bound) for bound in window)
        deadline = time.monotonic() + self._timeout
        while True:
            files = {name: self._list(name, start, end) for name in TABLES if name in sql}
            try:
                with self._until(deadline, cursor):
                    for name, paths in files.items():
                        cursor.execute(f'CREATE OR REPLACE TEMP VIEW "{name}" AS {view_sql(TABLES[name], paths)}')
                    return take(cursor.execute(sql, parameters))
            except (duckdb.ParserException, duckdb.CatalogException):
                raise
            except duckdb.Error as error:
                if time.monotonic() > deadline or not self._will_differ(files, error):
                    raise

    def _list(self, table: str, start: int | None, end: int | None) -> list[Path]:
        self._require_directory()
        paths: list[Path] = []
        for folder in segments.hour_folders(self.path, table, start, end):
            found, strangers = segments.read_folder(folder)
            self._exclude(dict.fromkeys(strangers, "its name is not one that the store writes"))
            sound = [segment for segment in found if segment.path not in self._damaged]
            paths += [segment.path for segment in segments.live(sound) if segment.overlaps(start, end)]
        return paths

    def _will_differ(self, files: _Files, error: duckdb.Error) -> bool:
        """Whether trying again makes sense: a file has gone since it was listed, or is damaged and now left out."""
        if any(not path.exists() for paths in files.values() for path in paths):
            return True
        with self._cursor() as cursor:
            found = [find_damage(cursor, TABLES[name], paths, error) for name, paths in files.items()]
        for damage in found:
            self._exclude(damage)
        return any(found)

    def _exclude(self, found: Mapping[Path, str]) -> None:
        with self._lock:
            self._damaged.update(found)

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of its own for one query: temporary views of parallel queries do not meet."""
        with self._lock:
            cursor = self._database.cursor()
        try:
            yield cursor
        finally:
            cursor.close()

    @contextmanager
    def _until(self, deadline: float, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Interrupt what the cursor does when the deadline, on the monotonic clock, comes first."""
        timer = threading.Timer(max(deadline - time.monotonic(), 0), _interrupt, (cursor,))
        timer.daemon = True
        timer.start()
        try:
            yield
        except duckdb.InterruptException as error:
            raise QueryTimeout(self._timeout) from error
        finally:
            timer.cancel()

    def _require_directory(self) -> None:
        if not self.path.is_dir():
            raise StoreNotFound(self.path)


class Excerpt:
    """Rows of a store that are at hand for further questions; made by `Store.excerpt`, gone with its block."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, bounded: Callable[[], AbstractContextManager[None]]) -> None:
        self._cursor, self._bounded = cursor, bounded

    def query(self, sql: str, parameters: Parameters = ()) -> Rows:
        """The rows of a SELECT, as `Store.query` gives them; within the store's timeout."""
        with self._bounded():
            return _rows(self._cursor.execute(sql, parameters))

    def columns(self, sql: str, parameters: Parameters = ()) -> "Columns":
        """One numpy array for each column of a SELECT, as `Store.columns` gives them; within the store's timeout."""
        with self._bounded():
            return _columns(self._cursor.execute(sql, parameters))


def _rows(done: duckdb.DuckDBPyConnection) -> Rows:
    return done.fetchall()


def _columns(done: duckdb.DuckDBPyConnection) -> "Columns":
    return done.fetchnumpy()


def _open_database(root: Path, memory: str, threads: int) -> duckdb.DuckDBPyConnection:
    """An in-memory database that can read the store's directory and reach nothing else."""
    database = duckdb.connect(
        ":memory:",
        config={
            "threads": threads,
            "memory_limit": memory,
            "temp_directory": _spill_directory(),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    database.execute("SET TimeZone = 'UTC'")
    # Paths are checked as they are written in the query, which is as patterns.
    database.execute("SET allowed_directories = [$root, $pattern]", {"root": str(root), "pattern": literal(root)})
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")
    return database


def _spill_directory() -> str:
    return str(Path(tempfile.gettempdir()) / f"midwatch-store-{os.getpid()}")


def _interrupt(cursor: duckdb.DuckDBPyConnection) -> None:
    with suppress(duckdb.Error):
        cursor.interrupt()


def _known(table: str) -> Table:
    if table not in TABLES:
        raise ValueError(f"the store has no table {table!r}; it has {', '.join(TABLES)}")
    return TABLES[table]


def _round_up(instant: int) -> datetime:
    return from_ns(instant) + timedelta(microseconds=1 if instant % 1000 else 0)
