"""Alerts with what became of them, what senders sent, and what people decided about it."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0005", "0004"
_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables; alerts of before stand in the journal alone."""
    op.create_table(
        "alerts",
        sa.Column("seq", _NUMBER, primary_key=True, autoincrement=True),
        *(sa.Column(name, _TEXT, nullable=False) for name in ("received_at", "alert", "fingerprint", "action")),
        sa.Column("decision", _TEXT, nullable=False),
        *(sa.Column(name, _TEXT) for name in ("incident", "own")),
        sa.Column("joins", sa.Boolean, nullable=False),
        *(sa.Column(name, _TEXT, nullable=False) for name in ("why", "parts")),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("payload", _TEXT, nullable=False),
    )
    op.create_index("alerts_incident", "alerts", ["incident"])
    op.create_index("alerts_fingerprint", "alerts", ["fingerprint", "seq"])
    op.create_index("alerts_received_at", "alerts", ["received_at"])
    op.create_index("alerts_alert", "alerts", ["alert"])
    op.create_table(
        "payloads",
        sa.Column("id", _TEXT, primary_key=True),
        sa.Column("received_at", _TEXT, nullable=False),
        sa.Column("bytes", sa.LargeBinary, nullable=False),
    )
    op.create_index("payloads_received_at", "payloads", ["received_at"])
    op.create_table(
        "triage",
        sa.Column("seq", _NUMBER, primary_key=True, autoincrement=True),
        *(sa.Column(name, _TEXT, nullable=False) for name in ("at", "by", "verb", "because")),
        *(sa.Column(name, _TEXT) for name in ("alert", "fingerprint", "incident", "into", "root")),
    )
    op.create_index("triage_fingerprint", "triage", ["fingerprint"])


def downgrade() -> None:
    """Remove them, with all alerts: which ones opened an incident stays in the journal."""
    for table in ("triage", "payloads", "alerts"):
        op.drop_table(table)
