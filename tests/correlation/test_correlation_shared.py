"""Outages at the same time that have something in common: a gateway that calls all, or a component with two faults."""

import pytest
from tests.correlation.stage import Desk, an_alert, neighbourhood

CALLS = "web>cart web>search cart>stock search>index"
DISK, SLOW = "Disk of {} 98% full", "p99 latency of {} above 2s"


def two_outages(minutes: float) -> tuple[Desk, str | None, str | None]:
    """Return a desk that knows one outage of `stock`, and one of `index` so many minutes later, with both incidents."""
    desk = Desk(neighbourhood(CALLS))
    first = desk.receive(an_alert("s", "stock", title=DISK.format("stock")))
    desk.receive(an_alert("c", "cart", 1))
    desk.receive(an_alert("w", "web", 2))
    second = desk.receive(an_alert("i", "index", minutes, DISK.format("index")))
    desk.receive(an_alert("h", "search", minutes + 1))
    assert first.incident != second.incident
    return desk, first.incident, second.incident


def test_a_gateway_that_suffers_again_is_of_the_outage_that_has_just_come_to_it() -> None:
    desk, _, second = two_outages(5)
    again = desk.receive(an_alert("x", "web", 8, SLOW.format("web")))
    assert (again.incident, again.merges) == (second, ())


def test_an_alert_of_a_gateway_that_fires_anew_is_of_the_outage_that_has_just_come_to_it() -> None:
    desk, _, second = two_outages(12)
    desk.receive(an_alert("w", "web", 2), 8, over=True)
    assert desk.receive(an_alert("w", "web", 14)).incident == second


def test_a_gateway_that_another_outage_hits_does_not_open_one_again_that_is_over() -> None:
    desk, first, second = two_outages(12)
    for name, service, minutes in (("s", "stock", 0), ("c", "cart", 1), ("w", "web", 2)):
        desk.receive(an_alert(name, service, minutes), 11, over=True)
    again = desk.receive(an_alert("w", "web", 14))
    assert (again.incident, again.reopens) == (second, False)
    assert desk.receive(an_alert("c", "cart", 15)).incident == first


def test_a_gateway_goes_to_one_of_two_that_explain_it_as_well_and_the_other_one_is_named() -> None:
    desk, first, second = two_outages(0.5)
    again = desk.receive(an_alert("x", "web", 3, SLOW.format("web")))
    other = second if again.incident == first else first
    assert f"nearly as well explained by {other}" in again.why


def test_what_hurts_nobody_yet_explains_nothing() -> None:
    desk = Desk()
    backup = desk.receive(an_alert("b", "stock", title="Backup of stock is corrupt"))
    victim = desk.receive(an_alert("c", "cart", 1))
    disk = desk.receive(an_alert("d", "stock", 1, DISK.format("stock")))
    assert victim.incident == disk.incident != backup.incident


@pytest.mark.parametrize(
    ("hit", "then", "victim"),
    [
        (("cart", "web"), "stock", "cart"),  # upstream of the first, which it comes too late to explain
        (("stock", "cart"), "cart", "web"),  # where the first had come to
    ],
)
def test_an_outage_ten_minutes_after_another_in_the_same_part_is_another_one(
    hit: tuple[str, str], then: str, victim: str
) -> None:
    desk = Desk()
    first = [desk.receive(an_alert(service, service, minutes)) for minutes, service in enumerate(hit)]
    second = desk.receive(an_alert("r", then, 11, DISK.format(then)))
    effect = desk.receive(an_alert("t", victim, 12, SLOW.format(victim)))
    assert second.incident not in {each.incident for each in first}
    assert (effect.incident, effect.merges) == (second.incident, ())
