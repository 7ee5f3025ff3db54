"""What holds for correlation whatever comes: order where things are clear, repeats, and how much is remembered."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.correlation.stage import NOW, Desk, an_alert

TROUBLES = (("db", 0.0), ("stock", 0.3), ("prices", 0.4), ("cart", 0.6), ("cms", 0.1), ("blog", 0.5), ("mail", 0.2))
CLEAR = [an_alert(f"{service}-{n}", service, minute + n / 10) for service, minute in TROUBLES for n in range(2)]
OUTAGES = {("db", "stock", "prices", "cart"), ("cms", "blog"), ("mail",)}


@given(st.permutations(CLEAR))
@settings(max_examples=40, deadline=None)
def test_outages_that_are_clear_come_out_the_same_in_whatever_order_their_alerts_come(alerts: list[object]) -> None:
    desk = Desk()
    for alert in alerts:
        desk.receive(alert, 2)  # type: ignore[arg-type]
    found = {tuple(sorted({name.partition("-")[0] for name in each})) for each in desk.together()}
    assert found == {tuple(sorted(outage)) for outage in OUTAGES}


@given(st.permutations(CLEAR), st.lists(st.sampled_from(CLEAR), max_size=20))
@settings(max_examples=30, deadline=None)
def test_what_is_sent_again_changes_nothing(alerts: list[object], again: list[object]) -> None:
    once, often = Desk(), Desk()
    for number, alert in enumerate(alerts):
        once.receive(alert, 2)  # type: ignore[arg-type]
        often.receive(alert, 2)  # type: ignore[arg-type]
        for other in again[: number % 4]:
            if other in alerts[: number + 1]:
                assert often.receive(other, 3).verb == "repeat"  # type: ignore[arg-type]
    assert often.together() == once.together()


@given(st.lists(st.tuples(st.sampled_from(["web", "cart", "db", "mail"]), st.integers(0, 400), st.booleans())))
@settings(max_examples=60, deadline=None)
def test_nothing_that_comes_in_whatever_order_is_without_a_decision(story: list[tuple[str, int, bool]]) -> None:
    desk = Desk()
    for service, minute, over in story:
        decision = desk.receive(an_alert(service, service, minute), minute, over=over)
        assert decision.why
        assert decision.incident or decision.verb in ("skipped", "resolves", "repeat")


def test_what_was_not_heard_of_for_long_is_forgotten_and_no_more_is_held_than_is_allowed() -> None:
    desk = Desk()
    for n in range(300):
        desk.receive(an_alert(f"a{n}", "web", n))
        desk.ongoing.forget(NOW + timedelta(minutes=n - 60), most=1000)
        assert len(desk.ongoing.known) <= 61
    desk.ongoing.forget(NOW, most=10)
    assert len(desk.ongoing.known) <= 10
    desk.ongoing.forget(NOW + timedelta(days=1), most=10)
    assert (desk.ongoing.known, desk.ongoing.outages, desk.ongoing.linked) == ({}, {}, {})
