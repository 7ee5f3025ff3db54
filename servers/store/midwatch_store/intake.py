"""Group commit: requests that arrive together are written together, and each learns when its rows are on disk.

Bounded in requests and in bytes; what finds it full is told so at once. It knows neither HTTP nor OTLP.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import anyio

from midwatch_store.arrow import Row
from midwatch_store.errors import InvalidRows, StoreError
from midwatch_store.writer import Writer

Batch = Mapping[str, Sequence[Row]]

_GROUP: Final = 64
_WAIT_SECONDS: Final = 30.0
_FULL: Final = "too much waits to be written: send again in a second"

log = logging.getLogger(__name__)


class IntakeFull(StoreError):
    """As much as may wait is waiting already."""


class NotStored(StoreError):
    """The rows could not be written; the message says why."""


@dataclass
class _Waiting:
    """One request's rows and what became of them: set once, by the flusher."""

    batch: Batch
    done: anyio.Event = field(default_factory=anyio.Event)
    error: Exception | None = None


class Intake:
    """The queue before a writer, and the loop that empties it."""

    def __init__(self, writer: Writer, *, capacity: int, capacity_bytes: int, flush_seconds: float) -> None:
        self._writer = writer
        self._capacity_bytes = capacity_bytes
        self._bytes = 0
        self._flush_seconds = flush_seconds
        self._send, self._receive = anyio.create_memory_object_stream[_Waiting](capacity)
        self.last_error: str | None = None

    @property
    def waiting(self) -> int:
        """How many requests wait to be written."""
        return self._send.statistics().current_buffer_used

    async def store(self, batch: Batch, size: int) -> None:
        """Return once the rows, which arrived as `size` bytes, are on disk.

        Raises IntakeFull, InvalidRows, or NotStored after 30 s or on an error of the disk.
        """
        if not any(batch.values()):
            return
        if self._bytes and self._bytes + size > self._capacity_bytes:
            raise IntakeFull(_FULL)
        self._bytes += size
        try:
            await self._queue(_Waiting(batch))
        finally:
            self._bytes -= size

    def close(self) -> None:
        """Take nothing more; `run` ends when what waits is written."""
        self._send.close()

    async def run(self) -> None:
        """Write what comes in, group by group, until closed and empty."""
        async with self._receive:
            async for first in self._receive:
                if self._send.statistics().open_send_streams:
                    await anyio.sleep(self._flush_seconds)
                await self._flush([first, *self._queued()])

    async def _queue(self, entry: _Waiting) -> None:
        try:
            self._send.send_nowait(entry)
        except (anyio.WouldBlock, anyio.ClosedResourceError, anyio.BrokenResourceError) as error:
            raise IntakeFull(_FULL) from error
        with anyio.move_on_after(_WAIT_SECONDS):
            await entry.done.wait()
        if not entry.done.is_set():
            raise NotStored(f"the disk took longer than {_WAIT_SECONDS:g} s")
        if entry.error is not None:
            raise entry.error

    def _queued(self) -> list[_Waiting]:
        found: list[_Waiting] = []
        while len(found) < _GROUP - 1:
            try:
                found.append(self._receive.receive_nowait())
            except (anyio.WouldBlock, anyio.EndOfStream):
                break
        return found

    async def _flush(self, group: list[_Waiting]) -> None:
        """Write a group at once; if its rows are refused, each on its own, so that one bad one spoils no other."""
        error = await self._write(group)
        if isinstance(error, InvalidRows) and len(group) > 1:
            for entry in group:
                entry.error = await self._write([entry])
                entry.done.set()
            return
        for entry in group:
            entry.error = error
            entry.done.set()

    async def _write(self, group: list[_Waiting]) -> Exception | None:
        try:
            await anyio.to_thread.run_sync(self._writer.append, _join(group))
        except InvalidRows as error:
            return error
        except OSError as error:
            self.last_error = f"the store could not be written: {error}"
            log.error("%s", self.last_error)
            return NotStored(self.last_error)
        self.last_error = None
        return None


def _join(group: list[_Waiting]) -> Batch:
    joined: dict[str, list[Row]] = {}
    for entry in group:
        for table, rows in entry.batch.items():
            joined.setdefault(table, []).extend(rows)
    return joined
