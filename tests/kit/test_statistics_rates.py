"""Error shares, rates and latencies before and after: against exact tests, by hand, and over many edges."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midwatch_kit.statistics import compare_durations, compare_histograms, compare_rates, compare_shares


def mid_p(k0: int, n0: int, k1: int, n1: int) -> float:
    """The one-sided mid-p value of Fisher's exact test, summed term by term."""
    errors, total = k0 + k1, math.comb(n0 + n1, k0 + k1)
    terms = {
        k: math.comb(n1, k) * math.comb(n0, errors - k) / total for k in range(max(0, errors - n0), min(n1, errors) + 1)
    }
    return sum(p for k, p in terms.items() if k > k1) + terms[k1]


@pytest.mark.parametrize(
    ("k0", "n0", "k1", "n1"),
    [(0, 200, 3, 200), (0, 200, 7, 200), (1, 500, 9, 400), (5, 1000, 12, 300), (20, 400, 45, 400), (0, 3000, 4, 100)],
)
def test_the_score_follows_the_exact_test(k0: int, n0: int, k1: int, n1: int) -> None:
    exact = NormalDist().inv_cdf(1 - mid_p(k0, n0, k1, n1))
    assert compare_shares(k0, n0, k1, n1).score[0] == pytest.approx(exact, rel=0.12, abs=0.15)


def test_one_error_against_none_proves_nothing() -> None:
    assert compare_shares(0, 100, 1, 100).row(0).score == 0


def test_a_wave_of_errors_is_told_with_its_interval() -> None:
    share = compare_shares(3, 1000, 118, 380).row(0)
    assert share.difference == pytest.approx(118 / 380 - 0.003)
    assert share.lowest == pytest.approx(0.2625, abs=0.005)
    assert share.highest == pytest.approx(0.3555, abs=0.005)
    assert share.score > 15


def test_newcombes_own_example_comes_out_as_he_printed_it() -> None:
    share = compare_shares(48, 80, 56, 70).row(0)  # Newcombe 1998, table II, (a): 56/70 - 48/80, method 10
    assert share.lowest == pytest.approx(0.0524, abs=5e-5)
    assert share.highest == pytest.approx(0.3339, abs=5e-5)


def test_an_edge_without_requests_has_no_share_and_no_score() -> None:
    row = compare_shares([0, 1], [0, 10], [5, 1], [10, 10]).row(0)
    assert (row.baseline, row.difference, row.score, row.window) == (None, None, 0, 0.5)


def test_impossible_counts_are_named() -> None:
    with pytest.raises(ValueError, match=r"window: 4 errors of 3 requests \(element 1\)"):
        compare_shares([0, 0], [9, 9], [1, 4], [3, 3])


def test_noise_in_shares_reaches_four_in_under_one_edge_of_a_thousand() -> None:
    random = np.random.default_rng(1)
    n0, n1 = random.integers(10, 3000, 20_000), random.integers(10, 1000, 20_000)
    scores = compare_shares(random.binomial(n0, 0.02), n0, random.binomial(n1, 0.02), n1).score
    assert np.mean(np.abs(scores) > 4) < 0.001
    assert np.mean(np.abs(scores) > 1.96) < 0.06


@given(st.integers(0, 50), st.integers(1, 500), st.integers(0, 50), st.integers(1, 500))
def test_exchanging_the_sides_exchanges_the_sign(k0: int, rest0: int, k1: int, rest1: int) -> None:
    there = compare_shares(k0, k0 + rest0, k1, k1 + rest1).row(0)
    back = compare_shares(k1, k1 + rest1, k0, k0 + rest0).row(0)
    assert there.score == pytest.approx(-back.score)
    assert there.lowest is not None
    assert back.highest is not None
    assert there.lowest == pytest.approx(-back.highest)


def test_rates_weigh_the_length_of_both_spans() -> None:
    even, tripled, none = compare_rates([300, 100, 0], 300, [100, 100, 0], 100)
    assert (even, none) == (0, 0)
    assert tripled > 5


def test_rates_without_a_baseline_score_nothing() -> None:
    assert list(compare_rates([0, 4], 0, [10, 4], 60)) == [0, 0]


def test_durations_are_compared_edge_by_edge() -> None:
    random = np.random.default_rng(2)
    edges, each = 50, 200
    groups = np.repeat(np.arange(edges), each)
    before, after = (random.lognormal(3, 0.4, edges * each) for _ in range(2))
    after[groups == 17] *= 2
    tail = np.flatnonzero(groups == 31)[: each // 8]
    after[tail] *= 20  # one call of eight: p95 sees it, p50 doesn't
    order = random.permutation(len(groups))
    found = compare_durations(before, groups, after[order], groups[order], edges)
    assert found.row(17).ratio_p50 == pytest.approx(2, rel=0.2)
    assert set(np.flatnonzero(found.score_p50 > 5)) == {17}
    assert set(np.flatnonzero(found.score_p95 > 3.5)) == {17, 31}


def test_a_small_change_of_latency_never_scores_however_many_calls() -> None:
    random = np.random.default_rng(3)
    before, after = random.lognormal(3, 0.1, 200_000), 1.1 * random.lognormal(3, 0.1, 200_000)
    zeros = np.zeros(200_000)
    assert compare_durations(before, zeros, after, zeros, 1).row(0).score_p95 < 3


def test_four_calls_are_too_few_to_say_anything() -> None:
    row = compare_durations([1, 1, 1, 1], [0, 0, 0, 0], [90, 90, 90, 90], [0, 0, 0, 0], 2).row(0)
    assert (row.window_p50, row.score_p50, row.score_p95) == (90, 0, 0)


def test_an_edge_that_was_never_called_has_no_figures() -> None:
    assert compare_durations([], [], [], [], 1).row(0).baseline_p50 is None


def test_histograms_say_what_their_durations_would() -> None:
    random = np.random.default_rng(4)
    bounds = np.geomspace(1, 1000, 40)
    before, after = random.lognormal(3, 0.5, 5000), random.lognormal(3.7, 0.5, 5000)
    counts = [np.histogram(v, np.concatenate([[0], bounds, [np.inf]]))[0] for v in (before, after)]
    zeros = np.zeros(5000)
    raw, binned = compare_durations(before, zeros, after, zeros, 1).row(0), compare_histograms(bounds, *counts).row(0)
    assert binned.window_p95 == pytest.approx(raw.window_p95, rel=0.1)
    assert binned.ratio_p50 == pytest.approx(raw.ratio_p50, rel=0.1)
    assert binned.score_p50 > 5


def test_histograms_whose_bounds_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="2 bounds need 3 counts in each row, not 3 and 4"):
        compare_histograms([1.0, 2.0], [[1, 2, 3]], [[1, 2, 3, 4]])


def test_a_quantile_above_all_bounds_reads_as_the_highest() -> None:
    row = compare_histograms([10.0], [[0, 8]], [[8, 0]]).row(0)
    assert row.baseline_p95 == 10
    assert row.window_p95 is not None
    assert row.window_p95 < 10
