"""What waits to be worked on: what is due and live, and does not rest until somebody decides."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from midwatch.mitigation.approvals import decide_by_name
from midwatch.records import Incident, Plan, Severity, Status, Steer
from midwatch.steering.steers import tell
from midwatch.storage.journal import Journal
from midwatch.storage.snapshots import note_import, read_from_snapshot
from midwatch.work.waiting import waiting

AT = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("elsewhere", ["snapshot", "import", None])
def test_what_is_told_to_an_investigation_of_elsewhere_has_no_host_look_at_its_own_telemetry(
    elsewhere: str | None,
) -> None:
    journal = Journal(None)
    about = {"title": "Errors", "severity": Severity.HIGH, "service": "service:gateway"}
    incident = Incident(id="one", status=Status.TRIAGING, started_at=AT, first_seen=AT, **about)
    journal.note("one", "incident", "1", incident)
    if elsewhere == "snapshot":
        read_from_snapshot(journal, "one", Path("/snapshot"))
    elif elsewhere == "import":
        with journal.transaction() as notes:
            note_import(notes, "one", "somebody", "")
    tell(journal, "one", Steer(text="why not the bot?", by="ann"))
    assert [each.id for each in waiting(journal, HOUR).others] == ([] if elsewhere else ["one"])
    journal.close()


def planned(journal: Journal, name: str, status: Status = Status.AWAITING_APPROVAL) -> Plan:
    """Put an incident on record that has a plan."""
    about = {"title": "Errors", "severity": Severity.LOW, "service": "service:gateway"}
    rests = Incident(id=name, status=status, started_at=AT, first_seen=AT, **about)
    journal.note(name, "incident", "1", rests)
    return journal.note(
        name, "plan", "1", Plan(action="restart", reasoning="it fails", risk="low", digest=f"digest of {name}")
    )


def test_a_plan_rests_until_somebody_decides_or_says_something_or_nobody_did_for_long() -> None:
    journal = Journal(None)
    plans = {name: planned(journal, name) for name in ("resting", "decided", "steered", "decided before")}
    for name in ("decided", "decided before"):
        decide_by_name(journal, name, plans[name].digest, approved=True, by="ann")
    journal.note("decided before", "plan", "2", plans["decided before"].model_copy(update={"digest": "another"}))
    tell(journal, "steered", Steer(text="why not the bot?", by="ann"))
    planned(journal, "carried out", Status.MITIGATING)
    found = waiting(journal, HOUR)
    assert ([each.id for each in found.decided], [each.id for each in found.others]) == (
        ["decided", "carried out"],
        ["steered"],
    )
    late = waiting(journal, timedelta(0))
    assert {each.id for each in late.decided} == {"resting", "decided", "decided before", "carried out"}
    journal.close()


def test_what_waits_is_found_by_as_many_questions_however_many_plans_rest() -> None:
    def questions(journal: Journal) -> int:
        asked: list[str] = []
        sa.event.listen(
            journal.database.engine, "before_cursor_execute", lambda _c, _k, statement, *_: asked.append(statement)
        )
        assert waiting(journal, HOUR).decided == ()
        return len(asked)

    few, many = Journal(None), Journal(None)
    for journal, count in ((few, 2), (many, 40)):
        for number in range(count):
            planned(journal, f"incident-{number}")
    assert questions(many) == questions(few)
    few.close()
    many.close()
