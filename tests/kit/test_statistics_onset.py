"""Onsets: known cases by hand, how often noise is called a change, how often a change is found and where."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from midwatch_kit.statistics import Shift, level_shifts, share_shifts

SECOND = 1_000_000_000
BUCKETS = 60
STARTS = np.arange(BUCKETS, dtype=np.int64) * SECOND + 1_700_000_000 * SECOND


def second(moment: int) -> float:
    return (moment - int(STARTS[0])) / SECOND


def found(shifts: list[Shift | None]) -> list[Shift]:
    return [shift for shift in shifts if shift is not None]


def noise(seed: int, rows: int = 1, buckets: int = BUCKETS) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 5, (rows, buckets))


def test_a_lasting_step_is_dated_to_its_bucket_and_has_no_end() -> None:
    series = noise(1)
    series[:, 40:] += 40
    (shift,) = found(level_shifts(series, STARTS, SECOND))
    assert (second(shift.onset), shift.end) == (40, None)
    assert second(shift.earliest) >= 38
    assert second(shift.latest) <= 42
    assert shift.before == pytest.approx(100, abs=3)
    assert shift.after == pytest.approx(140, abs=3)
    assert shift.ratio == pytest.approx(1.4, abs=0.05)


def test_a_shift_of_a_series_far_steadier_than_the_floor_is_found() -> None:
    series = np.random.default_rng(12).normal(80e6, 1e5, (1, BUCKETS))
    series[:, 50:] *= 3
    (shift,) = found(level_shifts(series, STARTS, SECOND))
    assert (second(shift.onset), shift.end) == (50, None)


def test_a_steady_series_that_moves_less_than_the_floor_did_not_move() -> None:
    series = np.full((1, BUCKETS), 100.0)
    series[:, 50:] = 100.5
    assert level_shifts(series, STARTS, SECOND) == [None]


def test_a_fall_has_a_negative_score() -> None:
    series = noise(2)
    series[:, 30:] -= 30
    (shift,) = found(level_shifts(series, STARTS, SECOND))
    assert shift.score < -5


def test_a_spike_that_ended_tells_when() -> None:
    series = noise(3)
    series[:, 30:36] += 60
    (shift,) = found(level_shifts(series, STARTS, SECOND))
    assert shift.end is not None
    assert (second(shift.onset), second(shift.end)) == (30, 36)


def test_a_single_wild_bucket_does_not_move_the_onset_of_a_shift() -> None:
    series = noise(4)
    series[:, 45:] += 30
    series[:, 10] = 1e9
    (shift,) = found(level_shifts(series, STARTS, SECOND))
    assert second(shift.onset) == 45


def test_gaps_shift_no_times() -> None:
    series = noise(5)
    series[:, 40:] += 40
    series[:, 5:15] = math.nan
    series[:, 50] = math.inf
    (shift,) = found(level_shifts(series, STARTS, SECOND))
    assert second(shift.onset) == 40


def test_an_onset_after_a_gap_may_lie_anywhere_in_the_gap() -> None:
    series = noise(6)
    series[:, 40:] += 40
    series[:, 30:40] = math.nan
    (shift,) = found(level_shifts(series, STARTS, SECOND))
    assert (second(shift.earliest), second(shift.onset)) == (29, 40)


def test_errors_that_begin_after_none_are_dated() -> None:
    totals = np.full((1, BUCKETS), 12)
    errors = np.zeros((1, BUCKETS))
    errors[:, 48:] = 4
    (shift,) = found(share_shifts(errors, totals, STARTS, SECOND))
    assert (second(shift.onset), shift.before) == (48, 0)
    assert shift.after == pytest.approx(1 / 3)
    assert shift.ratio is None


def test_more_requests_with_the_same_share_of_errors_are_no_shift() -> None:
    random = np.random.default_rng(7)
    totals = np.concatenate([random.poisson(50, (200, 30)), random.poisson(500, (200, 30))], axis=1)
    assert len(found(share_shifts(random.binomial(totals, 0.02), totals, STARTS, SECOND))) <= 2


def test_buckets_without_requests_are_missing_rather_than_healthy() -> None:
    totals = np.full((1, BUCKETS), 10)
    totals[:, ::2] = 0
    errors = np.where(totals > 0, 0, 0)
    errors[:, 41::2] = 5
    (shift,) = found(share_shifts(errors, totals, STARTS, SECOND))
    assert (second(shift.onset), second(shift.earliest), shift.end) == (41, 39, None)


def test_starts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="60 buckets need 60 starts, not 3"):
        level_shifts(noise(8), [1, 2, 3], SECOND)


def test_noise_is_called_a_change_in_under_one_series_of_a_hundred() -> None:
    random = np.random.default_rng(9)
    rows = 1000
    totals = random.poisson(40, (rows, BUCKETS))
    calls = {
        "gaussian": level_shifts(random.normal(10, 1, (rows, BUCKETS)), STARTS, SECOND),
        "short": level_shifts(random.normal(10, 1, (rows, 10)), STARTS[:10], SECOND),
        "counts": level_shifts(random.poisson(3, (rows, BUCKETS)), STARTS, SECOND, counts=True),
        "sparse": level_shifts(random.poisson(0.1, (rows, BUCKETS)), STARTS, SECOND, counts=True),
        "rare errors": share_shifts(random.binomial(totals, 0.002), totals, STARTS, SECOND),
        "errors": share_shifts(random.binomial(totals, 0.1), totals, STARTS, SECOND),
    }
    false_alarms = {name: len(found(shifts)) / rows for name, shifts in calls.items()}
    assert max(false_alarms.values()) < 0.01, false_alarms


def test_wandering_series_are_seldom_called_a_change() -> None:
    random = np.random.default_rng(10)
    walk = np.zeros((500, BUCKETS + 50))
    for i in range(1, walk.shape[1]):
        walk[:, i] = 0.5 * walk[:, i - 1] + random.normal(size=500)
    assert len(found(level_shifts(walk[:, 50:], STARTS, SECOND))) / 500 < 0.05


@pytest.mark.parametrize(("size", "buckets", "least"), [(2.0, 20, 0.95), (3.0, 12, 0.98), (6.0, 6, 0.98)])
def test_shifts_are_found_and_their_interval_holds_the_true_onset(size: float, buckets: int, least: float) -> None:
    random = np.random.default_rng(11)
    series = random.normal(10, 1, (300, BUCKETS))
    into = random.random(300)  # the change comes that far into its bucket
    series[:, -buckets:] += size
    series[:, -buckets] -= size * into
    true = STARTS[-buckets] + into * SECOND
    shifts = level_shifts(series, STARTS, SECOND)
    dated = [(shift, moment) for shift, moment in zip(shifts, true, strict=True) if shift]
    assert len(dated) / 300 >= least
    assert np.mean([shift.earliest <= moment <= shift.latest for shift, moment in dated]) >= 0.95
    assert np.median([abs(shift.onset - moment) / SECOND for shift, moment in dated]) <= 1


SERIES = arrays(np.float64, 24, elements=st.floats(0, 1e4, width=16) | st.just(math.nan))


@given(st.floats(-1e12, 1e12), st.integers(1, 80))
def test_a_constant_never_changes(value: float, buckets: int) -> None:
    starts = np.arange(buckets) * SECOND
    assert level_shifts([[value] * buckets], starts, SECOND) == [None]
    assert share_shifts([[0] * buckets], [[7] * buckets], starts, SECOND) == [None]


@given(SERIES)
@settings(max_examples=60)
def test_any_numbers_give_times_within_the_series_in_order(values: np.ndarray) -> None:
    starts = np.arange(24) * SECOND
    counted = np.nan_to_num(values)
    for shift in (
        *level_shifts(values, starts, SECOND),
        *level_shifts(values, starts, SECOND, counts=True),
        *share_shifts(np.floor(counted / 2), np.ceil(counted), starts, SECOND),
    ):
        if shift is not None:
            assert 0 <= shift.earliest <= shift.onset <= shift.latest <= 24 * SECOND
            assert shift.end is None or shift.onset < shift.end <= 23 * SECOND
            assert math.isfinite(shift.score)


@given(SERIES, st.integers(0, 10**9))
@settings(max_examples=40)
def test_time_itself_does_not_matter(values: np.ndarray, later: int) -> None:
    starts = np.arange(24) * SECOND
    (shift,), (moved,) = level_shifts(values, starts, SECOND), level_shifts(values, starts + later, SECOND)
    assert (shift is None) == (moved is None)
    if shift and moved:
        assert (moved.onset - shift.onset, moved.score) == (later, shift.score)
