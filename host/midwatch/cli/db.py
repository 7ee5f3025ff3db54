"""Commands about the database: which revision its tables are of, and bringing them to another."""

from contextlib import closing
from typing import Annotated

import typer

from midwatch.cli.app import app
from midwatch.cli.shared import settings_or_fail, told
from midwatch.storage.database import Database
from midwatch.storage.state import where_of
from midwatch.storage.tables import REVISION

db = typer.Typer(help="The database: which revision its tables are of, and bringing them to another.")
app.add_typer(db, name="db")


@db.command()
@told()
def current() -> None:
    """Print the revision of the database, and that of this midwatch; exits with 1 when they differ."""
    with closing(_as_it_is()) as database:
        revision = database.revision() or "none"
        typer.echo(f"{database.name}: {revision}; this midwatch: {REVISION}")
    raise typer.Exit(0 if revision == REVISION else 1)


@db.command()
@told()
def upgrade(
    revision: Annotated[str, typer.Argument(help="how far", show_default="this midwatch's own")] = REVISION,
) -> None:
    """Bring the tables to this midwatch's revision; every command that opens the database does that too."""
    _migrate(revision)


@db.command()
@told()
def downgrade(
    revision: Annotated[str, typer.Argument(help="how far; the revision that the older midwatch knows")],
    yes: Annotated[bool, typer.Option("--yes", help="don't ask")] = False,
) -> None:
    """Bring the tables back to an older revision, for an older midwatch. Stop every host first."""
    if not yes:
        typer.confirm(f"Tables that revision {revision} does not know are removed. Go on?", abort=True, err=True)
    _migrate(revision)


def _migrate(to: str) -> None:
    with closing(_as_it_is()) as database:
        before = database.revision() or "none"
        database.migrate(to)
        typer.echo(f"{database.name}: from {before} to {database.revision()}")


def _as_it_is() -> Database:
    return Database(where_of(settings_or_fail()), prepare=False)
