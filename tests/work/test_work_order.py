"""What is worked on first: what was decided on waits for no investigation, and what is worse not for what is less."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio
import pytest
from tests.work.test_work_teams import AT, nothing_is_due, settings

from midwatch.host import Host, open_host
from midwatch.mitigation.approvals import decide_by_name
from midwatch.records import Incident, Plan, Severity, Status
from midwatch.work.alone import work_alone
from midwatch.work.shared import work_shared

SECONDS = 30.0
Work = Callable[[Host], Coroutine[None, None, None]]


@pytest.fixture(params=["alone", pytest.param("shared", marks=pytest.mark.xdist_group("postgresql"))])
def database(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("postgresql")) if request.param == "shared" else ""


@pytest.fixture
def work(database: str) -> Work:
    return partial(work_shared, url=database) if database else work_alone


def opened(host: Host, name: str, severity: Severity, at: datetime = AT) -> None:
    about = {"title": "Errors", "status": Status.TRIAGING, "service": "service:gateway"}
    host.journal.note(
        name, "incident", "1", Incident(id=name, severity=severity, started_at=at, first_seen=at, **about)
    )


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(SECONDS):
        while True:
            if condition():
                return
            await anyio.sleep(0.02)


async def until_it_is(host: Host, name: str, status: Status) -> None:
    await until(lambda: (found := host.journal.incident(name)) is not None and found.status is status)


async def test_a_plan_that_was_decided_on_does_not_wait_for_investigations(
    tmp_path: Path, database: str, work: Work
) -> None:
    chosen = settings(tmp_path, "one", database).model_copy(update={"approval_seconds": 3600.0})
    async with open_host(chosen) as host, anyio.create_task_group() as group:
        opened(host, "planned", Severity.LOW)
        group.start_soon(work, host)
        await until_it_is(host, "planned", Status.AWAITING_APPROVAL)
        group.cancel_scope.cancel()
    busy = chosen.model_copy(update={"investigations_at_once": 1, "gather_seconds": 600.0})
    async with open_host(busy) as host, anyio.create_task_group() as group:
        opened(host, "long", Severity.CRITICAL, datetime.now(UTC))
        group.start_soon(work, host)
        await until_it_is(host, "long", Status.INVESTIGATING)
        digest = host.journal.values("planned", Plan)[-1].digest
        decide_by_name(host.journal, "planned", digest, approved=False, by="ann")
        await until(lambda: [each.id for each in host.journal.incidents(due=True)] == ["long"])
        group.cancel_scope.cancel()


async def test_the_worst_is_investigated_first_and_of_the_same_the_oldest(
    tmp_path: Path, database: str, work: Work
) -> None:
    chosen = settings(tmp_path, "one", database, investigations_at_once=1)
    async with open_host(chosen) as host, anyio.create_task_group() as group:
        for name, severity in [("low", Severity.LOW), ("old", Severity.HIGH), ("new", Severity.HIGH)]:
            opened(host, name, severity)
        opened(host, "worst", Severity.CRITICAL)
        group.start_soon(work, host)
        await nothing_is_due(host)
        group.cancel_scope.cancel()
        begun = {name: [*host.journal.entries(name)][1].at for name in ("low", "old", "new", "worst")}
    assert sorted(begun, key=lambda name: begun[name]) == ["worst", "old", "new", "low"]
