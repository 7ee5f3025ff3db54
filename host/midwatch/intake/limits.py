"""How much a sender may send: a bucket of tokens that fills up steadily."""

import math
import time
from collections.abc import Callable


class Bucket:
    """Lets `burst` requests through at once, and `per_second` of them as a mean."""

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._burst, self._clock = per_second, burst, clock
        self._left, self._at = float(burst), clock()

    def take(self) -> int:
        """Take one token and return 0, or return after how many seconds there is one."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return max(1, math.ceil((1 - self._left) / self._per_second))
        self._left -= 1
        return 0
