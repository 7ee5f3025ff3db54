"""What becomes of an alert, as a specification: which one belongs where, and why."""

import pytest
from tests.correlation.stage import Desk, an_alert, at, neighbourhood

from midwatch.correlation import fingerprint
from midwatch.records import Severity, Status

DISK, CERTIFICATE = "Disk of {} 98% full", "TLS certificate of {} has expired"
SLOW, BACKUP = "p99 latency of {} above 2s", "Backup of {} is corrupt"


@pytest.mark.parametrize(
    ("first", "then", "minutes", "together"),
    [
        ("cart", "cart", 0, True),
        ("cart", "cart", 15, True),
        ("cart", "cart", 29, False),
        ("stock", "cart", 2, True),  # a caller follows
        ("cart", "stock", 2, True),  # the cause is noticed after its effect
        ("db", "cart", 1, True),  # two hops
        ("db", "web", 1, True),  # three hops
        ("stock", "cart", 12, False),  # a caller, much later
        ("stock", "prices", 0, True),  # both depend on db, which is silent
        ("stock", "prices", 8, False),
        ("cart", "search", 0, False),  # both are called by web, and neither would explain the other
        ("shop", "till", 0, True),  # both depend on web
        ("cart", "mail", 0, False),  # nothing ties them
        ("cart", "unheard-of", 0, False),
    ],
)
def test_an_alert_joins_what_is_near_in_time_and_topology(
    first: str, then: str, minutes: float, together: bool
) -> None:
    desk = Desk()
    opened = desk.receive(an_alert("a", first))
    joined = desk.receive(an_alert("b", then, minutes, SLOW.format(then)))
    assert opened.verb == "new"
    assert (joined.verb, joined.incident == opened.incident) == (("linked", True) if together else ("new", False))


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        (DISK, CERTIFICATE, False),
        (DISK, BACKUP, False),
        (DISK, "Disk of {} fills up", True),
        (DISK, SLOW, True),  # a symptom of it
        (SLOW, "{} is down", True),
        (SLOW, "TLS certificate of {} expires in 14 days", False),  # nothing is broken yet
        ("{} out of memory", "CPU of {} is throttled", True),
    ],
)
def test_two_faults_of_one_component_stay_apart_and_are_related(one: str, other: str, together: bool) -> None:
    desk = Desk()
    first = desk.receive(an_alert("a", "stock", title=one.format("stock")))
    second = desk.receive(an_alert("b", "stock", 1, other.format("stock")))
    assert (second.incident == first.incident) is together
    if not together:
        assert second.related == (first.incident,)
        assert "different faults" in second.why or "would be needed" in second.why


def test_what_is_hit_by_two_faults_of_one_component_does_not_make_them_one() -> None:
    desk = Desk()
    disk = desk.receive(an_alert("a", "stock", title=DISK.format("stock")))
    certificate = desk.receive(an_alert("b", "stock", 1, CERTIFICATE.format("stock")))
    victim = desk.receive(an_alert("c", "cart", 2))
    assert victim.incident in (disk.incident, certificate.incident)
    assert victim.merges == ()


def test_two_outages_at_once_in_unconnected_parts_stay_apart_in_whatever_order_they_come() -> None:
    desk = Desk()
    for name, service in [("a", "stock"), ("x", "cms"), ("b", "cart"), ("y", "blog"), ("c", "web"), ("z", "queue-svc")]:
        desk.receive(an_alert(name, service))
    assert desk.together() == {frozenset({"a@0", "b@0", "c@0"}), frozenset({"x@0", "y@0"}), frozenset({"z@0"})}


def test_what_two_outages_have_in_common_downstream_does_not_make_them_one() -> None:
    desk = Desk()
    one, other = desk.receive(an_alert("a", "search")), desk.receive(an_alert("b", "cart"))
    of_both = desk.receive(an_alert("c", "web", 1))
    assert of_both.incident in (one.incident, other.incident)
    assert of_both.merges == ()
    assert one.incident != other.incident


def test_a_cause_that_comes_late_makes_its_effects_one_incident_and_the_older_one_stays() -> None:
    desk = Desk()
    first = desk.receive(an_alert("a", "stock", 0))
    second = desk.receive(an_alert("b", "prices", 6))
    assert first.incident != second.incident
    cause = desk.receive(an_alert("c", "db", 3))
    assert (cause.verb, cause.incident, cause.merges) == ("linked", first.incident, (second.incident,))
    assert desk.together() == {frozenset({"a@0", "b@6", "c@3"})}
    assert desk.receive(an_alert("b", "prices", 6)).incident == first.incident


