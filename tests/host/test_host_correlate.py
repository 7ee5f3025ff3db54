"""Which alerts make one incident: the same alert, and what begins close by in the same service."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from midwatch.correlate import belongs_to, new_incident
from midwatch.host import Host
from midwatch.investigation import becomes
from midwatch.journal import Journal
from midwatch.records import Alert, Incident, Message, Outcome, Report, Severity, Status
from midwatch.settings import Settings
from midwatch.toolbox import Eyes, Hands
from midwatch.work.waiting import unfinished
from midwatch_kit.evidence import EvidenceStore

NOW = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)


def an_alert(name: str = "a", service: str = "gateway", minutes: float = 0, **fields: object) -> Alert:
    """Return an alert that began `minutes` after NOW."""
    at = NOW + timedelta(minutes=minutes)
    said = {"source": "test", "external_id": name, "title": f"{service} fails", "severity": Severity.HIGH, **fields}
    return Alert.model_validate({"id": f"{name}-{minutes}", "service": service, "started_at": at, **said})


@pytest.fixture
def host(journal: Journal, tmp_path: Path) -> Host:
    kept = EvidenceStore(tmp_path / "evidence", 2**40)
    return Host(Settings(data_dir=tmp_path), journal, Eyes({}, kept), Hands({}, kept), ())


def receive(host: Host, *alerts: Alert) -> list[Incident]:
    return host.receive(alerts, NOW)


def test_an_incident_says_what_its_alert_said() -> None:
    alert = an_alert(description="8.7% of requests fail", links=("http://example",))
    incident = new_incident(alert, NOW)
    assert (incident.title, incident.service, incident.severity) == ("gateway fails", "service:gateway", Severity.HIGH)
    assert (incident.started_at, incident.first_seen, incident.status) == (NOW, NOW, Status.TRIAGING)
    assert (incident.symptoms, incident.links) == (("8.7% of requests fail",), ("http://example",))
    assert incident.alerts == (alert.id,)


def test_incidents_are_ordered_by_their_ids_as_they_were_opened() -> None:
    opened = [new_incident(an_alert(), NOW + timedelta(seconds=n)).id for n in range(5)]
    assert opened == sorted(opened)


def test_an_alert_sent_again_is_the_same_incident_and_opens_nothing(host: Host) -> None:
    (first,) = receive(host, an_alert())
    (again,) = receive(host, an_alert())
    assert again == first
    assert len(host.incidents()) == 1
    opened, repeated = (message.text for message in host.journal.values(first.id, Message))
    assert "it opened this incident" in opened
    assert "it belongs here: the same alert was sent before" in repeated


def test_an_alert_is_kept_whole_as_the_sender_sent_it(host: Host) -> None:
    sent = an_alert().model_copy(update={"raw": {"vendor": ["anything", 1]}})
    (incident,) = receive(host, sent)
    said = host.journal.values(incident.id, Message)[0].text
    kept = next(word for word in said.replace(":", " ").split() if len(word) == 64)
    assert json.loads(host.eyes.kept.get(kept))["raw"] == {"vendor": ["anything", 1]}


@pytest.mark.parametrize(("minutes", "together"), [(-30, True), (30, True), (-30.1, False), (30.1, False)])
def test_another_alert_of_the_same_service_joins_within_half_an_hour(
    host: Host, minutes: float, together: bool
) -> None:
    receive(host, an_alert())
    (incident,) = receive(host, an_alert("b", minutes=minutes))
    assert len(host.incidents()) == (1 if together else 2)
    assert len(incident.alerts) == (2 if together else 1)


def test_an_alert_of_another_service_stays_apart(host: Host) -> None:
    receive(host, an_alert(), an_alert("b", "forge"))
    assert [incident.service for incident in host.incidents()] == ["service:gateway", "service:forge"]


def test_alerts_of_one_body_that_belong_together_make_one_incident(host: Host) -> None:
    touched = receive(host, an_alert(), an_alert("b", minutes=1), an_alert("c", minutes=2), an_alert("d", "forge"))
    assert [len(incident.alerts) for incident in touched] == [3, 1]
    assert host.incidents() == touched
    assert touched[0].version == 3


@pytest.mark.parametrize("status", [Status.RESOLVED, Status.FAILED, Status.CANCELLED, Status.SKIPPED, Status.LINKED])
def test_an_incident_that_is_over_takes_no_new_alert_but_knows_its_own(host: Host, status: Status) -> None:
    (first,) = receive(host, an_alert())
    becomes(host.journal, first, status, "for the test")
    (other,) = receive(host, an_alert("b", minutes=1))
    assert other.id != first.id
    (own,) = receive(host, an_alert())
    assert own.id == first.id


@pytest.mark.parametrize("status", [Status.INVESTIGATING, Status.AWAITING_APPROVAL, Status.MITIGATING, Status.WATCHING])
def test_an_incident_under_way_takes_further_alerts_and_keeps_its_status(host: Host, status: Status) -> None:
    (first,) = receive(host, an_alert())
    becomes(host.journal, first, status)
    (joined,) = receive(host, an_alert("b", minutes=1))
    assert (joined.id, joined.status, len(joined.alerts)) == (first.id, status, 2)


def test_a_resolved_alert_is_noted_in_its_incident_and_opens_none(host: Host) -> None:
    assert receive(host, an_alert(action="resolved")) == []
    assert host.incidents() == []
    (first,) = receive(host, an_alert())
    (same,) = receive(host, an_alert(action="resolved"))
    assert same == first
    assert "alert a (resolved)" in host.journal.values(first.id, Message)[-1].text


def test_why_an_alert_belongs_is_told_in_words() -> None:
    incident = new_incident(an_alert(), NOW)
    part = belongs_to(an_alert("b", minutes=5), [incident])
    assert part == (incident, "an incident of gateway that began within 30 minutes of it is open")


def test_what_has_no_report_is_unfinished_unless_it_was_given_up(host: Host) -> None:
    (one,), (two,), (three,) = (receive(host, an_alert(name, name)) for name in ("one", "two", "three"))
    host.journal.note(one.id, "report", "1", Report(outcome=Outcome.NO_INCIDENT, mitigated=False, packet=""))
    becomes(host.journal, two, Status.FAILED, "it broke")
    assert [incident.id for incident in unfinished(host.journal)] == [three.id]
