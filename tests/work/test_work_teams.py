"""Investigations at the same time: as many as the host has places, and no more of one team than that has."""

import json
import sys
from datetime import datetime
from pathlib import Path

import anyio
import pytest
from tests.work import crashing

from midwatch.host import Host, open_host
from midwatch.records import Incident, Severity, Status
from midwatch.settings import Settings
from midwatch.work.alone import work_alone
from midwatch.work.shared import work_shared

AT = datetime.fromisoformat("2026-11-20T02:48:00Z")


def opened(host: Host, name: str, team: str | None) -> None:
    incident = Incident(
        id=name,
        title="Errors",
        status=Status.TRIAGING,
        severity=Severity.HIGH,
        service="service:gateway",
        started_at=AT,
        first_seen=AT,
        owner=team,
    )
    host.journal.note(name, "incident", "1", incident)


def most_at_once(host: Host, names: list[str]) -> int:
    """Return how many of some incidents were investigated at the same time, at most, by the times of their records."""
    steps: list[tuple[datetime, int]] = []
    for name in names:
        noted = [*host.journal.entries(name)]
        planned = next(entry.at for entry in noted if entry.type == "plan")
        steps += [(noted[1].at, 1), (planned, -1)]
    now = most = 0
    for _, step in sorted(steps):
        now += step
        most = max(most, now)
    return most


async def nothing_is_due(host: Host) -> None:
    with anyio.fail_after(30):
        while True:
            if not host.journal.incidents(due=True):
                return
            await anyio.sleep(0.02)


def settings(folder: Path, machine: str, database: str, **limits: float) -> Settings:
    """Return the settings of a host whose one server is the case, and whose plans wait for nobody."""
    case = {"command": sys.executable, "args": ["-S", str(crashing.CASE)], "suite": True}
    (folder / "servers.json").write_text(json.dumps({"mcpServers": {"case": case}}), encoding="utf-8")
    return crashing.settings(folder, machine, database).model_copy(update={**limits, "approval_seconds": 0.01})


@pytest.mark.parametrize(("places", "of_team", "a_most", "others_most"), [(4, 1, 1, 2), (1, 4, 1, 1), (4, 2, 2, 2)])
async def test_a_team_has_no_more_places_than_its_own_and_takes_none_from_others(
    tmp_path: Path, places: int, of_team: int, a_most: int, others_most: int
) -> None:
    limits = {"investigations_at_once": places, "team_investigations_at_once": of_team}
    async with open_host(settings(tmp_path, "one", "", **limits)) as host:
        for name, team in [("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("c1", None)]:
            opened(host, name, team)
        async with anyio.create_task_group() as group:
            group.start_soon(work_alone, host)
            await nothing_is_due(host)
            group.cancel_scope.cancel()
        assert most_at_once(host, ["a1", "a2", "a3"]) == a_most
        assert most_at_once(host, ["b1", "c1"]) == others_most


@pytest.mark.xdist_group("postgresql")
async def test_a_team_has_no_more_places_than_its_own_over_all_hosts(tmp_path: Path, postgresql: str) -> None:
    one, other = (settings(tmp_path, name, postgresql, team_investigations_at_once=1) for name in ("one", "other"))
    async with open_host(one) as here, open_host(other) as there:
        for number in range(5):
            opened(here, f"a{number}", "a")
        async with anyio.create_task_group() as group:
            group.start_soon(work_shared, here, postgresql)
            group.start_soon(work_shared, there, postgresql)
            await nothing_is_due(here)
            group.cancel_scope.cancel()
        assert most_at_once(here, [f"a{number}" for number in range(5)]) == 1
