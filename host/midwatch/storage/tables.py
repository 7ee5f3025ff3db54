"""The tables of midwatch's database, all of them: what is on record, and what is derived from it to be found quickly.

The same in SQLite and PostgreSQL. A change here comes with a revision in `migrations/`; a test holds the two equal.
"""

import sqlalchemy as sa

REVISION = "0005"
"""The revision of `migrations/` that these tables are."""

TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
"""Compared byte by byte everywhere: ids and times sort as they are written."""

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A number that the database gives."""

tables = sa.MetaData()

records = sa.Table(
    "records",
    tables,
    sa.Column("id", NUMBER, primary_key=True),
    sa.Column("investigation", TEXT, nullable=False),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("key", TEXT, nullable=False),
    sa.Column("at", TEXT, nullable=False),
    sa.Column("actor", TEXT, nullable=False),
    sa.Column("type", TEXT, nullable=False),
    sa.Column("body", TEXT, nullable=False),
    sa.Column("prev_hash", TEXT, nullable=False),
    sa.Column("hash", TEXT, nullable=False),
    sa.UniqueConstraint("investigation", "seq"),
    sa.UniqueConstraint("investigation", "type", "key"),
    sa.Index("records_type_at", "type", "at"),
    sqlite_autoincrement=True,
)
"""The journal, append-only: the one truth. `id` is a place among the records of all investigations, never used twice.

`feed` says how to follow it; the chain of hashes is about `seq`, and does not cover it.
"""

incidents = sa.Table(
    "incidents",
    tables,
    sa.Column("id", TEXT, primary_key=True),
    sa.Column("status", TEXT, nullable=False),
    sa.Column("severity", TEXT, nullable=False),
    sa.Column("service", TEXT, nullable=False),
    sa.Column("first_seen", TEXT, nullable=False),
    sa.Column("opened_at", TEXT, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("due", sa.Boolean, nullable=False),
    sa.Column("body", TEXT, nullable=False),
    sa.Index("incidents_status", "status", "opened_at"),
    sa.Index("incidents_due", "due"),
)
"""Every incident as its latest record says, kept with that record; `due` when it waits to be investigated.

`first_seen` is what the incident says, `opened_at` when it came on record here.
"""

evidence = sa.Table(
    "evidence",
    tables,
    sa.Column("id", TEXT, primary_key=True),
    sa.Column("kept_at", TEXT, nullable=False),
    sa.Column("bytes", sa.LargeBinary, nullable=False),
)
"""Documents by their hash, compressed by zlib, where hosts on several machines share them; else they are files."""

tellings = sa.Table(
    "tellings",
    tables,
    sa.Column("investigation", TEXT, primary_key=True),
    sa.Column("channel", TEXT, primary_key=True),
    sa.Column("seen", sa.Integer, nullable=False),
    sa.Column("holder", TEXT, nullable=False),
    sa.Column("until", TEXT, nullable=False),
)
"""Which channel is told of which incident: up to which record, and by which host just now (a lease)."""

deliveries = sa.Table(
    "deliveries",
    tables,
    sa.Column("investigation", TEXT, primary_key=True),
    sa.Column("channel", TEXT, primary_key=True),
    sa.Column("part", TEXT, primary_key=True),
    sa.Column("letter", TEXT, nullable=False),
    sa.Column("state", TEXT, nullable=False),
    sa.Column("place", TEXT, nullable=False),
    sa.Column("said", TEXT, nullable=False),
    sa.Column("since", TEXT, nullable=False),
    sa.Index("deliveries_place", "channel", "place"),
)
"""What was meant to be said to a channel, and what came of it: where it is now, and the digest of what it says."""

alerts = sa.Table(
    "alerts",
    tables,
    sa.Column("seq", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("received_at", TEXT, nullable=False),
    sa.Column("alert", TEXT, nullable=False),
    sa.Column("fingerprint", TEXT, nullable=False),
    sa.Column("action", TEXT, nullable=False),
    sa.Column("decision", TEXT, nullable=False),
    sa.Column("incident", TEXT),
    sa.Column("own", TEXT),
    sa.Column("joins", sa.Boolean, nullable=False),
    sa.Column("why", TEXT, nullable=False),
    sa.Column("parts", TEXT, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("payload", TEXT, nullable=False),
    sa.Index("alerts_incident", "incident"),
    sa.Index("alerts_fingerprint", "fingerprint", "seq"),
    sa.Index("alerts_received_at", "received_at"),
    sa.Index("alerts_alert", "alert"),
)
"""Every alert that came, in order, with what became of it and why.

`incident` is what it is part of by that decision; `own` is the incident that it opened for itself in shadow mode.
`body` is the alert without what the sender sent, compressed by zlib; that stands in `payloads`.
"""

payloads = sa.Table(
    "payloads",
    tables,
    sa.Column("id", TEXT, primary_key=True),
    sa.Column("received_at", TEXT, nullable=False),
    sa.Column("bytes", sa.LargeBinary, nullable=False),
    sa.Index("payloads_received_at", "received_at"),
)
"""What senders sent, whole, by its hash and compressed by zlib: one body may hold many alerts."""

triage = sa.Table(
    "triage",
    tables,
    sa.Column("seq", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("at", TEXT, nullable=False),
    sa.Column("by", TEXT, nullable=False),
    sa.Column("verb", TEXT, nullable=False),
    sa.Column("because", TEXT, nullable=False),
    sa.Column("alert", TEXT),
    sa.Column("fingerprint", TEXT),
    sa.Column("incident", TEXT),
    sa.Column("into", TEXT),
    sa.Column("root", TEXT),
    sa.Index("triage_fingerprint", "fingerprint"),
)
"""What people decided about alerts and incidents, in order: the latest about a fingerprint and a `root` counts.

`incident` is what it was part of, `into` what it is part of since; `root` the fingerprint that opened that incident.
"""

spending = sa.Table(
    "spending", tables, sa.Column("day", TEXT, primary_key=True), sa.Column("usd", sa.Float, nullable=False)
)
"""What models cost on each day (UTC), in US dollars."""

tokens = sa.Table(
    "tokens",
    tables,
    sa.Column("name", TEXT, primary_key=True),
    sa.Column("hash", TEXT, nullable=False, unique=True),
    sa.Column("scopes", TEXT, nullable=False),
    sa.Column("created_at", TEXT, nullable=False),
    sa.Column("expires_at", TEXT),
    sa.Column("revoked_at", TEXT),
)
"""Who may do what over HTTP; `hash` is the sha256 of the token."""

oldest_reader = sa.Table("format", tables, sa.Column("version", sa.Integer, primary_key=True))
"""What programs from before there were revisions look at: it makes them leave these tables alone."""

revision = sa.Table("alembic_version", tables, sa.Column("version_num", sa.String(32), primary_key=True))
