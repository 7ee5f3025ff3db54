"""Scores a finished investigation against the truth. Nothing here is known to the investigation itself."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from midwatch.journal import Journal
from midwatch.records import Conclusion, Hypothesis, HypothesisKind, Outcome, Scope, ToolCall, Verdict
from midwatch_kit.records import EntityId

_SOUND = {"root_cause": {Outcome.ROOT_CAUSE, Outcome.BEST_EFFORT}, "no_incident": {Outcome.NO_INCIDENT}}


class Named(BaseModel):
    """A cause by its kind and its entity."""

    model_config = ConfigDict(frozen=True)

    kind: HypothesisKind
    entity: EntityId

    def __str__(self) -> str:
        return f"{self.kind} {self.entity}"


class Truth(BaseModel):
    """What should be found: the causes, the gravest first, and what must be ruled out on the way."""

    model_config = ConfigDict(frozen=True)

    outcome: Literal["root_cause", "no_incident"]
    causes: tuple[Named, ...] = ()
    ruled_out: tuple[Named, ...] = ()


@dataclass(frozen=True)
class Score:
    """How an investigation did: whether it was right, what it said, and what it cost (calls, bytes of evidence)."""

    right: bool
    said: str
    not_ruled_out: tuple[Named, ...]
    calls: int
    bytes: int


def score(investigation: str, journal: Journal, truth: Truth) -> Score:
    """Return how the investigation of that id did.

    Right means: the outcome is the true one, and the causes that are named are those that there are and no others.
    """
    conclusion = journal.values(investigation, Conclusion)[-1]
    named = [Named(kind=cause.kind, entity=cause.entity) for cause in conclusion.root_causes]
    calls = journal.values(investigation, ToolCall)
    return Score(
        right=conclusion.outcome in _SOUND[truth.outcome] and set(named) == set(truth.causes),
        said=_said(conclusion, named),
        not_ruled_out=tuple(_missed(truth.ruled_out, _refuted(investigation, journal))),
        calls=len(calls),
        bytes=sum(call.evidence.bytes for call in calls if call.evidence),
    )


def _said(conclusion: Conclusion, named: list[Named]) -> str:
    causes = ", ".join(f"{cause} {each.confidence}" for cause, each in zip(named, conclusion.root_causes, strict=True))
    return f"{conclusion.outcome} {causes}".strip()


def _refuted(investigation: str, journal: Journal) -> set[Named]:
    """Return what was ruled out; what is ruled out for the only instance of a service is so for the service."""
    verdicts: Mapping[str, Verdict] = {v.hypothesis: v for v in journal.values(investigation, Verdict)}
    hypotheses = journal.values(investigation, Hypothesis)
    refuted = {Named(kind=h.kind, entity=h.entity) for h in hypotheses if _is_refuted(verdicts.get(h.id))}
    owners = _owners(investigation, journal)
    return refuted | {Named(kind=each.kind, entity=owners[each.entity]) for each in refuted if each.entity in owners}


def _is_refuted(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.result == "refuted"


def _owners(investigation: str, journal: Journal) -> dict[EntityId, EntityId]:
    relations = [r for scope in journal.values(investigation, Scope) for r in scope.topology.relations]
    pairs = {(r.target, r.source) for r in relations if r.kind == "runs_on"}
    instances = Counter(service for _, service in pairs)
    return {instance: service for instance, service in pairs if instances[service] == 1}


def _missed(wanted: Iterable[Named], refuted: set[Named]) -> list[Named]:
    return [each for each in wanted if each not in refuted]
