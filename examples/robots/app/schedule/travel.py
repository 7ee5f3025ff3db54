"""How long a robot travels from one depot to another.

The shortest ways between all depots are worked out once at the start (Floyd, "Algorithm 97", 1962); until that is
done, and for depots that aren't joined, the straight line is the estimate.
"""

from math import hypot
from threading import Event

DEPOTS = 150
ROWS = 10
METRES_APART = 120.0
METRES_PER_MINUTE = 60.0
DETOUR = 1.3


class TravelTimes:
    """Minutes between depots."""

    def __init__(self) -> None:
        self._shortest: list[list[float]] | None = None
        self._stopped = Event()

    def warm(self) -> None:
        """Work out all shortest ways: about a second of one CPU, and meant for a thread."""
        metres = [[_corridor(a, b) for b in range(DEPOTS)] for a in range(DEPOTS)]
        for over, via in enumerate(metres):
            if self._stopped.is_set():
                return
            for row in metres:
                first = row[over]
                row[:] = [min(known, first + second) for known, second in zip(row, via, strict=True)]
        self._shortest = metres

    def stop(self) -> None:
        """Give up warming."""
        self._stopped.set()

    def minutes(self, start: int, end: int) -> float:
        """Return the minutes from one depot to another."""
        metres = self._shortest[start][end] if self._shortest else _straight(start, end) * DETOUR
        return metres / METRES_PER_MINUTE


def _straight(a: int, b: int) -> float:
    return METRES_APART * hypot(a // ROWS - b // ROWS, a % ROWS - b % ROWS)


def _corridor(a: int, b: int) -> float:
    metres = _straight(a, b)
    return metres if metres <= METRES_APART * 1.5 else float("inf")
