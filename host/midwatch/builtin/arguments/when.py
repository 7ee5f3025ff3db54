"""Arguments from time: what came first, how soon after, and whether it lasted as long as the symptom."""

import math
from collections.abc import Iterator
from datetime import datetime

from midwatch.builtin import weights as w
from midwatch.builtin.arguments.argument import KILLS, argument
from midwatch.builtin.mismatches import is_mismatch
from midwatch.builtin.observed import speaks_of
from midwatch.builtin.scene import BY_PEOPLE, Scene
from midwatch.records import Argument, Hypothesis, HypothesisKind
from midwatch_kit.records import ObservationKind, Signal
from midwatch_kit.window import clock


def unrecorded(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """What people do is mostly on record; a hand that is on none, where records were read, is less likely."""
    if hypothesis.kind in BY_PEOPLE and hypothesis.trigger is None and not {"changes"} & scene.blind:
        yield argument("unrecorded", -w.FAIR, "nothing that was read of changes records it")


def time(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """A cause comes before its effect, and mostly soon before."""
    trigger, latest = hypothesis.trigger, scene.scope.onset_latest
    if is_mismatch(trigger):
        return  # state is known since when it was last seen, not since when it is so
    if trigger is None or trigger.onset is None or scene.scope.onset is None or latest is None:
        return
    symptom = scene.scope.symptoms[:1]
    late = (trigger.onset - latest).total_seconds()
    if late > w.SLACK_SECONDS:
        text = f"it came at {clock(trigger.onset)}, after the symptom had begun at {clock(scene.scope.onset)}"
        yield argument("time", KILLS, text, trigger, *symptom)
        return
    lead = max(0.0, (scene.scope.onset - trigger.onset).total_seconds())
    sound = scene.sound_requests_since(trigger) if hypothesis.kind in BY_PEOPLE else None
    ended = scene.full_or_gone_since(trigger) if sound else None
    weight, text = w.FAIR * math.exp(-lead / w.SOON_SECONDS), f"it came {lead:.0f} s before the symptom began"
    if sound and ended:
        text = f"{text}; about {sound:.0f} requests went well, as long as it had room and ran: {ended.statement}"
    elif sound:
        weight = -w.FAIR
        text = (
            f"about {sound:.0f} requests went well between the change and the first failure: it would have to bite late"
        )
    yield argument("time", weight, text, trigger, ended, *symptom)


def course(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """A shortage, or a passing disturbance, that is over while the symptom goes on is not what goes on."""
    trigger = hypothesis.trigger
    if trigger is not None and hypothesis.kind in BY_PEOPLE and scene.passed(trigger):
        surge = scene.surge(scene.service_of(hypothesis.entity))
        goes_on = surge.statement if surge else "the symptom"
        text = f"it was over at {trigger.attributes['ended'][11:19]}, while this goes on: {goes_on}"
        yield argument("course", KILLS, text, trigger, surge)
        return
    if hypothesis.kind is not HypothesisKind.RESOURCE:
        return
    if trigger is None:
        yield from _nothing_short(hypothesis, scene)
        return
    symptom = scene.scope.symptoms[:1]
    if trigger.ended and all(s.ended is None for s in symptom):
        text = f"it was over at {clock(trigger.ended)} while the symptom went on"
        yield argument("course", KILLS, text, trigger, *symptom)
    elif trigger.kind is ObservationKind.SATURATION:
        yield argument("course", w.FAIR, f"it lasts: {trigger.statement}", trigger)


def _nothing_short(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """Where metrics were looked at and nothing ran short, only what errors say can still speak of a shortage."""
    family = scene.family(hypothesis.entity)
    if "metrics" in scene.blind or any(short.entity in family for short in scene.shortages):
        return
    figures = [o for o in scene.observations if o.signal is Signal.METRICS and o.entity in family]
    if not any(speaks_of(seen, HypothesisKind.RESOURCE) for seen in scene.explained(hypothesis)):
        yield argument("course", KILLS, "no figure of memory, CPU, disk, connections or locks rose there", *figures[:1])


def begun_by_change(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """A shortage that begins with a change at the same place is that change's doing."""
    if hypothesis.kind is HypothesisKind.RESOURCE and hypothesis.trigger:
        for change in scene.changes:
            if change.entity in scene.family(hypothesis.entity) and _together(change.onset, hypothesis.trigger.onset):
                yield argument("begun by", -w.STRONG, f"it began with a change: {change.statement}", change)
                return
    if hypothesis.kind in BY_PEOPLE and hypothesis.trigger:
        family = scene.family(hypothesis.entity)
        for short in scene.shortages:
            lasts = short.ended is None or _until(short.ended, scene.scope.onset_earliest)
            if short.entity in family and lasts and _together(hypothesis.trigger.onset, short.onset):
                yield argument("begun by", w.FAIR, f"since then {short.statement}", hypothesis.trigger, short)
                return


def _until(ended: datetime, onset: datetime | None) -> bool:
    """Whether a shortage was over only when the symptom was there: who was killed for it begins anew."""
    return onset is not None and ended >= onset


def _together(change: datetime | None, shortage: datetime | None) -> bool:
    """Whether a shortage began within the time that a change may take to be everywhere."""
    if change is None or shortage is None:
        return False
    return -w.SLACK_SECONDS <= (shortage - change).total_seconds() <= w.ROLLOUT_SECONDS


ALL = (unrecorded, time, course, begun_by_change)
