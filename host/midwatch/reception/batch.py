"""The alerts of one transaction: each is decided on after the others, and all are put on record together."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from midwatch.correlation import Circumstances, Decision, Neighbourhood, Rules, decide, fingerprint, incident_id
from midwatch.reception import memory as remembering
from midwatch.reception import parting, rows
from midwatch.reception.changes import BY, Change, Writer
from midwatch.reception.memory import Memory
from midwatch.reception.parting import Apart, Parting
from midwatch.records import Alert, Message
from midwatch.settings.correlation import CorrelationSettings
from midwatch.storage.journal import Notes
from midwatch_kit.evidence import EvidenceStore

Received = tuple[Alert, datetime]
"""An alert, and when it came."""
_A_MOMENT = timedelta(microseconds=1)
"""Later than an incident that the same alert opened before, whose id is made of the moment."""
Decided = tuple[Alert, Decision, datetime, str | None]


@dataclass
class Batch:
    """Decides on alerts, in a transaction that is somebody else's; `memory` is what is known after it."""

    notes: Notes
    kept: EvidenceStore
    rules: Rules
    area: Neighbourhood
    settings: CorrelationSettings
    memory: Memory
    _changes: dict[str, Change] = field(default_factory=dict)
    _waiting: list[Decided] = field(default_factory=list)
    _early: dict[str, str] = field(default_factory=dict)
    """Ends that came before their beginnings, by their alerts' ids, and the incidents of those."""
    _anew: dict[str, Decision] = field(default_factory=dict)

    def take(self, received: Sequence[Received]) -> list[Decided]:
        """Decide on alerts in turn and put them on record; returns what became of each."""
        decided: list[Decided] = []
        for alert, now in received:
            decided.append(self._decide(alert, now))
            self._waiting.append(decided[-1])
            if alert.action == "resolved":
                self._part(alert, decided[-1][1].incident, now)
        self._write()
        return [(alert, self._anew.get(alert.id, decision), now, own) for alert, decision, now, own in decided]

    def _write(self) -> None:
        """Put on record what was decided, and in the journal what that changes."""
        if self._waiting:
            self.memory.last = rows.put(self.notes.connection, self.notes.database, self._waiting)
        rows.begun_after(self.notes.connection, self._early)
        writer = Writer(self.notes, self.kept, self.area)
        for name, change in self._changes.items():
            writer.write(name, change, None if self.settings.shadow else self.memory.ongoing.outages.get(name))
        self.memory.newest = rows.last_of_incidents(self.notes.connection)
        self._waiting, self._early, self._changes = [], {}, {}

    def _decide(self, alert: Alert, now: datetime) -> Decided:
        ongoing = self.memory.ongoing
        decision = decide(alert, Circumstances(ongoing, self.area, self.rules, self.settings, now))
        outage = ongoing.outage(decision.incident)
        was_over, was_severe = (outage.over, outage.severity) if outage else (False, None)
        if alert.action == "resolved":
            ongoing.resolve(alert, now)
        else:
            if decision.incident and (end := ongoing.early_end(alert)):
                self._early[end] = decision.incident
            marks = self.rules.marks(alert)
            outage = ongoing.learn(alert, decision.incident, self.area, marks, now, joins=decision.joins)
            for merged in decision.merges:
                ongoing.join(merged, decision.incident or "")
        if outage and decision.flapping:
            outage.flapping = True
        own = self._own(alert, decision, now) if self.settings.shadow else None
        if self.settings.shadow:
            _note_own(alert, decision, own, now, self._changes)
        elif decision.incident and (outage is None or outage.severity != was_severe or _says_something(decision)):
            self._note(alert, decision, now, was_over=was_over)
        return alert, decision, now, own

    def _part(self, told: Alert, incident: str | None, now: datetime) -> None:
        """Decide anew on what is part of an incident that was over before that began, as the end of an alert tells."""
        looking = Parting(self.memory.ongoing, self.rules, self.settings)
        if incident is None or (over := looking.over(told, incident)) is None:
            return
        self._write()
        connection = self.notes.connection
        if (apart := looking.take_back(connection, told, incident, over)) is None:
            return
        hours = self.settings.remember_hours
        self.memory = remembering.remembered(connection, self.area, self.rules, now, hours)
        into = None
        for alert, numbers in apart.fired:
            decision = self._decide_anew(alert, numbers, apart, now + _A_MOMENT)
            into = into or decision.incident
        for alert, numbers in apart.ended:
            known = self.memory.ongoing.of(alert)
            if known and (episode := known.episode(alert)):
                rows.move(connection, numbers, episode.incident)
        self.memory.by_hand = parting.put_on_record(connection, apart, into)
        if not self.settings.shadow:
            self._changes.setdefault(apart.incident, Change(last=told))
            said = f"{len(apart.fired)} alerts that came here are part of {into} now: {apart.because}"
            self.notes.note(apart.incident, "message", f"alerts:{told.id}:apart", Message(text=said[:4000]), BY)

    def _decide_anew(self, alert: Alert, numbers: Sequence[int], apart: Apart, now: datetime) -> Decision:
        ongoing = self.memory.ongoing
        decision = decide(alert, Circumstances(ongoing, self.area, self.rules, self.settings, now))
        outage = ongoing.outage(decision.incident)
        was_over = outage.over if outage else False
        marks = self.rules.marks(alert)
        ongoing.learn(alert, decision.incident, self.area, marks, now, joins=decision.joins, again=True)
        for merged in decision.merges:
            ongoing.join(merged, decision.incident or "")
        rows.decide_anew(self.notes.connection, numbers, decision, apart.because)
        self._anew[alert.id] = decision
        if decision.incident and not self.settings.shadow:
            sent = rows.sent(self.notes.connection, numbers[0]) if decision.opens else None
            self._note(alert.model_copy(update={"raw": sent}), decision, now, was_over=was_over)
        return decision

    def _note(self, alert: Alert, decision: Decision, now: datetime, *, was_over: bool) -> None:
        change = self._changes.setdefault(decision.incident or "", Change(was_over))
        change.last = alert
        if decision.opens:
            change.opened = (alert, decision, now)
        if decision.joins:
            change.joined.append((alert, decision))
        if decision.reopens:
            change.back = (alert, decision)
        for merged in decision.merges:
            self._changes.setdefault(merged, Change()).linked_to = (decision.incident or "", decision.why)

    def _own(self, alert: Alert, decision: Decision, now: datetime) -> str | None:
        """Return the incident that an alert has for itself in shadow mode; it keeps it when it is sent again."""
        name, own = fingerprint(alert), self.memory.own
        if decision.verb in ("repeat", "resolves") and name in own:
            return own[name]
        if alert.action == "resolved":
            return None
        own[name] = incident_id(alert, now)
        return own[name]


def _says_something(decision: Decision) -> bool:
    return decision.verb != "repeat" or decision.joins or decision.flapping


def _note_own(alert: Alert, decision: Decision, own: str | None, now: datetime, changes: dict[str, Change]) -> None:
    if own is None or own in changes or decision.verb in ("repeat", "resolves"):
        return
    into = f" {decision.incident}" if decision.incident and decision.incident != own else ""
    would = "" if decision.opens else f"; this is shadow mode: it would have been {decision.verb}{into}: {decision.why}"
    changes[own] = Change(opened=(alert, replace(decision, why="each alert does in shadow mode"), now), would=would)
