"""Where the symptom begins: failing traces have an origin, lost time has one too, and neither is always what it seems.

Whoever waits for another looks slow or fails as well. What such a victim says is left out here, so that only what
may be a beginning is left.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from midwatch.builtin import weights as w
from midwatch.builtin.excess import ERROR_EXCESS, LATENCY_EXCESS, is_vague
from midwatch.builtin.observed import (
    ON_THE_WAY,
    PARTS,
    TURNS,
    amount,
    error_said,
    is_exhausted,
    times_out,
    waits_for_connection,
)
from midwatch.builtin.vocabulary import speaks_of_name
from midwatch.records import Scope
from midwatch_kit.records import EntityId, Observation
from midwatch_topology import Topology

Begun: TypeAlias = dict[EntityId, Observation]
_ANY = frozenset({"error_rate", "latency_p95", "request_rate"})
"""What an alarm watches that doesn't say what it watches."""


@dataclass(frozen=True)
class Beginnings:
    """Finds where a symptom begins, from the anomalies, strongest first."""

    scope: Scope
    topology: Topology
    anomalies: tuple[Observation, ...]

    def find(self) -> Begun:
        """Return an observation for each service (or what it depends on) that makes some of the symptom.

        When the symptom is errors, these are the origins of failing traces; when it is latency, time spent in itself.
        Without traces, they are what metrics say is lost beyond what callees lose.
        A call that timed out says where somebody waited; where the time went is where it began. Where requests fail
        as well, time that is little of what users wait longer is not what makes them wait.
        Requests that fail, or take far longer, are trouble under any alarm, so they count where the alarm's own figure
        leads nowhere. Where an alarm says only that something is wrong, what ran out, and then what behaves differently
        once it is asked, tells more than that it takes longer somewhere, or that those fail who ask others; what fails
        while much time is lost there, or below, counts as given up, since metrics don't tell why requests fail.
        """
        failing = self._first_hand(self._rises("error_origin")) or self._lasting(ERROR_EXCESS)
        slow = self._lost_time() or self._lasting(LATENCY_EXCESS)
        if _mostly(times_out, failing.values()) and (late := self._where_time_went(failing)):
            return late
        if set(self.scope.watched) >= _ANY:
            failing = self._of_itself(failing)
            clear = {entity: o for entity, o in failing.items() if not is_vague(o)}
            return clear or self._exhausted() or self._delayed() or self._turned() or failing or slow
        slow = slow if "latency_p95" in self.scope.watched else self._felt(slow)
        if "error_rate" in self.scope.watched:
            return failing or slow
        return (self._much_of_the_wait(slow) if failing else slow) or failing

    def _rises(self, subject: str) -> Begun:
        rose = [o for o in self.anomalies if o.subject == subject and o.direction == "up"]
        return {o.entity: o for o in reversed(rose) if not o.entity.startswith("instance:")}

    def _lasting(self, subject: str) -> Begun:
        return {entity: o for entity, o in self._rises(subject).items() if o.ended is None}

    def _of_itself(self, failing: Begun) -> Begun:
        """Leave out a single failure, and who fails while so much time is lost there or below that callers gave up."""
        slow = self._lasting(LATENCY_EXCESS)  # none of it where there are traces, which tell why requests fail
        several = {e: o for e, o in failing.items() if o.subject != ERROR_EXCESS or self._count(o) >= w.SEVERAL}
        return {e: o for e, o in several.items() if not any(self._gave_up(e, o, p, s) for p, s in slow.items())}

    def _count(self, excess: Observation) -> float:
        """Return how many requests failed in the window, of which so many fail each second."""
        return amount(excess) * self.scope.window.length.total_seconds()

    def _gave_up(self, entity: EntityId, failed: Observation, place: EntityId, lost: Observation) -> bool:
        waited = amount(lost) >= w.GIVES_UP_SECONDS * amount(failed) and _began_by(lost, failed)
        return waited and (place == entity or can_hurt(self.topology, place, entity))

    def _exhausted(self) -> Begun:
        """Return the services that the symptom is known to need, of which one or an instance used up what it has."""
        short = {_service(o): o for o in reversed(self.anomalies) if o.ended is None and is_exhausted(o)}
        symptom = self.scope.symptom
        return {e: o for e, o in short.items() if e == symptom or can_hurt(self.topology, e, symptom)}

    def _delayed(self) -> Begun:
        """Return the ends that slow ways have in common: of each two, who has more lost time, and else the callee."""
        left = [o for o in self.anomalies if o.subject == ON_THE_WAY and o.direction == "up" and o.ended is None]
        left = [o for o in left if o.score >= w.SHIFTED and amount(o) >= w.FELT_MS and o.related]
        found: Begun = {}
        while left:
            end = max(_ends(left), key=lambda e: (sum(amount(o) for o in left if e in (o.entity, o.related)), e))
            mine = [o for o in left if end in (o.entity, o.related)]
            callee = max(mine, key=amount).entity
            found[end if len(mine) > 1 else callee] = max(mine, key=lambda o: (o.entity == end, amount(o)))
            left = [o for o in left if o not in mine]
        return found

    def _turned(self) -> Begun:
        """Return who behaves differently once asked; errors of who asks another that does may quote that other's."""
        turned = {o.entity: o for o in reversed(self.anomalies) if o.subject in TURNS}
        clear = [entity for entity, o in turned.items() if o.score >= w.SHIFTED]
        passed_on = {
            entity
            for entity, o in turned.items()
            if "error" in o.attributes and any(e != entity and can_hurt(self.topology, e, entity) for e in clear)
        }
        return {entity: o for entity, o in turned.items() if entity not in passed_on}

    def _lost_time(self) -> Begun:
        """Return who spends more time in itself; a service also where only one of its instances is seen to."""
        rose = [o for o in self.anomalies if o.subject == "self_time" and o.direction == "up" and o.ended is None]
        hidden = {o.related: o for o in reversed(rose) if o.entity.startswith("instance:") and o.related}
        return hidden | self._lasting("self_time")

    def _felt(self, slow: Begun) -> Begun:
        """Leave out who lost less time than users feel, or only later; everybody, where answers take hardly longer.

        What metrics say is lost is no time of single requests, so it isn't measured by what one of them feels.
        """
        felt = {e: o for e, o in slow.items() if o.subject == LATENCY_EXCESS or amount(o) >= w.FELT_MS}
        return {e: o for e, o in felt.items() if self._in_time(o)} if self._much_slower() else {}

    def _much_of_the_wait(self, slow: Begun) -> Begun:
        """Leave out who lost only a little of the time that the symptom's users wait longer."""
        waits = [o for o in self.anomalies if o.entity == self.scope.symptom and o.subject == "latency_p95"]
        enough = w.ACCOUNTS_FOR * max((amount(o) for o in waits if o.unit == "ms"), default=0.0)
        return {e: o for e, o in slow.items() if o.unit != "ms" or amount(o) >= enough}

    def _in_time(self, lost: Observation) -> bool:
        """Whether time was lost by when the symptom began, as far as that is known."""
        latest = self.scope.onset_latest
        return lost.onset is None or latest is None or lost.onset <= latest + timedelta(seconds=w.SLACK_SECONDS)

    def _much_slower(self) -> bool:
        """Whether the symptom's answers take so much longer that its users feel it."""
        slower = (o for o in self.anomalies if o.entity == self.scope.symptom and o.subject == "latency_p95")
        whole = (o for o in slower if o.ended is None and not PARTS & o.attributes.keys())
        return any(
            amount(o) >= max(w.FELT_MS, w.MUCH_SLOWER * (o.baseline or 0.0)) for o in whole if o.score >= w.SHIFTED
        )

    def _first_hand(self, failing: Begun) -> Begun:
        """Leave out the failures that others brought about: they quote another's, or wait for what others hold."""
        return {e: o for e, o in failing.items() if not (self._quotes(e, o, failing) or _waits(o, failing))}

    def _quotes(self, entity: EntityId, origin: Observation, begun: Iterable[EntityId]) -> bool:
        """Whether an error names a service that its own calls, where it begins there or below: its spans came late."""
        said = error_said(origin)
        called = {r.target for r in self.topology.relations if r.source == entity and r.kind == "calls"}
        quoted = [callee for callee in called if any(speaks_of_name(name, said) for name in _names(callee))]
        others = [place for place in begun if place != entity]
        return any(place == callee or can_hurt(self.topology, place, callee) for callee in quoted for place in others)

    def _where_time_went(self, failing: Begun) -> Begun:
        """Return who lost much of the time that callers waited before they gave up, and not only afterwards."""
        enough = max(w.FELT_MS, w.ACCOUNTS_FOR * self._waited(failing))
        slow = {entity: o for entity, o in self._lost_time().items() if amount(o) >= enough}
        return _not_after(failing, self._not_waiting(slow))

    def _waited(self, failing: Begun) -> float:
        """Return by how many milliseconds longer callers waited for those in whom their requests fail, at most."""
        failed = {(o.entity, o.related) for o in failing.values()}
        calls = (o for o in self.anomalies if o.subject == "edge_latency_p95" and (o.entity, o.related) in failed)
        return max(map(amount, calls), default=0.0)

    def _not_waiting(self, slow: Begun) -> Begun:
        """Leave out who is slow because what it needs is slower: calls that never ended look like time of one's own."""
        clear = {entity: o for entity, o in slow.items() if o.score >= w.SHIFTED}
        waiting = {e for e, o in clear.items() for d, p in clear.items() if d != e and self._held_up(e, o, d, p)}
        return {entity: o for entity, o in clear.items() if entity not in waiting}

    def _held_up(self, waiting: EntityId, lost: Observation, held: EntityId, longer: Observation) -> bool:
        """Whether what one lost may be time that another, which it needs, lost: more clearly, or much of it.

        Of two that need each other, only the one that lost time less clearly is held up: never both.
        """
        much = amount(longer) >= w.HOLDS_UP * amount(lost) and not can_hurt(self.topology, waiting, held)
        return (longer.score > lost.score or much) and can_hurt(self.topology, held, waiting)


