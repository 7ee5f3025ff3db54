"""Where requests lose time or fail, from metrics alone: what each service loses beyond what its callees lose.

Without traces nobody sees where a failing request began. But a service that is slow only because it waits for others
loses no more than they do, in units that add up along calls: seconds of requests' time per second, failed requests
per second. What is left over begins in the service itself. This is what `Scene.beginnings` has for data without
traces; where there are traces they know better, and metrics' figures of requests are left out.

Who is only known to fail by the calls that it makes loses nothing of its own.

A callee without any history explains nothing: that it is called at all is its caller's doing. Nothing here knows
how often each caller calls; a callee's loss is taken off each of its callers in full.

Means add up along calls, tails don't: of what only a tail is known, a caller begins nothing while a callee's tail grew
by much of what its own did.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from midwatch.builtin import weights as w
from midwatch.records import Scope
from midwatch_kit.records import EntityId, Observation, ObservationKind, Signal
from midwatch_topology import Topology

FELT = frozenset({"latency_mean", "latency_p95", "error_rate", "request_rate", "edge_error_rate"})
LATENCY_EXCESS, ERROR_EXCESS = "latency_excess", "error_excess"
EXCESSES = frozenset({LATENCY_EXCESS, ERROR_EXCESS})
_KINDS = {"latency_mean": LATENCY_EXCESS, "latency_p95": LATENCY_EXCESS, "error_rate": ERROR_EXCESS}
_UNITS = {LATENCY_EXCESS: "s/s", ERROR_EXCESS: "1/s"}
_LOST = {LATENCY_EXCESS: "loses {} s of requests' time each second", ERROR_EXCESS: "fails {} requests each second"}
_NOT_ITS_OWN = frozenset({"version", "of"})
"""Attributes of figures that are not of all requests which a service answers: of one version, or of calls it makes."""
_UNMEASURED = "callees_unmeasured"
"""The attribute of an excess of who asks others, of none of whom such a figure is known."""
_PER_UNIT = {"ms": 1e-3, "s": 1.0, "%": 1e-2}


@dataclass(frozen=True)
class _Loss:
    """What a service loses per second, and the observation that says so."""

    amount: float
    seen: Observation

    @property
    def tail(self) -> float:
        """By how much its slowest requests take longer, in the unit of the figure; 0 where a mean is known."""
        return _more(self.seen) if self.amount > 0 and self.seen.subject == "latency_p95" else 0.0


def without_doubles(observations: Iterable[Observation]) -> list[Observation]:
    """Return the observations without metrics' figures of requests, where traces were found at all."""
    every = list(observations)
    traced = any(o.signal is Signal.TRACES and o.kind is not ObservationKind.ABSENCE for o in every)
    return [o for o in every if not (traced and o.signal is Signal.METRICS and o.subject in FELT)]


def excesses(observations: Iterable[Observation], topology: Topology, scope: Scope) -> list[Observation]:
    """Return, for each service in which something of the loss begins, how much; each cites what it was made of."""
    found: list[Observation] = []
    whole = (o for o in observations if not _NOT_ITS_OWN & o.attributes.keys())
    felt = [o for o in whole if o.signal is Signal.METRICS and o.entity in topology]
    for kind in (LATENCY_EXCESS, ERROR_EXCESS):
        losses = {o.entity: _loss(o) for o in felt if _KINDS.get(o.subject) == kind}
        for entity, loss in sorted(losses.items()):
            if loss.amount > 0 and (own := _own(entity, losses, topology)) > 0:
                found.append(_observation(kind, entity, own, losses, topology, scope))
    return found


def is_vague(excess: Observation) -> bool:
    """Whether nobody measures how those do that somebody asks: what is lost may be lost in any of them."""
    return _UNMEASURED in excess.attributes


def _loss(seen: Observation) -> _Loss:
    """What is above both the baseline and the level just before, beyond the usual scatter; nothing when it is not."""
    figures = {name: _number(seen.attributes.get(name)) for name in ("before", "spread", "requests_per_s")}
    if seen.score < w.LEANS or seen.direction != "up" or seen.magnitude is None:
        return _Loss(0.0, seen)
    usual = max(seen.baseline or 0.0, figures["before"] or 0.0)
    scatter = w.SCATTER * (figures["spread"] or 0.0) if seen.subject != "error_rate" else 0.0
    more = max(0.0, seen.magnitude - usual - scatter) * _PER_UNIT.get(seen.unit, 1.0)
    pace = figures["requests_per_s"]
    return _Loss(more * (1.0 if pace is None else pace), seen)


def _more(seen: Observation) -> float:
    return (seen.magnitude or 0.0) - (seen.baseline or 0.0)


def _own(entity: EntityId, losses: Mapping[EntityId, _Loss], topology: Topology) -> float:
    waits = (losses[callee].tail for callee in topology.depends_on(entity) if callee in losses)
    if losses[entity].tail and max(waits, default=0.0) >= w.ACCOUNTS_FOR * losses[entity].tail:
        return 0.0
    below = (losses[callee].amount for callee in topology.depends_on(entity) if callee in losses)
    return losses[entity].amount - sum(below)


def _observation(
    kind: str, entity: EntityId, own: float, losses: Mapping[EntityId, _Loss], topology: Topology, scope: Scope
) -> Observation:
    seen, callees = losses[entity].seen, topology.depends_on(entity)
    below = [losses[c].seen for c in callees if c in losses and losses[c].amount > 0]
    vague = bool(callees) and not any(c in losses for c in callees)
    lost, name = _LOST[kind].format(f"{own:.3g}"), entity.partition(":")[2]
    where = ", in itself or in what it calls" if vague else " that nothing it calls explains"
    return Observation(
        id=hashlib.sha256(f"{kind}|{seen.id}|{scope.symptom}".encode()).hexdigest()[:26],
        entity=entity,
        signal=Signal.METRICS,
        kind=ObservationKind.SPIKE,
        subject=kind,
        statement=f"{name[:90]} {lost}{where}"[:200],
        onset=seen.onset,
        onset_earliest=seen.onset_earliest,
        onset_latest=seen.onset_latest,
        magnitude=float(f"{own:.6g}"),
        baseline=0.0,
        unit=_UNITS[kind],
        direction="up",
        score=seen.score,
        attributes={_UNMEASURED: "true"} if vague else {},
        citations=tuple(dict.fromkeys(c for o in (seen, *below) for c in o.citations)),
        by="excess",
    )


def _number(text: str | None) -> float | None:
    return float(text) if text else None
