"""What every test relies on, however the tests were started."""

import gc
import os
import signal
from collections.abc import Generator, Iterator
from functools import cache
from typing import TYPE_CHECKING

import httpcore2
import pytest

if TYPE_CHECKING:
    from tests.postgresql import Server

LESS_URGENT = 10
"""How far tests step back behind a whole application that another worker runs: its latency is what it is judged by."""


def pytest_configure(config: pytest.Config) -> None:
    """Let Ctrl-C reach the processes that tests start: a shell's background job ignores it, and so do its children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.option.loadscopereorder = False  # else whichever group is the largest is given out first, not `live`


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the group `live` first, then the other groups: what has to stay together must not be what is left over."""
    items.sort(key=_turn)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Leave what was imported for all tests out of garbage collections: it stays, and is a sixth of what a test costs.

    A worker that has imported every test and what it needs goes through some millions of objects each time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_unconfigure() -> None:
    """Give back what was left out: libraries complain of objects that are there at the end of the process."""
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def _certificates() -> Generator[None]:
    """Read the machine's certificates once for all tests: each client of HTTP would read all of them anew."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(httpcore2, "default_ssl_context", cache(httpcore2.default_ssl_context))
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Make a worker less urgent from its first test on that runs no whole application.

    The group `live` is given out first, so its worker has those tests behind it by then. Nobody but root could make a
    worker more urgent again.
    """
    if _turn(item):
        _step_back()


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Server]":
    """Return a real PostgreSQL; whoever uses it belongs to the group `postgresql`, so that one worker starts one."""
    from tests.postgresql import running  # noqa: PLC0415 - it takes long to import, and few want it

    with running(tmp_path_factory.mktemp("postgresql")) as server:
        yield server


@pytest.fixture
def postgresql(postgresql_server: "Server") -> Iterator[str]:
    """Return the address of a new database on a real PostgreSQL."""
    url = postgresql_server.database()
    yield url
    postgresql_server.drop(url)


def _turn(item: pytest.Item) -> int:
    group = item.get_closest_marker("xdist_group")
    return 2 if group is None else int("live" not in group.args)


@cache
def _step_back() -> None:
    os.nice(LESS_URGENT)
