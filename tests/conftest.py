"""What every test relies on, however the tests were started."""

import os
import signal
from functools import cache

import pytest

LESS_URGENT = 10
"""How far tests step back behind a whole application that another worker runs: its latency is what it is judged by."""


def pytest_configure() -> None:
    """Let Ctrl-C reach the processes that tests start: a shell's background job ignores it, and so do its children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
