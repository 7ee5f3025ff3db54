"""Time that calls spend between caller and callee: what carries calls slows all of them."""

from typing import Any

import pytest
from tests.servers.traces.test_traces_survey import ONSET, Moment, Survey, of


@pytest.mark.parametrize(("every", "told"), [(1, True), (8, False)])
async def test_time_that_calls_spend_on_the_way_is_told_of_the_callee_where_most_calls_do(
    every: int, *, told: bool, survey: Survey, story: Any, moment: Moment
) -> None:
    rows = story().tell()
    since = moment(ONSET).timestamp() * 1e9
    calls = [row for row in rows if row["SpanAttributes"].get("server.address") == "pay.internal"]
    for row in [call for call in calls if call["Timestamp"] >= since][::every]:
        row["Duration"] += 60 * 10**6
    _, found = await survey(rows)
    late = of(found, "network_time")
    assert [(one.entity, one.related, one.direction) for one in late.values()] == [
        ("service:pay", "service:web", "up")
    ] * told
    assert "service:pay" not in of(found, "self_time")
