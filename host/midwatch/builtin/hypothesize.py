"""From what was seen to what could explain it: hypotheses worth testing, the likeliest first."""

import hashlib
from collections.abc import Iterable

from midwatch.builtin.mismatches import kind_of_mismatch
from midwatch.builtin.observed import ON_THE_WAY, waits_for_connection
from midwatch.builtin.scene import Scene
from midwatch.builtin.vocabulary import kind_of
from midwatch.builtin.weights import PRIORS
from midwatch.records import Hypothesis, HypothesisKind
from midwatch.steering.files import Steering
from midwatch_kit.records import EntityId, Observation, ObservationKind

_TESTS: dict[HypothesisKind, tuple[str, str]] = {
    HypothesisKind.CHANGE: (
        "the failures begin in what was changed, soon after, wherever the change is in use",
        "what was changed stayed healthy, or the symptom was there before it",
    ),
    HypothesisKind.OPERATOR: (
        "only the machine that was touched fails, since the session",
        "the machine that was touched stayed healthy, or others like it fail as well",
    ),
    HypothesisKind.RESOURCE: (
        "the resource stays short for as long as the symptom lasts, and failures begin there",
        "the resource recovered while the symptom went on, or nothing fails there",
    ),
    HypothesisKind.DEPENDENCY: (
        "calls to it fail or slow down, and nothing behind it is to blame",
        "calls to it are as fast and as sound as before",
    ),
    HypothesisKind.TRAFFIC: (
        "more requests, or others, arrive since the onset",
        "as many requests arrive as before",
    ),
    HypothesisKind.STATE: (
        "failures begin there and speak of data, with no change that would explain it",
        "nothing fails there, or a change explains it",
    ),
    HypothesisKind.ACCESS: (
        "failures begin there and speak of a permission, a credential or a quota",
        "nothing fails there, or a change explains it",
    ),
    HypothesisKind.PLATFORM: (
        "one instance, or the way to it, fails while others like it do not, and nobody touched it",
        "its siblings fail as well, or somebody touched it",
    ),
}
_OPERATORS_HAND = "session"
_OF_ITS_OWN = (ObservationKind.CHANGE, ObservationKind.MISMATCH, ObservationKind.NEW_PATTERN)
"""Triggers each of which is a hypothesis of its own; of what runs short the strongest sign is enough."""


def hypothesize(scene: Scene, steering: Iterable[Steering]) -> tuple[Hypothesis, ...]:
    """Return the hypotheses that the scene and the steering files suggest, each once, the likeliest first."""
    suggested = [
        *(_from_change(change, scene) for change in scene.changes),
        *_from_origins(scene),
        *_from_metrics(scene),
        *_from_silences(scene),
        *_from_dependencies(scene),
        *_from_traffic(scene),
        *(_make(kind_of_mismatch(o), o.entity, o.statement, trigger=o) for o in scene.mismatches),
        *_from_complaints(scene),
        *(_make(c.kind, c.entity, f"{s.name}: {c.because}") for s in steering for c in s.to_test),
    ]
    once = {hypothesis.id: hypothesis for hypothesis in reversed(suggested)}
    return tuple(sorted(once.values(), key=lambda h: (-h.prior, h.id)))


def _from_change(change: Observation, scene: Scene) -> Hypothesis:
    by_hand = change.subject == _OPERATORS_HAND
    kind = HypothesisKind.OPERATOR if by_hand else HypothesisKind.CHANGE
    after = scene.scope.onset_latest and change.onset and change.onset > scene.scope.onset_latest
    return _make(kind, change.entity, change.statement, trigger=change, odds=0.25 if after else 1.0)


def _from_origins(scene: Scene) -> Iterable[Hypothesis]:
    for entity, origin in scene.beginnings.items():
        place = scene.alone(entity) or entity
        words = " ".join([origin.attributes.get("exception", ""), *_new_messages(place, scene)])
        kind, whose = HypothesisKind.PLATFORM if origin.subject == ON_THE_WAY else kind_of(words), place
        refused = kind is HypothesisKind.ACCESS and not entity.startswith("service:")
        if origin.related and (refused or waits_for_connection(origin)):
            whose = origin.related  # who is refused lacks the right, and who waits for a connection lacks that
        yield _make(kind, whose, f"{origin.statement}; the errors say: {words[:160] or 'nothing'}")
        if place != entity:
            yield _make(HypothesisKind.PLATFORM, place, f"failing traces begin in {place} and not in its siblings")


def _from_metrics(scene: Scene) -> Iterable[Hypothesis]:
    strongest: dict[EntityId, Observation] = {}
    for observation in scene.shortages:
        strongest.setdefault(scene.whole(observation.entity), observation)
    for entity, observation in strongest.items():
        yield _make(HypothesisKind.RESOURCE, entity, observation.statement, trigger=observation)
    databases = (e.id for e in scene.scope.topology.entities if e.kind == "database")
    for entity in dict.fromkeys((scene.scope.symptom, *scene.beginnings, *databases)):
        if entity not in strongest:
            yield _make(HypothesisKind.RESOURCE, entity, f"{entity} may be short of something")


def _from_silences(scene: Scene) -> Iterable[Hypothesis]:
    for silence in scene.silences:
        processes = scene.instances(silence.entity)
        hangs = processes[0] if len(processes) == 1 else silence.entity
        yield _make(HypothesisKind.PLATFORM, hangs, silence.statement, trigger=silence)


def _from_dependencies(scene: Scene) -> Iterable[Hypothesis]:
    for entity in scene.scope.topology.entities:
        if entity.kind in ("database", "external", "queue", "cache"):
            yield _make(HypothesisKind.DEPENDENCY, entity.id, f"{scene.scope.symptom} depends on {entity.id}")


def _from_traffic(scene: Scene) -> Iterable[Hypothesis]:
    if not scene.scope.symptom.startswith("namespace:"):  # nobody asks a namespace for anything
        yield _make(HypothesisKind.TRAFFIC, scene.scope.symptom, "more requests than before would show as this symptom")
    for entity in scene.scope.topology.entities:
        if entity.kind == "service" and entity.id != scene.scope.symptom and (surge := scene.surge(entity.id)):
            yield _make(HypothesisKind.TRAFFIC, entity.id, surge.statement)


def _from_complaints(scene: Scene) -> Iterable[Hypothesis]:
    for complaint in scene.complaints:
        text = f"{len(complaint.users)} complain: {complaint.says}"
        yield _make(complaint.kind, complaint.place, text, trigger=complaint.seen[0])


def _make(
    kind: HypothesisKind, entity: EntityId, rationale: str, *, trigger: Observation | None = None, odds: float = 1.0
) -> Hypothesis:
    own = trigger if trigger and trigger.kind in _OF_ITS_OWN else None
    name = f"{kind}|{entity}|{own.id if own else ''}"
    confirms, refutes = _TESTS[kind]
    return Hypothesis(
        id=hashlib.sha256(name.encode()).hexdigest()[:12],
        kind=kind,
        entity=entity,
        rationale=rationale,
        confirms=confirms,
        refutes=refutes,
        prior=PRIORS[kind] * odds,
        trigger=trigger,
    )


def _new_messages(entity: EntityId, scene: Scene) -> list[str]:
    members = scene.members(entity)
    return [
        o.attributes.get("exemplar", o.statement)
        for o in scene.anomalies
        if o.kind is ObservationKind.NEW_PATTERN and members & {o.entity, o.related}
    ]
