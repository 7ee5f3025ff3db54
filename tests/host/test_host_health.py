"""Better or worse: what two looks at the symptom's own figures come to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from midwatch.inquiry import Inquiry, Limits
from midwatch.mitigation.health import health, worse
from midwatch.records import Health, Scope
from midwatch.storage.journal import Journal
from midwatch_kit.records import TopologyFragment, Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.host.conftest import Reach

    from midwatch.settings import ServerSpec

AT = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)


def seen(errors: int, latency: float | None, *, healthy: bool = False) -> Health:
    about: dict[str, Any] = {"requests": 100, "errors": errors, "latency_p95_ms": latency, "healthy": healthy}
    return Health(when="after", window=Window(start=AT, end=AT + timedelta(minutes=1)), statement="", **about)


@pytest.mark.parametrize(
    ("before", "after", "is_worse"),
    [
        (seen(40, 300), seen(41, 300), False),
        (seen(40, 300), seen(60, 300), True),
        (seen(1, 300), seen(2, 300), False),
        (seen(0, 300), seen(0, 900), True),
        (seen(0, 300), seen(0, 900, healthy=True), False),
        (seen(42, 300), seen(0, 900), False),  # requests that failed at once are answered again, and that takes longer
        (seen(42, 300), seen(40, 900), True),
        (seen(42, None), seen(42, 900), False),
    ],
)
def test_worse_is_what_fails_more_often_or_is_slower_without_failing_less(
    before: Health, after: Health, is_worse: bool
) -> None:
    assert worse(after, before) is is_worse


async def test_a_survey_that_takes_no_window_cannot_tell_after_from_before_and_is_not_asked(
    reach: Reach, odd: Callable[..., ServerSpec], journal: Journal
) -> None:
    minutes = [Window(start=AT + timedelta(minutes=n), end=AT + timedelta(minutes=n + 1)) for n in range(3)]
    scope = Scope(
        symptom="service:forge", window=minutes[1], baseline=minutes[0], onset=None, topology=TopologyFragment()
    )
    async with reach(odd=odd()) as host:
        inquiry = Inquiry("one", journal, host.eyes, host.eyes.kept, Limits(60, 10, 5))
        assert await health(inquiry, scope, minutes[2], "after") is None
    assert inquiry.calls == 0
