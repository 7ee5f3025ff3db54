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
from midwatch.work.alone import work_alone

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
    """Return how many of some incidents were worked on at the same time, at most, by the times of their records."""
    steps: list[tuple[datetime, int]] = []
    for name in names:
        noted = [*host.journal.entries(name)]
        steps += [(noted[1].at, 1), (noted[-1].at, -1)]
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


@pytest.mark.parametrize(("places", "of_team", "a_most", "others_most"), [(4, 1, 1, 2), (1, 4, 1, 1), (4, 2, 2, 2)])
async def test_a_team_has_no_more_places_than_its_own_and_takes_none_from_others(
    tmp_path: Path, places: int, of_team: int, a_most: int, others_most: int
) -> None:
    case = {"command": sys.executable, "args": ["-S", str(crashing.CASE)], "suite": True}
    (tmp_path / "servers.json").write_text(json.dumps({"mcpServers": {"case": case}}), encoding="utf-8")
    limits = {"investigations_at_once": places, "team_investigations_at_once": of_team, "approval_seconds": 0.01}
    settings = crashing.settings(tmp_path, "one", "").model_copy(update=limits)
    async with open_host(settings) as host:
        for name, team in [("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("c1", None)]:
            opened(host, name, team)
        async with anyio.create_task_group() as group:
            group.start_soon(work_alone, host)
            await nothing_is_due(host)
            group.cancel_scope.cancel()
        assert most_at_once(host, ["a1", "a2", "a3"]) == a_most
        assert most_at_once(host, ["b1", "c1"]) == others_most
