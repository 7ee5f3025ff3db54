"""What an investigation holds to be the cause, the likeliest first, read from its journal."""

from dataclasses import dataclass

from midwatch.journal import Journal
from midwatch.records import Hypothesis, HypothesisKind, Scope, Verdict
from midwatch_kit.records import EntityId, Observation


@dataclass(frozen=True)
class Guess:
    """A hypothesis that was tested and not refuted: what, where, how likely (0 to 1), and what it rests on."""

    entity: EntityId
    kind: HypothesisKind
    rationale: str
    probability: float
    observations: tuple[Observation, ...]


def guesses(journal: Journal, investigation: str) -> list[Guess]:
    """Return what was not refuted, by probability; ties are broken by the hypotheses' ids."""
    verdicts = {v.hypothesis: v for v in journal.values(investigation, Verdict) if v.result != "refuted"}
    tested = [h for h in journal.values(investigation, Hypothesis) if h.id in verdicts]
    seen = {o.id: o for scope in journal.values(investigation, Scope) for o in scope.symptoms}
    seen |= {o.id: o for o in journal.values(investigation, Observation)}
    tested.sort(key=lambda h: (-verdicts[h.id].probability, h.id))
    return [_guess(h, verdicts[h.id], seen) for h in tested]


def _guess(hypothesis: Hypothesis, verdict: Verdict, seen: dict[str, Observation]) -> Guess:
    return Guess(
        entity=hypothesis.entity,
        kind=hypothesis.kind,
        rationale=hypothesis.trigger.statement if hypothesis.trigger else hypothesis.rationale,
        probability=verdict.probability,
        observations=tuple(seen[name] for name in verdict.observations if name in seen),
    )
