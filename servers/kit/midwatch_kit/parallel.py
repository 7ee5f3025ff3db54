"""Work at the same time in threads that know, as their caller does, whether anybody still waits for it."""

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError
from contextvars import copy_context
from dataclasses import dataclass
from typing import Generic, ParamSpec, TypeVar

from midwatch_kit.errors import BackendDown, KitError

AskedT = TypeVar("AskedT")
ResultT = TypeVar("ResultT")
Arguments = ParamSpec("Arguments")


class Threads(ThreadPoolExecutor):
    """A pool of threads whose calls run in the context of who submits them, so that `given_up()` reaches them."""

    def submit(
        self, fn: Callable[Arguments, ResultT], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> "Future[ResultT]":
        """Run a call in a thread, in a copy of the caller's context."""
        context = copy_context()
        return super().submit(lambda: context.run(fn, *args, **kwargs))


def at_once(calls: Sequence[Callable[[], ResultT]], most: int = 4) -> list[ResultT]:
    """Return what the calls return, in their order, at most `most` running at a time; raises what the first raises."""
    if len(calls) < 2:
        return [call() for call in calls]
    pool = Threads(min(most, len(calls)))
    try:
        return [future.result() for future in [pool.submit(call) for call in calls]]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Asked(Generic[ResultT]):
    """What several backends answered, by their names and in their order, and why the others did not."""

    said: Mapping[str, ResultT]
    silent: Mapping[str, KitError]

    def by_some(self) -> "Asked[ResultT]":
        """Return this when anybody answered; else raises the one error that there is, or one that tells of all."""
        if self.said or not self.silent:
            return self
        errors = list(self.silent.values())
        if len(errors) == 1 or not all(isinstance(error, BackendDown) for error in errors):
            raise next((error for error in errors if not isinstance(error, BackendDown)), errors[0])
        raise BackendDown("; ".join(f"{name}: {error}" for name, error in self.silent.items()))

    def by_all(self) -> Mapping[str, ResultT]:
        """Return what all answered; else raises the first error, with the name of whose it is."""
        for name, error in self.silent.items():
            error.args = (f"{name}: {error}",)
            raise error
        return self.said


def ask_each(
    backends: Mapping[str, AskedT], question: Callable[[str, AskedT], ResultT], seconds: float = math.inf
) -> Asked[ResultT]:
    """Put a question to every backend at once; who takes longer than `seconds` is left behind, and is one that failed.

    Only a `KitError` is a backend's failure; anything else that a question raises is raised.
    """
    pool = Threads(max(1, len(backends)), thread_name_prefix="backend")
    asked = {name: pool.submit(question, name, backend) for name, backend in backends.items()}
    pool.shutdown(wait=False)
    until = time.monotonic() + seconds
    said: dict[str, ResultT] = {}
    silent: dict[str, KitError] = {}
    for name, answer in asked.items():
        try:
            said[name] = answer.result(min(threading.TIMEOUT_MAX, max(0.0, until - time.monotonic())))
        except TimeoutError:
            silent[name] = BackendDown(f"no answer within {seconds:g} s")
        except KitError as error:
            silent[name] = error
    return Asked(said, silent)
