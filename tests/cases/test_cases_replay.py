"""A replay finds what the live investigation found, the same way every time, and touches nothing."""

import json
from contextlib import closing

import pytest
from tests.cases.conftest import HINT, Desk, Replay, found_in, records_in

from midwatch.reading.differences import differences
from midwatch.reading.findings import Findings
from midwatch.storage.audit import audit
from midwatch.storage.journal import Journal
from midwatch_kit.evidence import EvidenceStore

PATH = ("service:stock", "service:cart", "service:web", "alarm:web-errors")

# They share one investigation, whose servers would starve a live application that another worker runs.
pytestmark = pytest.mark.xdist_group("live")


def test_a_replay_gives_the_same_bytes_whatever_the_place_the_environment_and_the_threads(
    replays: tuple[Replay, Replay],
) -> None:
    assert replays[0].printed == replays[1].printed
    (cause,) = json.loads(replays[0].printed)["conclusion"]["root_causes"]
    assert (cause["entity"], cause["kind"], tuple(cause["path"])) == ("service:stock", "change", PATH)


def test_a_replay_keeps_the_same_journal_but_for_times(replays: tuple[Replay, Replay]) -> None:
    here, there = (records_in(replay.kept) for replay in replays)
    assert len(here) > 40
    assert here == there


def test_a_replay_finds_what_the_live_investigation_found(found: Findings, replays: tuple[Replay, Replay]) -> None:
    again = found_in(replays[0].kept)
    assert found.conclusion.outcome == "root_cause"
    assert differences(found, again) == []
    assert found.plan == again.plan
    assert found.incident == again.incident


def test_a_replay_hears_what_people_told_the_live_investigation(replays: tuple[Replay, Replay]) -> None:
    tested = [(each.kind, each.entity) for each in found_in(replays[0].kept).tested]
    assert (HINT.kind, HINT.entity) in tested


def test_a_replay_asks_nobody_and_changes_nothing(replays: tuple[Replay, Replay]) -> None:
    kinds = [record["type"] for record in records_in(replays[0].kept)]
    assert not {"decision", "action", "health"} & set(kinds)
    assert kinds[-1] == "report"
    plan = json.loads(replays[0].printed)["plan"]
    assert [step["call"]["tool"] for step in plan["steps"] if step["call"]] == ["roll_back", "roll_back"]


def test_the_evidence_of_a_replay_stands(replays: tuple[Replay, Replay]) -> None:
    kept = replays[0].kept
    with closing(Journal(kept / "journal.db")) as journal:
        (incident,) = journal.investigations()
        checked = audit(incident, journal, EvidenceStore(kept / "evidence", 2**40))
    assert checked.citations > 20
    assert checked.faults == ()


def test_a_folder_that_holds_an_investigation_is_not_written_into(desk: Desk) -> None:
    done = desk.midwatch("replay", str(desk.snapshot), "--keep", str(desk.folder / "data"))
    assert done.exit_code == 1
    assert done.stderr.endswith("holds an investigation already: name a new folder with --keep\n")


@pytest.mark.parametrize(
    ("path", "said"),
    [("data", "is no snapshot: cannot read incident.json"), ("store.tar.xz", "cannot unpack")],
)
def test_what_is_no_snapshot_is_told(desk: Desk, path: str, said: str) -> None:
    done = desk.midwatch("replay", str(desk.folder / path))
    assert done.exit_code == 1
    assert said in done.stderr
