"""The blueprints that one instance has worked out, in a SQLite file of its own.

An entry belongs to the release that wrote it: while a roll is under way two releases share the file, and
neither may be handed the other's documents. Entries are found again after a roll back.
"""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from opentelemetry import trace

WAIT_SECONDS = 2.0
CREATE = """
CREATE TABLE IF NOT EXISTS blueprints (
    release TEXT, model TEXT, load_kg INTEGER, document TEXT, PRIMARY KEY (release, model, load_kg)
)
"""
FORGET = """
DELETE FROM blueprints WHERE release = ? AND rowid NOT IN (
    SELECT rowid FROM blueprints WHERE release = ? ORDER BY rowid DESC LIMIT ?
)
"""

tracer = trace.get_tracer(__name__)


class BlueprintCache:
    """Kept documents by model and load, for one release: the latest `most`, or all of them when that is 0."""

    def __init__(self, path: Path, release: str, most: int = 0) -> None:
        self.path = path
        self.release = release
        self.most = most

    def create(self) -> None:
        """Make the file and its table where they aren't there; done once, when the instance starts."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=WAIT_SECONDS)) as connection, connection:
            connection.execute(CREATE)

    def get(self, model: str, load_kg: int) -> str | None:
        """Return the kept document, if there is one; raises sqlite3.Error when the cache can't be read."""
        with self._opened("SELECT") as connection:
            row = connection.execute(
                "SELECT document FROM blueprints WHERE release = ? AND model = ? AND load_kg = ?",
                (self.release, model, load_kg),
            ).fetchone()
        return row[0] if row else None

    def put(self, model: str, load_kg: int, document: str) -> None:
        """Keep a document; raises sqlite3.Error when the cache can't be written."""
        with self._opened("INSERT") as connection:
            connection.execute(
                "INSERT OR REPLACE INTO blueprints VALUES (?, ?, ?, ?)", (self.release, model, load_kg, document)
            )
            if self.most:
                connection.execute(FORGET, (self.release, self.release, self.most))

    @contextmanager
    def _opened(self, operation: str) -> Generator[sqlite3.Connection]:
        attributes = {
            "db.system.name": "sqlite",
            "db.namespace": f"{self.path.parent.name}/{self.path.name}",
            "db.collection.name": "blueprints",
            "db.operation.name": operation,
        }
        # Opened without the right to create: a cache that went away must not come back empty and without its table.
        with (
            tracer.start_as_current_span(f"{operation} blueprints", kind=trace.SpanKind.CLIENT, attributes=attributes),
            closing(sqlite3.connect(f"file:{self.path}?mode=rw", uri=True, timeout=WAIT_SECONDS)) as connection,
            connection,
        ):
            connection.execute("PRAGMA synchronous = OFF")
            yield connection
