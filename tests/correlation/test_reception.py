"""The reception: what is answered is on disk, what waits is bounded, and what fails leaves nothing half done."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
import sqlalchemy as sa
from tests.correlation.conftest import a_host
from tests.correlation.stage import an_alert

from midwatch.errors import Busy, CannotTriage, DatabaseDown, NotKept
from midwatch.host import Host
from midwatch.reception.by_hand import ByHand, Done
from midwatch.reception.rows import listed
from midwatch.records import Alert, Incident, Severity, Status
from midwatch.storage.database import Database
from midwatch.storage.journal import Journal
from midwatch.storage.tables import alerts, payloads

NOW = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)
CALLS = '{"relations": [{"source": "service:web", "kind": "calls", "target": "service:cart"}]}'


def later(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def count(journal: Journal, table: sa.Table) -> int:
    with journal.database.reading() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def decisions(journal: Journal) -> list[tuple[str, str, str | None]]:
    """Return what each alert on record is called, what became of it, and where it is."""
    with journal.database.reading() as connection:
        return [(row["alert"].external_id, row["decision"], row["incident"]) for row in listed(connection, None, 999)]


async def receive(host: Host, *some: Alert, at: datetime = NOW) -> list[str | None]:
    return [receipt.incident for receipt in await host.reception.receive(some, at)]


async def test_every_alert_is_kept_whole_and_a_body_of_many_once(host: Host) -> None:
    body = {"vendor": ["anything", {"n": 1}]}
    several = [an_alert(f"a{n}", "web").model_copy(update={"raw": body}) for n in range(5)]
    await receive(host, *several)
    await receive(host, *several)
    assert (count(host.journal, alerts), count(host.journal, payloads)) == (10, 1)


async def test_those_who_come_while_others_are_stored_are_stored_together(host: Host) -> None:
    batches: list[int] = []
    store = host.reception.book.store

    def counted(received: list[tuple[Alert, datetime]]) -> object:
        batches.append(len(received))
        return store(received)

    host.reception.book.store = counted  # type: ignore[method-assign, assignment]
    async with anyio.create_task_group() as group:
        for n in range(50):
            group.start_soon(receive, host, an_alert(f"a{n}", "web"))
    assert sum(batches) == 50
    assert len(batches) <= 3
    assert len(host.incidents()) == 1


async def test_a_storm_makes_few_versions_of_an_incident_and_not_one_for_each_alert(host: Host) -> None:
    for n in range(100):
        await receive(host, an_alert(f"a{n}", "web", n / 60))
    (incident,) = host.incidents()
    assert incident.triage.alerts == 64, "the last doubling that was noted"
    assert incident.version <= 9
    assert len(incident.alerts) <= 20
    assert count(host.journal, alerts) == 100


async def test_when_too_many_wait_the_next_is_told_to_come_again(journal: Journal, tmp_path: Path) -> None:
    host = a_host(journal, tmp_path, correlation={"most_waiting": 3})
    refused = []

    async def send(n: int) -> None:
        try:
            await receive(host, an_alert(f"a{n}", "web"), an_alert(f"b{n}", "web"))
        except Busy as error:
            refused.append((n, error.retry_after))

    async with anyio.create_task_group() as group:
        for n in range(4):
            group.start_soon(send, n)
    assert refused
    assert count(journal, alerts) == 8 - 2 * len(refused)
    assert host.reception.waiting == 0


@contextmanager
def failing(host: Host, error: Exception, at: str) -> Iterator[None]:
    """Let a step of the transaction fail."""
    from midwatch.reception import rows  # noqa: PLC0415 - only to break it

    whole = getattr(rows, at)

    def broken(*_: object) -> None:
        raise error

    setattr(rows, at, broken)
    try:
        yield
    finally:
        setattr(rows, at, whole)


async def test_what_cannot_be_stored_leaves_nothing_and_goes_through_when_it_is_sent_again(host: Host) -> None:
    await receive(host, an_alert("first", "web"))
    full = DatabaseDown("the journal cannot be used: database or disk is full")
    with failing(host, full, "put"), pytest.raises(NotKept, match="disk is full"):
        await receive(host, an_alert("a", "cart"), an_alert("a", "web", 1))
    assert count(host.journal, alerts) == 1
    assert len(host.incidents()) == 1
    await receive(host, an_alert("a", "cart"))
    assert decisions(host.journal)[1][:2] == ("a", "new")


async def test_one_whose_alert_cannot_be_stored_takes_nobody_else_along(host: Host) -> None:
    told: list[object] = []

    async def send(alert: Alert) -> None:
        try:
            told.append(await receive(host, alert))
        except NotKept as error:
            told.append(error)

    bad = an_alert("bad", "web").model_copy(update={"raw": float("nan")})  # no JSON, so there are no bytes of it
    async with anyio.create_task_group() as group:
        for alert in (an_alert("a", "web"), bad, an_alert("b", "web")):
            group.start_soon(send, alert)
    assert sum(isinstance(each, NotKept) for each in told) == 1
    assert sorted(name for name, _, _ in decisions(host.journal)) == ["a", "b"]


async def test_a_host_that_starts_anew_decides_as_if_it_had_never_ended(journal: Journal, tmp_path: Path) -> None:
    (tmp_path / "calls.json").write_text(CALLS)
    story = [
        (an_alert("a", "cart"), 0.0),
        (an_alert("b", "web", 1), 1.0),
        (an_alert("a", "cart", action="resolved"), 5.0),
        (an_alert("c", "mail", 5), 5.0),
        (an_alert("a", "cart", 7), 7.0),
        (an_alert("b", "web", 1, action="resolved"), 8.0),
        (an_alert("a", "cart", 8), 8.0),
        (an_alert("d", "web", 9), 9.0),
    ]
    declared = {"declared_topology": tmp_path / "calls.json"}
    whole = Journal(tmp_path / "whole.db")
    steady = a_host(whole, tmp_path, **declared)
    for alert, minute in story:
        await receive(steady, alert, at=later(minute))
        await receive(a_host(journal, tmp_path, **declared), alert, at=later(minute))
    assert decisions(journal) == decisions(whole)
    whole.close()


@pytest.mark.parametrize("anew", [False, True])
async def test_a_repeat_says_when_the_same_came_first(journal: Journal, tmp_path: Path, *, anew: bool) -> None:
    host = a_host(journal, tmp_path)
    fires, ends = an_alert("a", "web"), an_alert("a", "web", action="resolved")
    told = []
    for alert, minute in [(fires, 1.0), (fires, 3.0), (fires, 4.0), (ends, 5.0), (ends, 6.0), (fires, 7.0)]:
        host = a_host(journal, tmp_path) if anew else host
        (receipt,) = await host.reception.receive([alert], later(minute))
        told.append((receipt.decision, receipt.first))
    assert told == [
        ("new", None),
        ("repeat", later(1)),
        ("repeat", later(1)),
        ("resolves", None),
        ("repeat", later(5)),
        ("repeat", later(1)),
    ]


async def test_when_a_repeat_came_first_is_not_made_up_where_it_was_forgotten(journal: Journal, tmp_path: Path) -> None:
    for minute, known in ((0, None), (1, later(0)), (600, None)):
        host = a_host(journal, tmp_path, correlation={"remember_hours": 1})
        (receipt,) = await host.reception.receive([an_alert("a", "web")], later(minute))
        assert receipt.first == known


async def test_an_alert_that_was_forgotten_still_has_its_history(journal: Journal, tmp_path: Path) -> None:
    host = a_host(journal, tmp_path, correlation={"remember_hours": 1})
    (first,) = await receive(host, an_alert("a", "web"))
    again = a_host(journal, tmp_path, correlation={"remember_hours": 1})
    assert await receive(again, an_alert("a", "web"), at=later(600)) == [first]
    (receipt,) = await again.reception.receive([an_alert("a", "web", 601)], later(601))
    assert (receipt.decision, receipt.incident) == ("repeat", first), "its incident is open all the time"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql"))])
def two(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    """Two hosts that know nothing of each other but one database."""
    where = request.getfixturevalue("postgresql") if request.param == "postgresql" else tmp_path / "journal.db"
    (tmp_path / "calls.json").write_text(CALLS)
    both = [Journal(Database(where)) for _ in range(2)]
    one, other = (a_host(journal, tmp_path, declared_topology=tmp_path / "calls.json") for journal in both)
    yield one, other
    for journal in both:
        journal.close()


async def test_two_receptions_over_one_database_make_one_incident(two: tuple[Host, Host]) -> None:
    one, other = two
    async with anyio.create_task_group() as group:
        for n in range(20):
            group.start_soon(receive, one, an_alert(f"a{n}", "cart", n / 10))
            group.start_soon(receive, other, an_alert(f"b{n}", "web", n / 10))
    (incident,) = one.incidents()
    assert {where for _, _, where in decisions(other.journal)} == {incident.id}
    assert await receive(other, an_alert("a0", "cart")) == [incident.id]
    assert one.journal.check(incident.id) > 1


async def test_what_becomes_of_an_incident_in_one_process_is_known_in_the_other(two: tuple[Host, Host]) -> None:
    one, other = two
    (first,) = await receive(one, an_alert("alpha1", "cart"))
    await receive(other, an_alert("alpha1", "cart"))
    by_hand(one).skip(an_alert("alpha1", "cart").id)
    (receipt,) = await other.reception.receive([an_alert("alpha1", "cart", 3)], later(3))
    assert (receipt.decision, receipt.incident) == ("skipped", None)
    assert standing(one, first).status is Status.SKIPPED


def by_hand(host: Host) -> ByHand:
    return ByHand(host.journal, host.eyes.kept, "robin", "they look alike")


def standing(host: Host, name: str | None) -> Incident:
    found = host.journal.incident(name or "")
    assert found
    return found


async def test_an_alert_that_is_split_off_stays_apart_until_it_is_put_back(host: Host) -> None:
    a, b = an_alert("alpha1", "web"), an_alert("bravo1", "web", 1)
    first, joined = await receive(host, a, b)
    assert first == joined
    own = by_hand(host).split(b.id).incident
    assert own != first
    assert await receive(host, an_alert("bravo1", "web", 2)) == [own]
    assert by_hand(host).link(b.id, first or "").incident == first
    assert standing(host, own).status is Status.LINKED
    assert standing(host, own).triage.linked_to == first
    assert await receive(host, an_alert("bravo1", "web", 3)) == [first]


async def test_what_is_put_together_goes_together_the_next_time(host: Host) -> None:
    a, b = an_alert("alpha1", "web"), an_alert("bravo1", "mail", 1)
    first, other = await receive(host, a, b)
    by_hand(host).link(b.id, first or "")
    assert standing(host, other).status is Status.LINKED
    for alert in (a, b):
        await receive(host, alert.model_copy(update={"action": "resolved"}), at=later(10))
    (back,) = await receive(host, an_alert("alpha1", "web", 300), at=later(300))
    assert back != first
    assert await receive(host, an_alert("bravo1", "mail", 301), at=later(301)) == [back]


async def test_an_incident_that_is_linked_is_part_of_the_other_until_it_is_split(host: Host) -> None:
    first, other = await receive(host, an_alert("alpha1", "web"), an_alert("bravo1", "mail"))
    by_hand(host).link(other or "", first or "")
    assert standing(host, other).status is Status.LINKED
    assert await receive(host, an_alert("bravo1", "mail")) == [first]
    by_hand(host).split(other or "")
    assert standing(host, other).status is Status.TRIAGING
    assert await receive(host, an_alert("bravo1", "mail")) == [other]


async def test_a_skipped_alert_opens_nothing_until_it_is_split(host: Host) -> None:
    alert = an_alert("alpha1", "web")
    (first,) = await receive(host, alert)
    by_hand(host).skip(alert.id)
    assert standing(host, first).status is Status.SKIPPED
    assert await receive(host, an_alert("alpha1", "web", 9)) == [None]
    own = by_hand(host).split(an_alert("alpha1", "web", 9).id).incident
    assert await receive(host, an_alert("alpha1", "web", 12), at=later(12)) == [own]


async def test_what_cannot_be_decided_is_said(host: Host) -> None:
    alert = an_alert("alpha1", "web")
    (first,) = await receive(host, alert)
    with pytest.raises(CannotTriage, match="opened"):
        by_hand(host).split(alert.id)
    with pytest.raises(CannotTriage, match="cannot be part of"):
        by_hand(host).link(first or "", first or "")
    with pytest.raises(CannotTriage, match="linked to nothing"):
        by_hand(host).split(first or "")
    with pytest.raises(CannotTriage, match="no alert, nor an incident"):
        by_hand(host).skip("nothing-like-it")


async def test_in_shadow_mode_each_alert_has_an_incident_and_what_would_have_been_is_on_record(
    journal: Journal, tmp_path: Path
) -> None:
    host = a_host(journal, tmp_path, correlation={"shadow": True})
    first, other = await receive(host, an_alert("a", "web"), an_alert("b", "web", 1))
    assert first != other
    assert await receive(host, an_alert("b", "web", 1), an_alert("b", "web", 1, action="resolved")) == [other, other]
    info = await receive(host, an_alert("i", "mail", severity=Severity.INFO))
    assert info != [None]
    assert decisions(journal)[:2] == [("a", "new", first), ("b", "linked", first)]
    again = a_host(journal, tmp_path, correlation={"shadow": True})
    assert await receive(again, an_alert("b", "web", 1)) == [other]


async def test_what_is_decided_by_hand_in_shadow_mode_changes_no_incident_and_holds_for_the_next_time(
    journal: Journal, tmp_path: Path
) -> None:
    host = a_host(journal, tmp_path, correlation={"shadow": True})
    first, other = await receive(host, an_alert("alpha1", "web"), an_alert("bravo1", "web", 1))
    before = {incident.id: incident.version for incident in journal.incidents()}
    hand, bravo = by_hand(host), an_alert("bravo1", "web", 1).id

    def decided(done: Done) -> tuple[str, str, str | None]:
        assert done.incident == other
        assert "shadow mode" in done.said
        return decisions(journal)[1]

    assert decided(hand.split(bravo)) == ("bravo1", "linked", other)
    assert decided(hand.link(bravo, first or "")) == ("bravo1", "linked", first)
    assert decided(hand.skip(bravo)) == ("bravo1", "skipped", None)
    assert decided(hand.split(bravo)) == ("bravo1", "linked", other)
    assert {incident.id: incident.version for incident in journal.incidents()} == before
    real = a_host(journal, tmp_path)
    assert len(set(await receive(real, an_alert("alpha1", "web", 40), an_alert("bravo1", "web", 40)))) == 2
