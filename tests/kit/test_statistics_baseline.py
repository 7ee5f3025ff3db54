"""The comparison of a window with a baseline: known cases by hand, and what must hold for any numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from midwatch_kit.statistics import State, compare

NAN = math.nan
TABLES = arrays(np.float64, (4, 12), elements=st.floats(-1e6, 1e6, width=32) | st.just(NAN))


def test_a_level_that_doubles_is_told_with_its_figures() -> None:
    level = compare([[9, 10, 11, 10, 9, 11, 10]], [[20, 21, 19, 20, 22]]).row(0)
    assert (level.baseline, level.window, level.direction) == (10, 20, 1)
    assert level.ratio == pytest.approx(2.0, abs=0.15)
    assert level.score > 5


def test_the_score_is_the_modified_z_score_of_iglewicz_and_hoaglin() -> None:
    baseline = [float(v) for v in range(1, 22)]  # median 11, MAD 5, at 21 points Croux & Rousseeuw's factor is 21/20.2
    level = compare([baseline], [[41.0] * 3], sustained=1.0).row(0)
    assert level.spread == pytest.approx(1.4826 * 5 * 21 / 20.2)
    assert level.usual is not None
    assert level.spread is not None
    assert level.score == pytest.approx((41.0 - level.usual) / level.spread)


def test_a_fault_in_the_last_fifth_of_the_window_is_seen_though_the_median_stays() -> None:
    window = [10.0, 11.0, 9.0, 10.0] * 6 + [30.0] * 6
    level = compare([[10.0, 11.0, 9.0, 10.0] * 10], [window]).row(0)
    assert level.window == pytest.approx(10.5, abs=0.5)
    assert level.sustained == 30
    assert level.score > 5


def test_one_odd_bucket_is_no_shift() -> None:
    noise = np.random.default_rng(1).normal(100, 5, (1, 60))
    window = np.random.default_rng(2).normal(100, 5, (1, 30))
    window[0, 17] = 5000.0
    assert abs(compare(noise, window).row(0).score) < 2


def test_a_series_with_habitual_bursts_is_normal_when_it_bursts() -> None:
    burst = [1.0, 1.0, 1.0, 50.0]
    assert abs(compare([burst * 15], [burst * 8]).row(0).score) < 1


def test_a_constant_baseline_has_a_spread_of_a_twentieth_of_its_level() -> None:
    level = compare([[200.0] * 10], [[230.0] * 5]).row(0)
    assert (level.spread, level.score) == (10.0, 3.0)


def test_an_all_zero_baseline_that_comes_alive_scores_the_limit_and_has_no_ratio() -> None:
    level = compare([[0.0] * 10], [[4.0] * 5]).row(0)
    assert (level.score, level.ratio, level.difference) == (100.0, None, 4.0)


def test_a_few_events_against_none_are_within_what_counts_do() -> None:
    assert compare([[0] * 60], [[0, 0, 1, 0, 1, 1, 0, 1]], counts=True).row(0).score <= 1


def test_missing_sides_are_said_rather_than_scored() -> None:
    empty, full = [NAN] * 5, [1.0, 2.0, 3.0, 2.0, 1.0]
    compared = compare([empty, full, empty, full], [full, empty, empty, full])
    assert list(compared.state) == [State.APPEARED, State.VANISHED, State.EMPTY, State.COMPARED]
    assert list(compared.score[:3]) == [0, 0, 0]
    assert compared.row(1).window is None


def test_infinities_count_as_missing() -> None:
    level = compare([[1.0, math.inf, 1.0, 1.0]], [[1.0, -math.inf, 1.0]]).row(0)
    assert (level.baseline_buckets, level.window_buckets, level.score) == (3, 2, 0)


def test_different_numbers_of_series_are_refused() -> None:
    with pytest.raises(ValueError, match="2 series and window 1"):
        compare([[1.0], [2.0]], [[1.0]])


def test_noise_scores_above_five_in_under_one_series_of_a_hundred() -> None:
    random = np.random.default_rng(20)
    for sample in (random.normal(50, 4, (2000, 90)), random.poisson(6, (2000, 90)), random.gamma(4, 2, (2000, 90))):
        scores = compare(sample[:, :60], sample[:, 60:]).score
        assert np.mean(np.abs(scores) > 5) < 0.01


@given(TABLES, TABLES)
def test_any_numbers_give_a_bounded_score_and_figures_or_none(baseline: np.ndarray, window: np.ndarray) -> None:
    compared = compare(baseline, window)
    assert np.all(np.abs(compared.score) <= 100)
    for i in range(len(compared)):
        level = compared.row(i)
        known = (level.state == State.COMPARED) == (level.difference is not None)
        assert known
        assert level.baseline is None or math.isfinite(level.baseline)


@given(TABLES, TABLES, st.permutations(range(4)))
def test_series_do_not_touch_each_other(baseline: np.ndarray, window: np.ndarray, order: list[int]) -> None:
    straight, shuffled = compare(baseline, window), compare(baseline[order], window[order])
    np.testing.assert_array_equal(straight.score[order], shuffled.score)


@given(arrays(np.float64, (1, 9), elements=st.integers(-1000, 1000)), st.integers(-10_000, 10_000))
def test_moving_both_sides_alike_changes_no_score(values: np.ndarray, offset: int) -> None:
    baseline, window = values[:, :6], values[:, 6:]
    plain = compare(baseline, window, relative_floor=0, absolute_floor=1)
    moved = compare(baseline + offset, window + offset, relative_floor=0, absolute_floor=1)
    np.testing.assert_allclose(plain.score, moved.score, atol=1e-9)


@given(arrays(np.float64, (1, 9), elements=st.integers(-1000, 1000)))
def test_turning_both_sides_over_turns_the_score_over(values: np.ndarray) -> None:
    up = compare(values[:, :5], values[:, 5:])
    down = compare(-values[:, :5], -values[:, 5:])
    np.testing.assert_allclose(np.abs(up.score), np.abs(down.score), atol=1e-9)
