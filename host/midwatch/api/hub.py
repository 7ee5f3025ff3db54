"""Who follows the stream: one look at the journal for all of them, each with a bounded place to keep what they miss.

Whoever does not take what is there is let go, and told so: they can come back with the last number that they had.
"""

import functools
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar

import anyio
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from midwatch.api.problems import too_many
from midwatch.errors import JournalDamaged
from midwatch.storage.feed import MOST, Feed, Placed

_LOOK_EVERY: Final = 0.25
_PATIENCE: Final = 2.0
ResultT = TypeVar("ResultT")


@dataclass(eq=False)
class Follower:
    """One who follows: `since` is the position after which everything comes here, `lagged` whether they were let go."""

    since: int
    wanted: Callable[[Placed], bool]
    sends: MemoryObjectSendStream[Placed]
    gets: MemoryObjectReceiveStream[Placed]
    lagged: bool = False


@dataclass
class Hub:
    """Hands out what is noted; `keep_looking` must run meanwhile."""

    feed: Feed
    most: int
    buffer: int
    each: int
    closed: bool = False
    _taken: Counter[str] = field(default_factory=Counter)
    _followers: set[Follower] = field(default_factory=set)
    _position: int = 0
    _wanted: anyio.Event = field(default_factory=anyio.Event)
    _looking: anyio.Lock = field(default_factory=anyio.Lock)

    def __len__(self) -> int:
        return len(self._followers)

    @property
    def taken(self) -> int:
        """How many streams there are, those among them that are still told what is on record."""
        return self._taken.total()

    @contextmanager
    def place(self, name: str) -> Generator[None]:
        """Take a place for a stream of somebody, from its first word to its last; raises `Problem` without one."""
        if self.taken >= self.most:
            raise too_many(f"{self.most} streams are followed already")
        if self._taken[name] >= self.each:
            raise too_many(f"{name} follows {self.each} streams already: end one of them")
        self._taken[name] += 1
        try:
            yield
        finally:
            self._taken[name] -= 1
            self._taken += Counter()  # who follows nothing any more is not kept

    @asynccontextmanager
    async def following(self, wanted: Callable[[Placed], bool] = lambda _: True) -> AsyncGenerator[Follower]:
        """Have what is noted from now on kept for somebody who follows."""
        async with self._looking:
            if not self._followers:  # nobody has looked for a while
                self._position = await _in_thread(functools.partial(self.feed.settled, _PATIENCE))
            sends, gets = anyio.create_memory_object_stream[Placed](self.buffer)
            mine = Follower(self._position, wanted, sends, gets)
            self._followers.add(mine)
            if self.closed:
                sends.close()
        self._wanted.set()
        try:
            yield mine
        finally:
            self._followers.discard(mine)
            sends.close()
            gets.close()

    async def keep_looking(self) -> None:
        """Look for what is new, as long as anybody follows, until cancelled; then everybody is let go."""
        try:
            while True:
                if not self._followers:
                    self._wanted = anyio.Event()
                    await self._wanted.wait()
                try:
                    await self._look()
                except JournalDamaged:  # it may come back; who follows only waits for longer
                    await anyio.sleep(_LOOK_EVERY)
                await anyio.sleep(_LOOK_EVERY)
        finally:
            self.close()

    def close(self) -> None:
        """Let everybody go."""
        self.closed = True
        for follower in self._followers:
            follower.sends.close()

    async def _look(self) -> None:
        async with self._looking:
            until = await _in_thread(self.feed.settled)
            while self._position < until:
                new = await _in_thread(functools.partial(self.feed.after, self._position, until))
                self._hand_out(new)
                self._position = new[-1].position if len(new) == MOST else until

    def _hand_out(self, new: Iterable[Placed]) -> None:
        for record in new:
            for follower in [*self._followers]:
                if follower.lagged or not follower.wanted(record):
                    continue
                try:
                    follower.sends.send_nowait(record)
                except anyio.WouldBlock:
                    follower.lagged = True
                    follower.sends.close()
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    self._followers.discard(follower)


async def _in_thread(work: Callable[[], ResultT]) -> ResultT:
    return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
