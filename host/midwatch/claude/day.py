"""The purse of a day: one for all processes that share a data folder, kept beside the journal.

What a call may cost at most is counted before it is made, in one step with the look at what is left. What it did not
cost is put back. A process that is killed in between puts nothing back: its call may have been billed, so it stays
counted until the day is over.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final

from midwatch.claude.purse import HARDLY, Purse, Spent
from midwatch.records import ModelCall
from midwatch.settings.models import ModelSettings
from midwatch.storage.journal import Journal

_NO_LIMIT: Final = 2**62


@dataclass
class DayPurse(Purse):
    """What all investigations may spend on one day (UTC)."""

    journal: Journal = field(kw_only=True)
    day: date = field(kw_only=True)

    @classmethod
    def of_today(cls, journal: Journal, usd: float) -> "DayPurse":
        """Return the purse of this day."""
        return cls("the day", _NO_LIMIT, usd, journal=journal, day=datetime.now(UTC).date())

    @property
    def left(self) -> float:
        """How many US dollars the day still holds."""
        return max(0.0, self.usd - self._spent())

    def refuse_more(self, tokens: int, usd: float) -> None:
        """Raise `Spent` when the day does not hold so much any more."""
        self.spent_usd = self._spent()
        super().refuse_more(tokens, usd)

    def take(self, tokens: int, usd: float) -> None:
        """Count what is held, or what of it is put back; raises `Spent` when another process was faster."""
        most = self.usd + HARDLY if usd > 0 else None
        if not self.journal.spend(self.day, usd, most, self._spent()):
            self.refuse_more(tokens, usd)
            raise Spent(f"{self.name} has less than ${usd:.4f} of ${self.usd:g} left")
        self.spent_usd = self._spent()

    def _spent(self) -> float:
        """What was spent, by the count; before there is one, by the calls on record."""
        if (counted := self.journal.spent_on(self.day)) is not None:
            return counted
        midnight = datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC)
        return float(sum(call.usd for call in self.journal.values_since(midnight, ModelCall)))


def purse_of(journal: Journal, investigation: str, settings: ModelSettings, within: Purse | None = None) -> Purse:
    """Return what is left of an investigation's money and of the day's, by what the journal says was spent on it.

    `within` is paid from in place of the day's purse.
    """
    before = [call for call in journal.values(investigation, ModelCall) if call.purpose == "investigation"]
    limits = settings.model_incident_tokens, settings.model_incident_usd
    day = within or DayPurse.of_today(journal, settings.model_day_usd)
    return Purse("the investigation", *limits, day, sum(c.tokens for c in before), sum(c.usd for c in before))
