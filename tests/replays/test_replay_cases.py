"""Replays of hard stories through the real servers and the real host: what must be found, and what must not be said."""

from contextlib import closing
from pathlib import Path

import pytest
from tests.replays.cases import CASES, Case

from midwatch.cases.case import Expected, faults
from midwatch.cases.replay import Replayed, replay
from midwatch.settings import Settings
from midwatch.storage.journal import Journal
from midwatch_bench.accuracy.in_process import reach_without

NOWHERE = "http://127.0.0.1:9"
"""A deployer that nobody asks anything: with it, a plan could name the tool that rolls back."""
SETTINGS = Settings(lookback_seconds=40, gather_seconds=2.5, roll_back_url=NOWHERE)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "_"))
def test_a_story_is_told_as_it_was(tmp_path: Path, case: Case) -> None:
    snapshot, kept = case.story.write(tmp_path / "snapshot", case.arrives), tmp_path / "kept"
    done = replay(snapshot, kept, SETTINGS, reach_without(frozenset()))
    found, plan = done.findings.conclusion, done.findings.plan
    assert list(faults(expected_of(case), done.findings)) == []
    assert {(c.kind, c.entity) for c in found.root_causes} == {(c.kind, c.entity) for c in case.causes}
    told = [f"{gap.what}: {gap.why}" for gap in found.gaps]
    assert len(told) == len(case.gaps), told
    assert all(any(text in gap for gap in told) for text in case.gaps), told
    said = f"{done.packet}\n{plan and plan.risk}"
    assert [text for text in case.says if text not in said] == []
    assert plan
    assert not (case.by_hand and any(step.call for step in plan.steps))
    assert [text for text in case.hides if text in everything_told(done, kept)] == []


def expected_of(case: Case) -> Expected:
    return Expected(outcomes=(case.outcome,), causes=case.causes[:1], ruled_out=case.ruled_out)


def everything_told(done: Replayed, kept: Path) -> str:
    """Return the whole journal, what is printed for programs, and what is printed for people."""
    with closing(Journal(kept / "journal.db")) as journal:
        (incident,) = journal.investigations()
        records = [entry.model_dump_json() for entry in journal.entries(incident)]
    return "\n".join([*records, done.findings.model_dump_json(), done.packet])
