"""What is wrong in the state of a cluster as a cause: who is meant, whom it reaches, and what merely shows it.

A mismatch is desired against actual state, seen by a check that says how sure it is. What was so before the incident
is none of its causes. Where the symptom has no figures of its own, as with an alert about a namespace, a certain
mismatch of something that it depends on is the incident.
"""

from collections.abc import Iterable, Iterator

from midwatch.records import HypothesisKind, Scope
from midwatch_kit.records import EntityId, Observation, ObservationKind
from midwatch_topology import Topology


def new_mismatches(observations: Iterable[Observation]) -> tuple[Observation, ...]:
    """Return what is wrong and was not so before, strongest first."""
    seen = (o for o in observations if o.kind is ObservationKind.MISMATCH and "was_so_before" not in o.attributes)
    return tuple(sorted(seen, key=lambda o: (-o.score, o.id)))


def is_mismatch(observation: Observation | None) -> bool:
    """Whether an observation is one of desired against actual state."""
    return observation is not None and observation.kind is ObservationKind.MISMATCH


def is_certain(mismatch: Observation) -> bool:
    """Whether what is wrong cannot be meant so."""
    return mismatch.attributes.get("certain") != "false"


def is_effect(mismatch: Observation) -> bool:
    """Whether a mismatch shows that something is wrong, such as a crash, and not why."""
    return "effect" in mismatch.attributes


def kind_of_mismatch(mismatch: Observation) -> HypothesisKind:
    """Return the kind of cause that a check says a mismatch is; `state` for one that is not known here."""
    cause = mismatch.attributes.get("cause", "")
    return HypothesisKind(cause) if cause in {kind.value for kind in HypothesisKind} else HypothesisKind.STATE


def ends(mismatch: Observation) -> tuple[EntityId, ...]:
    """Return what is wrong and, if that is another thing, what suffers from it."""
    return tuple(dict.fromkeys(end for end in (mismatch.entity, mismatch.related) if end))


def reaches(mismatch: Observation, scope: Scope, topology: Topology) -> bool:
    """Whether harm gets from a mismatch, or from what suffers from it, to the symptom."""
    known = [end for end in ends(mismatch) if end in topology]
    return scope.symptom in ends(mismatch) or any(
        scope.symptom in topology and topology.paths(end, scope.symptom, limit=1) for end in known
    )


def explaining(effect: Observation, mismatches: Iterable[Observation]) -> Iterator[Observation]:
    """Yield what explains an effect: a certain mismatch, no effect itself, of the same thing."""
    mine = {*ends(effect)}
    yield from (o for o in mismatches if is_certain(o) and not is_effect(o) and mine & {*ends(o)})
