"""How sure one may be at most, whatever the evidence weighs: what was not looked at has refuted nothing.

The curves of `calibration` are fitted to incidents of which everything could be looked at that there was. These bounds
are for the others, and come after the curves. Where somebody could not look, they are set by hand; where there was
nothing to be looked at, they are how often such causes were right.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from midwatch.builtin import weights as w
from midwatch.builtin.calibration import CALIBRATION, Calibration
from midwatch.builtin.excess import is_vague
from midwatch.builtin.mismatches import is_certain, is_effect, is_mismatch
from midwatch.builtin.scene import BY_PEOPLE, ESSENTIAL, Scene
from midwatch.records import Hypothesis, Limit, Verdict
from midwatch_kit.records import ObservationKind, Signal


@dataclass(frozen=True)
class Cap:
    """The highest confidence that may be claimed for a cause, in 0 to 1, and why; 1 where nothing was missing."""

    highest: float
    limit: Limit | None = None


_BY_HAND = {
    Limit.CHANGES_UNKNOWN: w.UNREFUTED,
    Limit.SIGNAL_UNREAD: w.WITH_BLIND_SPOT,
    Limit.ONLY_READ: w.UNREFUTED,
    Limit.HOUSE_RULE: w.WITH_BLIND_SPOT,
}
SET_BY_HAND = frozenset(_BY_HAND)


def cap(hypothesis: Hypothesis, verdict: Verdict, scene: Scene, *, by_reading: bool) -> Cap:
    """Return the lowest of the bounds that there are for a cause; `by_reading` if it leads by what a model read."""
    limits = [*_limits(hypothesis, verdict, scene), *([Limit.ONLY_READ] if by_reading else [])]
    found = [Cap(highest(limit), limit) for limit in limits]
    return min(found, key=lambda each: each.highest, default=Cap(1.0))


def highest(limit: Limit, calibration: Calibration = CALIBRATION) -> float:
    """Return the highest confidence under a limit, in 0 to 1; one that was never met is bounded as the gravest."""
    return _BY_HAND.get(limit) or calibration.limits.get(limit, w.UNREFUTED)


def may_be_a_change(hypothesis: Hypothesis, scene: Scene) -> bool:
    """Whether nobody could look if somebody did it: most causes are changes, so any other is then a guess."""
    return "changes" in scene.blind and hypothesis.kind not in BY_PEOPLE


def is_decided(verdict: Verdict) -> bool:
    """Whether some argument for a hypothesis is decisive."""
    return any(argument.decisive for argument in verdict.arguments)


def _limits(hypothesis: Hypothesis, verdict: Verdict, scene: Scene) -> Iterator[Limit]:
    """Yield what of that which mostly refutes wrong causes was not there.

    That traces are there and decide nothing means that many of them are missing.
    """
    if may_be_a_change(hypothesis, scene):
        yield Limit.CHANGES_UNKNOWN
    if _unread(hypothesis, verdict, scene):
        yield Limit.SIGNAL_UNREAD
    if scene.only_short:
        yield Limit.SYMPTOM_UNMEASURED
    if any(map(is_vague, scene.explained(hypothesis))):
        yield Limit.CALLEES_UNMEASURED
    if not is_decided(verdict) and _traced(scene):
        yield Limit.TRACES_UNDECIDED


def _unread(hypothesis: Hypothesis, verdict: Verdict, scene: Scene) -> bool:
    """Whether a signal could not be read that might name another cause.

    What those that suffer say in so many words is read, not inferred: no figure takes it back.
    """
    unread = scene.blind & (ESSENTIAL | {"changes"})
    if any(argument.name == "complaint" and argument.decisive for argument in verdict.arguments):
        unread -= {"metrics"}
    return bool(unread) and not _is_wrong_for_certain(hypothesis)


def _is_wrong_for_certain(hypothesis: Hypothesis) -> bool:
    """Whether a cause is a state that cannot be meant so: that is read, not inferred, so no other signal undoes it."""
    seen = hypothesis.trigger
    return seen is not None and is_mismatch(seen) and is_certain(seen) and not is_effect(seen)


def _traced(scene: Scene) -> bool:
    return any(o.signal is Signal.TRACES and o.kind is not ObservationKind.ABSENCE for o in scene.observations)
