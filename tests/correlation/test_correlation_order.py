"""What comes late or out of order is put where it belongs by the alerts' own times."""

from tests.correlation.stage import Desk, an_alert

DISK = "Disk of {} 98% full"


def test_an_end_that_comes_before_its_beginning_is_not_taken_for_the_end_of_an_earlier_time() -> None:
    desk = Desk()
    first = desk.receive(an_alert("a", "stock"))
    early = desk.receive(an_alert("a", "stock", 90), 110, over=True)
    assert (early.verb, early.incident) == ("resolves", None)
    assert desk.receive(an_alert("a", "stock"), 20, over=True).incident == first.incident


def test_a_beginning_after_its_end_is_not_of_the_incident_of_an_earlier_time() -> None:
    desk = Desk()
    first = desk.receive(an_alert("a", "stock"))
    desk.receive(an_alert("a", "stock"), 20, over=True)
    desk.receive(an_alert("a", "stock", 90), 110, over=True)
    second = desk.receive(an_alert("b", "cart", 91))
    late = desk.receive(an_alert("a", "stock", 90))
    assert (late.verb, late.incident) == ("linked", second.incident)
    assert second.incident != first.incident


def test_what_is_sent_again_is_of_the_incident_of_that_time() -> None:
    desk = Desk()
    first = desk.receive(an_alert("a", "stock"))
    desk.receive(an_alert("a", "stock"), 20, over=True)
    second = desk.receive(an_alert("a", "stock", 90))
    for minutes, expected in ((0, first), (90, second)):
        again = desk.receive(an_alert("a", "stock", minutes), 95)
        assert (again.verb, again.incident) == ("repeat", expected.incident)
    assert desk.receive(an_alert("a", "stock", 90), 110, over=True).incident == second.incident


def test_an_end_by_a_sender_that_keeps_the_first_beginning_ends_what_was_reopened() -> None:
    desk = Desk()
    first = desk.receive(an_alert("a", "stock"))
    desk.receive(an_alert("a", "stock"), 20, over=True)
    assert desk.receive(an_alert("a", "stock", 25)).reopens
    assert desk.receive(an_alert("a", "stock"), 20, over=True).verb == "repeat", "the first end, sent again"
    assert not desk.ongoing.outages[first.incident or ""].over
    assert desk.receive(an_alert("a", "stock"), 40, over=True).verb == "resolves"
    assert desk.ongoing.outages[first.incident or ""].over


def test_an_end_that_another_sender_tells_before_the_beginning_is_its_end() -> None:
    desk = Desk()
    labels = {"alertname": "HighErrorRate", "instance": "stock-1"}
    opened = desk.receive(an_alert("b", "cart"))
    desk.receive(an_alert("zzz", "stock", labels=labels, source="another"), 20, over=True)
    late = desk.receive(an_alert("a", "stock", labels=labels), 21)
    assert late.incident == opened.incident
    desk.receive(an_alert("b", "cart"), 20, over=True)
    assert desk.ongoing.outages[opened.incident or ""].over


def test_an_earlier_time_that_is_told_late_is_of_the_incident_that_is_nearer() -> None:
    desk = Desk()
    first = desk.receive(an_alert("a", "stock"))
    desk.receive(an_alert("a", "stock"), 10, over=True)
    second = desk.receive(an_alert("b", "stock", 32, DISK.format("stock")))
    assert second.incident != first.incident
    late = desk.receive(an_alert("b", "stock", 5, DISK.format("stock")), 40)
    assert (late.verb, late.incident) == ("late", first.incident)


def test_what_ties_two_outages_makes_them_one_also_when_it_comes_after_their_ends() -> None:
    desk = Desk()
    effects = [an_alert("a", "stock", 0), an_alert("b", "prices", 6)]
    first, second = (desk.receive(alert) for alert in effects)
    for alert in effects:
        desk.receive(alert, 20, over=True)
    cause = desk.receive(an_alert("c", "db", 3), 21)
    assert (cause.verb, cause.incident, cause.merges) == ("late", first.incident, (second.incident,))
    assert desk.together() == {frozenset({"a@0", "b@6", "c@3"})}