def _ends(ways: Iterable[Observation]) -> list[EntityId]:
    return sorted({end for o in ways for end in (o.entity, o.related) if end})


def _service(seen: Observation) -> EntityId:
    """Return the service that an observation is about, or about an instance of."""
    return seen.related if seen.entity.startswith("instance:") and seen.related else seen.entity


def can_hurt(topology: Topology, cause: EntityId, other: EntityId) -> bool:
    """Whether harm can get from one entity to another."""
    return cause in topology and other in topology and bool(topology.paths(cause, other, limit=1))


def _names(entity: EntityId) -> tuple[str, ...]:
    """Return what an entity is called: its name, and for a host also the label by which people know its domain."""
    name = entity.partition(":")[2]
    return (name, *name.split(".")[-2:-1])


def _waits(origin: Observation, failing: Mapping[EntityId, Observation]) -> bool:
    """Whether a service waits in vain for a connection of its own, while it fails elsewhere: there they are held up."""
    waiting = origin.related or origin.entity
    elsewhere = [o for o in failing.values() if o.related == waiting and not waits_for_connection(o)]
    return waits_for_connection(origin) and any(_began_by(o, origin) for o in elsewhere)


def _not_after(failing: Mapping[EntityId, Observation], slow: Begun) -> Begun:
    """Leave out who got slow only after calls had begun to time out: that cannot be where their time went."""
    first = min((o for o in failing.values() if o.onset), key=lambda o: (o.onset, o.id), default=None)
    return {entity: o for entity, o in slow.items() if first is None or _began_by(o, first)}


def _began_by(one: Observation, other: Observation) -> bool:
    """Whether the one began no later than the other, as far as clocks tell."""
    if one.onset is None or other.onset is None:
        return True
    return one.onset <= other.onset + timedelta(seconds=w.SLACK_SECONDS)


def _mostly(holds: Callable[[Observation], bool], failing: Iterable[Observation]) -> bool:
    """Whether something holds for most of the failing traces."""
    counted = [(amount(o), holds(o)) for o in failing]
    return sum(count for count, yes in counted if yes) > sum(count for count, _ in counted) / 2
