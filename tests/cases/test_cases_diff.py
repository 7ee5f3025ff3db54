"""What changed between two conclusions: said in words, with the arguments that made the difference."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cases.conftest import Desk, Replay

from midwatch.reading.differences import as_text, differences
from midwatch.reading.findings import Findings, Judged
from midwatch.records import (
    Argument,
    Cause,
    Conclusion,
    Gap,
    HypothesisKind,
    Outcome,
    Plan,
    Step,
)
from midwatch.records.conclusion import Difference, NextCheck

# They share one investigation, whose servers would starve a live application that another worker runs.
pytestmark = pytest.mark.xdist_group("live")


def cause(confidence: float = 0.9, entity: str = "service:stock") -> Cause:
    path = (entity, "service:web")
    return Cause(
        entity=entity,
        kind=HypothesisKind.CHANGE,
        statement="a deploy",
        onset=None,
        confidence=confidence,
        path=path,
        supports=("o1",),
        hypothesis="h1",
    )


def judged(result: str, probability: float, *arguments: Argument) -> Judged:
    kind = HypothesisKind.RESOURCE
    return Judged(
        kind=kind, entity="instance:a", result=result, reason="so", probability=probability, arguments=arguments
    )


def findings(*tests: Judged, **changes: object) -> Findings:
    conclusion = Conclusion(outcome=Outcome.ROOT_CAUSE, statement="it was the deploy", root_causes=(cause(),))
    return Findings(conclusion=conclusion.model_copy(update=changes), tested=tests)


def argument(name: str, weight: float) -> Argument:
    return Argument(name=name, weight=weight, text=f"{name} says so", observations=("o1",))


def test_outcome_causes_and_confidence_that_changed_are_told() -> None:
    was = findings()
    surer = findings(root_causes=(cause(0.95),))
    assert differences(was, surer) == [Difference(what="confidence of change at service:stock", was="0.90", now="0.95")]
    unsure = findings(outcome=Outcome.INCONCLUSIVE, root_causes=())
    assert [(d.what, d.was, d.now) for d in differences(was, unsure)] == [
        ("outcome", "root_cause", "inconclusive"),
        ("root cause", "change at service:stock", ""),
    ]


def test_a_verdict_that_flipped_is_told_with_the_arguments_that_flipped_it() -> None:
    was = findings(judged("refuted", 0.0, argument("course", -1e9), argument("words", 0.4), argument("place", 1.0)))
    now = findings(judged("supported", 0.8, argument("words", 2.4), argument("place", 1.0), argument("spread", 0.5)))
    (flip,) = differences(was, now)
    assert (flip.what, flip.was, flip.now) == (
        "verdict on resource at instance:a",
        "refuted (0.00)",
        "supported (0.80)",
    )
    assert flip.because == (
        "course: kills → not heard: course says so",
        "words: +0.40 → +2.40: words says so",
        "spread: not heard → +0.50: spread says so",
    )


def test_a_hypothesis_that_only_one_side_tested_is_told() -> None:
    only = findings(tested_by := judged("refuted", 0.0, argument("course", -1e9)))
    other = findings(tested_by.model_copy(update={"entity": "instance:b"}))
    assert as_text(differences(only, other)).splitlines() == [
        "verdict on resource at instance:a: refuted (0.00) → not tested",
        "verdict on resource at instance:b: not tested → refuted (0.00)",
    ]


def test_gaps_next_checks_and_steps_are_told_one_by_one() -> None:
    gap, check = Gap(what="server metrics", why="it is down", may_hide="CPU"), NextCheck(what="look", why="", cost="")
    step = Step(title="restart a", phase="apply", expect="succeeds", safety="mutating")
    plan = Plan(action="nothing needs changing", reasoning="", risk="none", digest="1")
    was = findings(gaps=(gap,)).model_copy(update={"plan": plan})
    later = plan.model_copy(update={"action": "restart a", "steps": (step,), "digest": "2"})
    now = findings(next_checks=(check,)).model_copy(update={"plan": later})
    assert as_text(differences(was, now)).splitlines() == [
        "gap: server metrics: it is down → (none)",
        "next check: (none) → look",
        "plan: nothing needs changing → restart a",
        "step: (none) → apply: restart a",
    ]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 1)), max_size=3, unique_by=lambda pair: pair[0]))
def test_nothing_differs_from_itself(pairs: list[tuple[str, float]]) -> None:
    tests = [judged("inconclusive", p).model_copy(update={"entity": name}) for name, p in pairs]
    assert differences(findings(*tests), findings(*tests)) == []
    assert as_text([]) == "nothing differs"


def test_incidents_kept_replays_and_files_are_compared_alike(
    desk: Desk, replays: tuple[Replay, Replay], tmp_path: Path
) -> None:
    printed = tmp_path / "printed.json"
    printed.write_text(replays[0].printed)
    same = desk.midwatch("diff", str(replays[1].kept), str(printed))
    assert (same.exit_code, same.stdout) == (0, "nothing differs\n")
    told = json.loads(replays[0].printed)["conclusion"]
    bare = tmp_path / "bare.json"
    bare.write_text(json.dumps({**told, "statement": "it was somebody else"}))
    other = desk.midwatch("diff", "", str(bare))
    assert other.exit_code == 1
    assert other.stdout == f"statement: {told['statement']} → it was somebody else\n"


def test_what_holds_no_conclusion_is_told(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[1]")
    for side, said in (
        (tmp_path, "holds no investigation: replay a snapshot with --keep first"),
        (tmp_path / "list.json", "holds no conclusion"),
        (tmp_path / "gone.json", "gone.json: there is no such file or folder"),
    ):
        done = desk.midwatch("diff", "", str(side))
        assert done.exit_code == 1
        assert said in done.stderr
