"""A store as the backend of an MCP server. Needs the `served` extra: the errors and the checks are the kit's."""

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb

from midwatch_kit import BackendDown, BadInput, Check, lag_of, rfc3339
from midwatch_store.errors import StoreError
from midwatch_store.reader import Excerpt, Store

if TYPE_CHECKING:
    from midwatch_store.reader import Columns

STALE_SECONDS: Final = 300.0
THREADS: Final = "MIDWATCH_STORE_THREADS"
"""The environment variable that says with how many threads a served store is read."""
_THREADS: Final = 2
_CALLERS_FAULT: Final = (duckdb.InvalidInputException, duckdb.OutOfRangeException)


class ServedStore:
    """The store at `path`, seen through some of its tables; opened when first asked, so a server may start before it.

    Every method raises `BackendDown`, or `BadInput` for a value that DuckDB refuses, such as a pattern.
    """

    def __init__(self, path: Path, *tables: str) -> None:
        self._path = path
        self._tables = tables
        self._lock = threading.Lock()
        self._store: Store | None = None

    def query(
        self,
        sql: str,
        parameters: Mapping[str, object],
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT, as `Store.query` does."""
        with self._open() as store:
            return store.query(sql, parameters, start=start, end=end)

    def columns(
        self,
        sql: str,
        parameters: Mapping[str, object],
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> "Columns":
        """Return the columns of a SELECT, as `Store.columns` does."""
        with self._open() as store:
            return store.columns(sql, parameters, start=start, end=end)

    @contextmanager
    def excerpt(
        self,
        name: str,
        sql: str,
        parameters: Mapping[str, object],
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Iterator[Excerpt]:
        """Keep the rows of a SELECT at hand for further questions, as `Store.excerpt` does."""
        with self._open() as store, store.excerpt(name, sql, parameters, start=start, end=end) as excerpt:
            yield excerpt

    def holding(self, tables: Iterable[str], start: datetime | None, end: datetime | None) -> tuple[str, ...]:
        """Return those of the tables that may hold rows of `[start, end)`, as `Store.holding` does."""
        with self._open() as store:
            return store.holding(tables, start, end)

    def pin(self) -> int:
        """Return the largest sequence number that is stored now."""
        with self._open() as store:
            return store.last_seq()

    def newest(self) -> datetime | None:
        """Return the time of the newest row, from file names alone; None when there is no row."""
        extent = self._extent()
        return extent[1] if extent else None

    def checks(self, rows: str, send: str, stale_seconds: float = STALE_SECONDS) -> Sequence[Check]:
        """Look at the store: is it there, has it rows, how old is the newest, are files damaged.

        `rows` is what the rows are called, `send` what to do so that some come.
        """
        try:
            extent = self._extent()
            with self._open() as store:
                size, damaged = store.bytes(), store.damaged()
        except BackendDown as error:
            advice = f"start midwatch-store serve --dir {self._path}, or point MIDWATCH_STORE at a store"
            return [Check("store", ok=False, detail=str(error), do=advice)]
        found = [Check("store", ok=True, detail=f"{self._path}, {size / 2**20:.1f} MiB")]
        if extent is None:
            return [*found, Check(rows, ok=False, detail="none yet", do=send)]
        lag = lag_of(extent[1]) or 0.0
        fresh = lag <= stale_seconds
        found.append(Check(rows, ok=True, detail=f"from {rfc3339(extent[0])} to {rfc3339(extent[1])}"))
        found.append(Check("lag", ok=fresh, detail=f"the newest is {lag:.1f} s old", do="" if fresh else send))
        if damaged:
            named = "; ".join(f"{file.path.name} ({file.reason})" for file in damaged[:3])
            left_out = f"{len(damaged)} left out: {named}"
            found.append(Check("files", ok=False, detail=left_out, do="restore or delete them"))
        return found

    def _extent(self) -> tuple[datetime, datetime] | None:
        with self._open() as store:
            extents = [extent for table in self._tables if (extent := store.extent(table))]
        if not extents:
            return None
        return min(first for first, _ in extents), max(last for _, last in extents)

    @contextmanager
    def _open(self) -> Iterator[Store]:
        try:
            with self._lock:
                if self._store is None:
                    self._store = Store(self._path, threads=_threads())
            yield self._store
        except StoreError as error:
            raise BackendDown(str(error)) from None
        except _CALLERS_FAULT as error:
            raise BadInput(f"the store cannot run this search: {_first_line(error)}") from None
        except duckdb.Error as error:
            raise BackendDown(f"the store at {self._path} could not answer: {_first_line(error)}") from None


def _threads() -> int:
    told = os.environ.get(THREADS, "")
    return max(1, int(told)) if told.isdecimal() else _THREADS


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300]
