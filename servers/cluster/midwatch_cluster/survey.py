"""What is wrong in a cluster, as findings that cite the fields that say so; what was so before is told apart. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import JsonValue

from midwatch_cluster.checks import CHECKS
from midwatch_cluster.checks.problem import Problem
from midwatch_cluster.entities import entity_of
from midwatch_cluster.state import State, look
from midwatch_kit import CitedFinding, EntityId, Finding, ObservationKind, Window, rfc3339

MOST = 200
_NOTICED_AFTER = timedelta(minutes=5)
"""How long a problem may be there before the time that an alert speaks of: rules commonly wait `for: 5m` to fire."""
_COMMON = ("Node", "ComponentStatus", "ResourceQuota", "PersistentVolume", "StorageClass")
_SURE, _EFFECT, _UNSURE, _AS_BEFORE = 10.0, 6.0, 3.0, 0.5
"""Scores that only rank: a problem is or is not there, and has no standard deviations."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A problem, the check that sees it and its stage, and whether it was there before the window."""

    problem: Problem
    check: str
    stage: str
    before: bool


def problems(state: State, before: State, window: Window) -> list[Seen]:
    """Return every problem of a state, those that are new since `before` first.

    One that says itself since when it is there is not new if that was well before the window: nobody is told of a
    problem in its first minutes, alerting waits for that long before it believes what it sees.
    """
    known = {_key(problem) for _, problem in _looked(before)}
    seen = [
        Seen(problem, check, stage, _key(problem) in known or _older(problem, window.start - _NOTICED_AFTER))
        for (check, stage), problem in _looked(state)
    ]
    return sorted(seen, key=lambda each: -score(each))


def score(seen: Seen) -> float:
    """Return how much a problem deserves to be looked at: new before old, certain before possible, why before that."""
    if seen.before:
        return _AS_BEFORE
    certain = _EFFECT if seen.problem.effect else _SURE
    return certain if seen.problem.certain else _UNSURE


def row_of(seen: Seen, state: State) -> JsonValue:
    """Return a problem as evidence: the fields that say so, each with what stands there."""
    problem = seen.problem
    fields: list[JsonValue] = []
    for ref, pointer in problem.fields:
        thing = state.find(ref)
        value: JsonValue = look(thing, pointer) if thing is not None else None
        fields.append({"object": str(ref), "field": pointer, "value": value})
    return {
        "object": str(problem.about),
        "check": seen.check,
        "reason": problem.reason,
        "statement": problem.statement,
        "since": rfc3339(problem.since) if problem.since else None,
        "was_so_before": seen.before,
        "fields": fields,
    }


def finding_of(seen: Seen, number: int, state: State) -> CitedFinding:
    """Return a problem as a finding that cites its fields in row `number`."""
    problem = seen.problem
    finding = Finding(
        entity=entity_of(problem.about, state),
        kind=ObservationKind.MISMATCH,
        subject=problem.reason,
        statement=_cut(problem.statement),
        onset=problem.since,
        score=score(seen),
        related=entity_of(problem.victim, state) if problem.victim else None,
        attributes={
            "object": str(problem.about),
            "cause": problem.cause,
            "stage": seen.stage,
            "check": seen.check,
            **({"was_so_before": "true"} if seen.before else {}),
            **({} if problem.certain else {"certain": "false"}),
            **({"effect": "true"} if problem.effect else {}),
        },
    )
    where = [f"/rows/{number}/fields/{place}/value" for place in range(len(problem.fields))]
    return CitedFinding(finding, [f"/rows/{number}/reason", *where])


def concerns(seen: Seen, entities: Sequence[EntityId], state: State) -> bool:
    """Whether a problem is of one of some entities, or makes one suffer; all are asked for when there are none.

    What belongs to no workload, such as a node, a quota or a part of the control plane, concerns everybody.
    """
    problem = seen.problem
    refs = [ref for ref in (problem.about, problem.victim) if ref is not None]
    common = problem.victim is None and problem.about.kind in _COMMON
    return not entities or common or any(entity_of(ref, state) in entities for ref in refs)


def line_of(seen: Seen) -> str:
    """Return a problem in a line."""
    since = f" since {rfc3339(seen.problem.since)}" if seen.problem.since else ""
    mark = "as before: " if seen.before else "" if seen.problem.certain else "perhaps: "
    return f"{mark}{seen.problem.statement}{since} [{seen.problem.reason}, {seen.problem.about}]"


def _looked(state: State) -> list[tuple[tuple[str, str], Problem]]:
    return [((check.name, check.stage), problem) for check in CHECKS for problem in check.look(state)]


def _key(problem: Problem) -> tuple[str, str, str]:
    return str(problem.about), problem.reason, str(problem.victim)


def _older(problem: Problem, start: datetime) -> bool:
    return problem.since is not None and problem.since < start


def _cut(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:199]}…"
