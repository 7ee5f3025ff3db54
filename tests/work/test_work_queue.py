"""The queue among hosts: what a host that stops had goes back at once, and one that loses its connections goes on."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import anyio
import psycopg
import pytest
from tests.work.test_work_teams import nothing_is_due, settings

from midwatch.errors import DatabaseDown
from midwatch.host import Host, open_host
from midwatch.records import Incident, Severity, Status
from midwatch.storage.database import Database
from midwatch.work.shared import work_shared

pytestmark = pytest.mark.xdist_group("postgresql")
TAKEN = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing'"
QUEUED = "SELECT count(*) FROM procrastinate_jobs"
WORKERS = "SELECT count(*) FROM procrastinate_workers"


def opened(host: Host, *names: str) -> None:
    now = datetime.now(UTC)
    for name in names:
        told = {"id": name, "title": "Errors", "status": Status.TRIAGING, "severity": Severity.HIGH}
        incident = Incident(**told, service="service:gateway", started_at=now, first_seen=now)
        host.journal.note(name, "incident", "1", incident)


def count(url: str, query: str) -> int:
    """Return what a query counts; there may be no table yet."""
    with psycopg.connect(url, autocommit=True) as connection, suppress(psycopg.errors.UndefinedTable):
        found = connection.execute(query.encode()).fetchone()
        return int(found[0]) if found else 0
    return 0


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while not condition():  # noqa: ASYNC110 - the database has no event to wait for
            await anyio.sleep(0.05)


async def test_a_host_that_stops_gives_back_what_it_works_on_and_ends_in_order(
    tmp_path: Path, postgresql: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_host(settings(tmp_path, "one", postgresql, gather_seconds=60)) as host:
        opened(host, "one", "two")
        async with anyio.create_task_group() as group:
            group.start_soon(work_shared, host, postgresql)
            await until(lambda: count(postgresql, TAKEN) == 2)
            group.cancel_scope.cancel()
        assert (count(postgresql, QUEUED), count(postgresql, WORKERS)) == (0, 0)
        assert len(host.journal.incidents(due=True)) == 2
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_host_whose_connections_are_cut_works_on(tmp_path: Path, postgresql: str) -> None:
    async with open_host(settings(tmp_path, "one", postgresql)) as host, anyio.create_task_group() as group:
        group.start_soon(work_shared, host, postgresql)
        await until(lambda: count(postgresql, WORKERS) == 2)
        cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'midwatch work'"
        assert count(postgresql, cut) > 0
        opened(host, "one")
        await nothing_is_due(host)
        group.cancel_scope.cancel()


async def test_more_than_is_queued_in_one_turn_is_queued_in_the_next(tmp_path: Path, postgresql: str) -> None:
    limits = {"investigations_at_once": 1, "gather_seconds": 60}
    async with open_host(settings(tmp_path, "one", postgresql, **limits)) as host:
        opened(host, *(f"incident-{number}" for number in range(60)))
        async with anyio.create_task_group() as group:
            group.start_soon(work_shared, host, postgresql)
            await until(lambda: count(postgresql, QUEUED) == 60)
            group.cancel_scope.cancel()


async def test_a_transaction_that_the_database_gives_up_on_is_one_to_try_again(tmp_path: Path, postgresql: str) -> None:
    database = Database(postgresql)
    with pytest.raises(DatabaseDown, match="idle-in-transaction"), database.writing() as connection:  # noqa: PT012
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = '20ms'")
        left = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
        await until(lambda: count(postgresql, left) == 0)
        connection.exec_driver_sql("SELECT 1")
    database.close()
