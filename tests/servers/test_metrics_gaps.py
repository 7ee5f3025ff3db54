"""Time between the two ends of a call, out of what a mesh measures at both of them."""

import numpy as np
import pytest

from midwatch_metrics.backend import Form, Series
from midwatch_metrics.figures import Figures, Measured, Statistic
from midwatch_metrics.gaps import Gap, gaps
from midwatch_metrics.timeline import SECOND, Timeline

NONE = np.nan
LINE = Timeline(60 * SECOND, 0, 6, 360 * SECOND, 600 * SECOND, 4)


def end(reporter: str, **more: str) -> Measured:
    labels = {"reporter": reporter, "source_workload": "web", "destination_workload": "pay", **more}
    service = "web" if reporter == "source" else "pay"
    series = Series("istio.request.duration", Form.GAUGE, "s", service, "", tuple(sorted(labels.items())))
    return Measured(series, Statistic.VALUE, "ms")


def found(source: list[float], destination: list[float], **more: str) -> list[Gap]:
    return gaps(Figures([end("source"), end("destination", **more)], np.array([source, destination])), LINE)


def test_what_callers_wait_beyond_the_callees_work_is_told_since_it_grew() -> None:
    (gap,) = found([9, 8, 9, 8, 9, 8, 9, 208, 209, 208], [7.0] * 10)
    assert (gap.caller, gap.callee, gap.before, gap.after) == ("web", "pay", 2.0, 201.0)
    assert gap.onset == LINE.starts[7]


def test_a_slow_callee_is_no_gap() -> None:
    assert found([9, 8, 9, 8, 9, 8, 400, 401, 400, 402], [7, 6, 7, 6, 7, 6, 398, 399, 398, 400]) == []


def test_a_delay_that_is_over_is_none() -> None:
    assert found([9, 8, 9, 8, 9, 8, 208, 208, 9, 8], [7.0] * 10) == []


def test_buckets_that_only_one_end_knows_tell_nothing() -> None:
    assert found([9, 8, 9, 8, 9, 8, 208, 209, 208, 209], [*[7.0] * 6, *[NONE] * 4]) == []


@pytest.mark.parametrize("label", ["destination_workload", "quantile"])
def test_only_ends_of_one_edge_and_one_figure_are_held_against_each_other(label: str) -> None:
    assert found([9, 8, 9, 8, 9, 8, 208, 209, 208, 209], [7.0] * 10, **{label: "other"}) == []
