"""What may still be spent on a model: a purse for each subagent, in that of the incident, in that of the day.

What a call costs at most is taken out before it is made, and what it did not cost is put back: however many calls are
under way at once, no purse is overdrawn. Figures are tokens, in and out together, and US dollars.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from midwatch.claude.prices import Usage
from midwatch.errors import HostError

HARDLY: Final = 1e-9
"""US dollars less than which are what adding up leaves behind."""


class Spent(HostError):
    """Raised when a purse does not hold what a call may cost; the message says which purse, and how much is left."""


@dataclass
class Purse:
    """Who it belongs to, what it held at first, and the purse that everything spent from it comes out of as well."""

    name: str
    tokens: int
    usd: float
    above: "Purse | None" = None
    spent_tokens: int = 0
    spent_usd: float = 0.0

    def refuse_more(self, tokens: int, usd: float) -> None:
        """Raise `Spent` when this purse, or one above, does not hold so much any more."""
        if self.spent_tokens + tokens > self.tokens:
            left = max(0, self.tokens - self.spent_tokens)
            raise Spent(f"{self.name} has {left} of {self.tokens} tokens left, and a call may take {tokens}")
        if self.spent_usd + usd > self.usd + HARDLY:
            left_usd = max(0.0, self.usd - self.spent_usd)
            raise Spent(f"{self.name} has ${left_usd:.4f} of ${self.usd:g} left, and a call may cost ${usd:.4f}")
        if self.above:
            self.above.refuse_more(tokens, usd)

    def know(self, tokens: int, usd: float) -> None:
        """Count what was spent from it before a crash, of which the purses above know from the journal."""
        self.spent_tokens += tokens
        self.spent_usd += usd

    @contextmanager
    def holding(self, tokens: int, usd: float) -> Iterator["Held"]:
        """Hold what a call may cost at most while the block runs; raises `Spent`.

        Unless the block says what it did cost, all of it is taken to be spent: what broke off may have cost that.
        """
        self.refuse_more(tokens, usd)
        held = Held(tokens, usd)
        self.take(tokens, usd)
        try:
            yield held
        finally:
            self.take(held.tokens - tokens, held.usd - usd)

    @property
    def share_spent(self) -> float:
        """Which part of what this purse held at first is spent, of tokens or dollars, whichever is more."""
        tokens = self.spent_tokens / self.tokens if self.tokens else 1.0
        return max(tokens, self.spent_usd / self.usd if self.usd else 1.0)

    def take(self, tokens: int, usd: float) -> None:
        """Count what is held, or what of it is put back, here and in every purse above; those first, who may refuse."""
        if self.above:
            self.above.take(tokens, usd)
        self.spent_tokens += tokens
        self.spent_usd += usd


@dataclass
class Held:
    """What is held for a call, and in the end what it did cost."""

    tokens: int
    usd: float
    used: Usage = field(default_factory=Usage)

    def cost(self, used: Usage, usd: float) -> None:
        """Say what the call cost."""
        self.used, self.tokens, self.usd = used, used.total, usd
