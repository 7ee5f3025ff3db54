"""What alerts change in the journal: who hears of it, what is begun anew, and what is left as it is."""

import threading
from pathlib import Path

import anyio
import anyio.from_thread
import pytest
from tests.correlation.conftest import a_host
from tests.correlation.stage import an_alert, at

from midwatch.host import Host
from midwatch.investigation import becomes
from midwatch.reception.batch import Received
from midwatch.records import Alert, Incident, Outcome, Report, Severity, Status, Steer
from midwatch.storage.journal import Entry, Journal
from midwatch.work.waiting import unfinished

CALLS = """{"relations": [
  {"source": "service:cart", "kind": "calls", "target": "service:db"},
  {"source": "service:prices", "kind": "calls", "target": "service:db"}]}"""


async def receive(host: Host, *some: Alert, minutes: float = 0) -> list[Incident]:
    """Return the incidents of some alerts that come so many minutes after NOW, as they stand then."""
    names = [receipt.incident or "" for receipt in await host.reception.receive(some, at(minutes))]
    return [found for name in names if (found := host.journal.incident(name))]


async def reported(host: Host, status: Status) -> Incident:
    """Return an incident that was investigated and has a status since, and whose alert is over after ten minutes."""
    (incident,) = await receive(host, an_alert("a", "cart"))
    host.journal.note(incident.id, "report", "1", Report(outcome=Outcome.ROOT_CAUSE, mitigated=False, packet=""))
    over = an_alert("a", "cart").model_copy(update={"action": "resolved", "ended_at": at(10)})
    await receive(host, over, minutes=10)
    assert unfinished(host.journal) == []
    return becomes(host.journal, incident, status)


async def test_an_incident_that_is_resolved_and_comes_back_is_investigated_again_over_its_return(host: Host) -> None:
    resolved = await reported(host, Status.RESOLVED)
    (back,) = await receive(host, an_alert("a", "cart", 15), minutes=15)
    assert (back.id, back.status) == (resolved.id, Status.INVESTIGATING)
    assert [incident.id for incident in unfinished(host.journal)] == [resolved.id]
    (told,) = host.journal.values(resolved.id, Steer)
    assert told.since == at(10), "from five minutes before it came back"
    assert "is back 5 min after" in told.text


async def test_an_incident_that_is_watched_is_left_to_the_watch_when_its_alert_comes_back(host: Host) -> None:
    watched = await reported(host, Status.WATCHING)
    (back,) = await receive(host, an_alert("a", "cart", 15), minutes=15)
    assert (back.id, back.status) == (watched.id, Status.WATCHING)
    assert unfinished(host.journal) == []


async def test_an_incident_whose_plan_is_being_carried_out_is_not_made_part_of_another(
    journal: Journal, tmp_path: Path
) -> None:
    (tmp_path / "calls.json").write_text(CALLS)
    host = a_host(journal, tmp_path, declared_topology=tmp_path / "calls.json")
    older, younger = await receive(host, an_alert("a", "cart"), an_alert("b", "prices", 6))
    assert older.id != younger.id
    becomes(journal, younger, Status.MITIGATING)
    await receive(host, an_alert("c", "db", 3), minutes=6)
    assert {incident.id: incident.status for incident in journal.incidents()} == {
        older.id: Status.TRIAGING,
        younger.id: Status.MITIGATING,
    }


@pytest.mark.parametrize("severity", [each for each in Severity if each is not Severity.INFO])
async def test_whatever_is_not_for_information_alone_has_an_incident(host: Host, severity: Severity) -> None:
    (incident,) = await receive(host, an_alert("a", "cart", severity=severity))
    assert incident.severity is severity


async def test_alerts_of_one_sender_with_the_same_labels_are_over_when_each_of_them_is(host: Host) -> None:
    one, other = (an_alert(name, "cart", labels={"zone": "a"}) for name in ("disk 1", "disk 2"))
    (incident, _) = await receive(host, one, other)
    said = []
    for alert in (one, other):
        await receive(host, alert.model_copy(update={"action": "resolved", "ended_at": at(5)}), minutes=5)
        said.append([e.key for e in host.journal.entries(incident.id, kind="message") if e.key.endswith(":over")])
    assert [len(keys) for keys in said] == [0, 1]


async def test_who_listens_to_the_journal_hears_what_alerts_make_of_incidents(host: Host) -> None:
    heard: list[Entry] = []
    host.journal.listeners.append(heard.append)
    (incident,) = await receive(host, an_alert("a", "cart"))
    assert heard == [*host.journal.entries(incident.id)]
    assert len(heard) == 2, "the incident, and its alert"


async def test_who_goes_away_before_its_turn_leaves_nothing_behind(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    stored, begun, go_on = [], anyio.Event(), threading.Event()
    store = host.reception.book.store

    def slow(received: list[Received]) -> object:
        stored.extend([alert.external_id for alert, _ in received])
        anyio.from_thread.run_sync(begun.set)
        assert go_on.wait(10)
        return store(received)

    monkeypatch.setattr(host.reception.book, "store", slow)
    async with anyio.create_task_group() as group:
        group.start_soon(receive, host, an_alert("first", "cart"))
        await begun.wait()
        with anyio.move_on_after(0.05):
            await receive(host, an_alert("impatient", "cart"), an_alert("too", "cart"))
        waiting = host.reception.waiting
        go_on.set()
    await receive(host, an_alert("next", "cart"), minutes=1)
    assert (stored, waiting, host.reception.waiting) == (["first", "next"], 0, 0)
