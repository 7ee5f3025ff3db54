"""Questions at the command line: one at a time or in a conversation, over a journal, with no server at all."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from tests.host.scenes import a_scene, healthy
from typer.testing import CliRunner, Result

from midwatch.cli import app
from midwatch.records import (
    Budget,
    Call,
    Cause,
    Conclusion,
    Expectation,
    Gap,
    HypothesisKind,
    Incident,
    ModelCall,
    Outcome,
    Plan,
    Steer,
    Step,
)
from midwatch.storage.journal import Journal
from midwatch_kit.evidence import EvidenceStore, canonical
from midwatch_kit.records import Citation

Run = Callable[..., Result]
EARLIER = "01EARLIER"
BACK = Call(server="deploys", tool="roll_back", arguments={"service": "forge"})
ON = Call(server="deploys", tool="deploy", arguments={"service": "forge", "version": "v7"})
STEP = Step(
    title="roll forge back", phase="apply", call=BACK, inverse=ON, expect=Expectation.SUCCEEDS, safety="mutating"
)
PLAN = Plan(
    action="roll forge back",
    reasoning="r",
    risk="low",
    blast_radius=("service:bot",),
    steps=(STEP,),
    digest="d" * 64,
)


@pytest.fixture
def midwatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    (tmp_path / "servers.json").write_text('{"mcpServers": {}}')
    settings = {"MIDWATCH_DATA_DIR": str(tmp_path), "MIDWATCH_SERVERS_FILE": str(tmp_path / "servers.json")}
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, typed: str = "", **more: str) -> Result:
        return CliRunner().invoke(app, arguments, input=typed, env={**settings, **more})

    return run


@pytest.fixture
def on_record(journal: Journal, incident: Incident, tmp_path: Path) -> Incident:
    """Put an incident on record whose cause is a change of forge, and one before it with the same cause."""
    kept = EvidenceStore(tmp_path / "evidence", 2**30).put(canonical({"rows": [{"figures": [31.5]}]}))
    cited = Citation(evidence=kept, where="/rows/0/figures/0", quote=31.5)
    seen = healthy("service:forge").model_copy(update={"id": "o1", "citations": (cited,), "statement": "31.5 % fail"})
    for name, days in ((EARLIER, 7), (incident.id, 0)):
        began = incident.started_at - timedelta(days=days)
        journal.note(name, "incident", "1", incident.model_copy(update={"id": name, "started_at": began}))
        journal.note(name, "topology", "scope", a_scene(symptoms=()).scope)
        journal.note(name, "observation", "o1", seen)
        journal.note(name, "conclusion", "1", _conclusion())
    journal.note(incident.id, "plan", "1", PLAN)
    journal.note(incident.id, "gap", "1", Gap(what="logs", why="they are down", may_hide="errors"))
    budget = Budget(seconds=1.5, seconds_allowed=120, tool_calls=9, tool_calls_allowed=120, tokens=1200, money_usd=0.02)
    journal.note(incident.id, "budget", "conclusion", budget)
    journal.note(incident.id, "model_call", "1", ModelCall(model="m", input_tokens=1200, usd=0.02))
    journal.close()
    return incident


def _conclusion() -> Conclusion:
    cause = Cause(
        entity="service:forge",
        kind=HypothesisKind.CHANGE,
        statement="deploy of forge",
        onset=None,
        confidence=0.9,
        path=("service:forge", "service:bot"),
        supports=("o1",),
        hypothesis="h1",
    )
    return Conclusion(outcome=Outcome.ROOT_CAUSE, statement="deploy of forge", root_causes=(cause,))


ANSWERS = {
    "what is the cause?": "root_cause: deploy of forge  [{evidence}/rows/0/figures/0]",
    "what is missing?": "not looked at: logs: they are down; may hide errors  [r6]",
    "how do we undo it?": "roll forge back: undone by deploys.deploy(service='forge', version='v7')  [r5]",
    "what would it touch?": "it would: roll forge back: deploys.roll_back(service='forge')  [r5]",
    "what did it cost?": "one look: 1.5 of 120 s, 9 of 120 tool calls, 1200 tokens, $0.0200  [r7]",
    "has it ever been like that?": f"2026-11-13T02:48:00Z  {EARLIER}  Error rate of gateway (the same service, the same"
    f" cause): root_cause: deploy of forge  [r4 of {EARLIER}]",
    "what depends on forge?": "service:bot is hurt by an outage of service:forge, 1 away  [r2]",
    "which database does forge need?": "service:forge needs database:blueprints, 1 away  [r2]",
}


def test_questions_are_answered_in_order_from_the_journal_and_stay_on_record(
    midwatch: Run, on_record: Incident, tmp_path: Path
) -> None:
    done = midwatch("chat", "latest", typed="\n".join(ANSWERS))
    assert done.exit_code == 0, done.stderr
    [evidence] = [path.stem[:8] for path in (tmp_path / "evidence").glob("*/*.json")]
    for answer in ANSWERS.values():
        assert answer.format(evidence=evidence) in done.stdout
    asked = midwatch("ask", on_record.id, "how far has it come?", "--json")
    assert f"{2 * len(ANSWERS) + 1} message" in json.loads(asked.stdout)["statements"][1]["text"]
    assert midwatch("report", "--check").exit_code == 0


def test_what_an_answer_cites_can_be_opened(midwatch: Run, on_record: Incident) -> None:
    told = json.loads(midwatch("ask", "latest", "what is the cause?", "--json").stdout)
    [cited] = told["statements"][0]["citations"]
    assert json.loads(midwatch("show", f"{cited['evidence'][:8]}{cited['where']}").stdout) == 31.5
    assert json.loads(midwatch("show", "[r5]").stdout)["type"] == "plan"
    assert json.loads(midwatch("show", "E1").stdout)["id"] == "o1"
    assert json.loads(midwatch("show", "r4", "--incident", EARLIER).stdout)["investigation"] == EARLIER


def test_what_cannot_be_opened_is_told_in_one_line(midwatch: Run, on_record: Incident) -> None:
    for handle, said in (("r99", "has no record 99"), ("nonsense", "is not an evidence id"), ("0" * 8, "no evidence")):
        done = midwatch("show", handle)
        assert (done.exit_code, done.stdout) == (1, "")
        assert said in done.stderr


def test_an_incident_is_named_or_else_it_is_about_the_environment(midwatch: Run, on_record: Incident) -> None:
    assert json.loads(midwatch("ask", "latest", "what", "changed", "--json").stdout)["incident"] == on_record.id
    assert json.loads(midwatch("ask", "earlier", "what changed", "--json").stdout)["incident"] == EARLIER
    around = midwatch("ask", "what", "is", "there?", "--json")
    assert json.loads(around.stdout)["incident"] is None
    assert "No server knows of anything" in around.stdout
    assert "nobody is not on record" in midwatch("ask", "nobody", "what changed").stderr


def test_a_question_goes_on_from_the_one_before(midwatch: Run, on_record: Incident) -> None:
    said = midwatch("chat", "latest", typed="what depends on forge?\nand schedule?\nwhat was seen there?\n").stdout
    assert "service:bot is hurt by an outage of service:schedule, 1 away" in said
    assert "Nothing was observed at service:schedule." in said


def test_a_person_can_steer_from_the_conversation(midwatch: Run, on_record: Incident, tmp_path: Path) -> None:
    said = midwatch("chat", "latest", typed="/steer test resource at bot\n/steer sing\n/help\n").stdout
    for words in ("Understood: test resource at service:bot.", "'sing' is not understood", "/look QUESTION"):
        assert words in said
    assert "there is no investigation to steer" in midwatch("chat", typed="/steer leave out bot").stdout
    opened = Journal(tmp_path / "journal.db")
    [steer] = opened.values(on_record.id, Steer)
    opened.close()
    assert (steer.kind, steer.entity, steer.text) == ("resource", "service:bot", "test resource at bot")


def test_a_model_that_was_asked_for_and_is_not_there_is_told(midwatch: Run, on_record: Incident) -> None:
    said = midwatch("ask", "latest", "what is missing", "--model").stdout
    assert said.startswith("not looked at: logs")
    assert "(no model takes part: MIDWATCH_REASONER is builtin)" in said


def test_a_look_without_a_server_says_that_nothing_was_there_to_be_asked(midwatch: Run, on_record: Incident) -> None:
    done = midwatch("ask", "latest", "how is forge now?", "--look")
    assert done.exit_code == 0, done.stderr
    assert "No server was there to be asked." in done.stdout
