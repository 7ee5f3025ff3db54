"""Reception: alerts wait in one bounded queue, and whoever comes first puts all that wait on record in one transaction.

Their senders are answered after that. So a storm costs one flush of the disk for many alerts, and an answer always
means that the alert is safe.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import anyio
import anyio.to_thread

from midwatch.errors import Busy, DatabaseDown, HostError, JournalDamaged, NotKept
from midwatch.reception.book import AlertBook, Receipt
from midwatch.records import Alert
from midwatch_kit.errors import KitError

__all__ = ["AlertBook", "Receipt", "Reception"]

_MOST_AT_ONCE: Final = 2000
"""Alerts in one transaction: it must not keep others waiting for long."""
_PATIENCE_SECONDS: Final = 25.0


@dataclass(eq=False)
class _Waiting:
    alerts: Sequence[Alert]
    now: datetime
    receipts: list[Receipt] | None = None
    error: HostError | None = None

    @property
    def settled(self) -> bool:
        return self.receipts is not None or self.error is not None


class Reception:
    """Takes alerts from any number of tasks at once."""

    def __init__(self, book: AlertBook) -> None:
        self.book = book
        self._queue: deque[_Waiting] = deque()
        self._storing = anyio.Lock()
        self._count = 0

    @property
    def waiting(self) -> int:
        """How many alerts wait to be put on record."""
        return self._count

    async def receive(self, alerts: Sequence[Alert], now: datetime) -> list[Receipt]:
        """Return what became of alerts, once that is on disk. Raises `Busy` when too many wait, and `NotKept`."""
        if not alerts:
            return []
        if self._count and self._count + len(alerts) > self.book.settings.most_waiting:
            raise Busy(f"{self._count} alerts wait to be stored")
        mine = _Waiting(alerts, now)
        self._queue.append(mine)
        self._count += len(alerts)
        try:
            with anyio.move_on_after(_PATIENCE_SECONDS):
                async with self._storing:
                    if not mine.settled:  # nobody who came before took it along
                        await self._store(self._next())
        finally:
            if not mine.settled and mine in self._queue:
                self._queue.remove(mine)
                self._count -= len(alerts)
        if mine.receipts is None:
            raise mine.error or NotKept(f"nothing was stored within {_PATIENCE_SECONDS:g} s")
        return mine.receipts

    def _next(self) -> list[_Waiting]:
        """Take what waits from the queue, in order, as much as one transaction holds."""
        some: list[_Waiting] = []
        count = 0
        while self._queue and (not some or count + len(self._queue[0].alerts) <= _MOST_AT_ONCE):
            some.append(self._queue.popleft())
            count += len(some[-1].alerts)
        self._count -= count
        return some

    async def _store(self, waiting: Sequence[_Waiting]) -> None:
        """Put what several sent on record at once; when that fails for what one sent, do it one by one."""
        try:
            received = [(alert, each.now) for each in waiting for alert in each.alerts]
            with anyio.CancelScope(shield=True):  # others wait for it too
                receipts, noted = await anyio.to_thread.run_sync(self.book.store, received)
        except Exception as error:  # whatever goes wrong, those who wait are told, and the next ones are taken
            if len(waiting) > 1 and not isinstance(error, DatabaseDown):
                for each in waiting:
                    await self._store([each])
                return
            for each in waiting:
                each.error = NotKept(f"the alerts could not be stored: {_said(error)}")
            return
        at = 0
        for each in waiting:
            each.receipts = receipts[at : at + len(each.alerts)]
            at += len(each.alerts)
        self.book.tell(noted)


def _said(error: Exception) -> str:
    known = isinstance(error, JournalDamaged | KitError)
    return str(error) if known else f"{type(error).__name__}: {error}"[:300]
