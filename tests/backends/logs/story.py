"""The lines that every backend is asked about: an hour of two services, one of which breaks at 02:48."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from midwatch_kit import Window

END = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
HOUR = {"start": "2026-11-20T02:00:00Z", "end": "2026-11-20T03:00:00Z"}
QUARTER = {"start": "2026-11-20T02:45:00Z", "end": "2026-11-20T03:00:00Z"}
WHOLE = Window(start=END - timedelta(hours=1), end=END)
TRACE = "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class StoryLine:
    """A line as whoever wrote it knows it; times are whole milliseconds, which every backend keeps."""

    time: datetime
    service: str
    instance: str
    severity: int
    body: str
    trace: str

    @property
    def ns(self) -> int:
        """The time in nanoseconds since the epoch."""
        return round(self.time.timestamp() * 1000) * 10**6

    @property
    def level(self) -> str:
        """The level as an SDK would write it."""
        return {9: "INFO", 13: "WARN", 17: "ERROR"}[self.severity]


def tell() -> Sequence[StoryLine]:
    """Return the lines in order of time."""
    chance = random.Random(7)
    lines = [_ordinary(chance, second) for second in range(3600) for _ in range(chance.choice((0, 1, 1)))]
    lines += [_failing(chance, second) for second in range(2880, 3600, 6)]
    lines += [
        StoryLine(END - timedelta(seconds=700, milliseconds=-n), "forge", f"forge-{n + 1}", 13, body, TRACE)
        for n, body in enumerate(('Ünfinished "part"\\n 7', "café closes. at (once)"))
    ]
    return sorted(lines, key=lambda line: line.time)


def _ordinary(chance: random.Random, second: int) -> StoryLine:
    time = END - timedelta(seconds=3600 - second) + timedelta(milliseconds=chance.choice((0, 0, 250, 731)))
    trace = f"{chance.getrandbits(128):032x}"
    if chance.random() < 0.4:
        return StoryLine(time, "bot", "bot-1", 9, f"moved to shelf {second % 97}", trace)
    severity, body = (13, "part is late") if chance.random() < 0.02 else (9, f"order {second} took {second % 90} ms")
    return StoryLine(time, "forge", f"forge-{second % 2 + 1}", severity, body, trace)


def _failing(chance: random.Random, second: int) -> StoryLine:
    time = END - timedelta(seconds=3600 - second)
    return StoryLine(
        time,
        "forge",
        "forge-2",
        17,
        f"cannot read part {second}: unknown field 'finish'",
        f"{chance.getrandbits(128):032x}",
    )
