"""How an investigation of a public case is scored: by place of the right label, told apart from what was said."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from midwatch.records import Cause, Hypothesis, HypothesisKind, Scope, Verdict
from midwatch.storage.journal import Journal
from midwatch_bench.accuracy.guess import guesses
from midwatch_bench.accuracy.measured import Measured, leads_to_symptom
from midwatch_bench.accuracy.table import lines_of, mean_reciprocal_rank, top
from midwatch_kit.records import Relation, TopologyFragment, Window

AT = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)


def noted(journal: Journal, name: str, entity: str, probability: float, result: str = "inconclusive") -> None:
    told = {"kind": HypothesisKind.STATE, "rationale": "-", "confirms": "-", "refutes": "-", "prior": 0.1}
    journal.note("i", "hypothesis", name, Hypothesis.model_validate({"id": name, "entity": entity, **told}))
    verdict = {"hypothesis": name, "result": result, "reason": "-", "probability": probability}
    journal.note("i", "verdict", name, Verdict.model_validate(verdict))


def measured(group: str, place: int, outcome: str = "root_cause") -> Measured:
    one = Measured("one", "score", group, answers=("service:a",), place=place, outcome=outcome)
    return replace(one, seconds=2.0, cpu_seconds=1.5, calls=12, bytes=1000)


def test_what_was_not_refuted_is_ranked_by_how_likely_it_is() -> None:
    journal = Journal(None)
    noted(journal, "h1", "service:a", 0.2)
    noted(journal, "h2", "service:b", 0.7)
    noted(journal, "h3", "service:a", 0.9)
    noted(journal, "h4", "service:c", 0.0, "refuted")
    assert [guess.entity for guess in guesses(journal, "i")] == ["service:a", "service:b", "service:a"]


def test_the_table_counts_places_and_outcomes_by_group_and_over_all() -> None:
    lines = list(lines_of([measured("x", 1), measured("x", 3), measured("y", 0, "no_incident")]))
    assert "| x | 2 | 0.500 | 1.000 | 1.000 | 0.667 | - | - | 2 root_cause | 2.0 | 1.5 | 12 | 1 |" in lines
    assert "| y | 1 | 0.000 | 0.000 | 0.000 | 0.000 | - | - | 1 no_incident | 2.0 | 1.5 | 12 | 1 |" in lines
    assert lines[-1].startswith("| all | 3 | 0.333 | 0.667 | 0.667 | 0.444 | - | - | 1 no_incident, 2 root_cause |")


def test_a_right_kind_is_counted_where_the_label_tells_one() -> None:
    told = [replace(measured("x", 1), kind_right=right) for right in (True, False, None)]
    assert "| 1.000 | 0.500 | - |" in list(lines_of(told))[-1]


def test_nowhere_is_in_no_top_and_adds_nothing_to_the_mean_reciprocal_rank() -> None:
    places = [1, 2, 0, 4]
    assert [top(places, most) for most in (1, 3, 5)] == [0.25, 0.5, 0.75]
    assert mean_reciprocal_rank(places) == (1 + 0.5 + 0 + 0.25) / 4


def cause(*path: str, after: float = 0.0) -> Cause:
    told = {"kind": HypothesisKind.STATE, "statement": "-", "confidence": 0.5, "supports": (), "hypothesis": "h"}
    onset = AT + timedelta(seconds=after)
    return Cause.model_validate({"entity": "service:db", "onset": onset, "path": path, **told})


SCOPE = Scope(
    symptom="service:web",
    window=Window(start=AT - timedelta(minutes=5), end=AT + timedelta(minutes=5)),
    baseline=Window(start=AT - timedelta(minutes=15), end=AT - timedelta(minutes=5)),
    onset=AT,
    topology=TopologyFragment(
        relations=(
            Relation(source="service:web", kind="calls", target="service:cart"),
            Relation(source="service:cart", kind="calls", target="service:db"),
        )
    ),
)


def test_a_path_is_right_that_goes_along_known_relations_from_the_cause_to_the_symptom() -> None:
    assert leads_to_symptom(cause("service:db", "service:cart", "service:web"), SCOPE)
    assert not leads_to_symptom(cause("service:db", "service:web"), SCOPE)
    assert not leads_to_symptom(cause("service:db", "service:cart"), SCOPE)
    assert not leads_to_symptom(cause("service:cart", "service:web"), SCOPE)


def test_a_path_is_wrong_whose_cause_began_after_the_symptom() -> None:
    whole = ("service:db", "service:cart", "service:web")
    assert leads_to_symptom(cause(*whole, after=2), SCOPE)
    assert not leads_to_symptom(cause(*whole, after=3), SCOPE)
