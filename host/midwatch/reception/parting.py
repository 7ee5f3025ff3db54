"""What came to an incident that proves to have been over before it began is taken back, to be decided on anew.

The end of an alert can come late, after others that began long afterwards. As long as it is missing, the incident looks
open, and what fires anew joins it. Once it is told, the alerts' own times say which of them belong elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from midwatch.correlation import Ongoing, Rules, fingerprint
from midwatch.reception import rows
from midwatch.records import Alert
from midwatch.settings.correlation import CorrelationSettings
from midwatch.storage.tables import triage
from midwatch_kit.window import rfc3339

BY = "correlation"


@dataclass(frozen=True)
class Apart:
    """The alerts that an incident loses: those that fired, each with the rows that tell of it; and ends of them."""

    incident: str
    because: str
    fired: Sequence[tuple[Alert, Sequence[int]]]
    ended: Sequence[tuple[Alert, Sequence[int]]]


@dataclass(frozen=True)
class Parting:
    """Looks, after the end of an alert, whether its incident was two."""

    ongoing: Ongoing
    rules: Rules
    settings: CorrelationSettings

    def over(self, told: Alert, incident: str | None) -> datetime | None:
        """Return when the incident of an alert that is over was over itself, long before others of its alerts began."""
        return self.ongoing.quiet_since(incident, self._reopen_seconds(told))

    def take_back(self, connection: sa.Connection, told: Alert, incident: str, over: datetime) -> Apart | None:
        """Take from an incident what began long after it was over; None for nothing.

        It is of no incident then, on record too, until it is decided on anew. Everything stays when a person put any of
        it there, and when the first of it comes and goes again and again.
        """
        outage = self.ongoing.outages[self.ongoing.target(incident)]
        fired, ended = self._later(connection, outage.id, over + timedelta(seconds=self._reopen_seconds(told)))
        if not fired or self._by_hand(fired, outage.root) or self._comes_and_goes(fired[0][0]):
            outage.fired(outage.first, outage.last)  # nobody has to look again
            return None
        rows.take_back(connection, [number for _, numbers in [*fired, *ended] for number in numbers])
        said = f"{outage.id} was over at {rfc3339(over)}, as the end of {told.external_id} told later"
        return Apart(outage.id, said, fired, ended)

    def _reopen_seconds(self, told: Alert) -> float:
        return self.rules.reopen_seconds(told, 60 * self.settings.reopen_minutes)

    def _later(
        self, connection: sa.Connection, incident: str, after: datetime
    ) -> tuple[list[tuple[Alert, list[int]]], list[tuple[Alert, list[int]]]]:
        """Return the alerts of an incident that began after a moment, by their start: what fired, and what ended."""
        found: dict[tuple[str, datetime, bool], tuple[Alert, list[int]]] = {}
        for number, name, alert in rows.of_incidents(connection, self.ongoing.parts_of(incident)):
            if alert.started_at > after:
                key = (name, alert.started_at, alert.action == "resolved")
                found.setdefault(key, (alert, []))[1].append(number)
        by_start = sorted(found.values(), key=lambda each: each[0].started_at)
        fired = [each for each in by_start if each[0].action != "resolved"]
        return fired, [each for each in by_start if each[0].action == "resolved"]

    def _by_hand(self, fired: Sequence[tuple[Alert, Sequence[int]]], root: str) -> bool:
        return any((fingerprint(alert), root) in self.ongoing.by_hand.together for alert, _ in fired)

    def _comes_and_goes(self, alert: Alert) -> bool:
        flapping, known = self.rules.flapping(alert), self.ongoing.of(alert)
        return known is not None and known.starts_within(60 * flapping.minutes, alert.started_at) >= flapping.times


def put_on_record(connection: sa.Connection, apart: Apart, into: str | None) -> int:
    """Put among the decisions that an incident fell in two, so that every host learns anew; returns its number."""
    said = {"at": rfc3339(datetime.now(UTC)), "by": BY, "verb": "split", "because": apart.because}
    connection.execute(sa.insert(triage).values(**said, incident=apart.incident, into=into))
    return rows.number_by_hand(connection)
