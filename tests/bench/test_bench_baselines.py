"""The simple published methods, on series whose answer can be seen."""

from datetime import UTC, datetime

import numpy as np
import pytest

from midwatch_bench.accuracy.baselines import (
    Series,
    by_score,
    ranked_correlation,
    robust_score,
    standard_score,
    traversal,
)

MOMENT = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)
CALM = (1.0, 1.1, 0.9, 1.0, 1.1, 0.9)


def series(service: str, *since: float) -> Series:
    """Six calm values, one a second, and the given ones from the moment on."""
    values = np.array([*CALM, *since])
    times = np.arange(len(values), dtype=np.float64) + MOMENT.timestamp() - len(CALM)
    return Series(service, times, values)


SHOP = [series("web", 2.0, 2.2, 1.8), series("cart", 3.0, 3.3, 2.7), series("side", 1.0, 1.05, 1.0)]
CALLS = (("web", "cart"), ("web", "side"), ("side", "cart"))


def test_scores_are_of_the_worst_later_value_by_the_spread_of_the_earlier_ones() -> None:
    before, since = np.array([0.0, 1.0, 2.0, 3.0, 4.0]), np.array([2.0, 6.0])
    assert standard_score(before, since) == pytest.approx(4 / np.std(before))
    assert robust_score(before, since) == pytest.approx(4 / 2)


def test_a_series_without_spread_is_scored_in_its_own_unit() -> None:
    assert robust_score(np.ones(4), np.array([3.0])) == 2
    assert standard_score(np.ones(4), np.array([3.0])) == 2


def test_services_are_ranked_by_their_worst_series() -> None:
    assert by_score(SHOP, MOMENT, robust_score) == ["cart", "web", "side"]


def test_traversal_goes_over_anomalous_services_to_those_without_an_anomalous_callee() -> None:
    assert traversal(SHOP, MOMENT, "web", CALLS) == ["cart", "web"]


def test_correlation_ranks_anomalous_services_alone() -> None:
    assert ranked_correlation(SHOP, MOMENT, "web") == ["cart", "web"]
