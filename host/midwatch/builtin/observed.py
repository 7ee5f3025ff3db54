"""What a single observation tells, by itself."""

from midwatch.builtin import weights as w
from midwatch.builtin.excess import LATENCY_EXCESS
from midwatch.builtin.vocabulary import is_pool_wait, is_timeout, kind_named
from midwatch.records import HypothesisKind
from midwatch_kit.records import Observation, ObservationKind, Signal

PARTS = frozenset({"version", "operation"})
"""Attributes of observations that speak of a part of an entity, not of all of it."""
SLOWER = frozenset({"self_time", LATENCY_EXCESS})
"""What says that it takes longer somewhere; users feel that only where their own answers take longer."""
ASKS = "calls_per_request"
TURNS = frozenset({"log_sequence", ASKS})
"""What says that a service, once asked, does something else than before."""
ON_THE_WAY = "network_time"
"""What says that calls spend time between caller and callee."""
_SHARES = ("utilization", "usage", "memory", "cpu", "disk", "pool", "connection.count", "lock")


def amount(observation: Observation | None) -> float:
    """Return by how much an observed figure is above what it was before; 0 when it is not."""
    if observation is None or observation.magnitude is None:
        return 0.0
    return max(0.0, observation.magnitude - (observation.baseline or 0.0))


def harm(observation: Observation) -> float:
    """Return how much of the trouble an observation holds, beside others of its subject.

    What turned to another behaviour did so whole, so what counts is how surely: the deviance, its score squared.
    """
    return observation.score**2 if observation.subject in TURNS else amount(observation)


def got_worse(observation: Observation) -> bool:
    """Whether a figure that users feel got worse, or the number of requests changed at all; quicker is not worse."""
    return observation.subject == "request_rate" or observation.direction != "down"


def failing_percent(observation: Observation) -> float | None:
    """Return the share of requests that fail, where an observation tells that of a whole entity, or else None."""
    told = observation.attributes
    if PARTS & told.keys():
        return None
    if observation.subject == "error_rate" and observation.unit == "%":
        return observation.magnitude
    if observation.kind is not ObservationKind.NORMAL or not told.get("errors") or not float(told.get("requests") or 0):
        return None
    return 100 * float(told["errors"]) / float(told["requests"])


def is_unwell(observation: Observation) -> bool:
    """Whether so many requests fail that nobody would call it well, whatever it was before."""
    return (failing_percent(observation) or 0.0) >= w.UNWELL_PERCENT


def says_what_failed(observation: Observation) -> bool:
    """Whether an observation holds the words of an error, from traces or from logs."""
    return observation.subject == "error_origin" or observation.kind is ObservationKind.NEW_PATTERN


def words_of(observation: Observation) -> str:
    """Return the words of an error, as traces or logs have it."""
    said = observation.attributes
    return said.get("exception") or said.get("exemplar") or observation.statement


def error_said(observation: Observation) -> str:
    """Return the words of the error that failing traces end in; empty where none is known."""
    return observation.attributes.get("exception", "")


def speaks_of(observation: Observation, kind: HypothesisKind) -> bool:
    """Whether an error speaks, in standard words, of a kind of cause."""
    return kind_named(error_said(observation)) is kind


def times_out(observation: Observation) -> bool:
    """Whether failing traces end in a call that somebody waited for in vain."""
    return is_timeout(error_said(observation))


def waits_for_connection(observation: Observation) -> bool:
    """Whether failing traces end in a vain wait for a connection of one's own pool."""
    return is_pool_wait(error_said(observation))


def answered(observation: Observation) -> bool:
    """Whether an error is an answer to what was asked, and no sign that who was asked is away, full or flooded."""
    unable = (HypothesisKind.DEPENDENCY, HypothesisKind.RESOURCE, HypothesisKind.TRAFFIC)
    return kind_named(error_said(observation)) not in unable


def is_shortage(observation: Observation) -> bool:
    """Whether something runs short: memory, CPU, disk, connections, locks."""
    shares = any(word in observation.subject for word in _SHARES)
    short = observation.kind is ObservationKind.SATURATION or (observation.kind is ObservationKind.SPIKE and shares)
    return short and observation.signal is Signal.METRICS


def outgrows(one: Observation | None, other: Observation) -> bool:
    """Whether a figure grew by a factor so much greater than another's that it is not the other's doing."""
    if one is None or not one.magnitude or not other.magnitude:
        return False
    grown, others = (o.magnitude / max(o.baseline or 0.0, 1e-9) for o in (one, other) if o.magnitude)
    return grown >= w.OUTGROWS * others


def is_exhausted(observation: Observation) -> bool:
    """Whether something is used up, or so much more of its limit is in use that little else can have happened."""
    much_more = observation.unit == "%" and amount(observation) >= w.MUCH_OF_LIMIT and observation.direction == "up"
    return is_shortage(observation) and (observation.kind is ObservationKind.SATURATION or much_more)


def is_silent(observation: Observation) -> bool:
    """Whether a process or a service fell silent: its metrics ended, or it takes no requests any more."""
    gone = observation.kind is ObservationKind.ABSENCE and observation.signal is Signal.METRICS
    down = observation.direction == "down" and observation.kind is not ObservationKind.NORMAL
    fell = observation.subject == "request_rate" and down and observation.ended is None
    idle = fell and (observation.magnitude or 0.0) <= w.HARDLY_ANY * (observation.baseline or 0.0)
    return (gone or idle) and observation.entity.startswith(("instance:", "service:"))
