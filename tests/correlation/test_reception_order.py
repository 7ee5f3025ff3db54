"""An incident that proves to have been over before some of its alerts began loses them, on record and everywhere."""

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.correlation.conftest import a_host
from tests.correlation.stage import NOW, an_alert, at, neighbourhood

from midwatch.correlation import Rules
from midwatch.host import Host
from midwatch.reception import AlertBook
from midwatch.reception.by_hand import ByHand
from midwatch.reception.rows import listed
from midwatch.records import Alert, Message, Status
from midwatch.settings.correlation import CorrelationSettings
from midwatch.storage.journal import Journal
from midwatch_kit.evidence import EvidenceStore

CALLS = """{"relations": [
  {"source": "service:web", "kind": "calls", "target": "service:cart"},
  {"source": "service:cart", "kind": "calls", "target": "service:db"},
  {"source": "service:prices", "kind": "calls", "target": "service:db"}]}"""


@pytest.fixture
def host(journal: Journal, tmp_path: Path) -> Host:
    (tmp_path / "calls.json").write_text(CALLS)
    return a_host(journal, tmp_path, declared_topology=tmp_path / "calls.json")


def end(name: str, service: str, began: float, minutes: float) -> Alert:
    """Return the end of an alert, as its sender tells it with its beginning."""
    return an_alert(name, service, began).model_copy(update={"action": "resolved", "ended_at": at(minutes)})


async def receive(host: Host, *some: Alert) -> list[str | None]:
    return [receipt.incident for receipt in await host.reception.receive(some, at(120))]


def where(journal: Journal) -> dict[str, str | None]:
    """Return the incident of each alert on record, by its id; of the rows of one alert all say the same."""
    with journal.database.reading() as connection:
        found = {
            (row["alert"].id, row["alert"].action == "resolved", row["incident"])
            for row in listed(connection, None, 999)
        }
    return {f"{name}{' end' * over}": incident for name, over, incident in found}


SECOND = (an_alert("a", "cart", 90), an_alert("c", "web", 91), end("c", "web", 91, 110))


async def late_end(host: Host) -> str:
    """Have an incident whose last end is still missing when its alert fires anew, long after; return its id."""
    first, *_ = await receive(host, an_alert("a", "cart"), an_alert("b", "web", 1), end("a", "cart", 0, 20))
    assert {*await receive(host, *SECOND, SECOND[0])} == {first}, "it looks open"
    return first or ""


async def test_what_began_after_an_incident_was_over_moves_to_one_of_its_own_when_that_is_told(host: Host) -> None:
    first = await late_end(host)
    assert await receive(host, end("b", "web", 1, 20)) == [first]
    found = where(host.journal)
    second = found["a@90"]
    assert second not in (first, None)
    assert {name for name, incident in found.items() if incident == second} == {"a@90", "c@91", "c@91 end"}
    assert await receive(host, SECOND[0], end("a", "cart", 90, 110)) == [second, second]
    stands = host.journal.incident(second or "")
    assert stands
    assert (stands.triage.recurrence_of, stands.started_at, stands.alerts[0]) == (first, at(90), "a@90")
    (said,) = [m.text for m in host.journal.values(first, Message) if "are part of" in m.text]
    because = f"{first} was over at 2026-11-20T03:08:00Z, as the end of b told later"
    assert said == f"2 alerts that came here are part of {second} now: {because}"
    with host.journal.database.reading() as connection:
        whys = [row["why"] for row in listed(connection, [second or ""], 9) if row["decision"] == "recurrence"]
    assert whys == [f"the same alert was part of {first}, which is over: it comes back; {because}"]
    assert host.journal.check(first) + host.journal.check(second or "") > 2


async def test_another_host_and_one_that_starts_anew_know_it_too(host: Host, tmp_path: Path) -> None:
    other = a_host(host.journal, tmp_path, declared_topology=tmp_path / "calls.json")
    first = await late_end(host)
    await receive(other, an_alert("b", "web", 1))
    await receive(host, end("b", "web", 1, 20))
    second = where(host.journal)["a@90"]
    assert second != first
    anew = a_host(host.journal, tmp_path, declared_topology=tmp_path / "calls.json")
    assert await receive(other, an_alert("d", "cart", 92)) == await receive(anew, an_alert("e", "cart", 92)) == [second]


async def test_an_incident_that_has_gone_on_keeps_what_it_has(host: Host) -> None:
    first = await late_end(host)
    await receive(host, end("b", "web", 1, 85))
    assert {*where(host.journal).values()} == {first}


