"""A whole investigation over a real server: its conclusion, its gaps, and that a crash anywhere changes neither."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from midwatch.errors import DatabaseDown, HostError, LostClaim, stopping
from midwatch.investigation import begin
from midwatch.mitigation.approvals import AtTheTerminal
from midwatch.records import Action, Conclusion, Gap, HypothesisKind, Incident, Outcome, Plan, Report, ToolCall, Verdict
from midwatch.settings import ServerSpec, Settings
from midwatch.storage.audit import audit
from midwatch.storage.journal import Entry, Journal
from midwatch_kit.records import Observation

if TYPE_CHECKING:
    from tests.host.conftest import Reach, Reached

CASE = Path(__file__).parent / "case_server.py"
SETTINGS = Settings(gather_seconds=0, subagent_seconds=1, call_seconds=5)


def case(*ways: str) -> ServerSpec:
    return ServerSpec(command=sys.executable, args=["-S", str(CASE), *ways], suite=True)


async def investigate(host: Reached, journal: Journal, incident: Incident) -> Report:
    journal.note(incident.id, "incident", "1", incident)
    asked = AtTheTerminal(Console(file=io.StringIO()))
    return await begin(incident, SETTINGS, journal, host.eyes, host.hands, (), asked).run()


def conclusion_of(journal: Journal, incident: Incident) -> Conclusion:
    (conclusion,) = journal.values(incident.id, Conclusion)
    return conclusion


@pytest.fixture(autouse=True)
def without_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


async def test_the_bad_deploy_is_found_and_the_other_one_ruled_out_with_evidence_that_stands(
    reach: Reach, journal: Journal, incident: Incident
) -> None:
    async with reach(case=case()) as host:
        report = await investigate(host, journal, incident)
        checked = audit(incident.id, journal, host.eyes.kept)
    assert report.outcome is Outcome.ROOT_CAUSE
    (cause,) = conclusion_of(journal, incident).root_causes
    assert (cause.kind, cause.entity) == (HypothesisKind.CHANGE, "service:forge")
    assert cause.path[:3] == ("service:forge", "service:bot", "service:gateway")
    ruled_out = conclusion_of(journal, incident).ruled_out
    assert any("deploy of service:schedule" in out.statement and "o3" in out.observations for out in ruled_out)
    assert checked.faults == ()
    assert checked.citations >= 6
    assert "c1" not in report.packet
    assert "deploy of service:forge" in report.packet


async def test_what_no_tool_can_undo_is_left_to_a_person_and_the_incident_is_watched(
    reach: Reach, journal: Journal, incident: Incident
) -> None:
    async with reach(case=case()) as host:
        report = await investigate(host, journal, incident)
    assert not report.mitigated
    assert journal.values(incident.id, Plan)[-1].action == "roll service:forge back to what ran before"
    assert {action.outcome for action in journal.values(incident.id, Action)} <= {"for_a_person"}
    stands = journal.incident(incident.id)
    assert stands
    assert stands.status == "watching"


@pytest.mark.parametrize(("way", "why"), [("hang", "it took longer than 1 s"), ("odd", "it broke: ")])
async def test_a_subagent_that_hangs_or_breaks_leaves_a_gap_and_what_it_had_found_counts(
    reach: Reach, journal: Journal, incident: Incident, way: str, why: str
) -> None:
    async with reach(case=case(way)) as host:
        report = await investigate(host, journal, incident)
    assert report.outcome is Outcome.ROOT_CAUSE
    gaps = {gap.what: gap.why for gap in journal.values(incident.id, Gap)}
    assert gaps["subagent change service:forge"].startswith(why)
    found = {o.subject for o in journal.values(incident.id, Observation)}
    assert {"content", "exemplar"} <= found


@pytest.mark.parametrize("where", ["find_runbooks", "Subagent.drill"])
@pytest.mark.parametrize("stop", [DatabaseDown("it is away"), LostClaim("it is another host's")])
async def test_a_database_that_goes_away_in_a_part_of_it_stops_an_investigation_and_is_no_gap_of_that_part(
    reach: Reach, journal: Journal, incident: Incident, monkeypatch: pytest.MonkeyPatch, where: str, stop: HostError
) -> None:
    async def breaks(*_: object) -> None:
        raise ExceptionGroup("in a part", [ValueError("beside it"), stop])

    monkeypatch.setattr(f"midwatch.investigation.{where}", breaks)
    async with reach(case=case()) as host:
        with pytest.raises((ExceptionGroup, HostError)) as stopped:
            await investigate(host, journal, incident)
    assert stopping(stopped.value) is stop
    assert "it broke" not in str(journal.values(incident.id, Gap))


async def test_a_server_that_is_missing_is_a_gap_and_lowers_the_confidence(
    reach: Reach, journal: Journal, incident: Incident
) -> None:
    async with reach(case=case(), metrics=ServerSpec(command="no-such-server")) as host:
        await investigate(host, journal, incident)
    gaps = {gap.what: gap.why for gap in conclusion_of(journal, incident).gaps}
    assert gaps["server metrics"] == "it cannot be started: no-such-server is not installed"
    assert conclusion_of(journal, incident).root_causes[0].confidence <= 0.7


async def test_without_any_server_the_conclusion_is_that_nothing_can_be_said(
    reach: Reach, journal: Journal, incident: Incident
) -> None:
    async with reach(gone=ServerSpec(command="no-such-server")) as host:
        report = await investigate(host, journal, incident)
    assert report.outcome is Outcome.BLOCKED
    assert "Not looked at: server gone" in report.packet


class Crash(Exception):
    """Raised in place of a power cut."""


def crash_at(kind: str) -> Callable[[Entry], None]:
    """Return a listener that crashes as soon as a record of a type is in the journal."""

    def crash(entry: Entry) -> None:
        if entry.type == kind:
            raise Crash

    return crash


@pytest.mark.parametrize(
    "kind", ["topology", "tool_call", "observation", "hypothesis", "verdict", "conclusion", "plan", "decision"]
)
async def test_an_investigation_that_crashed_anywhere_ends_as_if_it_had_not(
    reach: Reach, journal: Journal, incident: Incident, tmp_path: Path, kind: str
) -> None:
    whole = Journal(tmp_path / "whole.db")
    async with reach(case=case()) as host:
        expected = await investigate(host, whole, incident)
        journal.listeners.append(crash := crash_at(kind))
        with pytest.raises((Crash, ExceptionGroup)):
            await investigate(host, journal, incident)
        journal.listeners.remove(crash)
        asked = len(journal.values(incident.id, ToolCall))
        again = await investigate(host, journal, incident)
        once_more = await investigate(host, journal, incident)
    assert again == once_more
    assert again == expected
    assert conclusion_of(journal, incident) == conclusion_of(whole, incident)
    assert journal.values(incident.id, Verdict) == whole.values(incident.id, Verdict)
    calls = [(call.tool, str(call.arguments)) for call in journal.values(incident.id, ToolCall)]
    assert len(calls) == len(set(calls)) >= asked
    assert journal.check(incident.id)
    whole.close()
