"""Golden signals compared, without any server: counts of failures, directions, onsets, and next to no history."""

from collections.abc import Sequence

import numpy as np
import pytest

from midwatch_metrics.backend import Cells
from midwatch_metrics.density import width_that_fits
from midwatch_metrics.feelings import LEANS, MOVED, Felt, felt, finding_of
from midwatch_metrics.golden import Golden, Signal
from midwatch_metrics.timeline import SECOND, Timeline

STEP = 300


def compared(
    signal: Signal, before: Sequence[float], after: Sequence[float], *, requests: float = 450.0, every: int = 1
) -> Felt:
    """Return what became of points of so many requests each, one in `every` buckets; the window begins with `after`."""
    width = STEP * SECOND // every
    counts = [len(before) * every, len(after) * every]
    timeline = Timeline(width, 0, counts[0], counts[0] * width, sum(counts) * width, counts[1])
    values, paces = np.full(sum(counts), np.nan), np.full(sum(counts), np.nan)
    values[::every], paces[::every] = [*before, *after], requests / STEP
    (one,) = felt([Golden("shop", signal, "%", values, paces)], timeline)
    return one


def told(one: Felt) -> tuple[str, str]:
    """Return the kind of finding that a signal becomes, and its direction."""
    buckets = len(one.golden.values)
    found = finding_of(one, Timeline(STEP * SECOND, 0, 0, 0, buckets * STEP * SECOND, buckets), 0).finding
    return found.kind, found.direction


def failed(count: int, requests: float = 450.0) -> float:
    return 100 * count / requests


def test_three_failures_where_there_were_none_in_ten_thousand_requests_are_a_shift() -> None:
    assert compared(Signal.ERRORS, [0.0] * 25, [failed(3)]).score > MOVED


def test_three_failures_where_there_is_mostly_one_are_none() -> None:
    assert compared(Signal.ERRORS, [failed(1)] * 25, [failed(3)]).score < MOVED


def test_failures_count_by_all_the_requests_of_a_point_however_narrow_the_buckets_are() -> None:
    wide, narrow = (compared(Signal.ERRORS, [0.0] * 25, [failed(3)], every=every) for every in (1, 3))
    assert narrow.score == pytest.approx(wide.score)


def test_points_that_fail_now_and_then_are_usual_but_an_outage_is_not() -> None:
    now_and_then = [failed(1) if i % 12 == 0 else 0.0 for i in range(48)]
    outage = [failed(300) if i == 20 else 0.0 for i in range(48)]
    assert compared(Signal.ERRORS, now_and_then, [failed(2)]).usual == pytest.approx(failed(4) / 48)
    assert compared(Signal.ERRORS, outage, [failed(2)]).usual == 0


def test_what_moved_a_little_has_a_direction_and_an_onset_and_is_no_shift() -> None:
    one = compared(Signal.LATENCY, [100.0, 106.0, 94.0, 100.0, 98.0, 102.0] * 4, [100.0, 111.0])
    assert LEANS <= one.score < MOVED
    assert (told(one), one.onset) == (("normal", "up"), 25)


def test_what_hardly_moved_has_no_direction() -> None:
    assert told(compared(Signal.LATENCY, [100.0, 106.0, 94.0] * 8, [102.0])) == ("normal", "none")


def test_an_onset_is_where_the_points_since_are_least_like_those_before() -> None:
    assert compared(Signal.ERRORS, [0.0] * 25, [0.0, failed(2), failed(5)]).onset == 26


def test_failures_that_pause_for_a_point_still_began_where_they_began() -> None:
    assert compared(Signal.ERRORS, [0.0] * 25, [failed(6), 0.0, failed(5)]).onset == 25


def test_however_great_a_shift_is_its_onset_is_not_put_before_it() -> None:
    one = compared(Signal.ERRORS, [0.0] * 25, [0.0, 0.0, 0.0, 100.0, 100.0], requests=np.nan)  # nobody counted them
    assert (one.onset, one.score) == (28, 100.0)


def test_one_point_before_is_enough_to_count_failures() -> None:
    assert compared(Signal.ERRORS, [0.0], [failed(40)]).score > MOVED


def test_without_history_the_first_points_of_the_window_are_what_is_usual() -> None:
    one = compared(Signal.LATENCY, [], [100.0, 101.0, 180.0])
    assert (one.level, one.onset) == (180.0, 2)
    assert one.usual == pytest.approx(100.5)
    assert one.score > MOVED


def test_without_history_a_mean_of_few_requests_scatters_more_than_one_of_many() -> None:
    many, few = (compared(Signal.LATENCY, [100.0], [140.0], requests=count) for count in (900, 9))
    assert many.score == pytest.approx(40 / 5)  # a twentieth of the level at least
    assert few.score == pytest.approx(40 / (100 / 3))  # 1/sqrt(9) of the level


def test_without_history_twice_as_many_requests_are_no_surge() -> None:
    assert compared(Signal.REQUESTS, [1.5], [3.0]).score < MOVED


def test_a_single_point_is_compared_with_nothing() -> None:
    timeline = Timeline(STEP * SECOND, 0, 0, 0, STEP * SECOND, 1)
    assert felt([Golden("shop", Signal.LATENCY, "ms", np.array([1.0]), np.array([1.0]))], timeline) == []


def cells(*buckets: int) -> Cells:
    """Return the cells of one series with a point in each of these buckets."""
    nothing = np.zeros(len(buckets))
    whole = np.array(buckets, dtype=np.int64)
    return Cells(0 * whole, whole, nothing, nothing, nothing, nothing, nothing, whole, np.zeros((len(buckets), 0)))


def test_buckets_reach_back_to_the_whole_baseline_where_no_series_has_two_points_in_a_short_look() -> None:
    timeline = Timeline(SECOND, 0, 180, 180 * SECOND, 240 * SECOND, 60)
    back = 3600 * SECOND
    assert width_that_fits(cells(239), timeline, back) == 20 * SECOND
    assert width_that_fits(cells(39, 139, 239), timeline, back) == 100 * SECOND
    assert width_that_fits(cells(237, 238, 239), timeline, back) == SECOND
