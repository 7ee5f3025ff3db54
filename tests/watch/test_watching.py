"""The recovery watch: what it sees, when it looks, and what it makes of it. Time goes by as the tests say."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from midwatch.errors import DatabaseDown
from midwatch.records import Gap, Status
from midwatch.work.waiting import unfinished

if TYPE_CHECKING:
    from tests.watch.conftest import Ward

MINUTE, HOUR = 60, 3600


async def test_an_incident_closes_by_itself_once_its_symptom_is_gone_for_long_enough(ward: Ward) -> None:
    name = ward.concludes()
    ward.fails()
    await ward.goes_on(5 * MINUTE)
    assert ward.stands().status is Status.WATCHING
    ward.heals()
    await ward.goes_on(9 * MINUTE)
    assert ward.stands().status is Status.WATCHING
    await ward.goes_on(6 * MINUTE)
    assert ward.stands().status is Status.RESOLVED
    assert ward.stands().reason.startswith("the symptom is gone for 1")
    assert "requests failed (0.0%), p95 40 ms" in ward.stands().reason
    assert ward.said().count("watch:1:resolved") == 1
    assert ward.journal.check(name)


async def test_looks_come_at_growing_intervals_and_cover_the_time_without_a_gap(ward: Ward) -> None:
    ward.concludes()
    ward.fails()
    await ward.goes_on(4 * HOUR)
    looks = ward.looks()
    assert [look.next_seconds for look in looks[:7]] == [60, 120, 240, 480, 960, 1800, 1800]
    assert all(later.window.start == look.window.end for look, later in itertools.pairwise(looks))
    assert {look.symptom for look in looks} == {"there"}
    assert len(ward.asked()) == len(looks)


async def test_no_answer_is_a_gap_and_no_recovery(ward: Ward) -> None:
    name = ward.concludes()
    ward.is_(mode="down")
    await ward.goes_on(2 * HOUR)
    assert ward.stands().status is Status.WATCHING
    assert {look.symptom for look in ward.looks()} == {"unknown"}
    assert "the backend is away" in ward.looks()[-1].statement
    assert [gap.what for gap in ward.journal.values(name, Gap)] == ["recovery of service:gateway"]
    ward.is_(mode="")
    await ward.goes_on(2 * HOUR)
    assert ward.stands().status is Status.RESOLVED


@pytest.mark.parametrize(
    ("figures", "seen"),
    [
        ({"rate": 0}, "quiet"),
        ({"rate": 0.5}, "quiet"),
        ({"mode": "silent"}, "quiet"),
        ({"mode": "late"}, "unknown"),
        ({"mode": "unknown"}, "unknown"),
    ],
)
async def test_little_traffic_old_data_and_no_past_are_no_health(
    ward: Ward, figures: dict[str, object], seen: str
) -> None:
    ward.concludes()
    ward.is_(**figures)
    await ward.goes_on(3 * HOUR)
    assert ward.stands().status is Status.WATCHING
    assert {look.symptom for look in ward.looks()} == {seen}


async def test_a_rare_failure_needs_more_requests_than_a_frequent_one_to_be_called_gone(ward: Ward) -> None:
    ward.concludes("01RARE", share=0.001)
    ward.concludes("01OFTEN", share=0.3)
    ward.is_(rate=2, usual=2)
    await ward.goes_on(12 * MINUTE)
    assert (ward.stands("01RARE").status, ward.stands("01OFTEN").status) == (Status.WATCHING, Status.RESOLVED)
    await ward.goes_on(2 * HOUR)
    assert ward.stands("01RARE").status is Status.RESOLVED
    assert sum(look.requests for look in ward.looks("01RARE")) > 4_600


async def test_a_symptom_that_comes_back_soon_after_it_closed_is_investigated_again_over_its_return(ward: Ward) -> None:
    name = ward.concludes()
    await ward.goes_on(15 * MINUTE)
    assert ward.stands().status is Status.RESOLVED
    ward.fails(0.2)
    came_back = ward.clock.at
    await ward.goes_on(20 * MINUTE)
    assert ward.stands().status is Status.INVESTIGATING
    (steer,) = ward.steers()
    assert steer.text.startswith("the symptom came back: ")
    assert "requests failed (1" in steer.text
    assert steer.since
    assert steer.until
    assert steer.since < came_back < steer.until
    assert [incident.id for incident in unfinished(ward.journal)] == [name]
    assert ward.said().count("watch:1:reopened") == 1


async def test_one_look_that_sees_it_again_reopens_nothing(ward: Ward) -> None:
    ward.concludes()
    await ward.goes_on(15 * MINUTE)
    ward.fails(0.2, until=300)
    await ward.goes_on(30 * MINUTE)
    assert [look.symptom for look in ward.looks()].count("there") == 1
    assert ward.stands().status is Status.RESOLVED


async def test_a_symptom_that_comes_back_later_than_that_is_not_looked_for(ward: Ward) -> None:
    ward.concludes()
    await ward.goes_on(90 * MINUTE)
    asked = len(ward.asked())
    assert "watch:1:over" in ward.said()
    ward.fails()
    await ward.goes_on(5 * HOUR)
    assert ward.stands().status is Status.RESOLVED
    assert len(ward.asked()) == asked


async def test_a_mitigation_that_did_not_last_has_the_incident_investigated_again(ward: Ward) -> None:
    ward.concludes(mitigated=True)
    ward.fails(since=90)
    await ward.goes_on(10 * MINUTE)
    assert ward.stands().status is Status.INVESTIGATING
    assert ward.stands().reason.startswith("the symptom came back after the mitigation: ")


async def test_a_return_that_another_incident_looks_into_is_not_investigated_twice(ward: Ward) -> None:
    ward.concludes()
    await ward.goes_on(15 * MINUTE)
    ward.fails()
    newer = ward.stands().model_copy(
        update={"id": "02NEWER", "status": Status.INVESTIGATING, "first_seen": ward.clock.at, "version": 1}
    )
    ward.journal.note("02NEWER", "incident", "1", newer)
    await ward.goes_on(20 * MINUTE)
    assert ward.stands().status is Status.RESOLVED
    assert ward.steers() == []
    assert "watch:1:over" in ward.said()


async def test_a_symptom_that_comes_and_goes_is_looked_at_less_and_less_and_that_is_said_once(ward: Ward) -> None:
    ward.concludes()
    for number in range(30):
        ward.fails(since=number * 480, until=number * 480 + 240)
    await ward.goes_on(4 * HOUR)
    looks = ward.looks()
    assert ward.stands().status is Status.WATCHING
    assert ward.said().count("watch:flapping") == 1
    assert len(looks) < 25
    assert [look.next_seconds for look in looks[-3:]] == [1800, 1800, 1800]


async def test_what_came_back_often_enough_is_watched_but_not_investigated_any_more(ward: Ward) -> None:
    ward.sets(reopens=0)
    ward.concludes()
    await ward.goes_on(15 * MINUTE)
    ward.fails()
    await ward.goes_on(30 * MINUTE)
    assert ward.stands().status is Status.WATCHING
    assert "steer it to have it looked at anew" in ward.stands().reason
    assert ward.steers() == []
    ward.heals()
    await ward.goes_on(2 * HOUR)
    assert ward.stands().status is Status.RESOLVED


async def test_the_senders_word_hastens_a_look_and_closes_when_the_figures_agree(ward: Ward) -> None:
    name = ward.concludes()
    ward.fails()
    await ward.goes_on(2 * HOUR)
    ward.heals()
    waits = ward.looks()[-1].next_seconds
    ward.sender_says(name)
    await ward.goes_on(2 * MINUTE)
    assert ward.looks()[-1].waited_seconds < waits
    await ward.goes_on(3 * MINUTE)
    assert ward.stands().status is Status.RESOLVED
    assert ward.stands().reason.startswith("its alert is over, and the figures agree: ")


async def test_the_senders_word_closes_nothing_while_the_figures_say_otherwise(ward: Ward) -> None:
    name = ward.concludes()
    ward.fails()
    await ward.goes_on(10 * MINUTE)
    asked = len(ward.asked())
    ward.sender_says(name)
    await ward.goes_on(2 * MINUTE)
    assert len(ward.asked()) > asked
    await ward.goes_on(3 * HOUR)
    assert ward.stands().status is Status.WATCHING


async def test_where_nobody_can_measure_the_sender_is_believed_and_that_is_said(ward: Ward) -> None:
    name = ward.concludes()
    ward.is_(mode="down")
    await ward.goes_on(20 * MINUTE)
    ward.sender_says(name)
    await ward.goes_on(3 * MINUTE)
    assert ward.stands().status is Status.RESOLVED
    assert "by its sender's word alone, which is believed: nobody can say" in ward.stands().reason


async def test_a_watch_ends_after_its_time_and_says_how_it_was_last(ward: Ward) -> None:
    ward.sets(seconds=4 * HOUR)
    ward.concludes()
    ward.fails()
    await ward.goes_on(5 * HOUR)
    asked = len(ward.asked())
    assert ward.stands().status is Status.WATCHING
    assert ward.stands().reason.startswith("not watched any more after 4.")
    await ward.goes_on(5 * HOUR)
    assert len(ward.asked()) == asked


async def test_a_watch_spends_no_more_calls_than_it_may(ward: Ward) -> None:
    ward.sets(calls=7)
    ward.concludes()
    ward.fails()
    await ward.goes_on(6 * HOUR)
    assert len(ward.asked()) == 7
    assert "not watched any more" in ward.stands().reason


async def test_a_host_that_starts_anew_at_any_record_goes_on_and_says_nothing_twice(ward: Ward) -> None:
    """A host is killed after each record that the watch notes, in turn; what it comes to is what it would have been."""
    name = ward.concludes()
    killed = 0

    class Killed(Exception):
        """The host is no more."""

    def kill(_: object) -> None:
        raise Killed

    for _ in range(60):
        ward.journal.listeners.append(kill)
        await ward.goes_on(5 * MINUTE)
        ward.journal.listeners.remove(kill)
        ward.starts_anew()
        if ward.stands().status is Status.RESOLVED:
            break
        killed += 1
    await ward.goes_on(15 * MINUTE)
    ward.fails()
    await ward.goes_on(30 * MINUTE)
    assert killed
    assert ward.stands().status is Status.INVESTIGATING
    assert ward.said().count("watch:1:resolved") == 1
    assert ward.said().count("watch:1:reopened") == 1
    assert len(ward.steers()) == 1
    assert [look.number for look in ward.looks()] == [*range(1, len(ward.looks()) + 1)]
    assert ward.journal.check(name)


@pytest.mark.parametrize("jump", [-3 * HOUR, 3 * HOUR])
async def test_a_clock_that_jumps_is_told_and_neither_ends_a_watch_nor_closes_an_incident(
    ward: Ward, jump: float
) -> None:
    ward.concludes()
    ward.fails(since=-(10**5))
    await ward.goes_on(5 * MINUTE)
    before = len(ward.looks())
    ward.clock.at = ward.clock.at.fromtimestamp(ward.clock.at.timestamp() + jump, ward.clock.at.tzinfo)
    await ward.goes_on(10 * MINUTE)
    look = ward.looks()[before]
    assert look.window.length.total_seconds() == pytest.approx(look.waited_seconds, abs=1)
    assert ward.stands().status is Status.WATCHING
    assert sum(key.startswith("watch:1:clock:") for key in ward.said()) == 1


async def test_a_host_that_was_paused_past_its_looks_takes_one_over_all_that_time(ward: Ward) -> None:
    ward.concludes()
    ward.fails(until=20 * MINUTE)
    await ward.goes_on(2 * MINUTE)
    taken = len(ward.looks())
    ward.clock.goes_on(25 * MINUTE)
    await ward.watch.step()
    assert len(ward.looks()) == taken + 1
    assert ward.looks()[-1].window.length.total_seconds() > 24 * MINUTE
    assert ward.looks()[-1].symptom == "there"


@pytest.mark.parametrize("asked", ["incidents", "latest", "incident"])
async def test_a_journal_that_is_away_as_the_watch_begins_keeps_nothing_from_being_watched(
    ward: Ward, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    ward.concludes()
    ward.clock.goes_on(2 * HOUR)

    def away(*_: object, **__: object) -> None:
        raise DatabaseDown("it is away")

    with monkeypatch.context() as patched:
        patched.setattr(ward.journal, asked, away)
        with pytest.raises(DatabaseDown):
            await ward.watch.step()
    await ward.goes_on(120)
    assert ward.looks()


async def test_many_incidents_cost_no_more_calls_a_minute_than_one_host_may_ask(ward: Ward) -> None:
    ward.sets(calls_per_minute=12)
    names = [ward.concludes(f"01MANY{number:03}") for number in range(60)]
    ward.fails()
    await ward.goes_on(5 * MINUTE)
    assert 4 * 12 <= len(ward.asked()) <= 6 * 12
    looked_at = [len(ward.looks(name)) for name in names]
    assert max(looked_at) - min(looked_at) <= 1


async def test_an_incident_of_a_snapshot_is_not_watched(ward: Ward) -> None:
    from midwatch.storage.snapshots import read_from_snapshot  # noqa: PLC0415

    name = ward.concludes()
    read_from_snapshot(ward.journal, name, ward.state)
    await ward.goes_on(2 * HOUR)
    assert ward.asked() == []


async def test_an_incident_that_somebody_works_on_waits(ward: Ward) -> None:
    from midwatch.storage.claim import claim  # noqa: PLC0415

    name = ward.concludes()
    with claim(ward.host.settings.data_dir / "claims", ward.journal.database, name):
        await ward.goes_on(10 * MINUTE)
    assert ward.asked() == []
    await ward.goes_on(MINUTE)
    assert len(ward.asked()) == 1
