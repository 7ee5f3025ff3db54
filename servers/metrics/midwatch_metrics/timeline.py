"""Equal slices of time over a baseline and a window, aligned to the window's start. It holds no data."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from midwatch_kit import Window

SECOND = 1_000_000_000
MOST_BEFORE = 180
"""Buckets of a baseline that are looked at: those nearest to its end."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Timeline:
    """`before` buckets that end with the baseline, then `after` buckets from the window's start; times in ns.

    What is left of the baseline at its start fills no bucket; the window's last bucket may reach past its end.
    """

    width: int
    baseline_start: int
    before: int
    window_start: int
    window_end: int
    after: int

    @property
    def baseline_end(self) -> int:
        """The end of the last bucket of the baseline."""
        return self.baseline_start + self.before * self.width

    @property
    def starts(self) -> NDArray[np.int64]:
        """The start of each bucket, baseline first."""
        baseline = self.baseline_start + np.arange(self.before, dtype=np.int64) * self.width
        window = self.window_start + np.arange(self.after, dtype=np.int64) * self.width
        return np.concatenate([baseline, window])

    @property
    def seconds(self) -> float:
        """The width of a bucket."""
        return self.width / SECOND


def slice_time(window: Window, baseline: Window | None = None, wanted: int = 60, least: int = SECOND) -> Timeline:
    """Return about `wanted` buckets of the window, each `least` (ns) or wider, and as wide ones of a baseline."""
    start, end = to_ns(window.start), to_ns(window.end)
    width = max(-(-(end - start) // wanted), least)
    until = to_ns(baseline.end) if baseline else start
    before = min((until - to_ns(baseline.start)) // width, MOST_BEFORE) if baseline else 0
    return Timeline(width, until - before * width, before, start, end, -(-(end - start) // width))


def buckets_of(time: NDArray[np.int64], timeline: Timeline) -> NDArray[np.int64]:
    """Return the bucket of each moment (ns), -1 for none."""
    bucket = np.full(len(time), -1, dtype=np.int64)
    before = (time >= timeline.baseline_start) & (time < timeline.baseline_end)
    bucket[before] = (time[before] - timeline.baseline_start) // timeline.width
    inside = (time >= timeline.window_start) & (time < timeline.window_end)
    bucket[inside] = timeline.before + (time[inside] - timeline.window_start) // timeline.width
    return bucket


def to_ns(moment: datetime) -> int:
    """Return an aware moment as nanoseconds since the epoch, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def from_rfc3339(text: str) -> datetime | None:
    """Return the moment that a text tells; None for what is none, or is Go's word for none (the year 1)."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.year > 1 and moment.tzinfo else None


def from_ns(instant: int) -> datetime:
    """Return the UTC moment at or just before `instant` nanoseconds since the epoch."""
    return _EPOCH + timedelta(microseconds=instant // 1000)
