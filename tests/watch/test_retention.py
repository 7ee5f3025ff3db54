"""Retention: what goes, what stays and why, and what is left to say that it went."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio
import anyio.from_thread
import pytest
import sqlalchemy as sa

from midwatch import retention
from midwatch.correlation import Decision
from midwatch.errors import DatabaseDown
from midwatch.investigation import becomes
from midwatch.reading.recommendations import decide, put_on_record, standing
from midwatch.reception.rows import listed, payload_of, put
from midwatch.records import Alert, Conclusion, Incident, Message, Outcome, Severity, Status
from midwatch.records.recommendation import Fix, Recommendation
from midwatch.retention import GONE, keep, keep_pruning, prune
from midwatch.settings import Settings
from midwatch.storage.database import Database
from midwatch.storage.journal import Entry, Journal, Place
from midwatch.storage.state import SharedEvidence
from midwatch.storage.tables import payloads
from midwatch_kit.evidence import EvidenceStore, canonical

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=100)


class Archive:
    """A journal with its evidence, in which all that is on record is 100 days old."""

    def __init__(self, journal: Journal, kept: EvidenceStore) -> None:
        self.journal, self.kept = journal, kept

    def has(self, name: str, status: Status = Status.RESOLVED, document: str = "") -> str:
        """Put an incident on record, and a document that it names; returns the document's id."""
        said = {"title": "it fails", "service": "service:gateway", "severity": Severity.HIGH}
        told = {"id": name, "status": status, "started_at": NOW, "first_seen": NOW, **said}
        self.journal.note(name, "incident", "1", Incident.model_validate(told))
        stored = self.kept.put(canonical({"rows": [document or name]}))
        self.journal.note(name, "message", "alert:a:opened", Message(text="it opened this", evidence=stored))
        return stored

    def learns(self, name: str, title: str = "a") -> None:
        """Have an incident recommend something."""
        fix = Fix(problem="p", solution="s")
        learnt = Recommendation(id=title, title=title, category="code", entity="service:gateway", effect="e", spec=fix)
        self.journal.note(name, "conclusion", "1", Conclusion(outcome=Outcome.ROOT_CAUSE, statement="it failed"))
        put_on_record(self.journal, name, 1, [learnt], NOW)

    def prunes(self, *, dry: bool = False, **retention: float) -> dict[str, str]:
        """Prune as 100 days later; returns the text of each step that has one, by incident."""
        settings = Settings.model_validate({"retention": {"days": 90, **retention}})
        steps = [*prune(self.journal, self.kept, settings, LATER, dry=dry)]
        self.documents = sum(step.count for step in steps)
        return {step.text.split()[0]: f"{step.what} {step.text}" for step in steps if step.text}

    @property
    def names(self) -> set[str]:
        return {*self.journal.investigations()} - {GONE}


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with closing(Journal(tmp_path / "journal.db")) as journal:
        yield Archive(journal, EvidenceStore(tmp_path / "evidence", 2**40))


def test_what_is_old_goes_as_a_whole_with_its_evidence_and_leaves_a_line(archive: Archive) -> None:
    document = archive.has("01OLD")
    last = [*archive.journal.entries("01OLD")][-1].hash
    archive.prunes()
    assert archive.names == set()
    assert archive.journal.incidents() == []
    assert archive.kept.untouched_since(LATER, document[:2]) == []
    (line,) = (message.text for message in archive.journal.values(GONE, Message))
    assert line.startswith("01OLD  'it fails' of service:gateway, resolved; 2 records up to ")
    assert line.endswith(f"the last with hash sha256:{last}; older than 90 days")
    assert archive.journal.check(GONE) == 1


def test_nothing_goes_where_no_days_are_set_or_while_it_is_young(archive: Archive) -> None:
    archive.has("01OLD")
    assert [*prune(archive.journal, archive.kept, Settings(), LATER, dry=False)] == []
    archive.prunes(days=101)
    assert archive.names == {"01OLD"}