async def test_an_alert_that_comes_and_goes_stays_with_its_incident(host: Host) -> None:
    some = (an_alert("b", "web", 1), an_alert("a", "cart"), end("a", "cart", 0, 1), an_alert("a", "cart", 5))
    first, *_ = await receive(host, *some, end("a", "cart", 5, 6))
    await receive(host, an_alert("a", "cart", 25), end("b", "web", 1, 6), end("a", "cart", 25, 26))
    assert {*where(host.journal).values()} == {first}


async def test_what_a_person_says_goes_on_stays_whole(host: Host) -> None:
    first = await late_end(host)
    (far,) = await receive(host, an_alert("distant", "mail", 95).model_copy(update={"id": "distant@95"}))
    assert far != first
    ByHand(host.journal, host.eyes.kept, "robin", "the same deploy").link("distant@95", first)
    await receive(host, end("b", "web", 1, 20))
    assert {*where(host.journal).values()} == {first}


async def test_incidents_that_a_person_linked_stay_one(host: Host) -> None:
    first, _ = await receive(host, an_alert("a", "cart"), an_alert("b", "web", 1))
    (later,) = await receive(host, an_alert("m", "mail", 90))
    ByHand(host.journal, host.eyes.kept, "robin", "one deploy").link(later or "", first or "")
    await receive(host, end("a", "cart", 0, 20), end("b", "web", 1, 20))
    assert await receive(host, an_alert("m", "mail", 90)) == [first]


async def test_what_is_opened_and_tied_to_another_at_once_is_linked_on_record(host: Host) -> None:
    some = (an_alert("a", "cart"), an_alert("b", "prices", 6), an_alert("c", "db", 3))
    first, second, _ = await receive(host, *some)
    stands = {incident.id: (incident.status, incident.triage.linked_to) for incident in host.incidents()}
    assert stands[second or ""] == (Status.LINKED, first)
    assert stands[first or ""] == (Status.TRIAGING, None)


async def test_an_end_before_its_beginning_is_of_the_same_incident_on_record(host: Host) -> None:
    await receive(host, end("a", "cart", 0, 20))
    (first,) = await receive(host, an_alert("b", "web", 1))
    await receive(host, an_alert("a", "cart"))
    assert where(host.journal)["a@0 end"] == first


async def test_an_outage_that_was_over_before_any_of_it_was_told_has_an_incident_that_says_so(host: Host) -> None:
    await receive(host, end("a", "cart", 0, 20), end("b", "web", 1, 20))
    first, second = await receive(host, an_alert("a", "cart"), an_alert("b", "web", 1))
    assert where(host.journal) == dict.fromkeys(("a@0", "a@0 end", "b@1", "b@1 end"), first)
    assert second == first
    said = [str(entry.body) for entry in host.journal.entries(first or "")]
    assert any("it was over before it came" in text for text in said)
    assert any("every alert of it is over" in text for text in said)


FIRST_TIME = [an_alert("a", "cart"), an_alert("b", "web", 1), end("a", "cart", 0, 20), end("b", "web", 1, 20)]
SECOND_TIME = [an_alert("a", "cart", 90), an_alert("c", "web", 91), end("a", "cart", 90, 110), end("c", "web", 91, 110)]


@given(st.permutations([*FIRST_TIME, *SECOND_TIME]), st.integers(1, 8))
@settings(max_examples=15, deadline=None)
def test_in_whatever_order_they_come_two_outages_an_hour_apart_are_never_one(
    tmp_path_factory: pytest.TempPathFactory, story: list[Alert], at_once: int
) -> None:
    folder = tmp_path_factory.mktemp("order")
    area = neighbourhood("web>cart")
    with closing(Journal(folder / "journal.db")) as journal:
        kept = EvidenceStore(folder / "evidence", 2**40)
        book = AlertBook(journal, kept, CorrelationSettings(), Rules, lambda: area)
        now = NOW + timedelta(hours=5)
        for first in range(0, len(story), at_once):
            now += timedelta(seconds=1)
            book.store([(alert, now) for alert in story[first : first + at_once]])
        found = where(journal)
    of_first, of_second = ({found[name] for name in names} - {None} for names in (("a@0", "b@1"), ("a@90", "c@91")))
    assert not of_first & of_second
    assert max(len(of_first), len(of_second)) <= 1
