"""Following an investigation: what it says as it goes, read from the journal, wherever it is that it runs."""

import io
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import anyio
from rich.console import Console

from midwatch.reading.live import LiveView
from midwatch.records import Status
from midwatch.steering.steers import unheeded
from midwatch.storage.journal import Entry, Journal

_LOOK_EVERY = 0.25
_AT_WORK = {Status.TRIAGING, Status.INVESTIGATING}
_UNDER_WAY = {*_AT_WORK, Status.AWAITING_APPROVAL, Status.MITIGATING}
Say = Callable[[int, str], Awaitable[None]]
"""Takes the number of a record and what it says in a line."""


@dataclass(frozen=True)
class News:
    """What was noted after a place in the journal: numbered lines, how many records, and the new place."""

    lines: tuple[tuple[int, str], ...]
    records: int
    cursor: int


@dataclass
class Teller:
    """Says records in a line each, as the live view does; a record that is not worth one gives none."""

    _said: io.StringIO = field(default_factory=io.StringIO)
    _view: LiveView = field(init=False)

    def __post_init__(self) -> None:
        self._view = LiveView(Console(file=self._said, color_system=None, width=1000))

    def tell(self, entry: Entry) -> str:
        """Return the line; records are told in order, since later ones speak of earlier ones."""
        self._said.seek(0)
        self._said.truncate()
        self._view.show(entry)
        return self._said.getvalue().strip().replace("\n", " ")


def news(journal: Journal, investigation: str, after: int) -> News:
    """Return what was noted after record `after`."""
    teller, lines, cursor, count = Teller(), list[tuple[int, str]](), after, 0
    for entry in journal.entries(investigation):
        line = teller.tell(entry)
        if entry.seq > after:
            cursor, count = entry.seq, count + 1
            lines += [(entry.seq, line)] if line else []
    return News(tuple(lines), count, cursor)


async def wait_for_news(journal: Journal, investigation: str, after: int, seconds: float) -> tuple[News, bool]:
    """Wait until something worth a line was noted after `after`, nothing more will be, or `seconds` are over.

    Returns the news, and whether there may be more.
    """
    found = await anyio.to_thread.run_sync(news, journal, investigation, after)
    with anyio.move_on_after(seconds):
        while not found.lines and is_under_way(journal, investigation):
            await _until_longer(journal, investigation, found.cursor)
            found = await anyio.to_thread.run_sync(news, journal, investigation, after)
    under_way = is_under_way(journal, investigation)  # before the last records are read, so that none is missed
    return await anyio.to_thread.run_sync(news, journal, investigation, after), under_way


async def wait_until_settled(journal: Journal, investigation: str, seconds: float, say: Say, after: int = 0) -> bool:
    """Say each line noted after `after`, until the investigation has concluded; False if not within `seconds`."""
    teller, cursor = Teller(), 0
    with anyio.move_on_after(seconds):
        while True:
            over = is_settled(journal, investigation)  # before the last records are read, so that none is missed
            cursor = await _say_all(journal.entries(investigation, cursor), teller, say, cursor, after)
            if over:
                return True
            await anyio.sleep(_LOOK_EVERY)
    return False


def is_settled(journal: Journal, investigation: str) -> bool:
    """Return whether an investigation has concluded, given up or failed, with nothing told that it has not heeded."""
    return _status(journal, investigation) not in _AT_WORK and not unheeded(journal, investigation)


def is_under_way(journal: Journal, investigation: str) -> bool:
    """Return whether more may be noted: it is at work, waits for a decision, or has something to heed."""
    return _status(journal, investigation) in _UNDER_WAY or bool(unheeded(journal, investigation))


async def _say_all(entries: Iterable[Entry], teller: Teller, say: Say, cursor: int, after: int) -> int:
    for entry in entries:
        cursor = entry.seq
        if (line := teller.tell(entry)) and entry.seq > after:
            await say(entry.seq, line)
    return cursor


async def _until_longer(journal: Journal, investigation: str, cursor: int) -> None:
    while True:
        if next(iter(journal.entries(investigation, cursor)), None) or not is_under_way(journal, investigation):
            return
        await anyio.sleep(_LOOK_EVERY)


def _status(journal: Journal, investigation: str) -> Status | None:
    stands = journal.incident(investigation)
    return stands.status if stands else None
