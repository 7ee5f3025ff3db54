"""What alerts make of incidents, on record: opened, joined, repeated, resolved, back again."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from midwatch.correlation import new_incident
from midwatch.host import Host
from midwatch.investigation import becomes
from midwatch.reception.rows import listed
from midwatch.records import Alert, Incident, Message, Outcome, Report, Severity, Status
from midwatch.work.waiting import unfinished

NOW = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)


def an_alert(name: str = "a", service: str = "gateway", minutes: float = 0, **fields: object) -> Alert:
    """Return an alert that began `minutes` after NOW."""
    at = NOW + timedelta(minutes=minutes)
    said = {"source": "test", "external_id": name, "title": f"{service} fails", "severity": Severity.HIGH, **fields}
    return Alert.model_validate({"id": f"{name}-{minutes}", "service": service, "started_at": at, **said})


def receive(host: Host, *alerts: Alert) -> list[Incident]:
    return host.receive(alerts, NOW)


def alerts_of(host: Host) -> list[Mapping[str, Any]]:
    """Return every alert on record with what became of it."""
    with host.journal.database.reading() as connection:
        return listed(connection, None, 1000)


def test_an_incident_says_what_its_alert_said() -> None:
    alert = an_alert(description="8.7% of requests fail", links=("http://example",))
    incident = new_incident(alert, NOW)
    assert (incident.title, incident.service, incident.severity) == ("gateway fails", "service:gateway", Severity.HIGH)
    assert (incident.started_at, incident.first_seen, incident.status) == (NOW, NOW, Status.TRIAGING)
    assert (incident.symptoms, incident.links) == (("8.7% of requests fail",), ("http://example",))
    assert incident.alerts == (alert.id,)
    assert incident.owner is None
    assert new_incident(an_alert(started_at=NOW + timedelta(hours=3)), NOW).started_at == NOW  # by a clock that is off
    assert new_incident(an_alert(labels={"team": "payments", "owner": "ann"}), NOW).owner == "payments"


def test_incidents_are_ordered_by_their_ids_as_they_were_opened() -> None:
    opened = [new_incident(an_alert(), NOW + timedelta(seconds=n)).id for n in range(5)]
    assert opened == sorted(opened)


def test_an_alert_sent_again_is_the_same_incident_and_opens_nothing(host: Host) -> None:
    (first,) = receive(host, an_alert())
    (again,) = receive(host, an_alert())
    assert again == first
    assert len(host.incidents()) == 1
    (opened,) = (message.text for message in host.journal.values(first.id, Message))
    assert "it opened this incident" in opened
    assert [(row["decision"], row["why"]) for row in alerts_of(host)] == [
        ("new", "nothing that is going on is close to it"),
        ("repeat", "the same alert was sent before"),
    ]


def test_an_alert_is_kept_whole_as_the_sender_sent_it(host: Host) -> None:
    sent = an_alert().model_copy(update={"raw": {"vendor": ["anything", 1]}})
    (incident,) = receive(host, sent)
    said = host.journal.values(incident.id, Message)[0].text
    kept = next(word for word in said.replace(":", " ").split() if len(word) == 64)
    assert json.loads(host.eyes.kept.get(kept))["raw"] == {"vendor": ["anything", 1]}


def test_an_alert_of_another_service_stays_apart(host: Host) -> None:
    receive(host, an_alert(), an_alert("b", "forge"))
    assert [incident.service for incident in host.incidents()] == ["service:gateway", "service:forge"]


def test_alerts_of_one_body_that_belong_together_make_one_incident(host: Host) -> None:
    touched = receive(host, an_alert(), an_alert("b", minutes=1), an_alert("c", minutes=2), an_alert("d", "forge"))
    assert [len(incident.alerts) for incident in touched] == [3, 1]
    assert host.incidents() == touched
    assert touched[0].version == 1
    assert [incident.triage.alerts for incident in touched] == [3, 1]


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED, Status.SKIPPED, Status.LINKED])
def test_an_incident_that_was_given_up_takes_no_new_alert_but_knows_its_own(host: Host, status: Status) -> None:
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
    assert receive(host, an_alert("other", action="resolved")) == []
    assert host.incidents() == []
    (first,) = receive(host, an_alert())
    (same,) = receive(host, an_alert(action="resolved"))
    assert same == first
    assert "every alert of it is over" in host.journal.values(first.id, Message)[-1].text


def test_what_has_no_report_is_unfinished_unless_it_was_given_up(host: Host) -> None:
    (one,), (two,), (three,) = (receive(host, an_alert(name, name)) for name in ("one", "two", "three"))
    host.journal.note(one.id, "report", "1", Report(outcome=Outcome.NO_INCIDENT, mitigated=False, packet=""))
    becomes(host.journal, two, Status.FAILED, "it broke")
    assert [incident.id for incident in unfinished(host.journal)] == [three.id]
