"""The watch goes on: over what another process concludes, after it was away, and past one incident that breaks."""

from datetime import datetime, timedelta

import anyio
import pytest
from tests.watch.conftest import Ward

from midwatch.errors import DatabaseDown
from midwatch.investigation import becomes
from midwatch.records import RecordType, Status
from midwatch.records.watch import Watch
from midwatch.storage.journal import Entry
from midwatch_kit.records import Window

MINUTE, HOUR = 60.0, 3600.0


async def test_what_another_process_concludes_is_watched_as_well(ward: Ward) -> None:
    ward.watch.find_every = 60.0
    await ward.goes_on(10)
    name = ward.concludes()  # nobody tells this host
    await ward.goes_on(5 * MINUTE)
    assert ward.looks(name)


async def test_a_host_that_was_away_for_longer_than_a_watch_lasts_says_so_and_closes_nothing(ward: Ward) -> None:
    ward.sets(seconds=4 * HOUR)
    ward.concludes()
    await ward.goes_on(5 * MINUTE)
    looked = len(ward.looks())
    ward.clock.goes_on(5 * HOUR)
    ward.starts_anew()
    await ward.goes_on(MINUTE)
    assert len(ward.looks()) == looked
    assert ward.stands().status is Status.WATCHING
    assert ward.stands().reason.startswith("not watched any more: nobody looked since")


async def test_a_journal_that_is_away_for_a_moment_does_not_end_the_watch(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward.concludes()
    ward.clock.goes_on(2 * MINUTE)
    latest, left = ward.journal.latest, [DatabaseDown("it restarts")]
    looked = anyio.Event()
    ward.journal.listeners.append(lambda noted: looked.set() if noted.type == "watch" else None)

    def away_once(kind: RecordType, since: datetime | None = None) -> list[Entry]:
        if left:
            raise left.pop()
        return latest(kind, since)

    monkeypatch.setattr(ward.journal, "latest", away_once)
    async with anyio.create_task_group() as group:
        group.start_soon(ward.watch.run)
        with anyio.fail_after(20):
            await looked.wait()
        group.cancel_scope.cancel()


async def test_what_was_spent_on_earlier_rounds_counts(ward: Ward) -> None:
    ward.sets(calls=7)
    name, window = ward.concludes(), Window(start=ward.clock.at - timedelta(minutes=1), end=ward.clock.at)
    before = Watch(
        round=2, number=1, at=ward.clock.at, window=window, symptom="there", statement="s", calls=5, waited_seconds=60
    )
    ward.journal.note(name, "watch", "2:1", before)
    ward.fails()
    await ward.goes_on(6 * HOUR)
    assert len(ward.asked()) == 2
    assert "not watched any more" in ward.stands().reason


async def test_what_may_not_be_reopened_is_watched_to_its_end_though_its_mitigation_did_not_last(ward: Ward) -> None:
    ward.sets(reopens=0)
    ward.concludes(mitigated=True)
    ward.fails()
    await ward.goes_on(2 * HOUR)
    assert (ward.stands().status, ward.steers()) == (Status.WATCHING, [])


async def test_an_incident_that_somebody_else_closed_is_left_closed(ward: Ward) -> None:
    ward.concludes()
    becomes(ward.journal, ward.stands(), Status.RESOLVED, "it was a drill")
    ward.fails()
    await ward.goes_on(30 * MINUTE)
    assert (ward.stands().status, ward.looks()) == (Status.RESOLVED, [])
