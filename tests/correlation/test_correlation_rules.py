"""Rules about alerts in steering files: what they skip, put together and keep apart, and what cannot be meant."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.correlation.stage import Desk, an_alert, rules

from midwatch.correlation.rules import During
from midwatch.errors import BadSteering
from midwatch.records import Severity
from midwatch.steering.files import alert_rules, load_steering


def test_an_alert_of_which_all_holds_that_is_given_is_skipped_and_why_is_said() -> None:
    noise = {"services": ["mail"], "text": "canary", "labels": {"env": "test"}, "because": "it is not looked at"}
    desk = Desk(rules=rules({"skip": [noise]}))
    skipped = desk.receive(an_alert("a", "mail", title="Canary fails", labels={"env": "test", "pod": "1"}))
    assert (skipped.verb, skipped.incident, skipped.why) == (
        "skipped",
        None,
        "a rule skips it: house: it is not looked at",
    )
    assert desk.receive(an_alert("b", "mail", title="Canary fails", labels={"env": "live"})).verb == "new"
    assert desk.receive(an_alert("c", "blog", title="Canary fails", labels={"env": "test"})).verb == "new"


def test_what_outlasts_maintenance_opens_an_incident_when_it_is_sent_again() -> None:
    window = {"start": "2026-11-20T02:00:00Z", "end": "2026-11-20T03:00:00Z"}
    desk = Desk(rules=rules({"skip": [{"during": window, "because": "maintenance"}]}))
    assert desk.receive(an_alert("a", "web")).verb == "skipped"
    assert desk.receive(an_alert("a", "web"), 5).verb == "skipped"
    assert desk.receive(an_alert("a", "web"), 15).verb == "new"


@pytest.mark.parametrize(
    ("at", "holds"),
    [
        ("2026-11-21T22:00", True),  # a Saturday
        ("2026-11-21T21:59", False),
        ("2026-11-22T01:59", True),  # the night that began on it
        ("2026-11-22T02:00", False),
        ("2026-11-22T22:30", False),
        ("2026-11-21T01:00", False),
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_on_which_it_began(at: str, holds: bool) -> None:
    window = During(days=("sat",), since="22:00", until="02:00")
    assert window.holds(datetime.fromisoformat(at).replace(tzinfo=UTC)) is holds


def test_alerts_with_the_same_label_are_one_outage_wherever_they_are() -> None:
    desk = Desk(rules=rules({"group_by": ["cluster"]}))
    first = desk.receive(an_alert("a", "mail", labels={"cluster": "eu-1"}))
    same = desk.receive(an_alert("b", "blog", 2, labels={"cluster": "eu-1"}))
    assert (same.incident, same.parts[0].said) == (first.incident, "a rule groups by cluster, eu-1 of both")
    assert desk.receive(an_alert("c", "cms", 2, labels={"cluster": "us-1"}, title="x")).incident != first.incident
    assert desk.receive(an_alert("d", "blog", 50, labels={"cluster": "eu-1"})).incident != first.incident


def test_services_that_are_never_grouped_stay_apart() -> None:
    desk = Desk(rules=rules({"never_group": [["stock", "cart"]]}))
    first = desk.receive(an_alert("a", "stock"))
    assert desk.receive(an_alert("b", "cart", 1)).incident != first.incident
    assert desk.receive(an_alert("c", "db", 1)).incident == first.incident


def test_a_file_sets_its_own_times_for_its_own_services() -> None:
    said = {"window_minutes": 2, "reopen_minutes": 0, "flapping": {"times": 2, "minutes": 30}}
    desk = Desk(rules=rules(said, services=("stock",)))
    first = desk.receive(an_alert("a", "stock"))
    assert desk.receive(an_alert("b", "stock", 3)).incident != first.incident
    assert desk.receive(an_alert("a", "stock", 10)).flapping
    assert not desk.receive(an_alert("c", "mail", 0)).flapping
    other = desk.receive(an_alert("d", "mail", 3))
    assert other.verb == "linked"


def test_rules_stand_in_the_front_matter_of_steering_files(tmp_path: Path) -> None:
    (tmp_path / "nights.md").write_text(
        "---\nname: nights\ndescription: d\napplies_to: {services: [mail]}\nalerts:\n  skip:\n"
        "    - {severities: [low], because: not at night}\n---\n"
    )
    desk = Desk(rules=alert_rules(load_steering(tmp_path)))
    assert desk.receive(an_alert("a", "mail", severity=Severity.LOW)).why == "a rule skips it: nights: not at night"
    assert desk.receive(an_alert("b", "web", severity=Severity.LOW)).verb == "new"


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("skip: [{because: x}]", "it would skip every alert"),
        ('skip: [{during: {since: "25:00"}, because: x}]', "alerts.skip.0.during.since"),
        ("skip: [{during: {days: [caturday]}, because: x}]", "alerts.skip.0.during.days.0"),
        ("flapping: {times: 1}", "alerts.flapping.times"),
        ("group: [cluster]", "alerts.group"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_named_with_its_place(tmp_path: Path, said: str, fault: str) -> None:
    (tmp_path / "bad.md").write_text(f"---\nname: bad\ndescription: d\nalerts:\n  {said}\n---\n")
    with pytest.raises(BadSteering, match=fault):
        load_steering(tmp_path)