def test_a_dry_run_says_the_same_and_changes_nothing(archive: Archive) -> None:
    archive.has("01OLD")
    archive.has("02OPEN", Status.INVESTIGATING)
    told = archive.prunes(dry=True)
    assert (archive.names, archive.documents) == ({"01OLD", "02OPEN"}, 1)
    assert archive.journal.values(GONE, Message) == []
    assert archive.prunes() == told
    assert (archive.names, archive.documents) == ({"02OPEN"}, 1)


@pytest.mark.parametrize(
    ("status", "stays"),
    [
        (Status.INVESTIGATING, True),
        (Status.AWAITING_APPROVAL, True),
        (Status.MITIGATING, True),
        (Status.WATCHING, False),
        (Status.LINKED, False),
        (Status.FAILED, False),
    ],
)
def test_what_is_open_stays(archive: Archive, status: Status, *, stays: bool) -> None:
    archive.has("01OLD", status)
    told = archive.prunes()
    assert (archive.names == {"01OLD"}) is stays
    assert (f"it is open ({status})" in told["01OLD"]) is stays


def test_what_is_watched_stays_however_few_days_are_set(archive: Archive) -> None:
    archive.has("01WATCHED", Status.WATCHING)
    settings = Settings.model_validate({"retention": {"days": 0.01}})
    soon = datetime.now(UTC) + timedelta(hours=12)
    assert not [s for s in prune(archive.journal, archive.kept, settings, soon, dry=False) if s.what == "gone"]


def test_what_is_kept_by_hand_stays_until_it_is_released(archive: Archive) -> None:
    archive.has("01KEPT")
    keep(archive.journal, "01KEPT", "robin")
    assert archive.prunes()["01KEPT"] == "stays 01KEPT  it is kept by robin"
    keep(archive.journal, "01KEPT", "robin", release=True)
    archive.prunes()
    assert archive.names == set()


def test_what_an_open_recommendation_rests_on_stays_and_goes_once_it_is_decided(archive: Archive) -> None:
    archive.has("01LEARNT")
    archive.learns("01LEARNT")
    decide(archive.journal, "a", "accepted", by="robin", reason="yes")
    assert "the recommendation a rests on it, and is accepted" in archive.prunes()["01LEARNT"]
    decide(archive.journal, "a", "implemented", by="robin", reason="done")
    archive.prunes()
    assert archive.names == set()


def test_what_became_of_a_recommendation_stays_known_while_any_incident_of_it_does(archive: Archive) -> None:
    for name in ("01FIRST", "02SECOND"):
        archive.has(name)
        archive.learns(name)
    decide(archive.journal, "a", "rejected", by="robin", reason="no")
    keep(archive.journal, "01FIRST", "robin")
    assert archive.prunes()["02SECOND"].endswith("the recommendation a rests on 01FIRST too, which stays")
    assert [(each.id, each.status) for each in standing(archive.journal, LATER)] == [("a", "rejected")]


def test_evidence_that_another_incident_names_stays(archive: Archive) -> None:
    shared = archive.has("01OLD", document="the same")
    archive.has("02OPEN", Status.INVESTIGATING, document="the same")
    alone = archive.has("03OLD")
    archive.prunes()
    assert archive.names == {"02OPEN"}
    assert archive.kept.get(shared)
    assert archive.documents == 1
    assert archive.kept.untouched_since(LATER, alone[:2]) == ([shared] if shared[:2] == alone[:2] else [])


def test_evidence_that_no_record_names_goes_when_it_is_old(archive: Archive) -> None:
    stray = archive.kept.put(b'{"rows":[]}')
    archive.prunes(evidence_days=200)
    assert archive.kept.get(stray)
    archive.prunes()
    assert archive.documents == 1


def test_what_is_noted_while_pruning_stays(archive: Archive) -> None:
    archive.has("01OLD")
    archive.has("02OLD")
    settings = Settings.model_validate({"retention": {"days": 90}})
    steps = prune(archive.journal, archive.kept, settings, LATER, dry=False)
    assert next(steps).text.startswith("01OLD")
    incident = archive.journal.incident("02OLD")
    assert incident
    becomes(archive.journal, incident, Status.INVESTIGATING)
    assert "gone" not in {step.what for step in steps}
    assert archive.names == {"02OLD"}


