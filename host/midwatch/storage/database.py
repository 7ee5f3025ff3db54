"""The database: a file of SQLite, memory, or PostgreSQL, by the same code; brought up to date when it is opened.

What is asked waits no longer than `BUSY_SECONDS` for others. Nothing of a connection's address but host and name is
ever told: it may hold a password.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from midwatch.errors import BadSettings, DatabaseDown, JournalDamaged
from midwatch.storage.advice import what_to_do
from midwatch.storage.one_file import BUSY_SECONDS, LogTakenAway, OneFile, make_folder
from midwatch.storage.pulse import SILENT, Pulse
from midwatch.storage.tables import REVISION, oldest_reader, revision, spending, tables

_OUTDATED_READERS = 2
_NO_DRIVER = "database_url needs PostgreSQL's driver: install midwatch's extra postgresql, see docs/deploy.md"
_NO_DAY = "0000-00-00"
_LOCK = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_TRY_LOCK = sa.text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")
_DOWN = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError, TimeoutError, LogTakenAway)
POSTGRESQL = {
    "connect_timeout": 5,
    "options": f"-c lock_timeout={BUSY_SECONDS:.0f}s -c statement_timeout=60s -c timezone=UTC"
    " -c idle_in_transaction_session_timeout=10s",
    "application_name": "midwatch",
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""A server that is cut off is noticed within ten seconds; who is paused in a transaction keeps its locks as long."""


class Database:
    """One database, with the tables of `tables.py` in it; without `prepare` its tables are left as they are.

    `where` is a file, the URL of a PostgreSQL (`postgresql://user:password@host/name`), or None for memory. Raises
    `DatabaseDown` when it does not answer, `BadSettings` for a URL that is none or a folder that cannot be written,
    `JournalDamaged` for what is no such database or one of a newer midwatch.
    """

    def __init__(self, where: Path | str | None, *, prepare: bool = True) -> None:
        self.name = where if isinstance(where, Path) else "in memory"
        if isinstance(where, Path | None):
            pool: dict[str, Any] = {} if where else {"poolclass": sa.StaticPool}
            address: str | sa.URL = f"sqlite:///{where or ':memory:'}"
            self.engine = sa.create_engine(address, connect_args={"timeout": BUSY_SECONDS}, **pool)
        else:
            url = _postgresql(where)
            self.name = f"{url.host or 'localhost'}/{url.database}"
            self.engine = _engine(url)
        self.shared = self.engine.dialect.name == "postgresql"
        """Whether hosts on several machines can share it."""
        self._reader = self.engine.execution_options(isolation_level="AUTOCOMMIT") if self.shared else self.engine
        self._pulse = Pulse(self.engine) if self.shared else None
        self._file = None if isinstance(where, str) else OneFile(self.engine, where)
        if isinstance(where, Path):
            make_folder(where.parent)
        if prepare:
            try:
                self.migrate(REVISION)
            except BaseException:
                self.close()
                raise

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Yield a connection to read by; each question sees what is committed by then."""
        with self.translated(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, lock: str = "") -> Iterator[sa.Connection]:
        """Yield a connection in a transaction, which is committed at the end of the block and rolled back by an error.

        Nobody else writes meanwhile: in SQLite nobody at all, in PostgreSQL nobody who names the same `lock`.
        """
        with self.translated(), self.engine.begin() as connection:
            if self._file:
                self._file.begin(connection)
            self.lock(connection, lock)
            yield connection

    def try_writing(self) -> None:
        """Write something that nobody reads, and take it back; raises what keeps alerts from being put on record.

        A transaction alone would not tell: a full disk shows in what is written, a standby of PostgreSQL in a statement
        that writes, though it be nothing.
        """
        with self.writing() as connection:
            if not self.shared:
                connection.execute(sa.insert(spending).values(day=_NO_DAY, usd=0.0))
            connection.execute(sa.delete(spending).where(spending.c.day == _NO_DAY))

    def lock(self, connection: sa.Connection, name: str) -> None:
        """Take one more lock in a transaction of PostgreSQL; only whoever holds one that others wait for takes several.

        In SQLite a transaction has them all.
        """
        if self.shared and name:
            connection.execute(_LOCK, {"name": name})

    def try_lock(self, connection: sa.Connection, name: str) -> bool:
        """Take a lock in a transaction as `lock` does, unless somebody else has it; return whether it is ours."""
        return not self.shared or bool(connection.execute(_TRY_LOCK, {"name": name}).scalar())

    def insert(self, table: sa.Table) -> "sqlite.Insert | postgresql.Insert":
        """Return an insert that knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
        return postgresql.insert(table) if self.shared else sqlite.insert(table)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn what the database says into words for people."""
        try:
            if self._file:
                self._file.check()
            with self._pulse.asked() if self._pulse else nullcontext():
                yield
        except (sa.exc.SQLAlchemyError, UnicodeError, OSError) as error:
            why = (error.orig if isinstance(error, sa.exc.DBAPIError) else None) or error
            ended = isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated
            silent = self._pulse is not None and self._pulse.silent
            said = f"the journal {self.name} cannot be used: {SILENT if silent else _line(why)}"
            if not (silent or ended or isinstance(error, _DOWN)):
                raise JournalDamaged(said) from error
            raise DatabaseDown(said, what_to_do(self.name, said)) from error

    def close(self) -> None:
        """Let go of it."""
        if self._pulse:
            self._pulse.close()
        self.engine.dispose()

    def migrate(self, to: str) -> None:
        """Bring the tables to a revision, up or down; a database without any gets them as they are now."""
        if self.revision() == to:
            return
        with self.writing("migrations") as connection:  # whoever comes second finds it done
            if self.revision(connection) == to:
                return
            if sa.inspect(connection).has_table("records"):
                from midwatch.storage.migrating import migrate  # noqa: PLC0415 - it takes long to import, and few want it

                migrate(connection, to)
                return
            tables.create_all(connection)
            connection.execute(sa.insert(revision).values(version_num=REVISION))
            connection.execute(sa.insert(oldest_reader).values(version=_OUTDATED_READERS))

    def revision(self, known: sa.Connection | None = None) -> str | None:
        """Return the revision that the tables are of; None for those of before there were any, and without tables."""
        if known is None:
            with self.reading() as connection:
                return self.revision(connection)
        if not sa.inspect(known).has_table(revision.name):
            return None
        return known.execute(sa.select(revision.c.version_num)).scalar_one_or_none()


def _postgresql(text: str) -> sa.URL:
    try:
        url = sa.make_url(text)
        if url.get_backend_name() not in ("postgresql", "postgres"):
            raise ValueError
    except (sa.exc.ArgumentError, ValueError):
        raise BadSettings("database_url is no address like postgresql://user:password@host:5432/name") from None
    return url.set(drivername="postgresql+psycopg")


def _engine(url: sa.URL) -> sa.Engine:
    try:
        return sa.create_engine(url, connect_args=POSTGRESQL, pool_pre_ping=True, pool_timeout=BUSY_SECONDS)
    except ModuleNotFoundError:
        raise BadSettings(_NO_DRIVER) from None


def _line(why: object) -> str:
    """Return the first line of what a driver says: those that follow repeat addresses."""
    return next(iter(str(why).splitlines()), type(why).__name__)
