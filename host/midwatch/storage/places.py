"""Places: how many may use a backend or a model's key at the same time, here or over all hosts on one database.

Where hosts share a database, a place is a lock there: it is free again as soon as its host is gone, however it went.
"""

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from midwatch.storage.database import Database
from midwatch.storage.locks import Locks

_LOOK_EVERY = 0.05


class NoPlace(Exception):
    """Raised when no place became free in time; the message says among how many."""


@dataclass
class Places:
    """Hands out numbered places of anything that is named; who waits is served by chance, and within a deadline."""

    database: Database
    _taken: set[str] = field(default_factory=set)
    _locks: Locks = field(init=False)

    def __post_init__(self) -> None:
        self._locks = Locks(self.database)

    @asynccontextmanager
    async def holding(self, name: str, most: int | None, seconds: float) -> AsyncGenerator[None]:
        """Hold one of the `most` places of a name while the block runs; without a limit there is one for everybody.

        Raises `NoPlace` when none became free within `seconds`, and `DatabaseDown`.
        """
        if most is None:
            yield
            return
        place = await self._wait(name, most, seconds)
        try:
            yield
        finally:
            self._give(place)

    def close(self) -> None:
        """Give back all places."""
        self._locks.close()

    async def _wait(self, name: str, most: int, seconds: float) -> str:
        with anyio.move_on_after(seconds):
            while True:
                if place := self._take(name, most):
                    return place
                await anyio.sleep(random.uniform(_LOOK_EVERY / 2, _LOOK_EVERY))  # noqa: S311 - no secret
        raise NoPlace(f"all {most} places of {name} were taken for {seconds:g} s")

    def _take(self, name: str, most: int) -> str:
        for number in range(most):
            place = f"place:{name}:{number}"
            if place not in self._taken and (not self.database.shared or self._locks.take(place)):
                self._taken.add(place)
                return place
        return ""

    def _give(self, place: str) -> None:
        self._taken.discard(place)
        self._locks.give(place)
