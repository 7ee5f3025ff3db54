"""What keeps the reasoner from being sure: signals that contradict each other, and trouble that was there all along."""

import pytest
from tests.host.scenes import a_scene, reason, seen

from midwatch.builtin.contradictions import contradictions
from midwatch.records import Outcome
from midwatch_kit.records import ObservationKind, Signal


def test_who_fails_as_many_requests_as_before_is_in_progress_and_not_well() -> None:
    unwell = seen(
        "service:gateway", "request_rate", ObservationKind.NORMAL, attributes={"requests": "380", "errors": "38"}
    )
    judged = reason(a_scene(unwell, symptoms=(unwell,)))
    assert judged.conclusion.outcome is Outcome.INCONCLUSIVE
    assert "it was as unwell before" in judged.conclusion.next_checks[0].why


def test_signals_that_contradict_each_other_on_failures_are_told() -> None:
    traces = seen("service:forge", "error_rate", magnitude=31.0, unit="%")
    metrics = seen(
        "service:forge", "error_rate", ObservationKind.NORMAL, signal=Signal.METRICS, magnitude=0.2, unit="%"
    )
    (gap,) = contradictions([traces, metrics])
    assert (gap.what, gap.why) == (
        "error rate of forge",
        "signals contradict each other: by metrics 0.2%, by traces 31.0%",
    )


@pytest.mark.parametrize(
    ("percent", "figures"),
    [
        pytest.param(16.0, {}, id="about as many"),
        pytest.param(0.2, {"attributes": {"operation": "GET /"}}, id="of a part of it only"),
        pytest.param(0.2, {"entity": "service:bot"}, id="of another"),
        pytest.param(0.2, {"signal": Signal.TRACES}, id="by the same signal"),
    ],
)
def test_figures_that_agree_or_differ_in_what_they_are_of_are_no_contradiction(
    percent: float, figures: dict[str, object]
) -> None:
    one = seen("service:forge", "error_rate", magnitude=31.0, unit="%")
    told = {"entity": "service:forge", "signal": Signal.METRICS, "magnitude": percent, "unit": "%", **figures}
    other = seen(str(told.pop("entity")), "error_rate", ObservationKind.NORMAL, **told)
    assert contradictions([one, other]) == []


@pytest.mark.parametrize(
    ("kind", "figures"),
    [
        pytest.param(ObservationKind.SPIKE, {}, id="both say that it rose, over other times"),
        pytest.param(ObservationKind.NORMAL, {"requests": "4"}, id="one has counted too few to have met a failure"),
    ],
)
def test_counts_of_another_time_or_of_hardly_any_requests_are_no_contradiction(
    kind: ObservationKind, figures: dict[str, str]
) -> None:
    traces = seen("service:forge", "error_rate", magnitude=17.7, unit="%")
    told = {"signal": Signal.METRICS, "magnitude": 4.7, "unit": "%", "attributes": figures}
    assert contradictions([traces, seen("service:forge", "error_rate", kind, **told)]) == []
