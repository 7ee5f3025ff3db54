"""The waves of a symptom from its figures slice by slice, and the calm before one of them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midwatch.builtin.waves import Slice, baseline_before, share_score, waves
from midwatch_kit.records import Window
from midwatch_kit.statistics import compare_shares

START = datetime(2026, 11, 20, 13, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ALL = ("error_rate", "latency_p95", "request_rate")


def minutes(first: float, end: float) -> Window:
    return Window(start=START + first * MINUTE, end=START + end * MINUTE)


def failing(*percents: float | None, requests: float = 200) -> list[Slice]:
    """Return a slice a minute in which so many percent of the requests fail; None where nobody was asked."""
    return [
        Slice(minutes(n, n + 1), 0 if share is None else requests, 0 if share is None else requests * share / 100)
        for n, share in enumerate(percents)
    ]


def slow(*milliseconds: float) -> list[Slice]:
    return [Slice(minutes(n, n + 1), levels={"latency_p95": ms}) for n, ms in enumerate(milliseconds)]


@pytest.mark.parametrize(
    ("slices", "found"),
    [
        pytest.param(failing(0, 1, 0, 0, 30, 40, 0, 1, 0, 50, 50, 0), [(4, 6), (9, 11)], id="two"),
        pytest.param(failing(0, 0, 0, 0, 0, 0, 80, 0, 0, 0, 15, 15), [(6, 7), (10, 12)], id="of which one is milder"),
        pytest.param(failing(0, 0, 0, 0, 0, 40, 25, 40, 0, 0), [(5, 8)], id="one that wavers is one"),
        pytest.param(failing(0, 0, 0, 0, 0, 40, None, 40, 0, 0), [(5, 8)], id="no requests are no recovery"),
        pytest.param(failing(5, 6, 5, 5, 6, 5, 5, 6), [], id="what always fails is usual"),
        pytest.param(failing(0, 0, 0, 0, 0, 9, 0, 0, requests=10), [], id="one of ten requests may fail by chance"),
        pytest.param(slow(80, 90, 85, 80, 900, 950, 85, 80, 90, 700), [(4, 6), (9, 10)], id="by latency"),
        pytest.param(slow(80, 90, 85, 80, 110, 110, 85, 80, 90, 85), [], id="a little slower is no wave"),
        pytest.param([], [], id="nothing was measured"),
    ],
)
def test_bad_stretches_with_a_recovery_between_them_are_waves(
    slices: list[Slice], found: list[tuple[float, float]]
) -> None:
    assert waves(slices, ALL) == tuple(minutes(*wave) for wave in found)


def test_how_many_ask_makes_waves_only_where_nothing_else_is_watched() -> None:
    asked = [Slice(minutes(n, n + 1), levels={"request_rate": r}) for n, r in enumerate((9, 10, 9, 30, 9, 10, 2, 9))]
    assert waves(asked, ("request_rate",)) == (minutes(3, 4), minutes(6, 7))
    assert waves(asked, ALL) == ()


@pytest.mark.parametrize(
    ("window", "bad", "baseline"),
    [
        pytest.param((30, 40), [], (0, 30), id="all that is before it"),
        pytest.param((30, 40), [(10, 14)], (14, 30), id="what is calm since the wave before"),
        pytest.param((30, 40), [(26, 28)], (0, 25), id="longer calm before that wave, where little is between them"),
        pytest.param((30, 40), [(3, 12), (14, 28)], (28, 30), id="the longest there is, where none is long"),
        pytest.param((0, 10), [], (-30, 0), id="what lies before all that was searched"),
    ],
)
def test_a_baseline_is_calm_and_holds_no_part_of_another_wave(
    window: tuple[float, float], bad: list[tuple[float, float]], baseline: tuple[float, float]
) -> None:
    others = [minutes(*wave) for wave in bad]
    assert baseline_before(minutes(*window), others, minutes(0, 60), MINUTE) == minutes(*baseline)


@given(st.integers(1, 500), st.integers(1, 500), st.data())
def test_the_score_is_that_of_the_surveys(before: int, after: int, data: st.DataObject) -> None:
    errors, more = data.draw(st.integers(0, before)), data.draw(st.integers(0, after))
    expected = compare_shares([errors], [before], [more], [after]).score[0]
    assert min(100, max(-100, share_score(errors, before, more, after))) == pytest.approx(expected, abs=1e-9)
