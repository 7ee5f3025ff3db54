"""One process by itself: it leaves alone what another one, at a terminal perhaps, works on."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from tests.correlation.conftest import a_host
from tests.correlation.stage import NOW, an_alert

from midwatch.errors import DatabaseDown
from midwatch.host import Host
from midwatch.records import Incident
from midwatch.storage.claim import claim
from midwatch.storage.journal import Entry, Journal
from midwatch.work.alone import work_alone


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal(tmp_path / "journal.db")) as opened:
        yield opened


async def works_until_it_reports(host: Host, incident: str) -> None:
    """Let a host work until an incident is reported."""
    reported = anyio.Event()

    def hear(noted: Entry) -> None:
        if (noted.investigation, noted.type) == (incident, "report"):
            reported.set()

    host.journal.listeners.append(hear)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(work_alone, host)
            await reported.wait()
            group.cancel_scope.cancel()


async def test_what_somebody_else_works_on_is_left_to_them(journal: Journal, tmp_path: Path) -> None:
    host, alerts = a_host(journal, tmp_path), (an_alert("theirs", "cart"), an_alert("ours", "mail"))
    theirs, ours = (receipt.incident or "" for receipt in await host.reception.receive(alerts, NOW))
    before = [*journal.entries(theirs)]
    with claim(tmp_path / "claims", journal.database, theirs) as claimed:
        assert claimed
        await works_until_it_reports(host, ours)
        assert [*journal.entries(theirs)] == before


async def test_a_database_that_is_away_for_a_moment_ends_no_work(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = a_host(journal, tmp_path)
    (receipt,) = await host.reception.receive([an_alert("a", "cart")], NOW)

    def away(**_: object) -> list[Incident]:
        monkeypatch.undo()
        raise DatabaseDown("it restarts")

    monkeypatch.setattr(journal, "incidents", away)
    await works_until_it_reports(host, receipt.incident or "")
