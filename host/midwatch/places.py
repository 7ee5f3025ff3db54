"""Places: how many may use a backend or a model's key at the same time, here or over all hosts on one database.

Where hosts share a PostgreSQL, a place is one of its advisory locks, held by a connection: it is free again as soon as
its host is gone, however it went.
"""

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import sqlalchemy as sa

from midwatch.database import Database

_TRY = sa.text("SELECT pg_try_advisory_lock(hashtextextended(:place, 1))")
_GIVE = sa.text("SELECT pg_advisory_unlock(hashtextextended(:place, 1))")
_LOOK_EVERY = 0.05


class NoPlace(Exception):
    """Raised when no place became free in time; the message says among how many."""


@dataclass
class Places:
    """Hands out numbered places of anything that is named; who waits is served by chance, and within a deadline."""

    database: Database
    _taken: set[str] = field(default_factory=set)
    _connection: sa.Connection | None = None

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
        if self._connection is not None:
            self._connection.invalidate()  # the locks go with it
            self._connection.close()
            self._connection = None

    async def _wait(self, name: str, most: int, seconds: float) -> str:
        with anyio.move_on_after(seconds):
            while True:
                if place := self._take(name, most):
                    return place
                await anyio.sleep(random.uniform(_LOOK_EVERY / 2, _LOOK_EVERY))  # noqa: S311 - no secret
        raise NoPlace(f"all {most} places of {name} were taken for {seconds:g} s")

    def _take(self, name: str, most: int) -> str:
        for number in range(most):
            place = f"{name}:{number}"
            if place not in self._taken and self._lock(place):
                self._taken.add(place)
                return place
        return ""

    def _lock(self, place: str) -> bool:
        if not self.database.shared:
            return True
        with self.database.translated():
            if self._connection is None or self._connection.invalidated:
                self._connection = self.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            return bool(self._connection.execute(_TRY, {"place": place}).scalar())

    def _give(self, place: str) -> None:
        self._taken.discard(place)
        if self._connection is not None and not self._connection.invalidated:
            with self.database.translated():
                self._connection.execute(_GIVE, {"place": place})
