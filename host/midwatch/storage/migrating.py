"""Bringing a database from one revision of its tables to another, by Alembic."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from midwatch.errors import JournalDamaged
from midwatch.storage.tables import revision

_UNSTAMPED = "0001"
"""What a database is of that says no revision: it is from before there were any."""


def migrate(connection: sa.Connection, to: str) -> None:
    """Bring the tables to a revision, up or down, in the transaction of the connection.

    Raises `JournalDamaged` when they are of a revision that this midwatch does not know, or cannot go there.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    known = revisions()
    now = _now(connection)
    if now not in (None, *known):
        raise JournalDamaged(f"the journal is of revision {now}, this midwatch knows {known[-1]}: use a newer one")
    if to not in known:
        raise JournalDamaged(f"{to!r} is no revision of the journal; there are {', '.join(known)}")
    try:
        if now is None:
            command.stamp(config, _UNSTAMPED)
        (command.downgrade if known.index(now or _UNSTAMPED) > known.index(to) else command.upgrade)(config, to)
    except (CommandError, ValueError) as error:
        raise JournalDamaged(f"the journal cannot go from revision {now or _UNSTAMPED} to {to}: {error}") from None


def revisions() -> list[str]:
    """Return all revisions, oldest first."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    return [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()][::-1]


def _now(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(revision.name):
        return None
    return connection.execute(sa.select(revision.c.version_num)).scalar_one_or_none()
