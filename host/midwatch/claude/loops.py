"""Whether a model goes round in circles; what it did is remembered here, so that a shorter conversation forgets none.

Four ways of getting nowhere: the same call again and again, a few calls in turn, one error after the other, and words
without deeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

SAME: Final = 3
"""So many times the same call, however far apart."""
ROUNDS: Final = 3
"""So many rounds of the same few calls in a row."""
LONGEST_ROUND: Final = 3
ERRORS: Final = 4
"""So many calls in a row that failed."""
WORDS: Final = 2
"""So many turns in a row in which nothing was done."""


class Made(NamedTuple):
    """A call that a model made: what it asked for, as a text that is the same for the same call, and how it went."""

    call: str
    failed: bool


@dataclass
class Loops:
    """Everything that one model has done in one conversation, oldest first."""

    made: list[Made] = field(default_factory=list)
    idle: int = 0

    def after(self, calls: Sequence[Made]) -> str:
        """Take note of what one turn did and return what is wrong with it, in words for the model; '' when nothing."""
        self.idle = 0 if calls else self.idle + 1
        self.made += calls
        if self.idle >= WORDS:
            return f"{self.idle} turns in a row have used no tool: words alone find nothing"
        return self._repeats(calls) or self._rounds() or self._fails()

    def _repeats(self, calls: Sequence[Made]) -> str:
        every = [made.call for made in self.made]
        again = next((made.call for made in calls if every.count(made.call) >= SAME), "")
        return f"{again[:120]} was asked {every.count(again)} times: the answer stays what it is" if again else ""

    def _rounds(self) -> str:
        every = [made.call for made in self.made]
        for length in range(2, LONGEST_ROUND + 1):
            last = every[-length * ROUNDS :]
            if len(last) == length * ROUNDS and last == last[:length] * ROUNDS:
                return f"the same {length} calls were made in turn, {ROUNDS} times"
        return ""

    def _fails(self) -> str:
        last = self.made[-ERRORS:]
        failing = len(last) == ERRORS and all(made.failed for made in last)
        return f"the last {ERRORS} calls all failed" if failing else ""
