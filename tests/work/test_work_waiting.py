"""What waits to be worked on: what is due and live, and does not rest until somebody decides."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from midwatch.records import Incident, Severity, Status, Steer
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
    assert [each.id for each in waiting(journal, HOUR)] == ([] if elsewhere else ["one"])
    journal.close()
