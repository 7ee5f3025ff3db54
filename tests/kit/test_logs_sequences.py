"""What a survey of logs makes of which line follows which: behaviour, given that a service was asked."""

from collections.abc import Iterable

from midwatch_kit.logs.backend import Buckets, StepRow
from midwatch_kit.logs.sequences import turns

SECOND = 10**9
BUCKETS = Buckets(width=SECOND, baseline_start=0, before=40, window_start=40 * SECOND, after=20)


def steps(after: str, then: str, seconds: Iterable[int], *, service: str = "cart", bad: bool = False) -> list[StepRow]:
    return [StepRow(service, after, then, bad, second, 1_000_000) for second in seconds]


def test_a_step_that_always_came_and_no_longer_does_is_a_turn_since_then() -> None:
    (turn,) = turns([*steps("load", "loaded", range(45)), *steps("load", "", range(45, 60))], BUCKETS)
    assert (turn.service, turn.after, turn.onset, turn.earliest) == ("cart", "load", 45 * SECOND, 44 * SECOND)
    assert {turn.traces, turn.taken} <= {(45.0, 15.0), (45.0, 0.0), (0.0, 15.0)}
    assert abs(turn.score) > 6


def test_a_turn_is_found_even_where_it_came_before_the_window() -> None:
    (turn,) = turns([*steps("load", "loaded", range(20)), *steps("load", "", range(20, 60))], BUCKETS)
    assert turn.onset == 20 * SECOND


def test_more_or_fewer_requests_are_no_turn() -> None:
    few, many = range(0, 40, 8), [second for second in range(40, 60) for _ in range(20)]
    assert turns([*steps("load", "loaded", few), *steps("load", "loaded", many)], BUCKETS) == []


def test_another_mixture_of_what_is_asked_is_no_turn() -> None:
    slow = range(5, 40, 10)
    fast = [second for second in range(40) if second not in slow]
    before = [*steps("ask", "fast train", fast), *steps("ask", "slow train", slow)]
    now = [*steps("ask", "fast train", range(40, 60, 2)), *steps("ask", "slow train", range(41, 60, 2))]
    assert turns([*before, *now], BUCKETS) == []


def test_errors_that_are_over_are_no_turn_and_neither_is_what_takes_their_place() -> None:
    failing = steps("save", "failed", range(40), bad=True)
    assert turns([*failing, *steps("save", "saved", range(40, 60))], BUCKETS) == []


def test_errors_that_begin_are_a_turn_and_say_so() -> None:
    (turn,) = turns(
        [*steps("save", "saved", range(45)), *steps("save", "failed", range(45, 60), bad=True)],
        BUCKETS,
    )
    assert (turn.then, turn.bad) in {("failed", True), ("saved", False)}
    assert turn.onset == 45 * SECOND


def test_too_few_traces_tell_nothing() -> None:
    assert turns([*steps("load", "loaded", range(2)), *steps("load", "", range(40, 42))], BUCKETS) == []


def test_of_each_service_the_clearest_turn_is_told_and_of_all_the_clearest_first() -> None:
    weak = [*steps("a", "b", range(8)), *steps("a", "", range(52, 60))]
    clear = [*steps("c", "d", range(45)), *steps("c", "", range(45, 60))]
    bot = [StepRow("bot", *row_of(row)) for row in weak]
    found = turns([*weak, *clear, *bot], BUCKETS)
    assert [(turn.service, turn.after) for turn in found] == [("cart", "c"), ("bot", "a")]


def row_of(row: StepRow) -> tuple[str, str, bool, int, int]:
    return row.after, row.then, row.bad, row.bucket, row.millionths


def test_lines_that_differ_in_names_alone_are_one_template() -> None:
    names = ["ann", "ben", "cat", "dan", "eve", "fay", "gil", "hal"]
    before = [row for i, n in enumerate(names * 5) for row in steps("find", f"found the user {n} today", [i])]
    now = [row for i, n in enumerate(names * 2) for row in steps("find", "", [40 + i])]
    (turn,) = turns([*before, *now], BUCKETS)
    assert turn.then in ("found the user <*> today", "")
