"""What the database tells of itself: figures of its sessions, and its log. The application knows nothing of it.

Names follow the OpenTelemetry Collector's PostgreSQL receiver where it has one.
"""

import re
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import anyio
import anyio.to_thread
import psycopg

from robots.otlp import Line, Otlp, Point
from robots.postgres import DATABASE

EVERY_SECONDS = 1.0
RESOURCE = {
    "service.name": "postgresql",
    "service.instance.id": "postgresql-1",
    "db.system.name": "postgresql",
    "db.namespace": DATABASE,
    "host.name": socket.gethostname(),
}
SESSIONS = """
SELECT coalesce(state, 'active'), count(*), greatest(0, max(extract(epoch FROM now() - xact_start))),
    count(*) FILTER (WHERE wait_event_type = 'Lock')
FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() GROUP BY 1
"""
STATES = ("active", "idle", "idle in transaction")
SEVERITIES = {"LOG": "INFO", "WARNING": "WARN", "ERROR": "ERROR", "FATAL": "FATAL", "PANIC": "FATAL"}
LOGGED = re.compile(r"(\S+ \S+) UTC \[(\d+)\] (\S*)@(\S*) (.*?): ([A-Z]+):  (.*)")


@dataclass(frozen=True)
class Session:
    """The sessions of one state: how many, the oldest transaction's age in seconds, how many wait for a lock."""

    state: str
    count: int
    oldest_seconds: float
    waiting: int


async def tell_of_database(url: str, log: Path, otlp: Otlp) -> None:
    """Send the database's figures and the lines that its log gained, once a second, until cancelled.

    Somebody else's database writes its log elsewhere: it isn't told then.
    """
    async with anyio.create_task_group() as group:
        group.start_soon(_tell_figures, url, otlp)
        if await anyio.Path(log).exists():
            group.start_soon(_tell_log, log, otlp)


async def _tell_figures(url: str, otlp: Otlp) -> None:
    while True:
        with suppress(psycopg.OperationalError):  # a database that is away is told by those who need it
            async with await psycopg.AsyncConnection.connect(
                url, autocommit=True, application_name="exporter"
            ) as connection:
                while True:
                    cursor = await connection.execute(SESSIONS)
                    await otlp.gauges(RESOURCE, points([Session(*row) for row in await cursor.fetchall()]))
                    await anyio.sleep(EVERY_SECONDS)
        await anyio.sleep(EVERY_SECONDS)


async def _tell_log(log: Path, otlp: Otlp) -> None:
    read = (await anyio.Path(log).stat()).st_size
    while True:
        await anyio.sleep(EVERY_SECONDS)
        gained = await anyio.to_thread.run_sync(_gained, log, read)
        read += len(gained)
        if lines := log_lines(gained.decode(errors="replace").splitlines()):
            await otlp.logs(RESOURCE, lines)


def points(sessions: Iterable[Session]) -> list[Point]:
    """Return the gauges of the database; a state that no session has counts as 0."""
    by_state = {state: Session(state, 0, 0.0, 0) for state in STATES} | {one.state: one for one in sessions}
    told = [Point("postgresql.backends.waiting", "{backend}", sum(one.waiting for one in by_state.values()))]
    for state, one in by_state.items():
        told.append(Point("postgresql.backends", "{backend}", one.count, {"state": state}))
        told.append(Point("postgresql.transaction.age.max", "s", float(one.oldest_seconds), {"state": state}))
    return told


def log_lines(lines: Iterable[str]) -> list[Line]:
    """Return the records in a PostgreSQL log; what belongs to a message (DETAIL, STATEMENT, …) is put behind it."""
    told: list[Line] = []
    for line in lines:
        if found := LOGGED.fullmatch(line):
            at, pid, user, _, application, level, text = found.groups()
            if level in SEVERITIES:
                attributes = {"pid": pid, "db.user": user, "application": application}
                moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
                told.append(Line(moment, SEVERITIES[level], text, attributes))
            elif told:
                told[-1] = replace(told[-1], body=f"{told[-1].body}; {level}: {text}")
        elif told:
            told[-1] = replace(told[-1], body=f"{told[-1].body} {line.strip()}")
    return told


def _gained(log: Path, read: int) -> bytes:
    """Return the whole lines behind a position in a file."""
    with log.open("rb") as file:
        file.seek(read)
        gained = file.read()
    return gained[: gained.rfind(b"\n") + 1]
