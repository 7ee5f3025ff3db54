"""How an investigation of a public case is scored: by place of the right entity, told apart from what was said."""

from datetime import UTC, datetime

from midwatch.journal import Journal
from midwatch.records import Hypothesis, HypothesisKind, Verdict
from midwatch_bench.accuracy import Measured, lines_of, ranking
from midwatch_bench.importers.case import Alert, Case

AT = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)


def noted(journal: Journal, name: str, entity: str, probability: float, result: str = "inconclusive") -> None:
    told = {"kind": HypothesisKind.STATE, "rationale": "-", "confirms": "-", "refutes": "-", "prior": 0.1}
    journal.note("i", "hypothesis", name, Hypothesis.model_validate({"id": name, "entity": entity, **told}))
    verdict = {"hypothesis": name, "result": result, "reason": "-", "probability": probability}
    journal.note("i", "verdict", name, Verdict.model_validate(verdict))


def measured(group: str, place: int, outcome: str = "root_cause") -> Measured:
    alert = Alert("web", "Latency of web", AT, AT)
    case = Case("one", 1, group, alert, (), dict, frozenset({"service:a"}))
    return Measured(case, (), place, outcome, seconds=2.0, calls=12, bytes=1000)


def test_entities_are_ranked_by_their_likeliest_hypothesis_and_refuted_ones_left_out() -> None:
    journal = Journal(None)
    noted(journal, "h1", "service:a", 0.2)
    noted(journal, "h2", "service:b", 0.7)
    noted(journal, "h3", "service:a", 0.9)
    noted(journal, "h4", "service:c", 0.0, "refuted")
    assert ranking(journal, "i") == ("service:a", "service:b")


def test_the_table_counts_places_and_outcomes_by_group_and_over_all() -> None:
    lines = list(lines_of([measured("x", 1), measured("x", 3), measured("y", 0, "no_incident")]))
    assert "| x | 2 | 0.500 | 1.000 | 2 root_cause | 2.0 | 12 | 1 |" in lines
    assert "| y | 1 | 0.000 | 0.000 | 1 no_incident | 2.0 | 12 | 1 |" in lines
    assert lines[-1].startswith("| all | 3 | 0.333 | 0.667 | 1 no_incident, 2 root_cause |")
