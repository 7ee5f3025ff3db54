"""Whose clock is off, from calls and the spans that served them."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from midwatch_traces.clocks import NOTICEABLE_NS, Apart, skews

SECOND = 10**9
MANY = 50


def chain(*clocks: int) -> list[Apart]:
    """Return a chain of services, each calling the next, with their clocks in seconds."""
    pairs = itertools.pairwise(clocks)
    return [Apart(f"s{n}", f"s{n + 1}", (b - a) * SECOND, MANY) for n, (a, b) in enumerate(pairs)]


def test_clocks_that_agree_to_a_second_are_left_alone() -> None:
    assert skews([Apart("web", "cart", 5_000_000, MANY), Apart("cart", "stock", -NOTICEABLE_NS, MANY)]) == {}


def test_the_clock_that_differs_from_most_is_off_wherever_it_stands() -> None:
    assert skews(chain(120, 0, 0)) == {"s0": 120 * SECOND}
    assert skews(chain(0, 0, -90)) == {"s2": -90 * SECOND}


def test_where_no_two_agree_the_clock_where_requests_come_in_is_taken_for_right() -> None:
    assert skews(chain(0, 180, -120)) == {"s1": 180 * SECOND, "s2": -120 * SECOND}


def test_a_few_calls_say_nothing_of_a_clock() -> None:
    assert skews([Apart("web", "cart", 60 * SECOND, 2)]) == {}


def test_services_that_no_call_ties_are_compared_among_themselves() -> None:
    assert skews([*chain(0, 0, 60), Apart("mill", "yard", 0, MANY)]) == {"s2": 60 * SECOND}


@given(st.lists(st.integers(-600, 600), min_size=1, max_size=5), st.integers(-600, 600))
def test_moving_every_clock_alike_changes_nothing(clocks: list[int], by: int) -> None:
    assert skews(chain(*clocks)) == skews(chain(*(clock + by for clock in clocks)))


@given(st.lists(st.integers(-600, 600), min_size=2, max_size=6))
def test_corrected_clocks_agree_on_what_is_not_off(clocks: list[int]) -> None:
    off = skews(chain(*clocks))
    left = {clock * SECOND - off.get(f"s{n}", 0) for n, clock in enumerate(clocks)}
    assert max(left) - min(left) <= 2 * NOTICEABLE_NS
