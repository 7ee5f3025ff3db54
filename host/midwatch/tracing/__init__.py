"""Traces of midwatch's own investigations, for OpenTelemetry: off unless `OTEL_EXPORTER_OTLP_ENDPOINT` is set.

A trace is a reading of the journal, like everything else: it is made when a look is reported, from the records. So it
is whole also when several hosts had a part in it, and tracing costs an investigation nothing.
"""

import os
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import anyio
import anyio.to_thread

from midwatch.errors import HostError
from midwatch.records import Status
from midwatch.storage.journal import Entry, Journal
from midwatch.tracing.spans import Spanned, spans_of

_VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_LOOK_EVERY = 0.5
_MOST_WAITING = 1000
_ENDED = (Status.FAILED.value, Status.CANCELLED.value)
_DISABLED = "OTEL_SDK_DISABLED"


class Exports(Protocol):
    """What takes spans."""

    def export(self, name: str, spans: Sequence[Spanned]) -> None:
        """Export the spans of an investigation."""

    def close(self) -> None:
        """Send what is left, and end."""


def is_on() -> bool:
    """Return whether the environment says where traces go."""
    off = os.environ.get(_DISABLED, "").casefold() == "true"
    return not off and any(os.environ.get(name) for name in _VARIABLES)


@asynccontextmanager
async def tracing(journal: Journal) -> AsyncGenerator[None]:
    """Export a trace of each look that ends in this process while the block runs; without an address do nothing.

    Where nobody takes them, traces are dropped; an investigation neither waits for that nor knows of it.
    """
    if not is_on():
        yield
        return
    from midwatch.tracing.export import Exporter  # noqa: PLC0415 - it takes long to import, and most hosts want none

    ended: deque[str] = deque(maxlen=_MOST_WAITING)
    exporter = Exporter()

    def listen(entry: Entry) -> None:
        if entry.type == "report" or (entry.type == "incident" and entry.body.get("status") in _ENDED):
            ended.append(entry.investigation)

    journal.listeners.append(listen)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_export, journal, ended, exporter)
            yield
            group.cancel_scope.cancel()
    finally:
        journal.listeners.remove(listen)
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(_last, journal, ended, exporter)


async def _export(journal: Journal, ended: deque[str], exporter: Exports) -> None:
    while True:
        await anyio.sleep(_LOOK_EVERY)
        while ended:
            await anyio.to_thread.run_sync(_one, journal, ended.popleft(), exporter)


def _last(journal: Journal, ended: deque[str], exporter: Exports) -> None:
    while ended:
        _one(journal, ended.popleft(), exporter)
    exporter.close()


def _one(journal: Journal, name: str, exporter: Exports) -> None:
    try:
        exporter.export(name, spans_of([*journal.entries(name)]))
    except HostError:  # a journal that cannot be read now is told of by whoever needs it
        return
