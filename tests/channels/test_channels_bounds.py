"""What has an end: how long one thing is tried, how long a pause gets, how long nobody else tells the same."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import anyio
import pytest
import sqlalchemy as sa
from tests.channels.conftest import FAST, Opened, settings_of, telling
from tests.channels.places import PLACES, WHSEC
from tests.channels.vendors import Fault, Sink

from midwatch.channels.http import pause_of
from midwatch.channels.notifier import GIVE_UP, Pace
from midwatch.channels.outbox import Outbox
from midwatch.errors import DatabaseDown
from midwatch.settings.channels import ChannelSettings
from midwatch.storage.journal import Journal
from midwatch.storage.tables import deliveries
from midwatch_kit.evidence import EvidenceStore
from midwatch_kit.window import rfc3339

pytestmark = pytest.mark.anyio
LEASE = ("01INCIDENT", "ops")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def hook(url: str) -> ChannelSettings:
    settings: ChannelSettings = settings_of(kind="webhook", url=f"{url}/hook", secret=WHSEC, seconds=5)
    return settings


async def test_what_nobody_took_for_a_day_is_given_up_and_a_gap_says_so(
    opens: Opened, journal: Journal, kept: EvidenceStore
) -> None:
    sink, story = Sink(), opens()
    a_day_ago = rfc3339(datetime.now(UTC) - GIVE_UP - timedelta(minutes=1))
    async with sink.running():
        sink.fails(*[Fault(500)] * 1000)
        async with telling(journal, kept, ops=hook(sink.url)) as now:
            await now.until(story.gaps)
            assert not any("not tried again" in gap for gap in story.gaps()), "it was tried for a moment only"
            with journal.database.writing() as connection:
                connection.execute(sa.update(deliveries).values(since=a_day_ago))
            await now.settles(story)
    assert any("not tried again" in gap for gap in story.gaps())


async def test_no_pause_gets_longer_than_five_minutes(opens: Opened, journal: Journal, kept: EvidenceStore) -> None:
    sink, story = Sink(), opens()
    async with sink.running():
        sink.fails(Fault(500))
        async with telling(journal, kept, pace=Pace(gather=0.0, pause=10_000.0), ops=hook(sink.url)) as now:
            await now.until(story.gaps)
            assert 100 < now.notifier.lines["ops"].next_at() - anyio.current_time() <= 300


async def test_what_a_place_says_of_an_error_is_on_record_without_what_must_not_be_passed_on(
    opens: Opened, journal: Journal, kept: EvidenceStore
) -> None:
    sink, story = Sink(), opens()
    async with sink.running():
        sink.fails(Fault(500, body={"message": "no mailbox of ann@example.com, password=hunter2"}))
        async with telling(journal, kept, pace=FAST, ops=hook(sink.url)) as now:
            await now.settles(story)
    (gap,) = story.gaps()
    assert "no mailbox of <email>" in gap
    assert "ann@" not in gap
    assert "hunter2" not in gap


def test_a_lease_runs_out_and_only_whoever_has_it_now_gives_it_back(journal: Journal) -> None:
    slow, next_one, third = (Outbox(journal.database) for _ in range(3))
    assert slow.take(*LEASE, 0.0)
    assert next_one.take(*LEASE, 60.0), "the first one's time is over"
    slow.release(*LEASE, seen=7)
    assert not third.take(*LEASE, 60.0), "what the first one gives back is not its own any more"
    next_one.release(*LEASE)
    assert third.take(*LEASE, 60.0)


async def test_what_was_taken_though_a_gateway_says_that_it_failed_is_not_said_again(
    opens: Opened, journal: Journal, kept: EvidenceStore
) -> None:
    place = next(each for each in PLACES if each.kind == "github")
    vendor = place.vendor()
    async with vendor.running():
        story = opens(**place.alert_at(vendor.url))
        vendor.fails(Fault(504, taken=True))
        async with telling(journal, kept, ops=place.told(vendor.url)) as now:
            await now.settles(story)
    assert len(vendor.said()) == len(story.told()) == 1
    assert any("answers 504" in gap for gap in story.gaps())


async def test_a_database_that_is_away_when_what_is_left_over_is_looked_for_ends_nothing(
    opens: Opened, journal: Journal, kept: EvidenceStore
) -> None:
    class AwayOnce(Outbox):
        asked = 0

        def unseen(self, since: datetime, channels: Iterable[str]) -> list[tuple[str, str]]:
            self.asked += 1
            if self.asked == 1:
                raise DatabaseDown("it restarts")
            return super().unseen(since, channels)

    sink, story = Sink(), opens()
    async with sink.running(), telling(journal, kept, outbox=AwayOnce(journal.database), ops=hook(sink.url)) as now:
        await now.until(lambda: sink.taken)
    assert story.gaps() == []


async def test_a_place_that_refuses_the_credentials_is_left_alone_as_a_whole(
    opens: Opened, journal: Journal, kept: EvidenceStore
) -> None:
    sink, stories = Sink(), [opens(external_id=f"a{number}") for number in range(20)]
    async with sink.running():
        sink.fails(*[Fault(401)] * 1000)
        settings = hook(sink.url)
        async with telling(journal, kept, pace=Pace(gather=0.0, sweep=0.01, pause=10.0), ops=settings) as now:
            line = now.notifier.lines["ops"]
            await now.until(lambda: line.waiting and not line.busy and any(story.gaps() for story in stories))
            assert line.ready(anyio.current_time() + 200) == []
    assert len(sink.asked) <= settings.at_once


async def test_what_is_secret_is_not_carried_to_another_address(
    opens: Opened, journal: Journal, kept: EvidenceStore
) -> None:
    sink, elsewhere, story = Sink(), Sink(), opens()
    async with sink.running(), elsewhere.running():
        sink.fails(Fault(307, {"location": f"{elsewhere.url}/hook"}))
        async with telling(journal, kept, ops=hook(sink.url)) as now:
            await now.settles(story)
    assert elsewhere.asked == []
    assert any("answers 307" in gap for gap in story.gaps())


def test_a_place_may_ask_for_an_hour_at_the_most() -> None:
    assert [pause_of({"retry-after": said}) for said in ("7", "999999", "Fri, 31 Dec 2100 23:59:59 GMT")] == [
        7.0,
        3600.0,
        3600.0,
    ]
