"""Which log streams each writer has: learnt from what was read, since CloudWatch cannot be asked for it."""

import threading
from collections.abc import Sequence
from typing import Final

from midwatch_logs.backends.cloudwatch.events import instance_of
from midwatch_logs.backends.cloudwatch.plain import MOST_STREAMS, Streams

_MOST: Final = 50_000


class Writers:
    """The streams of writers, as (service, instance), that have been seen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: dict[tuple[str, str], set[tuple[str, str]]] = {}

    def note(self, service: str, group: str, stream: str) -> None:
        """Remember a stream of a log group; beyond some writers, all others are forgotten."""
        with self._lock:
            if len(self._streams) > _MOST:
                self._streams.clear()
            self._streams.setdefault((service, instance_of(stream)), set()).add((group, stream))

    def streams(self, writers: Sequence[tuple[str, str]]) -> Streams | None:
        """Return the streams of writers by log group, None when not all are known or they are too many to name."""
        found: dict[str, list[str]] = {}
        with self._lock:
            for writer in writers:
                if writer not in self._streams:
                    return None
                for group, stream in sorted(self._streams[writer]):
                    found.setdefault(group, []).append(stream)
        return found if all(len(of) <= MOST_STREAMS for of in found.values()) else None
