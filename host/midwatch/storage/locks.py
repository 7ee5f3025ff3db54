"""Locks by name among hosts on one PostgreSQL: its advisory locks, which a connection holds.

They are free again as soon as their process is gone, however it went.
"""

import sqlalchemy as sa

from midwatch.storage.database import Database

_TRY = sa.text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
_GIVE = sa.text("SELECT pg_advisory_unlock(hashtextextended(:name, 0))")


class Locks:
    """What one holder has locked, by one connection that is opened with the first lock.

    The holder takes no lock twice: PostgreSQL would give it again. All raise `DatabaseDown`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: sa.Connection | None = None
        self._held: set[str] = set()

    def take(self, name: str) -> bool:
        """Take a lock unless somebody else has it; return whether it is ours."""
        with self._database.translated():
            if self._connection is None or self._connection.invalidated:
                self._held.clear()
                self._connection = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            if ours := bool(self._connection.execute(_TRY, {"name": name}).scalar()):
                self._held.add(name)
        return ours

    def give(self, name: str) -> None:
        """Give a lock back; one whose connection broke is free already."""
        self._held.discard(name)
        if self._connection is not None and not self._connection.invalidated:
            with self._database.translated():
                self._connection.execute(_GIVE, {"name": name})

    def close(self) -> None:
        """Give all back, without a question to a database that may be down."""
        if self._connection is not None:
            if self._held:
                self._connection.invalidate()  # locks go with their connection
            self._connection.close()
            self._connection = None
