"""Scores a finished investigation against the truth. Nothing here is known to the investigation itself."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from midwatch.errors import HostError
from midwatch.reading.findings import Findings, findings_of
from midwatch.records import NamedCause, Outcome, Scope, ToolCall
from midwatch.storage.journal import Journal
from midwatch_kit.records import EntityId, Record

_SOUND = {"root_cause": {Outcome.ROOT_CAUSE, Outcome.BEST_EFFORT}, "no_incident": {Outcome.NO_INCIDENT}}


class Truth(Record):
    """What should be found: the causes, the gravest first, and what must be ruled out on the way."""

    outcome: Literal["root_cause", "no_incident"]
    causes: tuple[NamedCause, ...] = ()
    ruled_out: tuple[NamedCause, ...] = ()


@dataclass(frozen=True)
class Score:
    """How an investigation did: whether it was right, what it said, and what it cost (calls, bytes of evidence)."""

    right: bool
    said: str
    not_ruled_out: tuple[NamedCause, ...]
    calls: int
    bytes: int


def score(investigation: str, journal: Journal, truth: Truth) -> Score:
    """Return how the investigation of that id did; raises `HostError` while it has no conclusion.

    Right means: the outcome is the true one, and the causes that are named are those that there are and no others.
    Ruled out is what was tested and refuted, each time that it was.
    """
    found = findings_of(journal, investigation)
    if found is None:
        raise HostError(f"{investigation} has no conclusion that could be scored")
    named = {(cause.kind, cause.entity) for cause in found.conclusion.root_causes}
    sound = found.conclusion.outcome in _SOUND[truth.outcome]
    refuted = _refuted(found, _only_instances(journal, investigation))
    calls = journal.values(investigation, ToolCall)
    return Score(
        right=sound and named == {(cause.kind, cause.entity) for cause in truth.causes},
        said=_said(found),
        not_ruled_out=tuple(each for each in truth.ruled_out if (each.kind, each.entity) not in refuted),
        calls=len(calls),
        bytes=sum(call.evidence.bytes for call in calls if call.evidence),
    )


def _said(found: Findings) -> str:
    causes = (f"{cause.kind} {cause.entity} {cause.confidence}" for cause in found.conclusion.root_causes)
    return f"{found.conclusion.outcome} {', '.join(causes)}".strip()


def _refuted(found: Findings, services: Mapping[EntityId, EntityId]) -> set[tuple[str, EntityId]]:
    """Return what was ruled out; what is so for the only instance of a service is so for the service."""
    every: dict[tuple[str, EntityId], list[str]] = {}
    for tested in found.tested:
        for entity in {tested.entity, services.get(tested.entity, tested.entity)}:
            every.setdefault((tested.kind, entity), []).append(tested.result)
    return {pair for pair, results in every.items() if set(results) == {"refuted"}}


def _only_instances(journal: Journal, investigation: str) -> dict[EntityId, EntityId]:
    """Return the service of each instance that is the only one of it."""
    relations = [r for scope in journal.values(investigation, Scope) for r in scope.topology.relations]
    pairs = {(r.target, r.source) for r in relations if r.kind == "runs_on"}
    instances = Counter(service for _, service in pairs)
    return {instance: service for instance, service in pairs if instances[service] == 1}
