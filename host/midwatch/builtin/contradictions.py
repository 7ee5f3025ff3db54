"""Where two signals contradict each other about the same figure: told as gaps, since one of them does not see it all.

Only the share of requests that fail is compared: it means the same whoever counts. Rates differ where traces are
sampled, and times differ by the statistic that a backend keeps.
"""

from collections.abc import Iterable

from midwatch.builtin import weights as w
from midwatch.builtin.observed import failing_percent
from midwatch.records import Gap
from midwatch_kit.records import EntityId, Observation


def contradictions(observations: Iterable[Observation]) -> list[Gap]:
    """Return a gap for each entity of which one signal says that many requests fail, and another not half as many."""
    told: dict[EntityId, dict[str, float]] = {}
    for seen in observations:
        if (percent := failing_percent(seen)) is not None:
            by_signal = told.setdefault(seen.entity, {})
            by_signal[seen.signal.value] = max(percent, by_signal.get(seen.signal.value, 0.0))
    return [_gap(entity, shares) for entity, shares in sorted(told.items()) if _contradict(shares.values())]


def _contradict(shares: Iterable[float]) -> bool:
    ordered = sorted(shares)
    return ordered[-1] >= w.UNWELL_PERCENT and ordered[0] < ordered[-1] / 2


def _gap(entity: EntityId, shares: dict[str, float]) -> Gap:
    said = ", ".join(f"by {signal} {percent:.1f}%" for signal, percent in sorted(shares.items()))
    return Gap(
        what=f"error rate of {entity.partition(':')[2]}",
        why=f"signals contradict each other: {said}",
        may_hide="requests that one of them does not see",
    )
