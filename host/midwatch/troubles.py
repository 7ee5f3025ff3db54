"""Troubles that last, in the log: said when they begin, when their reason changes, and when they are over."""

import logging
from dataclasses import dataclass


@dataclass
class Trouble:
    """What keeps one thing from going on, however often it is tried meanwhile; `what` begins each line."""

    log: logging.Logger
    what: str
    reason: str = ""

    def met(self, error: BaseException) -> None:
        """Say why it cannot go on now, unless that was the last thing said."""
        reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        if reason != self.reason:
            self.log.warning("%s waits: %s", self.what, reason)
        self.reason = reason

    def over(self) -> None:
        """Say that it goes on, if it did not."""
        if self.reason:
            self.log.warning("%s goes on", self.what)
        self.reason = ""
