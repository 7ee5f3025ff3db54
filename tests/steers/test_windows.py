"""A person chooses when an investigation looks, while it runs or after: what is asked, found and reported follows."""

from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest
from tests.steers.conftest import SEEN, a_host, an_incident, effects, investigate

from midwatch.host import Host
from midwatch.records import Conclusion, Gap, Incident, Message, Scope, Steer, ToolCall
from midwatch.steering.steers import look_of, span, tell
from midwatch.storage.audit import audit
from midwatch.storage.journal import Entry
from midwatch.telling import Fields, steer_of
from midwatch.work.waiting import unfinished
from midwatch_kit.records import Observation

LATEST, WHOLE = "look only at the latest wave", "look at the whole window again"


@pytest.fixture
async def host(tmp_path: Path) -> AsyncGenerator[Host]:
    async with a_host(tmp_path) as opened:
        yield opened


def say(host: Host, incident: Incident, words: str) -> None:
    tell(host.journal, incident.id, steer_of(host.journal, incident, words, "ann", Fields(), SEEN))


def causes(host: Host, incident: Incident) -> list[str]:
    """Return the entity of the first cause of each conclusion."""
    return [c.root_causes[0].entity for c in host.journal.values(incident.id, Conclusion)]


async def test_the_latest_wave_alone_has_another_cause_and_makes_a_new_version(host: Host) -> None:
    incident = an_incident(host)
    first = await investigate(host, incident)
    say(host, incident, LATEST)
    second = await investigate(host, incident)
    assert causes(host, incident) == ["service:bot", "service:forge"]
    whole, wave = host.journal.values(incident.id, Scope)
    assert span(whole.window) == "02:39:57 to 02:48:10"
    assert span(wave.window) == "02:45:57 to 02:48:10"
    assert [span(each) for each in wave.waves] == ["02:38:49 to 02:44:21", "02:45:44 to 02:48:10"]
    assert wave.waves[0].end <= wave.baseline.start < wave.baseline.end <= wave.window.start
    assert effects(host, incident) == ["window 02:45:57 to 02:48:10 instead of 02:39:57 to 02:48:10; wave 2 of 2"]
    was, now = host.journal.values(incident.id, Conclusion)
    assert (was.version, now.version) == (1, 2)
    assert "Version" not in first.packet
    lines = second.packet.split("\n")
    assert "Window: 02:45:57 to 02:48:10 (wave 2 of 2)" in lines
    assert f"Version 1 → 2, because of ann: {LATEST}" in lines
    assert "- root cause: change at service:bot (c1), state at service:forge → change at service:forge (c2)" in lines
    assert audit(incident.id, host.journal, host.eyes.kept).faults == ()


async def test_every_question_and_every_claim_of_the_further_look_is_of_the_new_window(host: Host) -> None:
    incident = an_incident(host)
    await investigate(host, incident)
    say(host, incident, LATEST)
    asked = len(host.journal.values(incident.id, ToolCall))
    await investigate(host, incident)
    scope = host.journal.values(incident.id, Scope)[-1]
    surveys = [c for c in host.journal.values(incident.id, ToolCall)[asked:] if "entities" in c.arguments]
    of_all = [call for call in surveys if len(str(call.arguments["entities"]).split(",")) > 1]
    assert {call.arguments["start"] for call in of_all} == {scope.window.start.isoformat().replace("+00:00", "Z")}
    seen = {o.id: o for o in host.journal.values(incident.id, Observation)}
    cause = host.journal.values(incident.id, Conclusion)[-1].root_causes[0]
    assert "service:bot" not in {seen[name].entity for name in cause.supports if seen[name].subject == "error_origin"}


async def test_a_steer_while_a_look_is_under_way_ends_it_and_what_was_found_until_then_stays(tmp_path: Path) -> None:
    async with a_host(tmp_path, "hang", call_seconds=15) as host:
        incident = an_incident(host)

        def at_the_first_hypothesis(entry: Entry) -> None:
            if entry.type == "hypothesis" and not host.journal.values(incident.id, Steer):
                say(host, incident, LATEST)

        host.journal.listeners.append(at_the_first_hypothesis)
        await investigate(host, incident)
        assert causes(host, incident) == ["service:forge"]
        (ended,) = [m.text for m in host.journal.values(incident.id, Message) if "ended" in m.text]
        assert ended == f"look 1 ended before it concluded, to look again: ann: {LATEST}"
        assert "service:bot" in {o.entity for o in host.journal.values(incident.id, Observation)}
        assert look_of(host.journal, incident.id) == 2
        assert host.journal.values(incident.id, Conclusion)[0].version == 1
        assert unfinished(host.journal) == []


