"""The arguments for and against a hypothesis: each a pure function from a hypothesis and a scene.

An argument rests on observations and weighs in log-odds; one that kills weighs minus infinity. Each looks at one
independent thing: time, place, spread, content, the course of the symptom. None knows of any application.
"""

import math
from collections.abc import Callable, Iterator, Mapping

from midwatch.builtin import weights as w
from midwatch.builtin.scene import Scene
from midwatch.builtin.vocabulary import kind_of, names_in
from midwatch.records import Argument, Hypothesis, HypothesisKind
from midwatch_kit.records import EntityId, Observation, ObservationKind
from midwatch_kit.window import clock

KILLS = -math.inf

_BY_PEOPLE = (HypothesisKind.CHANGE, HypothesisKind.OPERATOR)
_BY_WORDS = (HypothesisKind.STATE, HypothesisKind.ACCESS, HypothesisKind.RESOURCE, HypothesisKind.DEPENDENCY)


def arguments(hypothesis: Hypothesis, scene: Scene) -> tuple[Argument, ...]:
    """Return what speaks for and against a hypothesis in this scene."""
    return tuple(argument for weigh in _ALL for argument in weigh(hypothesis, scene))


def _symptom(_: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """Where the symptom's figures are what they were before, there is nothing to explain."""
    healthy = scene.normal(scene.scope.symptom, as_a_whole=False)
    if healthy and not scene.shifted:
        yield _argument("symptom", KILLS, f"there is nothing to explain: {healthy.statement}", healthy)


def _path(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """A cause needs a way to the symptom."""
    known, symptom = scene.topology, scene.scope.symptom
    if hypothesis.entity == symptom or hypothesis.entity not in known or symptom not in known:
        return
    if not known.paths(hypothesis.entity, symptom, limit=1):
        seen = [o for o in (hypothesis.trigger, *scene.scope.symptoms[:1]) if o]
        yield _argument("path", KILLS, f"nothing leads from {hypothesis.entity} to {symptom}", *seen)


def _time(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """A cause comes before its effect, and mostly soon before."""
    trigger, latest = hypothesis.trigger, scene.scope.onset_latest
    if trigger is None or trigger.onset is None or scene.scope.onset is None or latest is None:
        return
    symptom = scene.scope.symptoms[:1]
    late = (trigger.onset - latest).total_seconds()
    if late > w.SLACK_SECONDS:
        text = f"it came at {clock(trigger.onset)}, after the symptom had begun at {clock(scene.scope.onset)}"
        yield _argument("time", KILLS, text, trigger, *symptom)
        return
    lead = max(0.0, (scene.scope.onset - trigger.onset).total_seconds())
    weight = w.FAIR * math.exp(-lead / w.SOON_SECONDS)
    yield _argument("time", weight, f"it came {lead:.0f} s before the symptom began", trigger, *symptom)


def _place(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """Failures (or lost time) begin in the cause, not in what passes them on."""
    if hypothesis.kind is HypothesisKind.TRAFFIC:
        return
    begun = scene.beginnings
    total = sum(_amount(o) for o in begun.values())
    if total <= 0:
        return
    here = begun.get(scene.service_of(hypothesis.entity))
    share = _amount(here) / total if here else 0.0
    most = max(begun.values(), key=_amount)
    if here and share >= w.MOST:
        yield _argument("place", w.STRONG, here.statement, here, decisive=True)
    elif here:
        yield _argument("place", w.STRONG * (share - w.MOST), here.statement, here, most)
    else:
        yield _elsewhere(hypothesis.entity, most, scene)


def _elsewhere(entity: EntityId, most: Observation, scene: Scene) -> Argument:
    """Nothing begins here; that kills when the place was looked at and found healthy, or begins elsewhere for sure."""
    healthy = scene.normal(entity) or scene.normal(scene.service_of(entity))
    text = f"it begins in {most.entity}, not in {entity}: {most.statement}"
    return _argument("place", KILLS if healthy or most.score >= w.SHIFTED else -w.STRONG, text, most, healthy)


def _health(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """What stayed healthy is not the cause."""
    members = scene.members(hypothesis.entity)
    troubled = [o for o in scene.anomalies if o.entity in members and o.score >= w.SHIFTED]
    healthy = scene.normal(hypothesis.entity) or scene.normal(scene.service_of(hypothesis.entity))
    if healthy and not troubled:
        yield _argument("health", KILLS, f"it stayed healthy: {healthy.statement}", healthy)


def _spread(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """What reaches every instance shows in every instance; what touches one shows in that one."""
    service = scene.service_of(hypothesis.entity)
    instances, failing = scene.instances(service), scene.failing_instances(service)
    total = sum(failing.values())
    if len(instances) < 2 or total <= 0:
        return
    seen = scene.beginnings[service]
    sure = 1 - len(instances) ** (1 - total)  # the chance that it is not by chance that one has them all
    alone = scene.alone(service)
    of = f"of {len(instances)} instances"
    if hypothesis.entity != service:
        mine = alone == hypothesis.entity
        text = f"{of} {'only' if mine else 'not only'} {hypothesis.entity} fails ({_counted(failing)})"
        yield _argument("spread", w.FAIR * sure if mine else KILLS, text, seen)
    elif alone:
        text = f"{of} only {alone} fails ({_counted(failing)}), though all of them were reached"
        yield _argument("spread", -w.STRONG * sure, text, seen)
    else:
        yield _argument("spread", w.SLIGHT * sure, f"{of} {len(failing)} fail ({_counted(failing)})", seen)


def _content(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """A change and the errors that it causes often name the same things."""
    if hypothesis.trigger is None or hypothesis.kind not in _BY_PEOPLE:
        return
    contents = [o for o in scene.observations if o.subject == "content" and o.entity == hypothesis.entity]
    mine = [o for o in contents if o.attributes.get("change_id") == hypothesis.trigger.attributes.get("change_id")]
    errors = [o for o in scene.anomalies if _says_what_failed(o) and o.entity in scene.members(hypothesis.entity)]
    said = names_in(
        " ".join(o.attributes.get("exception", "") + " " + o.attributes.get("exemplar", "") for o in errors)
    )
    for content in mine:
        shared = sorted(said & set(content.attributes.get("names", "").split(",")))
        if shared:
            text = f"what was changed and the errors both name {', '.join(shared[:4])}"
            yield _argument("content", w.FAIR, text, content, *errors[:2])


def _course(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """A shortage that is over while the symptom goes on did not cause it."""
    trigger = hypothesis.trigger
    if hypothesis.kind is not HypothesisKind.RESOURCE or trigger is None:
        return
    symptom = scene.scope.symptoms[:1]
    if trigger.ended and all(s.ended is None for s in symptom):
        text = f"it was over at {clock(trigger.ended)} while the symptom went on"
        yield _argument("course", KILLS, text, trigger, *symptom)
    elif trigger.kind is ObservationKind.SATURATION:
        yield _argument("course", w.FAIR, f"it lasts: {trigger.statement}", trigger)


def _arrivals(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """A surge shows in the number of requests."""
    if hypothesis.kind is not HypothesisKind.TRAFFIC:
        return
    more = scene.strongest(hypothesis.entity, "request_rate")
    if more and more.direction == "up" and more.score >= w.SHIFTED:
        yield _argument("arrivals", w.FAIR, more.statement, more)
        return
    steady = [o for o in scene.observations if o.entity == hypothesis.entity and o.subject == "request_rate"]
    if steady:
        yield _argument("arrivals", KILLS, f"as many requests arrived as before: {steady[0].statement}", *steady[:1])


def _words(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """Errors say, in standard words, what sort of thing is wrong."""
    if hypothesis.kind not in _BY_WORDS:
        return
    members = scene.members(hypothesis.entity)
    errors = [o for o in scene.anomalies if _says_what_failed(o) and o.entity in members]
    speaking = [o for o in errors if kind_of(_said(o)) is hypothesis.kind]
    if speaking:
        yield _argument("words", w.SLIGHT, f"the errors say: {_said(speaking[0])[:120]}", *speaking[:2])


def _unexplained(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """A cause that nobody triggered is less likely where somebody did something just before."""
    if hypothesis.kind in _BY_PEOPLE or scene.scope.onset is None:
        return
    members = scene.members(scene.service_of(hypothesis.entity))
    for change in scene.changes:
        if (
            change.entity in members
            and change.onset
            and change.onset <= (scene.scope.onset_latest or scene.scope.onset)
        ):
            text = f"a change at the same place explains it better: {change.statement}"
            yield _argument("unexplained", -w.STRONG, text, change)
            return


def _exemplar(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """Single failing traces, read span by span, end in the cause."""
    read = [o for o in scene.observations if o.subject == "exemplar"]
    mine = [o for o in read if o.entity in scene.members(hypothesis.entity)]
    if mine:
        text = f"{len(mine)} of {len(read)} failing traces that were read end there: {mine[0].statement}"
        yield _argument("exemplar", w.SLIGHT * len(mine) / len(read), text, *mine)


_ALL: tuple[Callable[[Hypothesis, Scene], Iterator[Argument]], ...] = (
    _symptom, _path, _time, _place, _health, _spread, _content, _course, _arrivals, _words, _unexplained, _exemplar,
)  # fmt: skip


def _counted(failing: Mapping[EntityId, float]) -> str:
    return ", ".join(f"{name.partition(':')[2]} {count:.0f}" for name, count in sorted(failing.items()))


def _argument(name: str, weight: float, text: str, *seen: Observation | None, decisive: bool = False) -> Argument:
    named = tuple(dict.fromkeys(o.id for o in seen if o))
    return Argument(name=name, weight=max(weight, -1e9), text=text, observations=named, decisive=decisive)


def _amount(observation: Observation | None) -> float:
    if observation is None or observation.magnitude is None:
        return 0.0
    return max(0.0, observation.magnitude - (observation.baseline or 0.0))


def _says_what_failed(observation: Observation) -> bool:
    return observation.subject == "error_origin" or observation.kind is ObservationKind.NEW_PATTERN


def _said(observation: Observation) -> str:
    return observation.attributes.get("exception") or observation.attributes.get("exemplar") or observation.statement
