"""Everything an investigation has seen so far, arranged for looking things up. Nothing here judges."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from midwatch.builtin.weights import NEARLY_ALL, SHIFTED
from midwatch.records import Scope
from midwatch_kit.records import EntityId, Observation, ObservationKind, Signal
from midwatch_topology import Topology

_QUIET = {ObservationKind.NORMAL, ObservationKind.ABSENCE, ObservationKind.CHANGE}


@dataclass(frozen=True)
class Scene:
    """The scope, the graph and the observations; `blind` names the signals that nobody could look at."""

    scope: Scope
    topology: Topology
    observations: tuple[Observation, ...]
    blind: frozenset[str] = frozenset()

    @cached_property
    def shifted(self) -> bool:
        """Whether anything is wrong: the symptom's own shift, if it lasts, or failures that begin in scope."""
        seen = (*self.scope.symptoms, *self.beginnings.values())
        return any(o.score >= SHIFTED and o.ended is None for o in seen)

    @cached_property
    def compared(self) -> bool:
        """Whether the symptom's figures could be held against what they were before."""
        return bool(self.scope.symptoms) or self.normal(self.scope.symptom, as_a_whole=False) is not None

    def having(self, more: Iterable[Observation]) -> "Scene":
        """Return the scene with further observations, each of them once."""
        known = {observation.id: observation for observation in (*self.observations, *more)}
        return replace(self, observations=tuple(known.values()))

    @cached_property
    def changes(self) -> tuple[Observation, ...]:
        """The change events, oldest first."""
        seen = [o for o in self.observations if o.kind is ObservationKind.CHANGE and o.subject != "content"]
        return tuple(sorted(seen, key=lambda o: (o.onset is None, o.onset, o.id)))

    @cached_property
    def anomalies(self) -> tuple[Observation, ...]:
        """What is not as it was before, strongest first; changes by people are not anomalies."""
        return tuple(sorted((o for o in self.observations if o.kind not in _QUIET), key=lambda o: (-o.score, o.id)))

    @cached_property
    def beginnings(self) -> dict[EntityId, Observation]:
        """Where the symptom begins: an observation for each service (or what it depends on) that makes some of it.

        When the symptom is errors, these are the origins of failing traces; when it is latency, time spent in itself.
        Requests that fail are trouble under any alarm, so they count where the alarm's own figure leads nowhere.
        """
        failing = self._lasting("error_origin")
        slow = self._lasting("self_time") if "latency_p95" in self.scope.watched else {}
        return (failing or slow) if "error_rate" in self.scope.watched else (slow or failing)

    def _lasting(self, subject: str) -> dict[EntityId, Observation]:
        rose = [o for o in self.anomalies if o.subject == subject and o.ended is None and o.direction == "up"]
        return {o.entity: o for o in reversed(rose) if not o.entity.startswith("instance:")}

    def failing_instances(self, service: EntityId) -> dict[EntityId, float]:
        """Return in how many failing traces each instance of a service is where they begin, as the survey counted."""
        seen = self.beginnings.get(service)
        counted = seen.attributes.get("instances", "") if seen else ""
        pairs = (part.rpartition(":") for part in counted.split(",") if part)
        return {f"instance:{name}": float(count) for name, _, count in pairs if count.isdecimal()}

    def alone(self, service: EntityId) -> EntityId | None:
        """Return the one instance of several in which nearly all of a service's failing traces begin, if one does."""
        failing = self.failing_instances(service)
        most = max(failing, key=lambda name: (failing[name], name), default=None)
        if most is None or len(self.instances(service)) < 2 or failing[most] < NEARLY_ALL * sum(failing.values()):
            return None
        return most

    def members(self, entity: EntityId) -> frozenset[EntityId]:
        """Return the entity and, for a service, its instances."""
        return frozenset({entity, *self.instances(entity)})

    def instances(self, service: EntityId) -> tuple[EntityId, ...]:
        """Return the instances that a service runs on, in order of their names."""
        related = {o.entity for o in self.observations if o.related == service and o.entity.startswith("instance:")}
        runs = {r.target for r in self.topology.relations if r.source == service and r.kind == "runs_on"}
        return tuple(sorted(related | {target for target in runs if target.startswith("instance:")}))

    def service_of(self, entity: EntityId) -> EntityId:
        """Return the service that an instance belongs to; any other entity belongs to itself."""
        if not entity.startswith("instance:"):
            return entity
        for relation in self.topology.relations:
            if relation.kind == "runs_on" and relation.target == entity:
                return relation.source
        owners = (o.related for o in self.observations if o.entity == entity and o.related)
        return next((owner for owner in owners if owner.startswith("service:")), entity)

    def normal(
        self, entity: EntityId, signal: Signal = Signal.TRACES, *, as_a_whole: bool = True
    ) -> Observation | None:
        """Return the observation that an entity was healthy, if one was made: in every figure, or at least in one."""
        healthy = (o for o in self.observations if o.kind is ObservationKind.NORMAL and o.signal is signal)
        whole = (o for o in healthy if not (as_a_whole and "covers" in o.attributes))
        return next((o for o in whole if o.entity == entity), None)

    def strongest(self, entity: EntityId, *subjects: str) -> Observation | None:
        """Return the strongest anomaly of an entity in one of these subjects."""
        return next((o for o in self.anomalies if o.entity == entity and o.subject in subjects), None)
