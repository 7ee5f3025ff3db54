"""Whole investigations with a model in them: what it adds, and that nothing it does or fails to do can harm them."""

import importlib.util
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from tests.claude.investigating import SETTINGS, Investigate
from tests.claude.messages_api import KEY, Fails, Player, Says, Step, serving, use
from tests.claude.played import is_lead, shown, suggested, task, tool, turn
from tests.e2e.conftest import Desk, a_desk, told
from tests.e2e.story import Story

from midwatch.claude.models import open_models
from midwatch.errors import BadSettings
from midwatch.records import (
    Budget,
    Conclusion,
    Decision,
    Gap,
    Hypothesis,
    Message,
    ModelCall,
    Plan,
    ToolCall,
    Verdict,
)
from midwatch.records.recommendation import Recommendation
from midwatch.settings import Settings
from midwatch.steering.files import Steering
from midwatch.storage.journal import Entry, Journal
from midwatch_bench.messages import Json
from midwatch_bench.played.liar import lies
from midwatch_kit.records import Observation, ObservationKind


def report(evidence: str, quote: str, bearing: str = "supports") -> Json:
    statement = "the deploy reads a field that old parts do not have"
    return use("report_finding", 2, statement=statement, bearing=bearing, evidence=evidence, quote=quote)


def player(change: str, quote: str, bearing: str = "supports", reads: str = "read_change") -> Player:
    """Return who chooses the likeliest hypothesis, reads a change, and quotes it so."""

    def play(body: Json) -> Says:
        if is_lead(body):
            return Says([use("choose", 1, hypotheses=suggested(body)[:1])])
        steps = [lambda: use(tool(body, reads), 1, change_id=change), lambda: report(shown(body), quote, bearing)]
        return Says([steps[turn(body)]() if turn(body) < len(steps) else use("finish", 3, why="read")])

    return play


honest = player("c1", "finish: str")


@pytest.fixture(autouse=True)
def without_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


def readings(journal: Journal) -> list[Observation]:
    return [o for o in journal.values("01INCIDENT", Observation) if o.kind is ObservationKind.READING]


def leader(journal: Journal) -> Verdict:
    """Return the likeliest hypothesis' verdict."""
    return max(journal.values("01INCIDENT", Verdict), key=lambda verdict: verdict.probability)


async def test_what_a_model_reads_is_on_record_with_its_quote_and_speaks_for_the_cause(
    investigate: Investigate, journal: Journal
) -> None:
    done, api = await investigate(honest, journal)
    assert done.outcome == "root_cause"
    [seen] = {o.id: o for o in readings(journal)}.values()
    assert (seen.entity, seen.citations[0].quote) == ("service:forge", "finish: str")
    arguments = {argument.name: argument for argument in leader(journal).arguments}
    assert arguments["reading"].weight == 1.8
    spent = journal.values("01INCIDENT", Budget)[-1]
    assert spent.tokens == sum(sum(each.values()) for each in api.billed) > 0
    assert spent.money_usd == pytest.approx(sum(call.usd for call in journal.values("01INCIDENT", ModelCall)), abs=1e-5)


async def test_the_lead_the_tester_and_the_challenger_share_a_prefix_that_is_paid_once(
    investigate: Investigate, journal: Journal
) -> None:
    _, api = await investigate(honest, journal)
    first_of_each = [n for n, body in enumerate(api.bodies) if turn(body) == 0]
    assert len(first_of_each) == 4
    tester, challenger, planner = first_of_each[1:]
    assert api.billed[planner]["cache_read_input_tokens"] == 0, "its tools are others"
    assert api.bodies[tester]["tools"] == api.bodies[challenger]["tools"]
    assert api.billed[challenger]["cache_read_input_tokens"] > 0


