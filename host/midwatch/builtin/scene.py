"""Everything an investigation has seen so far, arranged for looking things up. Nothing here judges."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from midwatch.builtin import weights as w
from midwatch.builtin.beginnings import Beginnings, Begun, can_hurt
from midwatch.builtin.complaints import Complaint, Complaints
from midwatch.builtin.mismatches import is_certain, new_mismatches, reaches
from midwatch.builtin.observed import (
    PARTS,
    SLOWER,
    TURNS,
    amount,
    answered,
    got_worse,
    is_shortage,
    is_silent,
    is_unwell,
    says_what_failed,
    times_out,
    waits_for_connection,
    words_of,
)
from midwatch.builtin.rollouts import Rollouts
from midwatch.builtin.vocabulary import is_full, is_gone, quoted_in
from midwatch.builtin.weights import NEARLY_ALL, SHIFTED
from midwatch.records import Hypothesis, HypothesisKind, Scope
from midwatch_kit.records import EntityId, Observation, ObservationKind, Signal
from midwatch_topology import Topology

BY_PEOPLE = (HypothesisKind.CHANGE, HypothesisKind.OPERATOR)
ESSENTIAL = frozenset({"traces", "metrics"})
"""The signals without which nobody can say that all is well."""
LOOKS = frozenset({"traces", "metrics", "logs"})
"""The signals that show how things go; without all of them nobody has seen anything."""
_QUIET = {ObservationKind.NORMAL, ObservationKind.ABSENCE, ObservationKind.CHANGE, ObservationKind.READING}


@dataclass(frozen=True)
class Scene:
    """The scope, the graph and the observations; `blind` names the signals that nobody could look at."""

    scope: Scope
    topology: Topology
    observations: tuple[Observation, ...]
    blind: frozenset[str] = frozenset()

    @cached_property
    def shifted(self) -> bool:
        """Whether anything is or was wrong: the symptom's own shift, if it lasts, or failures that begin in scope.

        Requests that failed have harmed somebody, even if it is over or of one operation; one slow minute that is over
        has not. More requests that are served as well as before harm nobody, wherever it takes a little longer.
        New instances that nobody can reach are trouble, though the old ones still serve.
        Where nothing can be compared, what is wrong for certain in what the symptom depends on is harm enough.
        """
        if not self.compared and self._harm_is_seen:
            return True
        rises = (o for o in self.scope.symptoms if got_worse(o))
        harm = (o for o in rises if not (o.subject == "request_rate" and o.direction == "up"))
        lasting = (o for o in harm if o.ended is None or o.subject == "error_rate")
        own = (o for o in self.anomalies if o.entity == self.scope.symptom and o.direction == "up")
        failing = (o for o in own if o.subject == "error_rate")
        begun = (o for o in self.beginnings.values() if not (o.subject in SLOWER and self._answers_well))
        hurts = any(o.score >= SHIFTED or o.subject in TURNS for o in (*lasting, *begun, *failing))
        return hurts or bool(self.rollouts.stuck()) or self.only_short

    @cached_property
    def rollouts(self) -> Rollouts:
        """What was seen of the deploys that name their new instances."""
        return Rollouts(self.scope, self.observations)

    @cached_property
    def only_short(self) -> bool:
        """Whether something runs short, where nobody measures how the symptom does, nor where failures begin."""
        short = any(o.score >= SHIFTED for o in self.shortages)
        return short and not self.compared and not self.beginnings

    @cached_property
    def leans(self) -> bool:
        """Whether a figure of the symptom that the alert is about is a little worse than before, without a shift."""
        own = (o for o in self.scope.symptoms if o.subject in self.scope.watched and o.subject != "request_rate")
        return any(o.kind is ObservationKind.NORMAL and o.direction == "up" and o.score >= w.LEANS for o in own)

    @cached_property
    def _harm_is_seen(self) -> bool:
        """Whether something that the symptom depends on is wrong for certain, or complained of beyond doubt."""
        wrong = any(is_certain(o) and reaches(o, self.scope, self.topology) for o in self.mismatches)
        return wrong or any(c.telling and self.can_hurt(c.place, self.scope.symptom) for c in self.complaints)

    @cached_property
    def _answers_well(self) -> bool:
        """Whether the symptom was seen to answer as well as before, however often it is asked."""
        symptom = self.scope.symptom
        well = (o for o in self.observations if o.kind is ObservationKind.NORMAL and o.entity == symptom)
        return any(o.signal is Signal.TRACES and o.attributes.get("covers") != "request_rate" for o in well)

    @cached_property
    def compared(self) -> bool:
        """Whether the symptom's figures could be held against what they were before."""
        return bool(self.scope.symptoms) or self.normal(self.scope.symptom, as_a_whole=False) is not None

    @cached_property
    def in_progress(self) -> bool:
        """Whether the symptom was as unwell as it is now all along: nothing shifted, and all is not well."""
        return not self.shifted and any(map(is_unwell, self.scope.symptoms))

    @cached_property
    def in_doubt(self) -> bool:
        """Whether nothing shifted as far as anybody could see, and yet nobody can say that all is well."""
        unseen = bool(self.blind & ESSENTIAL) or not self.compared
        return not self.shifted and (unseen or self.leans or self.in_progress)

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
    def mismatches(self) -> tuple[Observation, ...]:
        """What is wrong in the state of things and was not so before, strongest first."""
        return new_mismatches(self.observations)

    @cached_property
    def complaints(self) -> tuple[Complaint, ...]:
        """What services say of what they use."""
        return Complaints(self.anomalies, self.mismatches, self.topology).find()

    @cached_property
    def beginnings(self) -> Begun:
        """Where the symptom begins, and the observation that says so."""
        return Beginnings(self.scope, self.topology, self.anomalies).find()

    @cached_property
    def shortages(self) -> tuple[Observation, ...]:
        """What speaks of something that runs short: memory, CPU, disk, connections, locks; strongest first."""
        return tuple(o for o in self.anomalies if is_shortage(o))

    @cached_property
    def silences(self) -> tuple[Observation, ...]:
        """Who fell silent before the symptom: their metrics ended, or they take no requests any more.

        Where most did, it is the telemetry that lags. What falls silent afterwards has starved: nothing reaches it.
        """
        onset = self.scope.onset_earliest or self.scope.onset
        silent = [o for o in self.observations if is_silent(o) and o.onset and (onset is None or o.onset < onset)]
        services = [e for e in self.scope.topology.entities if e.kind == "service"]
        most = 2 * len({self.service_of(o.entity) for o in silent}) > len(services)
        return () if most else tuple(sorted(silent, key=lambda o: (o.onset, o.id)))

    def surge(self, entity: EntityId) -> Observation | None:
        """Return that more requests arrive at an entity since the onset, if they do and it lasts.

        Calls that nobody answered count as well: they stand with those who made them.
        """
        rises = (o for o in self.anomalies if o.entity == entity and o.subject in ("request_rate", "edge_request_rate"))
        lasting = (o for o in rises if o.direction == "up" and o.ended is None and o.score >= SHIFTED)
        return next((o for o in lasting if not PARTS & o.attributes.keys()), None)

    def places(self, hypothesis: Hypothesis) -> frozenset[EntityId]:
        """Return where failures begin when a hypothesis is true: mostly in its own service.

        Who asks for what may not be, or cannot be, is refused where it asks; who gives up too early gives up on
        somebody who is as quick as before; who lacks connections fails where it needs one. Too many requests hurt
        whatever is asked next. What fell silent fails nothing itself: those who need it do. Who is given an answer in
        which a name is missing that a change took away fails by himself.
        """
        own = self.service_of(hypothesis.entity)
        found = {own}
        asked = {place: seen for place, seen in self.beginnings.items() if seen.related == own}
        if hypothesis.kind in (HypothesisKind.ACCESS, *BY_PEOPLE):
            found |= {place for place, seen in asked.items() if self._blames_caller(seen)}
        if hypothesis.kind is HypothesisKind.CHANGE and hypothesis.trigger is not None:
            found |= {place for place, seen in self.beginnings.items() if self.missed_from(hypothesis.trigger, seen)}
        if hypothesis.kind is HypothesisKind.RESOURCE:
            found |= {place for place, seen in asked.items() if waits_for_connection(seen)}
        if hypothesis.kind is HypothesisKind.TRAFFIC and own in self.topology:
            found |= set(self.topology.upstream_of(own))
        if hypothesis.trigger is not None and hypothesis.trigger in self.silences:
            found |= {place for place in self.beginnings if self.can_hurt(own, place)}
        return frozenset(found)

    def missed_from(self, change: Observation, failing: Observation) -> frozenset[str]:
        """Return the names that failures quote and that a change of somebody who is asked there touched.

        None that a change of the place itself touched: then nobody can say who took it away.
        """
        if failing.entity not in self.users(self.service_of(change.entity)):
            return frozenset()
        own = (other for other in self.changes if other.entity in self.family(failing.entity))
        touched = frozenset(name for other in own for name in self.touched_by(other))
        return (quoted_in(words_of(failing)) & self.touched_by(change)) - touched

    def touched_by(self, change: Observation) -> frozenset[str]:
        """Return the names that a change touched; none while its content was not read."""
        name = change.attributes.get("change_id")
        contents = (o for o in self.observations if o.subject == "content" and o.attributes.get("change_id") == name)
        return frozenset(touched for o in contents for touched in o.attributes.get("names", "").split(",") if touched)

    def explained(self, hypothesis: Hypothesis) -> tuple[Observation, ...]:
        """Return the beginnings that a hypothesis explains, in order of their entities.

        However often it is asked, code does the same: slower perhaps, or failing, but nothing else.
        """
        places = self.places(hypothesis)
        seen = [seen for place, seen in sorted(self.beginnings.items()) if place in places]
        asked_more = hypothesis.kind is HypothesisKind.TRAFFIC
        return tuple(o for o in seen if not (asked_more and o.subject in TURNS and "error" not in o.attributes))

    def deepest(self, begun: Iterable[Observation]) -> tuple[EntityId, ...]:
        """Return the places that none of the others can hurt: who calls one of them may fail because of it."""
        places = dict.fromkeys(map(self._spoken_of, begun))
        return tuple(place for place in places if not any(p != place and self.can_hurt(p, place) for p in places))

    def _spoken_of(self, seen: Observation) -> EntityId:
        """Return whom failing traces speak of: who timed out waited for a callee, if one fails it alone."""
        if not times_out(seen):
            return seen.entity
        edges = (o for o in self.anomalies if o.subject == "edge_error_rate" and o.related == seen.entity)
        others = self.beginnings.keys() - {seen.entity}
        callees = {o.entity for o in edges if not any(p == o.entity or self.can_hurt(p, o.entity) for p in others)}
        return callees.pop() if len(callees) == 1 else seen.entity

    def independent(self, one: Hypothesis, other: Hypothesis) -> bool:
        """Whether two hypotheses speak of different troubles: what they explain has no tie."""
        mine, others = self.deepest(self.explained(one)), self.deepest(self.explained(other))
        return bool(mine and others) and all(self.apart(a, b) for a in mine for b in others)

    def given_up_early(self, origin: Observation) -> bool:
        """Whether calls timed out on somebody who was seen to answer as quickly as before, with no call lasting longer.

        Who hangs lets its callers wait, which shows in how long their calls last.
        """
        own = [o for o in self.anomalies if o.entity == origin.entity]
        slower = any(o.unit == "ms" and amount(o) >= w.FELT_MS for o in own)
        return times_out(origin) and not slower and self.normal(origin.entity, as_a_whole=False) is not None

    def _blames_caller(self, origin: Observation) -> bool:
        return self.given_up_early(origin) or answered(origin)

    def can_hurt(self, cause: EntityId, other: EntityId) -> bool:
        """Whether harm can get from one entity to another."""
        return can_hurt(self.topology, cause, other)

    def apart(self, one: EntityId, other: EntityId) -> bool:
        """Whether neither of two entities can hurt the other."""
        return one != other and not self.can_hurt(one, other) and not self.can_hurt(other, one)

    def passed(self, change: Observation) -> bool:
        """Whether a disturbance that somebody made is over, while what it set off, a flood of requests, goes on."""
        disturbs = change.subject == "infrastructure" and "ended" in change.attributes
        return disturbs and self.surge(self.service_of(change.entity)) is not None

    def whole(self, entity: EntityId) -> EntityId:
        """Return an instance's service where it is the only one of it, and else the entity itself."""
        service = self.service_of(entity)
        return service if self.instances(service) == (entity,) else entity

    def callers(self, entity: EntityId) -> tuple[EntityId, ...]:
        """Return who calls an entity."""
        return tuple(r.source for r in self.topology.relations if r.target == entity and r.kind == "calls")

    def users(self, entity: EntityId) -> tuple[EntityId, ...]:
        """Return the services that ask an entity for something, in order of their names."""
        kinds = ("calls", "reads", "writes", "uses", "sends_to", "receives_from")
        return tuple(sorted({r.source for r in self.topology.relations if r.target == entity and r.kind in kinds}))

    def refused_by(self, entity: EntityId) -> frozenset[EntityId]:
        """Return the services whose calls to an entity fail more than before."""
        edges = (o for o in self.anomalies if o.entity == entity and o.subject == "edge_error_rate")
        origins = (o for o in self.anomalies if o.entity == entity and o.subject == "error_origin")
        return frozenset(o.related for o in (*edges, *origins) if o.related)

    def data_altered_since(self, change: Observation) -> str:
        """Return by what a change, or a later one of the same service, altered how data are kept; empty if none did.

        What ran before may not understand such data, or lose what was written since.
        """
        family = self.family(change.entity)
        contents = (o for o in self.observations if o.subject == "content" and o.attributes.get("alters_data"))
        later = (o for o in contents if o.entity in family and o.onset and change.onset and o.onset >= change.onset)
        return next((o.attributes["alters_data"] for o in sorted(later, key=lambda o: (o.onset, o.id))), "")

    def sound_requests_since(self, change: Observation) -> float | None:
        """Return how many requests a service answered well between a change of it and the symptom's onset, about.

        None when they are too few to tell that the change did not bite at once: had it, at the share that fails now,
        the chance of so many sound answers would be below `LIKELY_CHANCE`.
        """
        service, onset = self.service_of(change.entity), self.scope.onset_earliest
        ended = change.attributes.get("ended")
        done = datetime.fromisoformat(ended) if ended else change.onset
        rates = [o.baseline for o in self.observations if o.entity == service and o.subject == "request_rate"]
        if done is None or onset is None or not rates or rates[0] is None:
            return None
        count = rates[0] * (onset - done).total_seconds()
        failing = self.strongest(service, "error_rate")
        share = min(1.0, (failing.magnitude or 0.0) / 100) if failing else 0.5
        unlikely = (1 - share) ** max(count, 0.0) < w.LIKELY_CHANCE
        return count if count >= w.SOUND_REQUESTS and unlikely else None

    def full_or_gone_since(self, change: Observation) -> Observation | None:
        """Return what says that a service ran full, or no longer runs, soon after a change of it, if it did.

        What fills up bit by bit, and what is ended by who watches its health, bites late: that all went well for a
        while says nothing for the change then.
        """
        onset, family = self.scope.onset, self.family(change.entity)
        if onset is None or change.onset is None or (onset - change.onset).total_seconds() > w.SOON_SECONDS:
            return None
        errors = (o for o in self.anomalies if o.entity in family and says_what_failed(o))
        return next((o for o in errors if is_full(words_of(o)) or is_gone(words_of(o))), None)

    def hit_instances(self, service: EntityId) -> dict[EntityId, float]:
        """Return by how much each instance of a service is hit: in failing traces, or in milliseconds of its own."""
        seen = self.beginnings.get(service)
        if seen is None or seen.subject != "self_time":
            return self._failing_instances(seen)
        slow = [o for o in self.anomalies if o.subject == "self_time" and o.related == service and o.direction == "up"]
        felt = (o for o in slow if o.entity.startswith("instance:") and amount(o) >= w.FELT_MS)
        return {o.entity: amount(o) for o in felt}

    def _failing_instances(self, seen: Observation | None) -> dict[EntityId, float]:
        counted = seen.attributes.get("instances", "") if seen else ""
        pairs = (part.rpartition(":") for part in counted.split(",") if part)
        return {f"instance:{name}": float(count) for name, _, count in pairs if count.isdecimal()}

    def alone(self, service: EntityId) -> EntityId | None:
        """Return the one instance of several that is hit by nearly all of what hits a service, if there is one."""
        hit = self.hit_instances(service)
        most = max(hit, key=lambda name: (hit[name], name), default=None)
        if most is None or len(self.instances(service)) < 2 or hit[most] < NEARLY_ALL * sum(hit.values()):
            return None
        return most

    def members(self, entity: EntityId) -> frozenset[EntityId]:
        """Return the entity and, for a service, its instances."""
        return frozenset({entity, *self.instances(entity)})

    def family(self, entity: EntityId) -> frozenset[EntityId]:
        """Return an entity's service with all its instances, the entity itself among them."""
        return self.members(self.service_of(entity))

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
