"""A place for each record among those of all investigations, to be followed by; tokens for the HTTP API."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0003", "0002"
_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_COLUMNS = ("investigation", "seq", "key", "at", "actor", "type", "body", "prev_hash", "hash")
_COPIED = ", ".join(f'"{name}"' for name in _COLUMNS)


def upgrade() -> None:
    """Number the records in the order in which they came, and make the table of tokens."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE records DROP CONSTRAINT records_pkey")
        op.execute("ALTER TABLE records ADD COLUMN id BIGSERIAL PRIMARY KEY")
        op.create_unique_constraint(None, "records", ["investigation", "seq"])
    else:
        number = sa.Column("id", sa.Integer, primary_key=True)
        _anew(number, sa.UniqueConstraint("investigation", "seq"), sqlite_autoincrement=True)
    op.create_table(
        "tokens",
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("hash", _TEXT, nullable=False, unique=True),
        sa.Column("scopes", _TEXT, nullable=False),
        sa.Column("created_at", _TEXT, nullable=False),
        sa.Column("expires_at", _TEXT),
        sa.Column("revoked_at", _TEXT),
    )


def downgrade() -> None:
    """Take the numbers away, and the tokens: they have to be made anew."""
    op.drop_table("tokens")
    if op.get_bind().dialect.name == "postgresql":
        op.drop_column("records", "id")
        op.drop_constraint("records_investigation_seq_key", "records")
        op.create_primary_key("records_pkey", "records", ["investigation", "seq"])
    else:
        _anew(sa.PrimaryKeyConstraint("investigation", "seq"))


def _anew(*more: sa.Column[int] | sa.Constraint, sqlite_autoincrement: bool = False) -> None:
    """Make the table of records anew, which is how SQLite changes a key."""
    op.create_table(
        "records_anew",
        *(part for part in more if isinstance(part, sa.Column)),
        *(sa.Column(name, sa.Integer if name == "seq" else _TEXT, nullable=False) for name in _COLUMNS),
        *(part for part in more if isinstance(part, sa.Constraint)),
        sa.UniqueConstraint("investigation", "type", "key"),
        sqlite_autoincrement=sqlite_autoincrement,
    )
    op.execute(f"INSERT INTO records_anew ({_COPIED}) SELECT {_COPIED} FROM records ORDER BY rowid")  # noqa: S608
    op.drop_table("records")
    op.rename_table("records_anew", "records")
    op.create_index("records_type_at", "records", ["type", "at"])
