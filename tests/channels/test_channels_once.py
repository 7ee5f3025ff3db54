"""Each thing is told once, wherever people are told: through failures, crashes and throttling, holding up nobody."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import anyio
import anyio.to_thread
import pytest
from tests.channels.conftest import Opened, Story, telling
from tests.channels.places import PLACES, Place
from tests.channels.vendors import Fault, Sink, Vendor

from midwatch.channels.http import pause_of
from midwatch.channels.notifier import Pace
from midwatch.records import Status
from midwatch.storage.journal import Journal
from midwatch.storage.snapshots import note_import
from midwatch_kit.evidence import EvidenceStore

pytestmark = pytest.mark.anyio
each_kind_of_place = pytest.mark.parametrize(
    "place", [each for each in PLACES if each.kind in ("slack", "github", "webhook")], ids=lambda place: place.kind
)
"""One with a client of its own, one that can be asked, one that cannot; the others share what these do."""
every_place = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.kind)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def scene(place: Place, opens: Opened) -> AsyncGenerator[tuple[Vendor, Story]]:
    """Yield a vendor that listens, and an incident whose alert came from there."""
    vendor = place.vendor()
    async with vendor.running():
        yield vendor, opens(**place.alert, **place.alert_at(vendor.url))


def begins(story: Story, place: Place) -> None:
    """Lead an incident to the first thing that is told there."""
    if place.first == "waits":
        story.waits()


def distinct(vendor: Vendor) -> list[str]:
    """Return what is there, as receivers count it: the same id twice is one."""
    return [*dict.fromkeys(vendor.said())]


@every_place
async def test_an_incident_is_told_from_beginning_to_end_without_a_word_too_many(
    place: Place, opens: Opened, journal: Journal, kept: EvidenceStore
) -> None:
    async with scene(place, opens) as (vendor, story), telling(journal, kept, ops=place.told(vendor.url)) as now:
        await now.settles(story)
        story.waits()
        await now.settles(story)
        story.is_cured()
        await now.settles(story)
        assert len(vendor.said()) == place.life
        assert story.gaps() == []
        last = vendor.said()[-1 if place.kind != "slack" else 0]
        assert place.kind in ("teams", "webhook", "pagerduty_events") or "ecovered" in last
    asked = len(vendor.asked)
    assert asked < 20, "and it was not asked for more than that"


@each_kind_of_place
async def test_what_was_received_before_the_connection_broke_is_not_said_again(
    place: Place, opens: Opened, journal: Journal, kept: EvidenceStore
) -> None:
    async with scene(place, opens) as (vendor, story):
        begins(story, place)
        vendor.fails(Fault(hang_up="after"))
        async with telling(journal, kept, ops=place.told(vendor.url)) as now:
            await now.settles(story)
        assert len(distinct(vendor)) == 1
        assert len(vendor.said()) == (1 if place.knows else 2)
        assert any("broke off" in gap for gap in story.gaps())


@every_place
async def test_what_a_crash_left_open_is_asked_for_and_told_once(
    place: Place, opens: Opened, journal: Journal, kept: EvidenceStore
) -> None:
    async with scene(place, opens) as (vendor, story):
        begins(story, place)
        vendor.fails(Fault(hold=True))
        settings = place.told(vendor.url)
        async with telling(journal, kept, ops=settings):
            await vendor.held.wait()  # it is there, and whoever sent it is killed before it knows
        assert story.told() == []
        async with telling(journal, kept, ops=settings) as again:
            await again.settles(story)
        assert len(distinct(vendor)) == len(story.told()) == 1
        assert len(vendor.said()) == (1 if place.knows else 2)


@each_kind_of_place
async def test_throttling_bad_credentials_and_errors_are_gaps_and_then_it_is_told_once(
    place: Place, opens: Opened, journal: Journal, kept: EvidenceStore
) -> None:
    async with scene(place, opens) as (vendor, story):
        begins(story, place)
        slack = place.kind == "slack"
        refused = Fault(200, body={"ok": False, "error": "invalid_auth"}) if slack else Fault(401)
        vendor.fails(Fault(429, {"Retry-After": "0"}), refused, Fault(500), Fault(hang_up="before"))
        async with telling(journal, kept, ops=place.told(vendor.url)) as now:
            await now.settles(story)
        assert len(distinct(vendor)) == len(story.told()) == 1
        assert len(story.gaps()) == 3, "one of each kind: throttled, refused, failed"
        assert all(gap.startswith("telling ops: ") for gap in story.gaps())


@each_kind_of_place
async def test_a_channel_that_will_never_take_it_is_left_alone(
    place: Place, opens: Opened, journal: Journal, kept: EvidenceStore
) -> None:
    async with scene(place, opens) as (vendor, story):
        begins(story, place)
        bad = {
            "slack": Fault(200, body={"ok": False, "error": "msg_too_long"}),
            "github": Fault(403, body={"message": "Unable to create comment because issue is locked."}),
        }.get(place.kind, Fault(400))
        vendor.fails(*[bad] * 4)
        async with telling(journal, kept, ops=place.told(vendor.url)) as now:
            await now.settles(story)
        assert any("not tried again" in gap for gap in story.gaps())


async def test_a_channel_that_hangs_or_is_down_holds_up_no_other(
    opens: Opened, journal: Journal, kept: EvidenceStore
) -> None:
    hangs, well = Sink(), Sink()
    hook = next(place for place in PLACES if place.kind == "webhook")
    async with hangs.running(), well.running():
        hangs.fails(*[Fault(hold=True)] * 10)
        stories = [opens(external_id=f"a{n}") for n in range(6)]
        down = hook.told("http://127.0.0.1:9")
        settings = {"hangs": hook.told(hangs.url, seconds=5), "well": hook.told(well.url), "down": down}
        async with telling(journal, kept, **settings) as now:
            await now.until(lambda: len(well.said()) == 6, "the channel that is well was told of all")
            assert len(hangs.asked) == settings["hangs"].at_once, "and no more at once than its settings allow"
            await now.until(lambda: all(any("down" in gap for gap in story.gaps()) for story in stories))


def test_a_limit_that_is_used_up_says_until_when_to_wait() -> None:
    until = str(int(datetime.now(UTC).timestamp()) + 100)
    assert 90 < (pause_of({"x-ratelimit-remaining": "0", "x-ratelimit-reset": until}) or 0) <= 100
    assert pause_of({"x-ratelimit-remaining": "3", "x-ratelimit-reset": until}) is None


async def test_a_pause_that_is_asked_for_is_kept(opens: Opened, journal: Journal, kept: EvidenceStore) -> None:
    sink, hook = Sink(), next(place for place in PLACES if place.kind == "webhook")
    story = opens()
    async with sink.running():
        sink.fails(Fault(429, {"Retry-After": "0.4"}))
        async with telling(journal, kept, ops=hook.told(sink.url)) as now:
            await now.until(lambda: sink.asked)
            at = anyio.current_time()
            await now.settles(story)
            assert anyio.current_time() - at > 0.35


async def test_pauses_grow_whatever_else_is_heard_meanwhile(
    opens: Opened, journal: Journal, kept: EvidenceStore
) -> None:
    sink, hook = Sink(), next(place for place in PLACES if place.kind == "webhook")
    story = opens()
    async with sink.running():
        sink.fails(*[Fault(500)] * 3)
        hasty = Pace(gather=0.0, sweep=0.01, pause=0.1)
        async with telling(journal, kept, pace=hasty, ops=hook.told(sink.url)) as now:
            await now.until(lambda: sink.asked)
            at = anyio.current_time()
            story.becomes(Status.INVESTIGATING)
            await now.until(lambda: len(sink.asked) == 4)
            assert anyio.current_time() - at > 0.05 + 0.1 + 0.2


async def test_what_happened_while_nobody_could_be_told_is_told_together(
    opens: Opened, journal: Journal, kept: EvidenceStore
) -> None:
    sink, teams = Sink(), next(place for place in PLACES if place.kind == "teams")
    story = opens()
    async with sink.running():
        async with telling(journal, kept, ops=teams.told(sink.url)) as now:
            await now.settles(story)
        story.waits()
        story.is_cured()
        async with telling(journal, kept, ops=teams.told(sink.url)) as now:
            await now.settles(story)
    (asked,) = sink.asked
    card = asked.raw.decode()
    assert all(word in card for word in ("Concluded", "Waits for approval", "Recovered"))


async def test_what_was_over_before_anybody_was_to_be_told_is_not_told(
    opens: Opened, journal: Journal, kept: EvidenceStore
) -> None:
    sink, hook = Sink(), next(place for place in PLACES if place.kind == "webhook")
    old, new = opens(), opens(external_id="b")
    old.becomes(Status.RESOLVED)
    async with sink.running(), telling(journal, kept, ops=hook.told(sink.url)) as now:
        await now.settles(old)
        await now.settles(new)
    assert [asked.body["subject"] for asked in sink.asked] == [new.id]


@pytest.mark.parametrize(
    ("when", "alert", "told"),
    [
        ({"severity": "high"}, {"severity": "medium"}, False),
        ({"severity": "high"}, {"severity": "critical"}, True),
        ({"services": ["web-*", "checkout"]}, {"service": "web-front"}, True),
        ({"services": ["web-*", "checkout"]}, {"service": "stock"}, False),
        ({"teams": ["payments*"]}, {}, False),
    ],
)
async def test_a_channel_is_told_of_what_its_settings_name(
    when: dict[str, object], alert: dict[str, object], told: bool, opens: Opened, journal: Journal, kept: EvidenceStore
) -> None:
    sink, hook = Sink(), next(place for place in PLACES if place.kind == "webhook")
    story = opens(**alert)
    async with sink.running(), telling(journal, kept, ops=hook.told(sink.url, **when)) as now:
        await now.settles(story)
    assert bool(sink.asked) is told


async def test_two_hosts_on_one_journal_tell_it_once(opens: Opened, journal: Journal, kept: EvidenceStore) -> None:
    sink, hook = Sink(), next(place for place in PLACES if place.kind == "webhook")
    async with sink.running():
        settings = hook.told(sink.url)
        async with telling(journal, kept, ops=settings) as one, telling(journal, kept, ops=settings):
            stories = [opens(external_id=f"a{n}") for n in range(8)]
            for story in stories:
                story.waits()
            for story in stories:
                await one.settles(story)
    assert len(sink.asked) == len({asked.headers["webhook-id"] for asked in sink.asked})


async def test_what_another_thread_notes_is_told_as_soon_as_what_this_one_does(
    opens: Opened, journal: Journal, kept: EvidenceStore
) -> None:
    place, seldom = _place("slack"), Pace(gather=0.0, sweep=600, pause=0.004)
    async with (
        scene(place, opens) as (vendor, story),
        telling(journal, kept, pace=seldom, ops=place.told(vendor.url)) as now,
    ):
        await now.until(vendor.said, "the incident was told")
        await anyio.to_thread.run_sync(story.waits)
        await now.until(lambda: any("approval" in said for said in vendor.said()), "the plan was told")


async def test_nobody_is_told_of_an_investigation_that_was_imported(
    opens: Opened, journal: Journal, kept: EvidenceStore
) -> None:
    place = _place("slack")
    async with scene(place, opens) as (vendor, story):
        with journal.transaction() as notes:
            note_import(notes, story.id, "somebody", "")
        async with telling(journal, kept, ops=place.told(vendor.url)) as now:
            await now.settles(story)
            assert vendor.said() == []


def _place(kind: str) -> Place:
    return next(place for place in PLACES if place.kind == kind)
