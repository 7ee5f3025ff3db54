"""How well an alert goes with an outage: topology, time, kind and text, weighed, and each part told in words."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from midwatch.correlation import kinds, words
from midwatch.correlation.kinds import Kind
from midwatch.correlation.neighbourhood import Neighbourhood, Tie
from midwatch.correlation.ongoing import Outage, Place
from midwatch.correlation.weights import (
    AFTERWARDS,
    AFTERWARDS_SECONDS,
    CAUSE_ALERTS,
    CAUSE_IS_BROAD,
    CAUSE_IS_SILENT,
    HALF_LIFE_AT_ONE_PLACE_SECONDS,
    HALF_LIFE_SECONDS,
    HOPS,
    NO_CAUSE,
    TOGETHER_SECONDS,
    WEIGHTS,
)
from midwatch_kit.records import EntityId, Record


class Part(Record):
    """What one part of the comparison gave, of how much it could, and why."""

    name: str
    points: float
    most: float
    said: str

    def __str__(self) -> str:
        return f"{self.name} {self.points:.2f} of {self.most:.2f} ({self.said})"


@dataclass(frozen=True)
class Match:
    """How well an alert at an entity goes with one outage.

    `kept_apart` says what rules it out, whatever the rest weighs; `common` is what would explain it and the outage;
    `is_effect` whether one of that alerts elsewhere, so that the alert may be what comes of it.
    """

    entity: EntityId
    outage: Outage
    parts: tuple[Part, ...]
    kept_apart: str = ""
    common: AbstractSet[EntityId] = frozenset()
    is_effect: bool = False

    @property
    def rank(self) -> float:
        """What says to which of several outages it goes: where and when.

        The words and the kind of an alert are those of its rule, whichever outage it is an effect of.
        """
        return sum(part.points for part in self.parts if part.name not in ("kind", "text"))

    @property
    def score(self) -> float:
        """All parts together, from 0 to 1."""
        return sum(part.points for part in self.parts)


@dataclass(frozen=True)
class Seen:
    """What of an alert is compared."""

    entity: EntityId
    start: float
    kind: Kind
    title: str
    marks: AbstractSet[tuple[str, str]] = frozenset()


def match(seen: Seen, outage: Outage, area: Neighbourhood, window: float) -> Match | None:
    """Return how well an alert goes with an outage at the place where it does best; None when it has nothing with it.

    `window` is how many seconds starts may lie apart.
    """
    shared = seen.marks & outage.marks
    if not shared and not any(area.tie(seen.entity, entity).weight for entity in outage.places):
        return None
    apart = _another_fault(seen, outage)
    common = (outage.causes or frozenset()) & area.upstream(seen.entity).keys()
    cause = _explained(seen, outage, area, common)
    is_effect = not shared and any(name in outage.places for name in common if name != seen.entity)
    best: tuple[Part, ...] = ()
    for entity, place in outage.places.items():
        gap = place.gap(seen.start)
        if gap > window or (entity != seen.entity and not _goes_with(seen, place)):
            continue
        if shared:
            label, value = min(shared)
            tie = Tie(1.0, f"a rule groups by {label}, {value} of both")
        elif not (tie := area.tie(seen.entity, entity)).weight:
            continue
        same = entity == seen.entity or bool(shared)
        if same and is_effect and gap > TOGETHER_SECONDS:  # it says no more than any other effect
            tie = Tie(HOPS[1], tie.said)
        near = _nearness(tie, place, seen, (1.0, "") if same else cause)
        parts = (
            near,
            _time(gap, HALF_LIFE_AT_ONE_PLACE_SECONDS if same and not is_effect else HALF_LIFE_SECONDS),
            _kind(seen, place),
            _text(seen, place),
        )
        if sum(part.points for part in parts) > sum(part.points for part in best):
            best = parts
    return Match(seen.entity, outage, best, apart, common, is_effect) if best else None


def _nearness(tie: Tie, place: Place, seen: Seen, cause: tuple[float, str]) -> Part:
    weight, said = tie.weight * cause[0], [tie.said, *([cause[1]] if cause[1] else [])]
    if tie.after and place.starts[0] + AFTERWARDS_SECONDS < seen.start:
        weight *= AFTERWARDS
        said.append("though it was noticed later than what it would explain")
    return _part("topology", weight, WEIGHTS.topology, "; ".join(said))


def _time(gap: float, half_life: float) -> Part:
    said = f"began {gap / 60:.0f} min from the nearest" if gap >= 60 else f"began {gap:.0f} s from the nearest"
    return _part("time", 0.5 ** (gap / half_life), WEIGHTS.time, said)


def _goes_with(seen: Seen, place: Place) -> bool:
    """Return whether an alert's kind goes with anything here at all: what hurts nobody yet explains nothing."""
    return any(kinds.likeness(seen.kind, kind) for kind in place.kinds)


def _kind(seen: Seen, place: Place) -> Part:
    alike, other = max((kinds.likeness(seen.kind, kind), kind) for kind in place.kinds)
    said = f"{seen.kind} as well" if seen.kind == other else f"{seen.kind} beside {other}"
    return _part("kind", alike, WEIGHTS.kind, said)


def _text(seen: Seen, place: Place) -> Part:
    alike = max((words.likeness(seen.title, title) for title in place.titles), default=0.0)
    return _part("text", alike, WEIGHTS.text, f"words of the titles alike by {alike:.0%}")


def _part(name: str, share: float, most: float, said: str) -> Part:
    return Part(name=name, points=round(share * most, 4), most=most, said=said)


def _explained(seen: Seen, outage: Outage, area: Neighbourhood, common: AbstractSet[EntityId]) -> tuple[float, str]:
    """Return how well one component would explain this alert and all others of the outage, and which."""
    if outage.causes is None or not area.upstream(seen.entity):
        return CAUSE_IS_SILENT, ""
    if alerting := sorted(common & {*outage.places, seen.entity}):
        return CAUSE_ALERTS, f"{_name(alerting[0])} would explain all"
    if silent := sorted(name for name in common if not area.is_broad(name)):
        return CAUSE_IS_SILENT, f"{_name(silent[0])}, which is silent, would explain all"
    if common and outage.causes.isdisjoint(outage.places):
        return CAUSE_IS_BROAD, f"only {_name(min(common))} would explain all, and on that depends very much"
    return NO_CAUSE, "no one component would explain all"


def _another_fault(seen: Seen, outage: Outage) -> str:
    """Return why the alert is of another fault of a component that the outage has another one of; '' when it is not."""
    place = outage.places.get(seen.entity)
    if place is None or seen.kind in place.kinds:
        return ""
    others = sorted(str(kind) for kind in place.kinds if kinds.apart(seen.kind, kind))
    return f"{seen.kind} and {others[0]} of {_name(seen.entity)} are different faults" if others else ""


def different_faults(one: Outage, other: Outage) -> bool:
    """Return whether two outages have different faults of one component, so that they are not one."""
    return any(
        kinds.apart(kind, another)
        for entity in one.places.keys() & other.places.keys()
        for kind in one.places[entity].kinds
        for another in other.places[entity].kinds
    )


def _name(entity: EntityId) -> str:
    return entity.removeprefix("service:")
