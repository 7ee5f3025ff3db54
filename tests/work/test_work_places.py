"""Places: limits that hold over all hosts on one database, and end with the host that held them."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import anyio
import pytest

from midwatch.storage.database import Database
from midwatch.storage.locks import Locks
from midwatch.storage.places import NoPlace, Places

on_postgresql = pytest.mark.xdist_group("postgresql")


@contextmanager
def places(where: Path | str) -> Iterator[Places]:
    """Yield the places as one host sees them."""
    database = Database(where)
    made = Places(database)
    try:
        yield made
    finally:
        made.close()
        database.close()


async def taken(host: Places, name: str = "server logs", most: int = 2) -> bool:
    """Whether all places of a name are taken, as a host sees it."""
    try:
        async with host.holding(name, most, 0.5):
            return False
    except NoPlace:
        return True


@pytest.mark.parametrize("shared", [False, pytest.param(True, marks=on_postgresql)])
async def test_no_more_than_there_are_places_get_in_and_who_waits_gets_the_next(
    shared: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    where = request.getfixturevalue("postgresql") if shared else tmp_path / "journal.db"
    inside, most_inside, done = 0, 0, 0

    async def work(host: Places) -> None:
        nonlocal inside, most_inside, done
        async with host.holding("server logs", 2, 20):
            inside += 1
            most_inside = max(most_inside, inside)
            await anyio.sleep(0.01)
            inside -= 1
            done += 1

    with places(where) as one, places(where) as other:
        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(work, (one, other)[number % 2] if shared else one)
    assert (most_inside, done) == (2, 8)


@on_postgresql
async def test_places_are_those_of_all_hosts_and_end_with_the_host_that_held_them(postgresql: str) -> None:
    with places(postgresql) as one:
        with places(postgresql) as other:
            async with one.holding("server logs", 2, 1), other.holding("server logs", 2, 1):
                assert await taken(one)
                assert await taken(other)
                assert not await taken(one, "server metrics")
            assert not await taken(one)
            gone = other.holding("server logs", 1, 1)
            await gone.__aenter__()
            assert await taken(one, most=1)
        assert not await taken(one, most=1)


async def test_what_has_no_limit_waits_for_nobody(tmp_path: Path) -> None:
    with places(tmp_path / "journal.db") as host:
        async with host.holding("server logs", None, 0), host.holding("server logs", None, 0):
            pass
        with pytest.raises(NoPlace, match=r"all 1 places of server logs were taken for 0\.1 s"):
            async with host.holding("server logs", 1, 0.1), host.holding("server logs", 1, 0.1):
                pass


@on_postgresql
async def test_locks_are_free_once_their_holder_lets_go_though_the_process_goes_on(postgresql: str) -> None:
    with closing(Database(postgresql)) as here, closing(Database(postgresql)) as there, closing(Locks(there)) as other:
        mine = Locks(here)
        assert mine.take("a")
        assert not other.take("a")
        mine.close()
        with anyio.fail_after(10):
            while not other.take("a"):  # noqa: ASYNC110 - the server notices by itself that a connection has ended
                await anyio.sleep(0.02)
