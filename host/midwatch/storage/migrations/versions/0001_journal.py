"""The journal, as it was before there were revisions."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None
_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the journal's tables."""
    columns = ("key", "at", "actor", "type", "body", "prev_hash", "hash")
    op.create_table(
        "records",
        sa.Column("investigation", _TEXT, primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        *(sa.Column(name, _TEXT, nullable=False) for name in columns),
        sa.UniqueConstraint("investigation", "type", "key"),
    )
    op.create_table("spending", sa.Column("day", _TEXT, primary_key=True), sa.Column("usd", sa.Float, nullable=False))
    formats = op.create_table("format", sa.Column("version", sa.Integer, primary_key=True))
    op.bulk_insert(formats, [{"version": 1}])


def downgrade() -> None:
    """Remove them."""
    for table in ("format", "spending", "records"):
        op.drop_table(table)