def test_without_a_topology_only_the_same_service_is_near() -> None:
    desk = Desk(area=neighbourhood(""))
    first = desk.receive(an_alert("a", "stock"))
    assert desk.receive(an_alert("b", "stock", 3, SLOW.format("stock"))).incident == first.incident
    assert desk.receive(an_alert("c", "cart", 0)).verb == "new"


def test_each_part_of_a_decision_is_told_with_its_weight_and_in_plain_words() -> None:
    desk = Desk()
    desk.receive(an_alert("a", "stock"))
    decision = desk.receive(an_alert("b", "cart", 2, SLOW.format("cart")))
    assert [part.name for part in decision.parts] == ["topology", "time", "kind", "text"]
    assert str(decision.parts[0]) == (
        "topology 0.36 of 0.40 (cart depends on stock, 1 hop; stock would explain all)"
    ), "the caller, and that one cause explains both"
    assert "began 2 min from the nearest" in decision.why
    assert "latency beside errors" in decision.why
    assert sum(part.most for part in decision.parts) == pytest.approx(1)


def test_why_an_alert_stays_apart_is_told_too() -> None:
    desk = Desk()
    first = desk.receive(an_alert("a", "stock"))
    apart = desk.receive(an_alert("b", "cart", 20))
    assert apart.why.startswith(f"apart from {first.incident}: 0.6")
    assert apart.why.endswith("of 1, and 0.63 would be needed")
    assert desk.receive(an_alert("c", "mail")).why == "nothing that is going on is close to it"


def test_the_same_alert_again_changes_nothing() -> None:
    desk = Desk()
    first = desk.receive(an_alert("a", "stock"))
    for minute in (1, 5, 600):
        again = desk.receive(an_alert("a", "stock"), minute)
        assert (again.verb, again.incident, again.joins) == ("repeat", first.incident, False)


def test_the_same_alert_of_two_senders_is_one_by_its_labels() -> None:
    desk = Desk()
    labels = {"alertname": "HighErrorRate", "instance": "stock-1"}
    first = desk.receive(an_alert("a", "stock", labels=labels))
    other = desk.receive(an_alert("zzz", "stock", 40, labels=labels, source="another"))
    assert (other.verb, other.incident) == ("repeat", first.incident)
    assert "2nd time" in other.why


def test_a_resolved_alert_resolves_its_incident_once() -> None:
    desk = Desk()
    first = desk.receive(an_alert("a", "stock"))
    over = desk.receive(an_alert("a", "stock"), 5, over=True)
    assert (over.verb, over.incident, over.why) == ("resolves", first.incident, "it is over")
    assert desk.receive(an_alert("a", "stock"), 6, over=True).verb == "repeat"
    assert desk.receive(an_alert("a", "stock"), 7).why == "the same alert was sent before, and is over by now"


def test_a_resolve_that_comes_before_its_beginning_opens_nothing_and_the_beginning_an_incident_that_was_over() -> None:
    desk = Desk()
    over = desk.receive(an_alert("a", "stock"), 5, over=True)
    assert (over.verb, over.incident) == ("resolves", None)
    late = desk.receive(an_alert("a", "stock"), 6)
    assert (late.verb, late.why) == ("new", "nothing that is going on is close to it; it was over before it came")
    assert desk.ongoing.outages[late.incident or ""].over
    assert desk.receive(an_alert("b", "cart", 1), 7).incident == late.incident  # of the same outage


def test_a_beginning_that_comes_after_its_end_joins_the_outage_it_was_of() -> None:
    desk = Desk()
    desk.receive(an_alert("a", "stock"), 5, over=True)
    first = desk.receive(an_alert("b", "cart"), 5)
    late = desk.receive(an_alert("a", "stock"), 6)
    assert (late.verb, late.incident) == ("linked", first.incident)


def test_an_alert_of_an_outage_that_is_over_is_late_and_opens_nothing() -> None:
    desk = Desk()
    first = desk.receive(an_alert("a", "stock"))
    desk.becomes(first.incident, Status.RESOLVED, 30)
    late = desk.receive(an_alert("b", "cart", 1), 45)
    assert (late.verb, late.incident, late.reopens) == ("late", first.incident, False)


@pytest.mark.parametrize(
    ("after", "verb", "reopens"),
    [(5, "recurrence", True), (10, "recurrence", True), (11, "recurrence", False), (600, "recurrence", False)],
)
def test_what_comes_back_soon_is_open_again_and_later_a_new_incident_with_its_history(
    after: float, verb: str, reopens: bool
) -> None:
    desk = Desk()
    first = desk.receive(an_alert("a", "stock"))
    desk.receive(an_alert("a", "stock"), 20, over=True)
    back = desk.receive(an_alert("a", "stock", 20 + after))
    assert (back.verb, back.reopens, back.history) == (verb, reopens, first.incident)
    assert (back.incident == first.incident) is reopens


