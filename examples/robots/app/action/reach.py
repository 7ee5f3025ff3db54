"""How far an arm reaches over each depot's dock; sampled at the start, estimated until then."""

from math import cos, hypot, pi, sin
from threading import Event

DOCKS = 150
SAMPLES = 150
UPPER_ARM, LOWER_ARM = 0.9, 0.7


class Reach:
    """Metres by depot."""

    def __init__(self) -> None:
        self._metres: list[float] = []
        self._stopped = Event()

    def warm(self) -> None:
        """Sample every dock: about a second of one CPU, and meant for a thread."""
        for dock in range(DOCKS):
            if self._stopped.is_set():
                return
            height = 0.2 + dock % 9 / 20
            self._metres.append(max(_stretch(turn, height) for turn in range(SAMPLES**2 // 2)))

    def stop(self) -> None:
        """Give up warming."""
        self._stopped.set()

    def metres(self, depot: int) -> float:
        """Return the reach over a depot's dock."""
        return self._metres[depot] if depot < len(self._metres) else UPPER_ARM + LOWER_ARM


def _stretch(turn: int, height: float) -> float:
    shoulder, elbow = pi * (turn % SAMPLES) / SAMPLES, pi * (turn // SAMPLES) / SAMPLES
    across = UPPER_ARM * cos(shoulder) + LOWER_ARM * cos(shoulder + elbow)
    up = UPPER_ARM * sin(shoulder) + LOWER_ARM * sin(shoulder + elbow)
    return hypot(across, up - height)