def test_alerts_go_with_their_incident_and_those_of_none_by_themselves(archive: Archive) -> None:
    archive.has("01OLD")
    archive.has("02OPEN", Status.INVESTIGATING)
    for name, incident in (("a", "01OLD"), ("b", "02OPEN"), ("c", None)):
        alert = Alert.model_validate({
            "id": name, "source": "test", "external_id": name, "title": "t", "service": "gateway", "started_at": NOW,
            "raw": {"whole": name},
        })  # fmt: skip
        decided = Decision("new" if incident else "skipped", incident, "as tests say")
        with archive.journal.database.writing() as connection:
            put(connection, archive.journal.database, [(alert, decided, NOW, None)])
    archive.prunes()
    with archive.journal.database.reading() as connection:
        assert [row["alert"].id for row in listed(connection, None, 10)] == ["b"]
        assert connection.execute(sa.select(sa.func.count()).select_from(payloads)).scalar() == 1


def test_what_a_sender_sent_again_lately_is_kept_for_the_alert_that_came_with_it(archive: Archive) -> None:
    archive.has("01OLD")
    archive.has("02OPEN", Status.INVESTIGATING)
    sent = {"id": "a", "source": "test", "external_id": "a", "title": "t", "service": "gateway", "raw": {"the": "same"}}
    alert = Alert.model_validate({**sent, "started_at": NOW})
    for incident, came in (("01OLD", NOW), ("02OPEN", LATER)):
        with archive.journal.database.writing() as connection:
            put(connection, archive.journal.database, [(alert, Decision("new", incident, "as tests say"), came, None)])
    archive.prunes()
    with archive.journal.database.reading() as connection:
        (row,) = [row for row in listed(connection, None, 10) if row["incident"] == "02OPEN"]
        assert payload_of(connection, row["payload"]) == {"the": "same"}


def test_an_incident_whose_alert_came_lately_stays(archive: Archive) -> None:
    archive.has("01OLD")
    alert = Alert.model_validate(
        {"id": "a", "source": "test", "external_id": "a", "title": "t", "service": "gateway", "started_at": NOW}
    )
    with archive.journal.database.writing() as connection:
        put(connection, archive.journal.database, [(alert, Decision("repeat", "01OLD", "again"), LATER, None)])
    assert archive.prunes() == {"01OLD": "stays 01OLD  an alert of it came since"}


async def test_a_journal_that_is_away_when_the_time_has_come_is_pruned_the_next_time(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.has("01OLD")
    places, gone = archive.journal.places, anyio.Event()

    def away_once(before: datetime) -> list[Place]:
        monkeypatch.setattr(archive.journal, "places", places)
        raise DatabaseDown("it restarts")

    def hear(_: Entry) -> None:
        loop.start_task_soon(gone.set)

    monkeypatch.setattr(archive.journal, "places", away_once)
    monkeypatch.setattr(retention, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(retention, "EVERY_SECONDS", 0.01)
    loop = anyio.from_thread.BlockingPortal()
    settings = Settings.model_validate({"retention": {"days": 1e-9}, "watch": {"seconds": 1e-3}})
    async with loop, anyio.create_task_group() as group:
        archive.journal.listeners.append(hear)
        group.start_soon(keep_pruning, archive.journal, archive.kept, settings)
        with anyio.fail_after(20):
            await gone.wait()
        group.cancel_scope.cancel()
    assert archive.names == set()


@pytest.mark.xdist_group("postgresql")
def test_it_is_the_same_in_postgresql(tmp_path: Path, postgresql: str) -> None:
    with closing(Journal(Database(postgresql))) as journal:
        archive = Archive(journal, SharedEvidence(tmp_path / "near", journal.database))
        gone = archive.has("01OLD")
        stays = archive.has("02OPEN", Status.INVESTIGATING)
        archive.prunes()
        assert (archive.names, archive.documents) == ({"02OPEN"}, 1)
        assert archive.kept.untouched_since(LATER, gone[:2]) == ([stays] if stays[:2] == gone[:2] else [])
        assert archive.kept.get(stays)
