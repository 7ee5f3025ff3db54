"""What a person decides about alerts and incidents: split off, put together, skip; each is undone by another.

A decision is remembered for the alert's fingerprint, so that it holds for the next time too. It is on record in the
table of decisions, and in the journals of the incidents that it changes. An alert that came in shadow mode keeps the
incident that it has for itself: what is decided then is what would become of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from midwatch.correlation import new_incident
from midwatch.errors import CannotTriage
from midwatch.reception import rows
from midwatch.records import Alert, Incident, Message, Status
from midwatch.storage.journal import Journal, Notes
from midwatch.storage.named import find_incident
from midwatch.storage.tables import alerts, triage
from midwatch_kit.errors import BadInput
from midwatch_kit.evidence import EvidenceStore, canonical
from midwatch_kit.window import rfc3339

_SHORTEST = 6


@dataclass(frozen=True)
class Done:
    """What a decision by hand changed: in words, and the incident that the alert or the incident is part of now."""

    said: str
    incident: str | None


@dataclass(frozen=True)
class ByHand:
    """Makes decisions of one person; `because` is why."""

    journal: Journal
    kept: EvidenceStore
    by: str
    because: str

    def split(self, name: str) -> Done:
        """Give an alert an incident of its own, or an incident that was linked its own life back."""
        with self.journal.transaction("intake") as notes:
            if incident := _incident(self.journal, name):
                return self._unlink(notes, incident)
            row, alert = _alert(notes.connection, name)
            before = row["incident"]
            if before and row["fingerprint"] == _root(notes.connection, before):
                raise CannotTriage(f"{alert.title} opened {before}: split off the others, or link the incident")
            if row["own"]:
                return self._in_shadow(notes, "split", row, alert, row["own"])
            incident = new_incident(alert, datetime.now(UTC))
            notes.note(incident.id, "incident", "1", incident, self.by)
            kept = self.kept.put(canonical(alert.model_dump(mode="json")))
            text = f"alert {alert.external_id}, kept as evidence {kept}: {self.by} split it off {before or 'nothing'}"
            self._say(notes, incident.id, f"alert:{alert.id}:opened", text, kept)
            self._move(notes, row, incident.id)
            root = _root(notes.connection, before) if before else None
            self._note(notes, "split", row, before, incident.id, root)
            if before:
                self._say(notes, before, f"triage:{incident.id}", f"{self.by} split off {alert.title}: {self.because}")
        apart = f", and stays apart from {before}" if before else ""
        return Done(f"{alert.title} is {incident.id} now{apart}", incident.id)

    def link(self, name: str, into: str) -> Done:
        """Make an alert, or a whole incident, part of an incident."""
        target = find_incident(self.journal, into)
        with self.journal.transaction("intake") as notes:
            if incident := _incident(self.journal, name):
                return self._link(notes, incident, target)
            row, alert = _alert(notes.connection, name)
            before = row["incident"]
            if before == target.id:
                raise CannotTriage(f"{alert.title} is part of {target.id} already")
            if row["own"]:
                return self._in_shadow(notes, "link", row, alert, target.id)
            self._move(notes, row, target.id)
            self._note(notes, "link", row, before, target.id, _root(notes.connection, target.id))
            self._say(notes, target.id, f"triage:{row['seq']}", f"{self.by} put {alert.title} here: {self.because}")
            if before and not _has_alerts(notes.connection, before):
                left = _standing(notes, before)
                self._becomes(
                    notes, left, Status.LINKED, f"its alert is part of {target.id}: {self.because}", target.id
                )
        return Done(f"{alert.title} is part of {target.id} now, and its kind goes there", target.id)

    def skip(self, name: str) -> Done:
        """Open nothing for an alert any more; an incident that has no other alert is skipped with it."""
        with self.journal.transaction("intake") as notes:
            row, alert = _alert(notes.connection, name)
            if row["own"]:
                return self._in_shadow(notes, "skip", row, alert, None)
            before = row["incident"]
            self._move(notes, row, None)
            self._note(notes, "skip", row, before, None, None)
            if before:
                self._say(notes, before, f"triage:{row['seq']}:skip", f"{self.by} skips {alert.title}: {self.because}")
                if not _has_alerts(notes.connection, before):
                    left = _standing(notes, before)
                    self._becomes(notes, left, Status.SKIPPED, f"{self.by} skips its alert: {self.because}")
        return Done(f"{alert.title} is skipped from now on", None)

    def _in_shadow(self, notes: Notes, verb: str, row: Mapping[str, Any], alert: Alert, into: str | None) -> Done:
        """Decide what would become of an alert, and leave the incidents as they are."""
        before, own = row["incident"], str(row["own"])
        self._move(notes, row, into)
        whose = before if verb == "split" else into
        self._note(notes, verb, row, before, into, _root(notes.connection, whose) if whose else None)
        self._say(notes, own, f"triage:{row['seq']}:{verb}", f"{self.by}, in shadow mode: {verb}: {self.because}")
        would = {"split": f"would stay apart from {before}", "link": f"would be part of {into}"}
        said = would.get(verb, "would be skipped")
        return Done(f"{alert.title} {said}; it came in shadow mode, and keeps {own}", own)

    def _link(self, notes: Notes, incident: Incident, target: Incident) -> Done:
        if incident.id in (target.id, target.triage.linked_to):
            raise CannotTriage(f"{incident.id} cannot be part of {target.id}: that is itself, or part of it")
        now = _standing(notes, incident.id)
        if now.status is Status.MITIGATING:
            raise CannotTriage(f"a plan of {now.id} is being carried out: link it when that is over")
        self._becomes(notes, now, Status.LINKED, f"{self.by} linked it to {target.id}: {self.because}", target.id)
        said = f"{self.by} linked {incident.id} ({incident.title}) to this: {self.because}"
        self._say(notes, target.id, f"triage:{incident.id}:{now.version}", said)
        self._note(notes, "link", None, incident.id, target.id, None)
        return Done(f"{incident.id} is part of {target.id} now; its investigation ends", target.id)

    def _unlink(self, notes: Notes, incident: Incident) -> Done:
        now = _standing(notes, incident.id)
        if now.status is not Status.LINKED:
            raise CannotTriage(f"{now.id} is {now.status} and linked to nothing: there is nothing to split")
        into = now.triage.linked_to
        self._becomes(notes, now, Status.TRIAGING, f"{self.by} split it off {into}: {self.because}")
        self._note(notes, "split", None, incident.id, None, None)
        return Done(f"{now.id} stands for itself again", now.id)

    def _becomes(self, notes: Notes, now: Incident, status: Status, reason: str, linked_to: str | None = None) -> None:
        linked = now.triage.model_copy(update={"linked_to": linked_to})
        told = {"status": status, "reason": reason[:500], "triage": linked, "version": now.version + 1}
        later = now.model_copy(update=told)
        notes.note(later.id, "incident", str(later.version), later, self.by)

    def _move(self, notes: Notes, row: Mapping[str, Any], into: str | None) -> None:
        """Make every alert of a fingerprint that was part of one incident part of another."""
        of_it = sa.and_(
            alerts.c.fingerprint == row["fingerprint"], alerts.c.incident.is_not_distinct_from(row["incident"])
        )
        verb = {"decision": "linked" if into else "skipped", "joins": into is not None}
        told = {"why": f"{self.by}: {self.because}".replace("\0", "")}
        fired = sa.and_(of_it, alerts.c.action != "resolved", alerts.c.decision != "repeat")
        notes.connection.execute(sa.update(alerts).where(fired).values(**verb, **told))
        notes.connection.execute(sa.update(alerts).where(of_it).values(incident=into))

    def _note(
        self,
        notes: Notes,
        verb: str,
        row: Mapping[str, Any] | None,
        incident: str | None,
        into: str | None,
        root: str | None,
    ) -> None:
        notes.connection.execute(
            sa.insert(triage).values(
                at=rfc3339(datetime.now(UTC)),
                by=self.by,
                verb=verb,
                because=self.because,
                alert=row["alert"] if row else None,
                fingerprint=row["fingerprint"] if row else None,
                incident=incident,
                into=into,
                root=root,
            )
        )

    def _say(self, notes: Notes, incident: str, key: str, text: str, evidence: str | None = None) -> None:
        notes.note(incident, "message", key, Message(text=text, evidence=evidence), self.by)


def _incident(journal: Journal, name: str) -> Incident | None:
    return journal.incident(name.upper())


def _standing(notes: Notes, name: str) -> Incident:
    if found := notes.incident(name):
        return found
    raise CannotTriage(f"{name} was taken out of the journal meanwhile")


def _alert(connection: sa.Connection, name: str) -> tuple[Mapping[str, Any], Alert]:
    """Return the latest row of the one alert whose id begins so, with the alert."""
    if len(name) < _SHORTEST:
        raise BadInput(f"{name!r} is too short for an alert: give six characters of its id, see midwatch alerts")
    like = alerts.c.alert.startswith(name.casefold(), autoescape=True)
    query = sa.select(alerts).where(like, alerts.c.action != "resolved").order_by(alerts.c.seq.desc())
    found = connection.execute(query.limit(200)).mappings().all()
    if len({row["alert"] for row in found}) != 1:
        what = "no alert, nor an incident, has the id" if not found else "several alerts begin with"
        raise CannotTriage(f"{what} {name}: see midwatch alerts")
    return dict(found[0]), rows.alert_of(found[0]["body"]).model_copy(
        update={"raw": rows.payload_of(connection, found[0]["payload"])}
    )


def _root(connection: sa.Connection, incident: str) -> str | None:
    return rows.openers(connection, [incident]).get(incident)


def _has_alerts(connection: sa.Connection, incident: str) -> bool:
    query = sa.select(alerts.c.seq).where(alerts.c.incident == incident, alerts.c.action != "resolved").limit(1)
    return connection.execute(query).first() is not None
