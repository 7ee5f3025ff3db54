"""Whether anybody still waits for what a thread does: a tool's caller may cancel, or its deadline may pass.

A backend that polls a query of its own waits with `given_up().wait(seconds)`, and stops the query when that is true.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_given_up: ContextVar[threading.Event | None] = ContextVar("given_up", default=None)


def given_up() -> threading.Event:
    """Return the event that is set once nobody waits for the caller's tool; one that is never set outside of a tool."""
    return _given_up.get() or threading.Event()


@contextmanager
def giving_up() -> Iterator[None]:
    """Tell the threads that are started inside when the block is left, for whatever reason."""
    event = threading.Event()
    token = _given_up.set(event)
    try:
        yield
    finally:
        event.set()
        _given_up.reset(token)
