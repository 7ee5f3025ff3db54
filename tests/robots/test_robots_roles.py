"""What services may in the database, and what they run into there."""

import json
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from anyio.from_thread import start_blocking_portal
from psycopg import errors
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from starlette.requests import Request

from app.bot.fleet import find_robot
from app.bot.forecast import get_forecast, lines
from app.errors import Overloaded, Refused
from app.schedule.__main__ import check_backlog
from app.settings import Settings
from robots.database import SESSIONS, Session
from robots.faults import lock_contention, slow_flag
from robots.history import source
from robots.postgres import apply_schema, database_at, postgres
from robots.processes import NotStarted
from robots.roles import create_roles, url_of

QUEUE = "INSERT INTO jobs (robot, task, starts_at, traceparent) VALUES (%s, 'carry', now(), '') RETURNING id"


@asynccontextmanager
async def installed(folder: Path) -> AsyncGenerator[str]:
    async with postgres(folder) as url:
        await create_roles(url)
        await apply_schema(url, (source() / "schema.sql").read_text(encoding="utf-8"))
        yield url


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A real PostgreSQL with the application's schema: its owner's URL."""
    folder = tmp_path_factory.mktemp("database")
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(installed(folder)) as url:
        yield url


def queue(url: str, robot: str) -> None:
    with psycopg.connect(url_of(url, "schedule"), options="-c lock_timeout=200") as connection:
        connection.execute(QUEUE, (robot,))


def test_a_service_may_do_what_its_work_needs_and_no_more(database: str) -> None:
    queue(database, "porter-1")
    with psycopg.connect(url_of(database, "bot"), autocommit=True) as bot:
        assert bot.execute("SELECT count(*) FROM robots").fetchone() == (72,)
        with pytest.raises(errors.InsufficientPrivilege, match="permission denied for table robots"):
            bot.execute("DELETE FROM robots")
        with pytest.raises(errors.InsufficientPrivilege, match="permission denied for table jobs"):
            bot.execute("SELECT * FROM jobs")


def test_the_schedule_queues_nothing_without_the_right_to(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("REVOKE INSERT ON jobs FROM schedule")
        with pytest.raises(errors.InsufficientPrivilege, match="permission denied for table jobs"):
            queue(database, "porter-1")
        owner.execute("GRANT INSERT ON jobs TO schedule")
    queue(database, "porter-1")


def test_ticket_numbers_end_at_three_digits(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(slow_flag.LEAP)
        assert owner.execute(slow_flag.SPENT).fetchone() == (False,)
    drawn = []
    with psycopg.connect(url_of(database, "schedule"), autocommit=True) as schedule:
        for _ in range(slow_flag.LEFT):
            drawn += schedule.execute("SELECT nextval('dock_tickets')").fetchall()
        with pytest.raises(errors.SequenceGeneratorLimitExceeded, match="reached maximum value of sequence"):
            schedule.execute("SELECT nextval('dock_tickets')")
    assert drawn[-1] == (999,)
    with psycopg.connect(database) as owner:
        assert owner.execute(slow_flag.SPENT).fetchone() == (True,)


def test_rows_that_a_session_holds_stop_jobs_for_these_robots_alone_until_the_session_is_ended(database: str) -> None:
    holder = psycopg.connect(database, application_name=lock_contention.APPLICATION)
    holder.execute(lock_contention.LOCK, (["porter"],))
    queue(database, "picker-1")
    with pytest.raises(errors.LockNotAvailable, match="canceling statement due to lock timeout"):
        queue(database, "porter-1")
    with psycopg.connect(database, autocommit=True) as owner:
        sessions = [Session(*row) for row in owner.execute(SESSIONS).fetchall()]
        assert [one.count for one in sessions if one.state == "idle in transaction"] == [1]
        owner.execute(lock_contention.RELEASE)
    queue(database, "porter-1")
    holder.close()


def test_the_schedule_turns_work_away_above_its_backlog(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "settings.json")
    check_backlog(60, settings)
    with pytest.raises(Overloaded, match="backlog of 61 jobs, above 60"):
        check_backlog(61, settings)
    settings.path.write_text('{"most_waiting": 90}')
    check_backlog(61, settings)


async def test_a_forecast_holds_a_connection_until_it_is_read_to_its_end_or_given_up(database: str) -> None:
    async with AsyncConnectionPool(url_of(database, "bot"), min_size=1, max_size=1, timeout=0.2, open=False) as pool:
        report = lines(pool, 60)
        first = json.loads(await anext(report))
        assert len(first["battery"]) == 60
        assert all(0 < level < 100 for level in first["battery"])
        with pytest.raises(PoolTimeout, match="couldn't get a connection"):
            await find_robot(pool, "porter-1")
        assert len([line async for line in report]) == 71
        assert (await find_robot(pool, "porter-1")).model == "porter"
        left = lines(pool, 60)
        await anext(left)
        await left.aclose()
        assert (await find_robot(pool, "porter-1")).model == "porter"


async def test_on_a_server_of_somebody_else_every_run_finds_the_database_and_its_roles_new(tmp_path: Path) -> None:
    async with postgres(tmp_path) as own:
        server = f"{own.rpartition('/')[0]}/postgres"
        for _ in range(2):
            async with database_at(server) as url:
                assert url == own
                await create_roles(url)
                await apply_schema(url, (source() / "schema.sql").read_text(encoding="utf-8"))


async def test_a_server_that_is_not_there_is_told_without_its_password() -> None:
    with pytest.raises(NotStarted, match="refused") as told:
        async with database_at("postgresql://robots:try-me-out@127.0.0.1:1/postgres"):
            pass
    assert "try-me-out" not in str(told.value)


@pytest.mark.parametrize("hours", ["0", "73", "soon"])
async def test_a_forecast_is_for_some_hours_at_most(hours: str) -> None:
    with pytest.raises(Refused, match=f"hours: {hours} isn't a whole number from 1 to 72"):
        await get_forecast(Request({"type": "http", "query_string": f"hours={hours}".encode()}))
