"""The book of alerts: puts alerts, what became of them and what that changes on record, in one transaction.

Whoever comes at the same time, in this process or on another machine, waits. What is remembered between two
transactions is only a shortcut: after one that failed it is read from the tables anew.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from midwatch.correlation import Decision, Neighbourhood, Rules
from midwatch.reception import memory as remembering
from midwatch.reception import rows
from midwatch.reception.batch import Batch, Decided, Received
from midwatch.reception.memory import Memory
from midwatch.records import Alert
from midwatch.settings.correlation import CorrelationSettings
from midwatch.storage.journal import Entry, Journal, Notes
from midwatch_kit.evidence import EvidenceStore


@dataclass(frozen=True)
class Receipt:
    """What became of one alert: the decision, the incident that it is part of (None: of none), and why.

    `first` is, of a repeat, when the same came first; None where that is not known any more.
    """

    alert: str
    external_id: str
    decision: str
    incident: str | None
    why: str
    first: datetime | None = None


@dataclass
class AlertBook:
    """Keeps alerts; `rules` and `area` are asked for anew each time, since files and topologies change."""

    journal: Journal
    kept: EvidenceStore
    settings: CorrelationSettings
    rules: Callable[[], Rules]
    area: Callable[[], Neighbourhood]
    _memory: Memory | None = None
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    @property
    def remembered(self) -> tuple[int, int]:
        """How many fingerprints and how many outages are held in memory."""
        ongoing = self._memory.ongoing if self._memory else None
        return (len(ongoing.known), len(ongoing.outages)) if ongoing else (0, 0)

    def store(self, received: Sequence[Received]) -> tuple[list[Receipt], list[Entry]]:
        """Put alerts on record, all or none, and return what became of each, and what the journal got.

        Raises `DatabaseDown`, `JournalDamaged`, and `BackendDown` when the disk refuses evidence; then nothing is on
        record.
        """
        with self._one_at_a_time:
            try:
                with self.journal.database.writing("intake") as connection:
                    notes = Notes(self.journal.database, connection)
                    decided = self._decided(notes, received)
            except BaseException:
                self._memory = None  # what was learnt did not come to be
                raise
            return [_receipt(*each) for each in decided], notes.appended

    def tell(self, noted: Sequence[Entry]) -> None:
        """Tell the journal's listeners what it got."""
        for entry in noted:
            for listener in self.journal.listeners:
                listener(entry)

    def _decided(self, notes: Notes, received: Sequence[Received]) -> list[Decided]:
        rules, area, now = self.rules(), self.area(), received[-1][1]
        memory = self._up_to_date(notes, rules, area, now)
        remembering.recall(notes.connection, memory, (alert for alert, _ in received), area, rules)
        batch = Batch(notes, self.kept, rules, area, self.settings, memory)
        decided = batch.take(received)
        self._memory = batch.memory
        remembering.forget(batch.memory, now, self.settings.remember_hours)
        return decided

    def _up_to_date(self, notes: Notes, rules: Rules, area: Neighbourhood, now: datetime) -> Memory:
        memory, connection = self._memory, notes.connection
        if memory is None or rows.number_by_hand(connection) != memory.by_hand:
            memory = remembering.remembered(connection, area, rules, now, self.settings.remember_hours)
        else:
            remembering.catch_up(connection, memory, area, rules)
        self._memory = memory
        return memory


def _receipt(alert: Alert, decision: Decision, _: datetime, own: str | None) -> Receipt:
    if own is None:
        return Receipt(alert.id, alert.external_id, decision.verb, decision.incident, decision.why, decision.first)
    verb = decision.verb if decision.verb in ("repeat", "resolves") else "new"
    into = f" {decision.incident}" if decision.incident and decision.incident != own else ""
    why = f"shadow mode; it would have been {decision.verb}{into}: {decision.why}"
    return Receipt(alert.id, alert.external_id, verb, own, why, decision.first if verb == "repeat" else None)
