"""Confidence from log-odds: it never passes what may be claimed, and says where its curves are from."""

import pytest

from midwatch.builtin.calibration import CALIBRATION, MOST, Curve

EVEN = Curve(slope=1.0, intercept=0.0, highest=0.97)


@pytest.mark.parametrize(("log_odds", "confidence"), [(0.0, 0.5), (1.0986, 0.75), (-1.0986, 0.25)])
def test_a_slope_of_one_takes_log_odds_for_what_they_are(log_odds: float, confidence: float) -> None:
    assert EVEN.confidence(log_odds) == pytest.approx(confidence, abs=1e-4)


def test_nothing_is_surer_than_the_highest() -> None:
    assert EVEN.confidence(50.0) == 0.97


def test_log_odds_beyond_what_probabilities_can_tell_tell_no_more() -> None:
    steep = Curve(slope=0.1, intercept=0.0, highest=0.99)
    assert steep.confidence(1000.0) == steep.confidence(MOST) < 0.99


def test_without_decisive_evidence_less_may_be_claimed_and_the_curves_say_where_they_are_from() -> None:
    assert CALIBRATION.indecisive.highest < CALIBRATION.decisive.highest
    assert CALIBRATION.provenance