def test_an_outage_that_comes_back_is_one_incident_again_and_not_one_for_each_alert() -> None:
    desk = Desk()
    first = desk.receive(an_alert("a", "stock"))
    desk.receive(an_alert("b", "cart", 1))
    for name, service, minute in (("a", "stock", 0), ("b", "cart", 1)):
        desk.receive(an_alert(name, service, minute), 20, over=True)
    back = desk.receive(an_alert("a", "stock", 90))
    assert (back.verb, back.history) == ("recurrence", first.incident)
    assert desk.receive(an_alert("b", "cart", 91)).incident == back.incident


def test_a_recurrence_without_senders_that_resolve_follows_the_incident() -> None:
    desk = Desk()
    first = desk.receive(an_alert("a", "stock"))
    desk.becomes(first.incident, Status.RESOLVED, 30)
    assert desk.receive(an_alert("a", "stock", 35)).reopens
    desk.becomes(first.incident, Status.RESOLVED, 36)
    again = desk.receive(an_alert("a", "stock", 100))
    assert (again.verb, again.history) == ("recurrence", first.incident)


def test_what_a_person_gave_up_is_not_opened_again_by_its_alert() -> None:
    desk = Desk()
    first = desk.receive(an_alert("a", "stock"))
    desk.becomes(first.incident, Status.CANCELLED, 5)
    back = desk.receive(an_alert("a", "stock", 8))
    assert (back.reopens, back.incident == first.incident, back.history) == (False, False, first.incident)


def test_flapping_is_seen_as_flapping_and_opens_no_incident_again_and_again() -> None:
    desk = Desk()
    opened = set()
    for turn in range(12):
        decision = desk.receive(an_alert("a", "stock", 13 * turn))
        opened.add(decision.incident)
        assert decision.flapping is (turn >= 2), f"turn {turn}: {decision.why}"
        desk.receive(an_alert("a", "stock", 13 * turn), 13 * turn + 1, over=True)
    assert len(opened) == 2, "the first, and its recurrence before it was known to flap"


def test_flapping_ends_when_it_was_quiet_for_long() -> None:
    desk = Desk()
    for turn in range(6):
        desk.receive(an_alert("a", "stock", 5 * turn))
        desk.receive(an_alert("a", "stock", 5 * turn), 5 * turn + 1, over=True)
    back = desk.receive(an_alert("a", "stock", 200))
    assert (back.verb, back.flapping) == ("recurrence", False)


def test_an_earlier_time_that_an_alert_fired_is_of_the_same_incident_when_it_is_told_late() -> None:
    desk = Desk()
    first = desk.receive(an_alert("a", "stock", 10))
    earlier = desk.receive(an_alert("a", "stock", 5), 12)
    assert (earlier.verb, earlier.incident) == ("late", first.incident)
    assert desk.ongoing.outages[first.incident or ""].first == at(5)


def test_what_is_for_information_opens_nothing_but_joins() -> None:
    desk = Desk()
    alone = desk.receive(an_alert("i", "stock", severity=Severity.INFO))
    assert (alone.verb, alone.incident) == ("skipped", None)
    first = desk.receive(an_alert("a", "cart", 1))
    assert desk.receive(an_alert("j", "cart", 1, severity=Severity.INFO)).incident == first.incident


def test_what_was_skipped_by_its_severity_and_gets_worse_opens_an_incident() -> None:
    desk = Desk()
    desk.receive(an_alert("a", "stock", severity=Severity.INFO))
    assert desk.receive(an_alert("a", "stock", severity=Severity.CRITICAL), 3).verb == "new"


@pytest.mark.parametrize("status", [Status.INVESTIGATING, Status.AWAITING_APPROVAL, Status.MITIGATING, Status.WATCHING])
def test_an_incident_under_way_takes_further_alerts(status: Status) -> None:
    desk = Desk()
    first = desk.receive(an_alert("a", "stock"))
    desk.becomes(first.incident, status, 1)
    assert desk.receive(an_alert("b", "cart", 2)).incident == first.incident


def test_people_come_before_everything_else() -> None:
    desk = Desk()
    first = desk.receive(an_alert("a", "stock"))
    root = desk.ongoing.outages[first.incident or ""].root
    far, near, noise = an_alert("f", "mail", 1), an_alert("b", "stock", 1, SLOW.format("stock")), an_alert("c", "db", 1)
    desk.by_hand(together={(fingerprint(far), root)}, apart={(fingerprint(near), root)}, skip={fingerprint(noise)})
    together = desk.receive(far)
    assert (together.verb, together.incident) == ("linked", first.incident)
    assert "a person put the two together" in together.why
    assert desk.receive(near).verb == "new"
    skipped = desk.receive(noise)
    assert (skipped.verb, skipped.why) == ("skipped", "a person decided that this alert is skipped")