@pytest.mark.parametrize(
    "play",
    [
        player("c1", "bot reads a field that is gone"),
        player("c2", "finish: str"),
        player("c1", ""),
        player("c1", "str", "refutes"),
    ],
    ids=["a made-up quote", "a quote of another change", "no quote", "a quote that says nothing"],
)
async def test_what_does_not_stand_is_dropped_and_counted(
    investigate: Investigate, journal: Journal, tmp_path: Path, play: Player
) -> None:
    alone = Journal(tmp_path / "alone.db")
    await investigate(None, alone)
    await investigate(play, journal)
    assert readings(journal) == []
    tested = [m.text for m in journal.values("01INCIDENT", Message) if "findings" in m.text]
    assert all("0 findings, 1 dropped" in said for said in tested)
    assert (
        journal.values("01INCIDENT", Conclusion)[0].root_causes == alone.values("01INCIDENT", Conclusion)[0].root_causes
    )
    alone.close()


async def test_a_model_that_lies_with_real_quotes_cannot_make_a_cause_of_what_time_and_path_refute(
    investigate: Investigate, journal: Journal
) -> None:
    def liar(body: Json) -> Says:
        if is_lead(body):
            schedule = [h.id for h in journal.values("01INCIDENT", Hypothesis)]
            return Says([use("choose", 1, hypotheses=[*suggested(body)[-2:], *schedule])])
        return honest(body)  # type: ignore[return-value]

    done, _ = await investigate(liar, journal)
    assert done.outcome == "root_cause"
    [cause] = journal.values("01INCIDENT", Conclusion)[0].root_causes
    assert cause.entity == "service:forge"


async def test_who_lies_in_every_way_there_is_changes_nothing(
    investigate: Investigate, journal: Journal, tmp_path: Path
) -> None:
    alone = Journal(tmp_path / "alone.db")
    await investigate(None, alone)
    await investigate(lambda body: Says(lies(body)), journal)
    told, honest_one = (each.values("01INCIDENT", Conclusion)[0] for each in (journal, alone))
    assert told.root_causes == honest_one.root_causes
    dropped = [re.findall(r"(\d+) dropped", m.text) for m in journal.values("01INCIDENT", Message)]
    assert sum(int(count) for counts in dropped for count in counts) >= 5
    assert readings(journal) == []
    assert "service:payroll" not in {h.entity for h in journal.values("01INCIDENT", Hypothesis)}
    assert "roll_back" not in {call.tool for call in journal.values("01INCIDENT", ToolCall)}
    alone.close()


async def test_a_cause_that_the_lead_names_is_tested_like_any_other(investigate: Investigate, journal: Journal) -> None:
    def play(body: Json) -> Says:
        if is_lead(body) and turn(body) == 0:
            said = {"rationale": "its cache holds old parts", "confirms": "a flush helps", "refutes": "it has no cache"}
            return Says([use("propose_hypothesis", 1, kind="state", entity="service:bot", **said)])
        return honest(body)  # type: ignore[return-value]

    await investigate(play, journal)
    [proposed] = [h for h in journal.values("01INCIDENT", Hypothesis) if h.rationale == "its cache holds old parts"]
    verdicts = {verdict.hypothesis: verdict for verdict in journal.values("01INCIDENT", Verdict)}
    assert (proposed.entity, verdicts[proposed.id].result in ("refuted", "inconclusive")) == ("service:bot", True)


@pytest.mark.parametrize(
    ("play", "how"),
    [
        (lambda _: Fails(500), "down: "),
        (lambda _: Fails(401, "authentication_error", KEY), "down: "),
        (lambda _: Says([use("case-read_change", 1, change_id="c1")]), "circles: "),
        (lambda _: Says([], "refusal"), "refused: "),
    ],
    ids=["down", "bad key", "circles", "refusal"],
)
async def test_a_model_that_cannot_go_on_leaves_a_gap_and_statistics_conclude(
    investigate: Investigate, journal: Journal, play: Callable[[Json], Step], how: str
) -> None:
    done, _ = await investigate(play, journal)
    assert done.outcome == "root_cause"
    why = [gap.why for gap in journal.values("01INCIDENT", Gap) if gap.what.startswith("the model")]
    assert why[0].startswith(how)
    assert KEY not in json.dumps([entry.body for entry in journal.entries("01INCIDENT")])