async def test_a_look_that_changes_nothing_says_so_and_keeps_the_version(host: Host) -> None:
    incident = an_incident(host)
    await investigate(host, incident)
    say(host, incident, "test traffic at bot")
    done = await investigate(host, incident)
    assert [c.version for c in host.journal.values(incident.id, Conclusion)] == [1, 1]
    said = "Version 1 stands: looked at again (ann: test traffic at bot), and nothing changed that matters"
    assert said in done.packet.split("\n")
    assert "→ 2" not in done.packet


async def test_the_last_choice_of_a_window_holds_and_can_be_taken_back(host: Host) -> None:
    incident = an_incident(host)
    await investigate(host, incident)
    for words in (LATEST, "the first wave", "between 02:46 and 02:48", WHOLE):
        say(host, incident, words)
        await investigate(host, incident)
    assert causes(host, incident) == [f"service:{name}" for name in ("bot", "forge", "bot", "forge", "bot")]
    assert [c.version for c in host.journal.values(incident.id, Conclusion)] == [1, 2, 3, 4, 5]
    assert [span(scope.window) for scope in host.journal.values(incident.id, Scope)] == [
        "02:39:57 to 02:48:10",
        "02:45:57 to 02:48:10",
        "02:39:57 to 02:44:21",
        "02:46:00 to 02:48:00",
        "02:39:57 to 02:48:10",
    ]
    assert len([c for c in host.journal.values(incident.id, ToolCall) if c.tool == "chart"]) == 1


async def test_a_wave_that_is_not_there_leaves_the_window_and_a_gap_that_says_so(host: Host) -> None:
    incident = an_incident(host)
    await investigate(host, incident)
    say(host, incident, "wave 3")
    await investigate(host, incident)
    assert effects(host, incident) == ["window 02:39:57 to 02:48:10, as before; there is no wave 3: 2 could be told"]
    assert "there is no wave 3: 2 could be told" in {gap.why for gap in host.journal.values(incident.id, Gap)}


async def test_a_steer_is_paid_from_the_budget_that_there_is(tmp_path: Path) -> None:
    async with a_host(tmp_path, investigation_calls=20) as host:
        incident = an_incident(host)
        await investigate(host, incident)
        asked = len(host.journal.values(incident.id, ToolCall))
        say(host, incident, LATEST)
        await investigate(host, incident)
        assert len(host.journal.values(incident.id, ToolCall)) - asked <= 20
        assert "too few tool calls are left of the budget" in {g.why for g in host.journal.values(incident.id, Gap)}


class Crash(Exception):
    """Raised in place of a power cut."""


def crash_at(kind: str, key: str = "") -> Callable[[Entry], None]:
    def crash(entry: Entry) -> None:
        if entry.type == kind and key in entry.key:
            raise Crash

    return crash


@pytest.mark.parametrize(
    ("kind", "key"),
    [("message", "look:2"), ("topology", "scope:2"), ("conclusion", "2")],
)
async def test_a_look_that_crashed_keeps_its_window_and_concludes_once(tmp_path: Path, kind: str, key: str) -> None:
    async with a_host(tmp_path) as host:
        incident = an_incident(host)
        await investigate(host, incident)
        say(host, incident, LATEST)
        host.journal.listeners.append(crash := crash_at(kind, key))
        with pytest.raises(Crash):
            await investigate(host, incident)
        host.journal.listeners.remove(crash)
        await investigate(host, incident)
        assert causes(host, incident) == ["service:bot", "service:forge"]
        assert len(host.journal.values(incident.id, Scope)) == 2
        assert effects(host, incident) == ["window 02:45:57 to 02:48:10 instead of 02:39:57 to 02:48:10; wave 2 of 2"]
        calls = [(c.tool, str(c.arguments)) for c in host.journal.values(incident.id, ToolCall)]
        assert len(calls) == len({*calls})
        assert unfinished(host.journal) == []
