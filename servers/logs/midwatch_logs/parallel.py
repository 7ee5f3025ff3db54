"""Several calls at once, each in a thread that knows, as its caller does, whether anybody still waits."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

ResultT = TypeVar("ResultT")


def at_once(calls: Sequence[Callable[[], ResultT]], most: int = 4) -> list[ResultT]:
    """Return what the calls return, in their order, at most `most` running at a time; raises what the first raises."""
    if len(calls) < 2:
        return [call() for call in calls]
    pool = ThreadPoolExecutor(min(most, len(calls)), thread_name_prefix="midwatch-logs")
    try:
        running = [pool.submit(copy_context().run, call) for call in calls]
        return [future.result() for future in running]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
