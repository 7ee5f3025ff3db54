"""Who asks less than before for each request that it serves, from metrics alone: behaviour, given that it was asked.

Code that returns early no longer asks whom it would have asked later. Counts of requests show it where a service has
but one caller: it is asked far less often for each request that the caller serves. Where there are traces, they and
their logs know better. The score is the root of the likelihood ratio of the two pairs of counts (a G-test).
"""

import hashlib
import math
from collections.abc import Iterable

from midwatch.builtin import weights as w
from midwatch.builtin.observed import ASKS
from midwatch.records import Scope
from midwatch_kit.records import EntityId, Observation, ObservationKind, Signal
from midwatch_topology import Topology


def asked_less(observations: Iterable[Observation], topology: Topology, scope: Scope) -> list[Observation]:
    """Return, for each service that only one other calls, that its caller asks it far less than before, if it does."""
    felt = (o for o in observations if o.signal is Signal.METRICS and o.subject == "request_rate")
    rates = {o.entity: o for o in felt if o.magnitude is not None and o.baseline}
    found = []
    for callee, asked in sorted(rates.items()):
        callers = {r.source for r in topology.relations if r.target == callee and r.kind == "calls"} - {callee}
        if len(callers) == 1 and (served := rates.get(callers.pop())) is not None:
            found += _turned(asked, served, scope)
    return found


def _turned(asked: Observation, served: Observation, scope: Scope) -> list[Observation]:
    before, now = (_per_request(asked.baseline, served.baseline), _per_request(asked.magnitude, served.magnitude))
    if before is None or now is None or now > w.HARDLY_ASKED * before:
        return []
    seconds = scope.baseline.length.total_seconds(), scope.window.length.total_seconds()
    rates = [(o.baseline or 0.0, o.magnitude or 0.0) for o in (asked, served)]
    score = _score([rate * span for pair in rates for rate, span in zip(pair, seconds, strict=True)])
    return [_observation(asked, served, (before, now), score)] if score >= w.SHIFTED else []


def _per_request(asked: float | None, served: float | None) -> float | None:
    return asked / served if asked is not None and served else None


def _score(counts: list[float]) -> float:
    """Return the root of the likelihood ratio of a table: asked before and now, served before and now."""
    total = sum(counts)
    rows, columns = (counts[0] + counts[1], counts[2] + counts[3]), (counts[0] + counts[2], counts[1] + counts[3])
    expected = [row * column / total for row in rows for column in columns]
    terms = (o * math.log(o / e) for o, e in zip(counts, expected, strict=True) if o > 0)
    return math.sqrt(max(0.0, 2 * sum(terms)))


def _observation(asked: Observation, served: Observation, shares: tuple[float, float], score: float) -> Observation:
    caller, callee = served.entity, asked.entity
    before, now = (float(f"{share:.3g}") for share in shares)
    return Observation(
        id=hashlib.sha256(f"{ASKS}|{asked.id}|{served.id}".encode()).hexdigest()[:26],
        entity=caller,
        related=callee,
        signal=Signal.METRICS,
        kind=ObservationKind.DROP,
        subject=ASKS,
        statement=f"{_name(caller)} asks {_name(callee)} {now} times for each request that it serves, before {before}",
        magnitude=now,
        baseline=before,
        unit="1",
        direction="down",
        score=round(score, 2),
        citations=tuple(dict.fromkeys((*asked.citations, *served.citations))),
        by="asked",
    )


def _name(entity: EntityId) -> str:
    return entity.partition(":")[2][:60]
