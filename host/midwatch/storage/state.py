"""What the host keeps: the journal and the evidence, in files by default, in one PostgreSQL by one setting."""

import zlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from midwatch.settings import Settings
from midwatch.storage.database import Database
from midwatch.storage.journal import Journal
from midwatch.storage.tables import evidence as _evidence
from midwatch_kit.errors import BadInput, NotFound
from midwatch_kit.evidence import EvidenceStore, evidence_id
from midwatch_kit.window import rfc3339

_KEEP_ALL = 2**62
_AT_ONCE = 1000
_YOUNG = timedelta(days=1)
"""What was put so lately is not written again to say that it was put anew."""
_KEEP_NEAR = 2**30
"""Bytes of shared evidence that a machine keeps in files too, so that it is not fetched again and again."""


def journal_of(settings: Settings) -> Journal:
    """Return the journal that the settings name; raises `JournalDamaged`, as `DatabaseDown` when it does not answer."""
    return Journal(Database(where_of(settings)))


def where_of(settings: Settings) -> Path | str:
    """Return the file, or the address of the PostgreSQL, that the settings name."""
    url = settings.database_url
    return settings.data_dir / "journal.db" if url is None else url.get_secret_value()


def evidence_of(settings: Settings, journal: Journal) -> EvidenceStore:
    """Return where the evidence of a journal's investigations is kept."""
    folder = settings.data_dir / "evidence"
    return SharedEvidence(folder, journal.database) if journal.database.shared else EvidenceStore(folder, _KEEP_ALL)


class SharedEvidence(EvidenceStore):
    """Documents in a database that several machines share; a folder keeps those near that were used last.

    Every method raises `DatabaseDown` when the database does not answer.
    """

    def __init__(self, folder: Path, database: Database) -> None:
        super().__init__(folder, _KEEP_NEAR)
        self._database = database

    def put(self, stored: bytes) -> str:
        """Keep a document and return its id; the same bytes are kept once."""
        now = datetime.now(UTC)
        put = self._database.insert(_evidence).values(
            id=evidence_id(stored), kept_at=rfc3339(now), bytes=zlib.compress(stored)
        )
        aged = _evidence.c.kept_at < rfc3339(now - _YOUNG)
        with self._database.writing() as connection:
            connection.execute(
                put.on_conflict_do_update(index_elements=["id"], set_={"kept_at": put.excluded.kept_at}, where=aged)
            )
        return super().put(stored)

    def get(self, name: str) -> bytes:
        """Return a document's bytes; raises `NotFound` when it was never kept."""
        try:
            return super().get(name)
        except NotFound:
            with self._database.reading() as connection:
                found = connection.execute(sa.select(_evidence.c.bytes).where(_evidence.c.id == name)).scalar()
            if found is None:
                raise
        stored = zlib.decompress(found)
        super().put(stored)
        return stored

    def untouched_since(self, moment: datetime, prefix: str) -> list[str]:
        """Return the ids of documents that begin with two hex digits, and that nobody put since a moment."""
        old = sa.and_(_evidence.c.id.startswith(prefix, autoescape=True), _evidence.c.kept_at < rfc3339(moment))
        with self._database.reading() as connection:
            return [*connection.execute(sa.select(_evidence.c.id).where(old).order_by(_evidence.c.id)).scalars()]

    def drop(self, names: Iterable[str]) -> None:
        """Forget documents, here and for all; another machine may keep a copy near for a while."""
        gone = [*names]
        super().drop(gone)
        with self._database.writing() as connection:
            for first in range(0, len(gone), _AT_ONCE):
                some = _evidence.c.id.in_(gone[first : first + _AT_ONCE])
                connection.execute(sa.delete(_evidence).where(some))

    def named(self, beginning: str) -> str:
        """Return the id of the one document whose id begins so; raises `BadInput` and `NotFound` as files do."""
        try:
            near = super().named(beginning)
        except NotFound:
            near = ""
        like = _evidence.c.id.startswith(beginning, autoescape=True)
        with self._database.reading() as connection:
            found = [*connection.execute(sa.select(_evidence.c.id).where(like).limit(2)).scalars()]
        if len({near, *found} - {""}) > 1:
            raise BadInput(f"several documents begin with {beginning}: give more digits")
        if not near and not found:
            raise NotFound(f"no evidence {beginning} is kept here: repeat the query that gave it")
        return near or found[0]
