"""A whole host, in real time: it investigates, watches, closes by itself, and investigates what comes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio

from midwatch.intake.sources import alerts_from
from midwatch.records import Conclusion, Incident, Report, Scope, Status, Steer
from midwatch.work.alone import work_alone

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.watch.conftest import Ward


async def until(so: Callable[[], bool], seconds: float = 40) -> None:
    with anyio.fail_after(seconds):
        while not so():  # noqa: ASYNC110 - what it waits for stands in a journal
            await anyio.sleep(0.05)


async def test_what_comes_back_is_concluded_anew_over_the_time_of_its_return(ward: Ward) -> None:
    quick = {"first_seconds": 0.3, "gone_seconds": 1.0, "longest_seconds": 1.0}
    ward.sets(**quick)
    ward.host.settings = ward.host.settings.model_copy(update={"settle_seconds": 0.3, "approval_seconds": 1.0})
    ward.is_(rate=200, usual=200)
    ward.clock.at = datetime.now(UTC)
    ward.fails(since=-20)
    began = (datetime.now(UTC) - timedelta(seconds=20)).isoformat()
    alerts = alerts_from({"title": "Error rate of gateway", "service": "gateway", "started_at": began})
    (incident,) = ward.host.receive(alerts, datetime.now(UTC))

    def stands() -> Incident:
        return ward.stands(incident.id)

    async with anyio.create_task_group() as group:
        group.start_soon(work_alone, ward.host)
        group.start_soon(ward.host.recovery_watch().run)
        await until(lambda: stands().status is Status.WATCHING)
        ward.clock.at = datetime.now(UTC)
        ward.heals()
        await until(lambda: stands().status is Status.RESOLVED)
        assert "the symptom is gone for " in stands().reason
        ward.clock.at = datetime.now(UTC)
        ward.fails()
        await until(lambda: len(ward.journal.values(incident.id, Report)) == 2)
        group.cancel_scope.cancel()

    first, second = ward.journal.values(incident.id, Scope)
    assert second.window.start > first.window.end
    told = [steer for steer in ward.journal.values(incident.id, Steer) if steer.effect]
    assert [steer.by for steer in told] == ["recovery watch"]
    assert len(ward.journal.values(incident.id, Conclusion)) == 2
    assert stands().status is Status.WATCHING
    assert ward.said(incident.id).count("watch:1:reopened") == 1
    assert ward.journal.check(incident.id)
