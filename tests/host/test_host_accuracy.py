"""How investigations of what was really broken are scored, and how the scores are told."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from midwatch.accuracy.robots import Case, Result, run_case
from midwatch.accuracy.score import Score, Truth, score
from midwatch.accuracy.table import as_markdown
from midwatch.cli import app
from midwatch.errors import HostError
from midwatch.records import (
    Cause,
    Conclusion,
    Hypothesis,
    HypothesisKind,
    NamedCause,
    Outcome,
    Scope,
    ToolCall,
    Verdict,
)
from midwatch.storage.journal import Journal
from midwatch_kit.records import Evidence, Relation, TopologyFragment, Window

AT = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)
NOW, BEFORE = (Window(start=AT - timedelta(minutes=m), end=AT - timedelta(minutes=m - 5)) for m in (5, 10))
CHANGE, OPERATOR, STATE = HypothesisKind.CHANGE, HypothesisKind.OPERATOR, HypothesisKind.STATE
Pair = tuple[HypothesisKind, str]
TRUE: Pair = (CHANGE, "service:cart")
RUNS = (("service:cart", "instance:cart-1"), ("service:web", "instance:web-1"), ("service:web", "instance:web-2"))


def named(pair: Pair) -> NamedCause:
    return NamedCause(kind=pair[0], entity=pair[1])


def truth(*causes: Pair, ruled_out: Iterable[Pair] = ()) -> Truth:
    outcome = "root_cause" if causes else "no_incident"
    return Truth(outcome=outcome, causes=tuple(map(named, causes)), ruled_out=tuple(map(named, ruled_out)))


def concluded(outcome: Outcome, *causes: Pair, tested: Iterable[tuple[Pair, str]] = ()) -> Journal:
    """Return the journal of an investigation `i` that named these causes after these tests."""
    journal = Journal(None)
    runs = [Relation(source=service, kind="runs_on", target=instance) for service, instance in RUNS]
    scope = Scope(
        symptom="service:web", window=NOW, baseline=BEFORE, onset=None, topology=TopologyFragment(relations=tuple(runs))
    )
    journal.note("i", "topology", "1", scope)
    for number, ((kind, entity), result) in enumerate(tested):
        name = f"h{number}"
        told = {"id": name, "rationale": "-", "confirms": "-", "refutes": "-", "prior": 0.1}
        journal.note("i", "hypothesis", name, Hypothesis.model_validate({"kind": kind, "entity": entity, **told}))
        verdict = {"hypothesis": name, "result": result, "reason": "-", "probability": 0.5}
        journal.note("i", "verdict", name, Verdict.model_validate(verdict))
    root_causes = tuple(
        Cause(kind=k, entity=e, statement="-", onset=None, confidence=0.9, path=(e,), supports=(), hypothesis="h0")
        for k, e in causes
    )
    journal.note("i", "conclusion", "1", Conclusion(outcome=outcome, statement="-", root_causes=root_causes))
    return journal


@pytest.mark.parametrize(
    ("outcome", "causes", "right"),
    [
        (Outcome.ROOT_CAUSE, [TRUE], True),
        (Outcome.BEST_EFFORT, [TRUE], True),
        (Outcome.ROOT_CAUSE, [(OPERATOR, "service:cart")], False),
        (Outcome.ROOT_CAUSE, [(CHANGE, "service:web")], False),
        (Outcome.ROOT_CAUSE, [TRUE, (STATE, "service:web")], False),
        (Outcome.INCONCLUSIVE, [], False),
        (Outcome.NO_INCIDENT, [], False),
    ],
)
def test_right_is_who_names_the_true_cause_by_kind_and_place_and_no_other(
    outcome: Outcome, causes: list[Pair], right: bool
) -> None:
    assert score("i", concluded(outcome, *causes), truth(TRUE)).right is right


def test_one_of_two_causes_is_not_the_answer_and_their_order_does_not_matter() -> None:
    other = (OPERATOR, "instance:web-1")
    assert not score("i", concluded(Outcome.ROOT_CAUSE, TRUE), truth(TRUE, other)).right
    assert score("i", concluded(Outcome.ROOT_CAUSE, other, TRUE), truth(TRUE, other)).right


def test_on_a_clean_system_only_no_incident_is_right() -> None:
    assert score("i", concluded(Outcome.NO_INCIDENT), truth()).right
    assert not score("i", concluded(Outcome.INCONCLUSIVE), truth()).right


def test_a_lure_that_was_not_tested_or_stands_somewhere_is_not_ruled_out() -> None:
    untested, standing, dead = (STATE, "service:cart"), (CHANGE, "service:web"), (STATE, "service:web")
    tested = [(standing, "refuted"), (standing, "inconclusive"), (dead, "refuted")]
    scored = score("i", concluded(Outcome.ROOT_CAUSE, TRUE, tested=tested), truth(ruled_out=(untested, standing, dead)))
    assert [(lure.kind, lure.entity) for lure in scored.not_ruled_out] == [untested, standing]


def test_what_is_ruled_out_for_the_only_instance_is_so_for_its_service_but_not_for_one_of_two() -> None:
    tested = [((STATE, "instance:cart-1"), "refuted"), ((STATE, "instance:web-1"), "refuted")]
    lures = ((STATE, "service:cart"), (STATE, "service:web"))
    scored = score("i", concluded(Outcome.ROOT_CAUSE, TRUE, tested=tested), truth(ruled_out=lures))
    assert [lure.entity for lure in scored.not_ruled_out] == ["service:web"]


def test_calls_and_the_bytes_of_their_evidence_are_counted_failed_calls_too() -> None:
    journal = concluded(Outcome.ROOT_CAUSE, TRUE)
    kept = Evidence(id="e" * 64, server="logs", tool="search", bytes=1500)
    journal.note("i", "tool_call", "1", ToolCall(server="logs", tool="search", arguments={}, evidence=kept))
    journal.note("i", "tool_call", "2", ToolCall(server="logs", tool="search", arguments={}, error="gone"))
    scored = score("i", journal, truth(TRUE))
    assert (scored.calls, scored.bytes) == (2, 1500)


def test_an_investigation_without_a_conclusion_cannot_be_scored() -> None:
    with pytest.raises(HostError, match="i has no conclusion"):
        score("i", Journal(None), truth(TRUE))


def result(fault: str, seed: int, *, right: bool = True, missed: tuple[Pair, ...] = (), seconds: float = 5.0) -> Result:
    said = "root_cause change service:cart 0.9"
    scored = Score(right, said, tuple(map(named, missed)), calls=10 + seed, bytes=1000 * seed)
    return Result(Case(fault, seed), scored, seconds, mended=True)


def test_the_table_has_a_line_for_each_fault_with_medians_and_a_sum() -> None:
    table = as_markdown([result("leak", seed, seconds=float(seed)) for seed in (1, 2, 9)] + [result("hog", 1)])
    assert "| leak | 3/3 | 3/3 | 3/3 | 2.0 | 12 | 2 |" in table
    assert "| hog | 1/1 | 1/1 | 1/1 | 5.0 | 11 | 1 |" in table
    assert "4/4 right." in table


def test_every_failure_is_said_in_full_below_the_table() -> None:
    stillborn = Result(Case("hog", 3), None, 0.0, mended=False, failed="no alarm fired within 120 s")
    lost = Result(Case("hog", 4), result("hog", 4).score, 5.0, mended=False)
    wrong = result("hog", 1, right=False)
    table = as_markdown([wrong, result("hog", 2, missed=((STATE, "service:web"),)), stillborn, lost])
    assert "| hog | 2/4 | 2/4 | 2/4 |" in table
    assert table.splitlines()[-4:] == [
        "- hog, seed 1: it said root_cause change service:cart 0.9",
        "- hog, seed 2: not ruled out: state service:web",
        "- hog, seed 3: it was not investigated: no alarm fired within 120 s",
        "- hog, seed 4: the fault's own fix did not help within the time",
    ]


@pytest.mark.parametrize("command", ["demo", "bench accuracy robots"])
def test_a_fault_that_nobody_knows_is_told_before_anything_is_started(tmp_path: Path, command: str) -> None:
    told = CliRunner().invoke(app, [*command.split(), "--fault", "gremlin", "--keep", str(tmp_path / "k")])
    assert told.exit_code == 1
    assert "no fault is called gremlin: there are forge-field" in told.stderr
    assert not (tmp_path / "k").exists()


async def test_an_application_that_cannot_be_broken_is_a_case_without_a_score(tmp_path: Path) -> None:
    result = await run_case(Case("no-such-fault", 1), tmp_path / "case")
    assert result.score is None
    assert not result.right
    assert "the application ended with code" in result.failed
    assert "no-such-fault" in result.failed
