"""What every test relies on, however the tests were started."""

import gc
import os
import signal
from collections.abc import Generator
from functools import cache

import pytest

LESS_URGENT = 10
"""How far tests step back behind a whole application that another worker runs: its latency is what it is judged by."""


def pytest_configure() -> None:
    """Let Ctrl-C reach the processes that tests start: a shell's background job ignores it, and so do its children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


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


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Make a worker less urgent from its first test on that runs no whole application.

    Large groups are given out first, so the worker of the group `live` has its tests behind it by then. Nobody but root
    could make a worker more urgent again.
    """
    group = item.get_closest_marker("xdist_group")
    if group is None or "live" not in group.args:
        _step_back()


@cache
def _step_back() -> None:
    os.nice(LESS_URGENT)
