"""What an investigation holds to be the cause, the likeliest first, read from its journal."""

from dataclasses import dataclass

from midwatch.records import Hypothesis, HypothesisKind, Scope, Verdict
from midwatch.storage.journal import Journal
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


def changes(journal: Journal, investigation: str) -> list[Guess]:
    """Return every change that was a hypothesis, by probability: for sets that ask which of several it was.

    One of them is to blame, so none is left out: those that were refuted come last, by what speaks for them.
    """
    verdicts = {v.hypothesis: v for v in journal.values(investigation, Verdict)}
    tested = [h for h in journal.values(investigation, Hypothesis) if h.kind is HypothesisKind.CHANGE]
    known = [h for h in tested if h.id in verdicts]
    seen = {o.id: o for o in journal.values(investigation, Observation)}

    def suspicion(hypothesis: Hypothesis) -> tuple[float, float, str]:
        verdict = verdicts[hypothesis.id]
        return -verdict.probability, -sum(argument.weight for argument in verdict.arguments), hypothesis.id

    return [_guess(h, verdicts[h.id], seen) for h in sorted(known, key=suspicion)]


def _guess(hypothesis: Hypothesis, verdict: Verdict, seen: dict[str, Observation]) -> Guess:
    return Guess(
        entity=hypothesis.entity,
        kind=hypothesis.kind,
        rationale=hypothesis.trigger.statement if hypothesis.trigger else hypothesis.rationale,
        probability=verdict.probability,
        observations=tuple(seen[name] for name in verdict.observations if name in seen),
    )
