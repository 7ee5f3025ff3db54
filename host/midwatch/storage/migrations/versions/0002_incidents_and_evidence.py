"""Incidents as they stand, so that none is looked for in all of the journal; evidence that machines share."""

import json

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"
_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_LATEST = sa.text("SELECT investigation, at, body FROM records WHERE type = 'incident' ORDER BY seq")
_REPORTED = sa.text("SELECT DISTINCT investigation FROM records WHERE type = 'report'")


def upgrade() -> None:
    """Make the tables, and fill in the incidents that the journal knows."""
    if not sa.inspect(op.get_bind()).has_table("spending"):  # the oldest journals counted no days
        op.create_table(
            "spending", sa.Column("day", _TEXT, primary_key=True), sa.Column("usd", sa.Float, nullable=False)
        )
    op.create_table(
        "evidence",
        sa.Column("id", _TEXT, primary_key=True),
        sa.Column("kept_at", _TEXT, nullable=False),
        sa.Column("bytes", sa.LargeBinary, nullable=False),
    )
    made = op.create_table(
        "incidents",
        sa.Column("id", _TEXT, primary_key=True),
        *(sa.Column(name, _TEXT, nullable=False) for name in ("status", "severity", "service")),
        *(sa.Column(name, _TEXT, nullable=False) for name in ("first_seen", "opened_at")),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("due", sa.Boolean, nullable=False),
        sa.Column("body", _TEXT, nullable=False),
    )
    op.create_index("incidents_status", "incidents", ["status", "opened_at"])
    op.create_index("incidents_due", "incidents", ["due"])
    op.create_index("records_type_at", "records", ["type", "at"])
    op.execute("UPDATE format SET version = 2")
    if rows := _known(op.get_bind()):
        op.bulk_insert(made, rows)


def downgrade() -> None:
    """Remove them: all that they hold is in the journal, but for evidence, which would be lost."""
    if op.get_bind().execute(sa.text("SELECT count(*) FROM evidence")).scalar_one():
        raise ValueError("the table evidence holds documents that the journal cites: export the investigations first")
    op.drop_index("records_type_at")
    for table in ("incidents", "evidence"):
        op.drop_table(table)
    op.execute("UPDATE format SET version = 1")


def _known(connection: sa.Connection) -> list[dict[str, object]]:
    """Return each incident's latest version as a row; it is due where no report was written."""
    latest: dict[str, dict[str, object]] = {}
    opened: dict[str, str] = {}
    for name, at, body in connection.execute(_LATEST):
        incident = json.loads(body)
        opened.setdefault(name, at)
        if name not in latest or incident["version"] >= latest[name]["version"]:
            told = {key: incident[key] for key in ("status", "severity", "service", "first_seen", "version")}
            latest[name] = {"id": name, "body": body, "opened_at": opened[name], "due": True, **told}
    for name in connection.execute(_REPORTED).scalars():
        if name in latest:
            latest[name]["due"] = False
    return [*latest.values()]
