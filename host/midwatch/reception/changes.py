"""What a transaction of alerts changes in the journal: each incident once, however many alerts it got."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from midwatch.correlation import Decision, Neighbourhood, Outage, grown, new_incident, tells_more
from midwatch.records import Alert, Incident, Message, Status, Steer
from midwatch.storage.journal import Notes
from midwatch_kit.evidence import EvidenceStore, canonical

BY = "correlation"
_BEFORE = timedelta(minutes=5)
_TOLD = 3
"""How many of the alerts that joined are told one by one."""


@dataclass
class Change:
    """What becomes of one incident in one transaction."""

    was_over: bool = False
    opened: tuple[Alert, Decision, datetime] | None = None
    joined: list[tuple[Alert, Decision]] = field(default_factory=list)
    back: tuple[Alert, Decision] | None = None
    last: Alert | None = None
    linked_to: tuple[str, str] | None = None
    would: str = ""


@dataclass
class Writer:
    """Writes changes down, in a transaction of the journal."""

    notes: Notes
    kept: EvidenceStore
    area: Neighbourhood

    def write(self, name: str, change: Change, outage: Outage | None) -> None:
        """Note what became of an incident."""
        if change.opened:
            self._open(change, outage)
        if change.linked_to:
            self._link(name, *change.linked_to)
        elif outage is not None and not change.opened:
            self._go_on(name, change, outage)
        if outage is not None and change.last and outage.over != change.was_over and not change.linked_to:
            self._turned(name, change.last, outage)

    def _open(self, change: Change, outage: Outage | None) -> None:
        assert change.opened is not None  # noqa: S101 - for the reader: `write` looked
        alert, decision, now = change.opened
        incident = new_incident(alert, now)
        told = {"recurrence_of": decision.history, "related": decision.related}
        incident = incident.model_copy(update={"triage": incident.triage.model_copy(update=told)})
        if outage is not None:
            incident = grown(incident, outage, self.area, [alert.id for alert, _ in change.joined])
        self.notes.note(incident.id, "incident", "1", incident, alert.source)
        kept = self.kept.put(canonical(alert.model_dump(mode="json")))
        why = f"it opened this incident: {decision.why}{change.would}"
        text = f"alert {alert.external_id} ({alert.action}), kept as evidence {kept}: {why}"
        self.notes.note(incident.id, "message", f"alert:{alert.id}:opened", Message(text=text, evidence=kept), BY)
        if len(change.joined) > 1:
            self._say_joined(incident, change.joined[1:])

    def _go_on(self, name: str, change: Change, outage: Outage) -> None:
        before = self.notes.incident(name)
        if before is None:
            return
        after = grown(before, outage, self.area, [alert.id for alert, _ in change.joined])
        if change.back and before.status is Status.RESOLVED:
            after = after.model_copy(update={"status": Status.INVESTIGATING, "reason": change.back[1].why[:500]})
            self._look_again(name, *change.back)
        if tells_more(before, after) or after.status is not before.status:
            self.note(after)
            if change.joined:
                self._say_joined(after, change.joined)

    def _look_again(self, name: str, alert: Alert, decision: Decision) -> None:
        """Have it investigated again over the time of the return, as a person's word would."""
        told = Steer(text=decision.why[:1000], by=BY, since=alert.started_at - _BEFORE, at=datetime.now(UTC))
        self.notes.note(name, "steer", f"told:alert:{alert.id}", told, BY)

    def _link(self, name: str, into: str, why: str) -> None:
        before = self.notes.incident(name)
        if before is not None and before.status is not Status.MITIGATING:  # a step that ran has to be seen through
            triage = before.triage.model_copy(update={"linked_to": into})
            linked = {"status": Status.LINKED, "reason": f"part of {into}: {why}"[:500], "triage": triage}
            self.note(before.model_copy(update=linked))

    def _turned(self, name: str, alert: Alert, outage: Outage) -> None:
        """Say once that everything that fired is over, or that something fires again."""
        if outage.over:
            text, what = "every alert of it is over, as their senders say", "over"
        else:
            text, what = f"alert {alert.external_id} fires, after every alert of it was over", "firing"
        self.notes.note(name, "message", f"alerts:{alert.id}:{what}", Message(text=text), BY)

    def _say_joined(self, incident: Incident, joined: list[tuple[Alert, Decision]]) -> None:
        told = [f"{alert.title} of {alert.service}: {decision.why}" for alert, decision in joined[:_TOLD]]
        more = f"; and {len(joined) - _TOLD} more" if len(joined) > _TOLD else ""
        text = f"{len(joined)} alert{'s' * (len(joined) > 1)} joined. {'; '.join(told)}{more}"
        key = f"alerts:{joined[0][0].id}:joined"
        self.notes.note(incident.id, "message", key, Message(text=text[:4000]), BY)

    def note(self, incident: Incident) -> None:
        """Note the next version of an incident that the transaction gave."""
        later = incident.model_copy(update={"version": incident.version + 1})
        self.notes.note(later.id, "incident", str(later.version), later, BY)