async def test_without_a_key_nothing_is_asked_and_the_report_says_so(
    investigate: Investigate, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    async with open_models(Settings(reasoner="claude")) as models:
        assert models is not None
        done, api = await investigate(honest, journal, why_not=models.why_not)
    assert (done.outcome, api.bodies) == ("root_cause", [])
    assert "set ANTHROPIC_API_KEY" in done.packet


@pytest.mark.parametrize(
    ("via", "words"), [("vertex", "midwatch's extra vertex"), ("anthropic", "/nowhere: No such file")]
)
async def test_a_service_that_cannot_be_used_is_told_at_the_start(
    monkeypatch: pytest.MonkeyPatch, via: Literal["vertex", "anthropic"], words: str
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BadSettings, match=words):
        async with open_models(Settings(reasoner="claude", model_via=via, model_api_key_file=Path("/nowhere"))):
            raise AssertionError("it was opened")


@pytest.mark.parametrize("limit", [{"model_incident_usd": 0.0}, {"model_day_usd": 0.0}, {"model_task_tokens": 100}])
async def test_no_call_is_made_that_a_limit_does_not_allow(
    investigate: Investigate, journal: Journal, limit: dict[str, Any]
) -> None:
    done, api = await investigate(honest, journal, settings=SETTINGS.model_copy(update=limit))
    assert (done.outcome, api.bodies) == ("root_cause", [])
    assert any("spent: " in gap.why for gap in journal.values("01INCIDENT", Gap))


async def test_what_other_investigations_spent_today_counts(investigate: Investigate, journal: Journal) -> None:
    journal.note("another", "model_call", "1", ModelCall(model="m", usd=19.9999))
    _, api = await investigate(honest, journal)
    assert api.bodies == []


RULES = Steering(
    name="rules", description="What holds here.", text="Old parts have no finish.", forbid=("*.read_change",)
)


async def test_a_model_reads_what_the_team_wrote_and_is_not_offered_what_it_forbids(
    investigate: Investigate, journal: Journal
) -> None:
    def play(body: Json) -> Says:
        if is_lead(body) and turn(body) == 0:
            return Says([use("read_steering", 1, name="rules"), use("case-read_change", 2, change_id="c1")])
        if is_lead(body):
            return Says([use("choose", 1, hypotheses=suggested(body)[:1])])
        return Says([use("finish", 3, why="nothing to read")])

    done, api = await investigate(play, journal, steering=(RULES,))
    first, second = api.bodies[:2]
    assert "rules: What holds here." in first["system"][1]["text"]
    assert "Meant for this, with read_steering: rules." in task(first)
    assert [each["name"] for each in first["tools"] if each["name"].endswith("read_change")] == []
    told = [str(b["content"]) for b in second["messages"][-1]["content"] if b["type"] == "tool_result"]
    assert "Old parts have no finish." in told[0]
    assert "there is no tool" in told[1]
    assert any("rules forbids it" in gap.why for gap in journal.values("01INCIDENT", Gap))
    assert "read_change" not in {call.tool for call in journal.values("01INCIDENT", ToolCall)}
    assert done.outcome == "root_cause"


async def test_a_cause_is_chosen_in_the_same_breath_as_it_is_named_and_testers_know_what_was_looked_at(
    investigate: Investigate, journal: Journal
) -> None:
    def play(body: Json) -> Says:
        if is_lead(body) and turn(body) == 0:
            return Says([use(tool(body, "read_change"), 1, change_id="c1")])
        if is_lead(body):
            said = {"rationale": "its cache holds old parts", "confirms": "a flush helps", "refutes": "it has no cache"}
            named = use("propose_hypothesis", 1, kind="state", entity="service:bot", **said)
            return Says([named, use("choose", 2, hypotheses=["state at service:bot"])])
        if turn(body) == 0:
            return Says([use(tool(body, "read_change"), 1, change_id="c1"), use("read_evidence", 2, evidence="E1")])
        return Says([use("finish", 3, why="read")])

    _, api = await investigate(play, journal)
    [proposed] = [h for h in journal.values("01INCIDENT", Hypothesis) if h.rationale == "its cache holds old parts"]
    [tester] = [body for body in api.bodies if "state at service:bot" in task(body) and turn(body) == 1]
    assert 'E1  case.read_change {"change_id": "c1"}: 1 matched' in task(tester)
    asked_again, read_again = (str(block["content"]) for block in tester["messages"][-1]["content"][:2])
    lead = next(body for body in api.bodies if is_lead(body) and turn(body) == 1)
    assert asked_again == read_again == str(lead["messages"][-1]["content"][0]["content"])
    assert not any(name in json.dumps(api.bodies) for name in ("rkumar", "Ravi"))
    assert any(f"tester of {proposed.id}" in m.text for m in journal.values("01INCIDENT", Message))


def answered(journal: Journal) -> list[str]:
    """Return who was answered by a model, once for each answer that is on record."""
    calls = journal.entries("01INCIDENT", kind="model_call")
    return sorted(entry.actor for entry in calls if not entry.body["error"])


class Crash(Exception):
    """Raised in place of a power cut."""


@pytest.mark.parametrize(
    "kind", ["model_call", "hypothesis", "message", "observation", "verdict", "plan", "recommendation"]
)
async def test_an_investigation_that_crashed_anywhere_ends_as_if_it_had_not(
    investigate: Investigate, journal: Journal, tmp_path: Path, kind: str
) -> None:
    whole = Journal(tmp_path / "whole.db")
    expected, _ = await investigate(honest, whole)

    def crash(entry: Entry) -> None:
        if entry.type == kind:
            raise Crash

    journal.listeners.append(crash)
    with pytest.raises((Crash, ExceptionGroup)):
        await investigate(honest, journal)
    journal.listeners.remove(crash)
    again, _ = await investigate(honest, journal)
    once_more, api = await investigate(honest, journal)
    assert again == once_more
    assert api.bodies == []
    assert answered(journal) == answered(whole), "and no answer on record was paid for again"
    assert readings(journal) == readings(whole)
    assert [c.entity for c in journal.values("01INCIDENT", Conclusion)[0].root_causes] == ["service:forge"]
    assert again.outcome == expected.outcome
    assert journal.check("01INCIDENT")
    whole.close()


async def test_what_an_answer_on_record_names_is_after_a_crash_what_it_was_when_it_was_given(
    investigate: Investigate, journal: Journal
) -> None:
    def play(body: Json) -> Says:
        if is_lead(body):
            return Says([use("choose", 1, hypotheses=suggested(body)[:1])])
        if turn(body):
            return Says([report("E2", "finish: str"), use("finish", 3, why="read")])
        if "disprove" in task(body):
            return Says([use("read_evidence", 1, evidence="E2")])
        return Says([use(tool(body, "read_change"), n, change_id=change) for n, change in enumerate(("c2", "c1"))])

    def crash(entry: Entry) -> None:
        if entry.type == "model_call" and answered(journal).count(entry.actor) == 2 and "challenger" in entry.actor:
            raise Crash

    journal.listeners.append(crash)
    with pytest.raises((Crash, ExceptionGroup)):
        await investigate(play, journal)
    journal.listeners.remove(crash)
    _, api = await investigate(play, journal)
    assert [body for body in api.bodies if "make the plan better" not in task(body)] == []
    counted = {m.text.partition(":")[0].partition(" ")[0]: m.text for m in journal.values("01INCIDENT", Message)}
    assert "1 findings, 0 dropped" in counted["tester"]
    assert "1 findings, 0 dropped" in counted["challenger"]


def planner(body: Json) -> Says:
    """Draft when asked to plan, and do as the honest one otherwise."""
    if "make the plan better" not in task(body):
        return honest(body)  # type: ignore[return-value]
    named = re.findall(r"^\[(E\d+)\].*\(says: ([^)]+)\)", task(body), re.MULTILINE)
    evidence, quote = named[0]
    drain = {"phase": "apply", "why": "old instances may hold it", "command": "restart forge one instance at a time"}
    words = {"problem": "it reads a field that old parts lack", "solution": "make finish optional"}
    items = {"files": ["blueprint.py", "made_up.py"], "tests": ["an old part is read"], "stages": ["test", "mend"]}
    steps = [
        lambda: use(tool(body, "read_change"), 1, change_id="c1"),
        lambda: use("propose_step", 2, **drain, evidence=evidence, quote=quote),
        lambda: use("describe_fix", 3, **words, **items, evidence=shown_first(body), quote="finish: str"),
    ]
    return Says([steps[turn(body)]() if turn(body) < len(steps) else use("finish", 4, why="done")])


def shown_first(body: Json) -> str:
    """Return the name of the first result that a tool gave."""
    results = [str(b["content"]) for m in body["messages"][1:] for b in m["content"] if b["type"] == "tool_result"]
    return str(re.findall(r"^\[(E\d+)\]", "\n".join(results), re.MULTILINE)[0])


async def test_a_model_adds_to_the_plan_and_words_the_fix_and_no_rule_approves_it(
    investigate: Investigate, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    await investigate(planner, journal)
    plan = journal.values("01INCIDENT", Plan)[-1]
    assert [(step.command, step.by) for step in plan.steps if step.phase == "apply"][-1] == (
        "restart forge one instance at a time",
        "model",
    )
    [decision] = journal.values("01INCIDENT", Decision)
    assert (decision.approved, decision.rule) == (False, False)
    fix = journal.values("01INCIDENT", Recommendation)[0].spec
    assert (fix.by, fix.solution, fix.files) == ("model", "make finish optional", ("blueprint.py",))
    [said] = [m.text for m in journal.values("01INCIDENT", Message) if m.text.startswith("planner")]
    assert said == "planner: done; 1 steps, a fix, 1 dropped"
    _, api = await investigate(planner, journal)
    assert api.bodies == []


async def test_a_planner_that_is_down_leaves_the_plan_of_code_and_the_packet_says_so(
    investigate: Investigate, journal: Journal
) -> None:
    done, _ = await investigate(
        lambda body: Fails(400, "invalid_request_error") if "make the plan better" in task(body) else honest(body),
        journal,
    )
    assert not journal.values("01INCIDENT", Plan)[-1].by_a_model
    assert journal.values("01INCIDENT", Recommendation)[0].spec.by == "code"
    assert "No model had a part in it: down: " in done.packet


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk with a snapshot of an outage: a deploy of stock broke it."""
    with a_desk(tmp_path_factory.mktemp("claude")) as made:
        Story(seed=2).write(made.folder / "snapshot")
        yield made


@pytest.mark.xdist_group("live")
def test_a_model_that_the_environment_names_takes_part_in_a_real_investigation(desk: Desk) -> None:
    with serving(player("stock-v7", "reserve_until", reads="get_change")) as (url, api):
        settings: Any = {"MIDWATCH_REASONER": "claude", "MIDWATCH_MODEL_BASE_URL": url, "ANTHROPIC_API_KEY": KEY}
        done = desk.run("investigate", str(desk.folder / "snapshot"), "--json", **settings)
    assert KEY not in done.stdout + done.stderr
    found = told(done)
    (cause,) = found["conclusion"]["root_causes"]
    assert (cause["entity"], cause["kind"], found["conclusion"]["gaps"]) == ("service:stock", "change", [])
    assert "the deploy reads a field that old parts do not have" in json.dumps(found)
    assert len(api.bodies) > 5
