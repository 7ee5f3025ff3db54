"""Causes that could be, what speaks for and against each, and what became of it."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from midwatch_kit.records import EntityId, Observation, Record


class HypothesisKind(StrEnum):
    """Kinds of cause; each maps to a way of mitigating it."""

    CHANGE = "change"
    RESOURCE = "resource"
    DEPENDENCY = "dependency"
    TRAFFIC = "traffic"
    STATE = "state"
    ACCESS = "access"
    PLATFORM = "platform"
    OPERATOR = "operator"


class Hypothesis(Record):
    """A cause that could explain the symptom, with what would confirm it and what would kill it."""

    id: str
    kind: HypothesisKind
    entity: EntityId
    rationale: str
    confirms: str
    refutes: str
    prior: float = Field(gt=0, lt=1)
    trigger: Observation | None = Field(None, description="the change it starts from, if it starts from one")
    by_model: bool = Field(False, description="whether a model named it, and no rule did")


class Argument(Record):
    """One independent piece of evidence for or against a hypothesis, and how much it weighs, in log-odds."""

    name: str
    weight: float
    text: str
    observations: tuple[str, ...] = ()
    decisive: bool = False


class Verdict(Record):
    """What became of a hypothesis; `refuted` is what a report lists as ruled out."""

    hypothesis: str
    result: Literal["supported", "refuted", "inconclusive"]
    reason: str
    probability: float = Field(ge=0, le=1)
    arguments: tuple[Argument, ...] = ()
    observations: tuple[str, ...] = ()
