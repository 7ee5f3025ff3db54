"""What a person tells an investigation: it is tested or left out, with its effect on record; no conclusion is lost."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest
from pydantic import JsonValue
from tests.host_mcp.conftest import case_settings

from midwatch.host import Host, open_host
from midwatch.intake import alerts_from
from midwatch.mitigation.approvals import ThroughTheJournal, decide_by_name
from midwatch.records import (
    Conclusion,
    Decision,
    Hypothesis,
    HypothesisKind,
    Incident,
    Plan,
    Report,
    Status,
    Steer,
    ToolCall,
    Verdict,
)
from midwatch.steering.steers import tell
from midwatch.storage.audit import audit
from midwatch.storage.journal import Entry, Journal
from midwatch.work.waiting import unfinished
from midwatch_kit.records import Observation

AT = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)
POOL = Steer(text="the pool of bot ran dry last week too", by="ann", kind=HypothesisKind.RESOURCE, entity="service:bot")
NOT_FORGE = Steer(text="forge was only drained", by="ann", leave_out="service:forge")


@asynccontextmanager
async def a_host(folder: Path, approval_seconds: float = 0.1) -> AsyncGenerator[Host]:
    settings = case_settings(folder, approval_seconds)
    async with open_host(settings) as host:
        yield host


@pytest.fixture
async def host(tmp_path: Path) -> AsyncGenerator[Host]:
    async with a_host(tmp_path) as opened:
        yield opened


class Crash(Exception):
    """Raised in place of a power cut."""


def crash_at(kind: str) -> Callable[[Entry], None]:
    def crash(entry: Entry) -> None:
        if entry.type == kind:
            raise Crash

    return crash


async def until(there: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while True:
            if there():
                return
            await anyio.sleep(0.02)


def an_incident(host: Host) -> Incident:
    alert: JsonValue = {"title": "Error rate of gateway", "service": "gateway", "started_at": AT.isoformat()}
    return host.receive(alerts_from(alert), AT)[0]


async def investigate(host: Host, incident: Incident) -> Report:
    approver = ThroughTheJournal(host.journal, host.settings.approval_seconds)
    with anyio.fail_after(20):
        return await host.investigation(incident, approver).run()


def effects(journal: Journal, incident: Incident) -> list[str]:
    return [steer.effect for steer in journal.values(incident.id, Steer) if steer.effect]


async def test_a_hint_is_tested_like_any_other_hypothesis_and_its_verdict_is_the_steers_effect(host: Host) -> None:
    incident = an_incident(host)
    tell(host.journal, incident.id, POOL)
    await investigate(host, incident)
    short = [h for h in host.journal.values(incident.id, Hypothesis) if h.kind is HypothesisKind.RESOURCE]
    (hint,) = [h for h in short if h.entity == "service:bot"]
    assert hint.rationale == "ann: the pool of bot ran dry last week too"
    (verdict,) = [v for v in host.journal.values(incident.id, Verdict) if v.hypothesis == hint.id]
    (effect,) = effects(host.journal, incident)
    assert effect == f"tested resource at service:bot: {verdict.result}, {verdict.reason}"
    (conclusion,) = host.journal.values(incident.id, Conclusion)
    assert conclusion.root_causes[0].entity == "service:forge"


async def test_what_a_person_calls_noise_is_neither_seen_nor_a_cause(host: Host) -> None:
    incident = an_incident(host)
    tell(host.journal, incident.id, NOT_FORGE)
    await investigate(host, incident)
    assert "service:forge" not in {o.entity for o in host.journal.values(incident.id, Observation)}
    assert "service:forge" not in {h.entity for h in host.journal.values(incident.id, Hypothesis)}
    assert effects(host.journal, incident) == ["observations left out: 2"]


async def test_observations_that_say_a_text_are_left_out(host: Host) -> None:
    incident = an_incident(host)
    steer = Steer(text="that deploy was only a comment", by="ann", ignore="deploy of service:schedule")
    tell(host.journal, incident.id, steer)
    await investigate(host, incident)
    kept = {o.statement for o in host.journal.values(incident.id, Observation)}
    assert "deploy of service:schedule" not in kept
    assert "deploy of service:forge" in kept


async def test_a_steer_after_the_conclusion_starts_a_further_look_and_both_conclusions_stay(host: Host) -> None:
    incident = an_incident(host)
    first = await investigate(host, incident)
    asked = len(host.journal.values(incident.id, ToolCall))
    tell(host.journal, incident.id, NOT_FORGE)
    assert [each.id for each in unfinished(host.journal)] == [incident.id]
    second = await investigate(host, incident)
    conclusions = host.journal.values(incident.id, Conclusion)
    assert [c.root_causes[0].entity if c.root_causes else None for c in conclusions] == ["service:forge", None]
    assert first.packet != second.packet
    assert "Root cause: change at service:forge" not in second.packet
    assert await investigate(host, incident) == second
    assert unfinished(host.journal) == []
    assert len(host.journal.values(incident.id, ToolCall)) == asked
    assert audit(incident.id, host.journal, host.eyes.kept).faults == ()


async def test_a_steer_while_a_plan_waits_withdraws_the_question_and_asks_about_a_new_plan(tmp_path: Path) -> None:
    async with a_host(tmp_path, approval_seconds=60) as host, anyio.create_task_group() as group:
        incident = an_incident(host)
        group.start_soon(investigate, host, incident)
        await until(lambda: host.incidents()[0].status is Status.AWAITING_APPROVAL)
        tell(host.journal, incident.id, POOL)
        await until(lambda: len(host.journal.values(incident.id, Plan)) == 2)
        first, second = host.journal.values(incident.id, Plan)
        assert first.digest != second.digest
        assert host.journal.values(incident.id, Decision) == []
        decide_by_name(host.journal, incident.id, second.digest, approved=False, by="ann")
    assert len(host.journal.values(incident.id, Report)) == 2


@pytest.mark.parametrize("kind", ["steer", "verdict", "conclusion", "plan"])
async def test_a_further_look_that_crashed_ends_as_if_it_had_not(tmp_path: Path, kind: str) -> None:
    async with a_host(tmp_path) as host:
        incident = an_incident(host)
        await investigate(host, incident)
        tell(host.journal, incident.id, POOL)
        host.journal.listeners.append(crash := crash_at(kind))
        with pytest.raises((Crash, ExceptionGroup)):
            await investigate(host, incident)
        host.journal.listeners.remove(crash)
        assert [each.id for each in unfinished(host.journal)] == [incident.id]
        done = await investigate(host, incident)
        last = host.journal.values(incident.id, Conclusion)[-1]
        assert "resource at service:bot" in " ".join(out.statement for out in last.ruled_out) + done.packet
        assert effects(host.journal, incident)
        assert unfinished(host.journal) == []
