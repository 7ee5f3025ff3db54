"""What senders of alerts are refused, in the host's own log: what a sender does with its answer is often nothing."""

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

_log = logging.getLogger(__name__)
_EVERY_SECONDS = 60.0
_MOST_CHARS = 400
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass
class Refusals:
    """Says the first refusal of each source and status, and no other of them for a minute: then how many there were.

    Sources and statuses are few, so what is remembered is.
    """

    clock: Callable[[], float] = time.monotonic
    _said: dict[tuple[str, int], tuple[float, int]] = field(default_factory=dict)

    def say(self, source: str, status: int, why: str) -> None:
        """Say in the log that something of a source was refused, unless as much was just said."""
        now = self.clock()
        last, more = self._said.get((source, status), (None, 0))
        if last is not None and now - last < _EVERY_SECONDS:
            self._said[source, status] = last, more + 1
            return
        self._said[source, status] = now, 0
        others = f"; {more} more like it before" if more else ""
        _log.warning("refused from %s (%d): %s%s", source, status, _CONTROLS.sub(" ", why)[:_MOST_CHARS], others)
