"""What people are told: which channel of which incident, and what came of it."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0004", "0003"
_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "tellings",
        sa.Column("investigation", _TEXT, primary_key=True),
        sa.Column("channel", _TEXT, primary_key=True),
        sa.Column("seen", sa.Integer, nullable=False),
        *(sa.Column(name, _TEXT, nullable=False) for name in ("holder", "until")),
    )
    op.create_table(
        "deliveries",
        *(sa.Column(name, _TEXT, primary_key=True) for name in ("investigation", "channel", "part")),
        *(sa.Column(name, _TEXT, nullable=False) for name in ("letter", "state", "place", "said", "since")),
    )
    op.create_index("deliveries_place", "deliveries", ["channel", "place"])


def downgrade() -> None:
    """Remove them: what was told before is not known any more, and open incidents are told anew."""
    op.drop_index("deliveries_place")
    for table in ("deliveries", "tellings"):
        op.drop_table(table)
