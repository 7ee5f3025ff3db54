"""Confidence from log-odds: it never passes what may be claimed, and says where its curves are from."""

import pytest
from tests.host.scenes import a_scene, change, healthy, origin, reason, seen

from midwatch.builtin.calibration import CALIBRATION, MOST, Curve
from midwatch.builtin.caps import highest
from midwatch.builtin.scene import Scene
from midwatch.builtin.weights import UNREFUTED, WITH_BLIND_SPOT
from midwatch.records import Limit
from midwatch_kit.records import ObservationKind, Signal

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


def lost(**told: str) -> Scene:
    """Return a scene in which only metrics say where requests fail: nothing decides."""
    symptom = seen("service:gateway", "error_rate", magnitude=31.0, baseline=0.0, unit="%", signal=Signal.METRICS)
    figures = {"magnitude": 4.0, "baseline": 0.0, "unit": "1/s"}
    begun = seen(
        "service:forge", "error_excess", ObservationKind.SPIKE, signal=Signal.METRICS, attributes=told, **figures
    )
    return a_scene(begun, symptoms=(symptom,))


def test_where_nothing_decides_and_nothing_is_missing_confidence_is_what_such_causes_were_worth() -> None:
    (cause,) = reason(lost()).conclusion.root_causes
    assert UNREFUTED < cause.confidence <= CALIBRATION.indecisive.highest
    assert cause.limited_by is None


def test_failures_that_may_be_those_of_anybody_who_is_asked_leave_a_cause_unrefuted() -> None:
    (cause,) = reason(lost(callees_unmeasured="true")).conclusion.root_causes
    assert cause.limited_by is Limit.CALLEES_UNMEASURED
    assert cause.confidence <= highest(Limit.CALLEES_UNMEASURED)


def test_traces_that_are_there_and_decide_nothing_leave_a_cause_unrefuted() -> None:
    (cause,) = reason(lost().having([healthy("service:schedule")])).conclusion.root_causes
    assert cause.limited_by is Limit.TRACES_UNDECIDED
    assert cause.confidence <= highest(Limit.TRACES_UNDECIDED)


def test_a_state_that_is_wrong_for_certain_is_no_less_wrong_where_metrics_cannot_be_read() -> None:
    told = {"signal": Signal.STATE, "attributes": {"cause": "change"}, "onset": None}
    wrong = seen("service:forge", "probe_port", ObservationKind.MISMATCH, **told)
    blind = frozenset({"metrics"})
    (cause,) = reason(a_scene(wrong, symptoms=(), blind=blind)).conclusion.root_causes
    assert cause.confidence > WITH_BLIND_SPOT
    (cause,) = reason(
        a_scene(change("service:forge", -20), origin("service:forge"), blind=blind)
    ).conclusion.root_causes
    assert cause.confidence <= WITH_BLIND_SPOT
