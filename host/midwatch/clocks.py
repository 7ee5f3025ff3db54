"""The two clocks: one for how long something takes, which never jumps, and one for what time it is, which may."""

import sys
import time
from datetime import UTC, datetime


def steady() -> float:
    """Return seconds of a clock that only goes on, also while the process is stopped or the machine asleep."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def wall() -> datetime:
    """Return what time it is, in UTC; somebody may set it."""
    return datetime.now(UTC)
