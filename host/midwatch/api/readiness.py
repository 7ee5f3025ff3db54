"""Whether something can be put on record: found out by writing, but not for everybody who asks, since anybody may."""

import threading
from dataclasses import dataclass, field

from midwatch.clocks import steady
from midwatch.errors import HostError
from midwatch.storage.database import Database

OK = "ok"
HOLDS_SECONDS = 1.0


@dataclass
class Readiness:
    """What was found out last; it holds for `HOLDS_SECONDS`."""

    _said: str = OK
    _until: float = 0.0
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def of(self, database: Database) -> str:
        """Return `OK` when a database can be written, or why not; blocks as long as that takes to find out."""
        with self._turn:
            if steady() >= self._until:
                self._said = _tried(database)
                self._until = steady() + HOLDS_SECONDS
            return self._said


def _tried(database: Database) -> str:
    try:
        database.try_writing()
    except HostError as error:
        return str(error)
    return OK
