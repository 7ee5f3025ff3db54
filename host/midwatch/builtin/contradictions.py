"""Where two signals contradict each other about the same figure: told as gaps, since one of them does not see it all.

Only the share of requests that fail is compared: it means the same whoever counts. Rates differ where traces are
sampled, and times differ by the statistic that a backend keeps. Signals that both say that it rose agree: they count
over other times, and a share that still rises is the higher the later it is counted. Nor is it a contradiction where
one has counted so few requests that it may have missed the failures by chance.
"""

from collections.abc import Iterable, Mapping

from midwatch.builtin import weights as w
from midwatch.builtin.observed import failing_percent
from midwatch.records import Gap
from midwatch_kit.records import EntityId, Observation, ObservationKind


def contradictions(observations: Iterable[Observation]) -> list[Gap]:
    """Return a gap for each entity of which one signal says that many requests fail, and another few, as ever."""
    told: dict[EntityId, dict[str, Observation]] = {}
    for seen in observations:
        if failing_percent(seen) is not None:
            by_signal = told.setdefault(seen.entity, {})
            by_signal[seen.signal.value] = max(seen, by_signal.get(seen.signal.value, seen), key=_percent)
    return [_gap(entity, shares) for entity, shares in sorted(told.items()) if _contradict(shares.values())]


def _contradict(told: Iterable[Observation]) -> bool:
    ordered = sorted(told, key=_percent)
    fewest, most = ordered[0], ordered[-1]
    if _percent(most) < w.UNWELL_PERCENT or _percent(fewest) >= _percent(most) / 2:
        return False
    return fewest.kind is ObservationKind.NORMAL and not _by_chance(fewest, _percent(most) / 100)


def _by_chance(seen: Observation, share: float) -> bool:
    """Whether as few requests as were counted may all be sound though such a share of all fails."""
    requests = seen.attributes.get("requests")
    return requests is not None and (1 - min(share, 1.0)) ** float(requests) >= w.LIKELY_CHANCE


def _percent(seen: Observation) -> float:
    return failing_percent(seen) or 0.0


def _gap(entity: EntityId, told: Mapping[str, Observation]) -> Gap:
    said = ", ".join(f"by {signal} {_percent(seen):.1f}%" for signal, seen in sorted(told.items()))
    return Gap(
        what=f"error rate of {entity.partition(':')[2]}",
        why=f"signals contradict each other: {said}",
        may_hide="requests that one of them does not see",
    )
