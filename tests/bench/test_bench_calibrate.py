"""Fitting confidence to how often it was right: on the fit half alone, and no surer than may be claimed."""

import json
from pathlib import Path

import pytest

from midwatch.builtin.calibration import CALIBRATION
from midwatch.records import Limit
from midwatch_bench.accuracy.calibrate import HIGHEST_INDECISIVE, Point, error, fit, points_in, report


def points(
    right: int,
    wrong: int,
    log_odds: float,
    *,
    decisive: bool = True,
    split: str = "fit",
    limit: Limit | None = None,
) -> list[Point]:
    told = [True] * right + [False] * wrong
    return [Point("a", split, log_odds, decisive, each, limit) for each in told]


def test_a_fitted_curve_says_how_often_it_was_right() -> None:
    calibration = fit([*points(70, 30, 6.0), *points(30, 70, 1.0)])
    assert calibration.decisive.confidence(6.0) == pytest.approx(0.7, abs=0.03)
    assert calibration.decisive.confidence(1.0) == pytest.approx(0.3, abs=0.03)


def test_fitting_lessens_the_error_where_the_reasoner_was_too_sure() -> None:
    named = points(60, 40, 6.0)
    assert error(named, fit(named)) < 0.05 < error(named, CALIBRATION)


def test_the_curve_without_decisive_evidence_is_another_one_and_has_a_bound() -> None:
    calibration = fit([*points(100, 0, 6.0, decisive=False), *points(50, 50, 6.0)])
    assert calibration.indecisive.confidence(6.0) == HIGHEST_INDECISIVE
    assert calibration.decisive.confidence(6.0) == pytest.approx(0.5, abs=0.05)


def test_a_limit_bounds_by_how_often_it_was_right_and_a_single_case_makes_nobody_sure() -> None:
    limited = points(7, 1, 6.0, limit=Limit.CALLEES_UNMEASURED) + points(1, 0, 6.0, limit=Limit.SYMPTOM_UNMEASURED)
    assert fit(limited).limits == {Limit.CALLEES_UNMEASURED: 0.8, Limit.SYMPTOM_UNMEASURED: 0.67}


def test_what_somebody_could_not_look_at_bounds_by_hand_whatever_was_right() -> None:
    assert fit(points(50, 0, 6.0, limit=Limit.CHANGES_UNKNOWN)).limits == {}


def test_limited_causes_do_not_bend_the_curves_of_the_others() -> None:
    free = points(70, 30, 6.0)
    both = [*free, *points(0, 100, 6.0, limit=Limit.TRACES_UNDECIDED)]
    assert fit(both).decisive == fit(free).decisive


def test_more_evidence_never_makes_a_curve_less_sure() -> None:
    assert fit([*points(0, 50, 6.0), *points(50, 0, 1.0)]).decisive.slope == 0


def test_a_handful_of_cases_moves_a_curve_little() -> None:
    curve = fit(points(1, 1, 4.0)).decisive
    assert 0.6 < curve.confidence(4.0) < 0.97


def test_the_score_half_is_reported_and_never_fitted() -> None:
    fitted = points(70, 30, 6.0)
    both = [*fitted, *points(0, 100, 6.0, split="score")]
    curves = [line for line in report(both) if line.startswith("decisive")]
    assert curves == [line for line in report(fitted) if line.startswith("decisive")]
    assert any(line.startswith("| a, score | 100 |") for line in report(both))


def test_only_causes_that_were_named_are_read(tmp_path: Path) -> None:
    named = {"split": "fit", "log_odds": 2.5, "outcome": "root_cause", "place": 1, "limited_by": "callees_unmeasured"}
    path = tmp_path / "shop.json"
    path.write_text(json.dumps([named, {**named, "log_odds": None, "outcome": "no_incident"}]), encoding="utf-8")
    assert points_in(path) == [Point("shop", "fit", 2.5, True, True, Limit.CALLEES_UNMEASURED)]
