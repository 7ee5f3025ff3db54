"""How sure one may be at most, whatever the evidence weighs: what was not looked at has refuted nothing.

The curves of `calibration` are fitted to incidents of which everything could be looked at that there was. These bounds
are for the others. They are set by hand, and come after the curves.
"""

from midwatch.builtin import weights as w
from midwatch.builtin.excess import is_vague
from midwatch.builtin.mismatches import is_certain, is_effect, is_mismatch
from midwatch.builtin.scene import BY_PEOPLE, ESSENTIAL, Scene
from midwatch.records import Hypothesis, Verdict
from midwatch_kit.records import ObservationKind, Signal


def cap(hypothesis: Hypothesis, verdict: Verdict, scene: Scene) -> float:
    """Return the highest confidence that may be claimed for a cause, in 0 to 1; 1 where nothing was missing."""
    if _is_unrefuted(hypothesis, verdict, scene):
        return w.UNREFUTED
    if scene.blind & (ESSENTIAL | {"changes"}) and not _is_wrong_for_certain(hypothesis):
        return w.WITH_BLIND_SPOT
    return 1.0


def may_be_a_change(hypothesis: Hypothesis, scene: Scene) -> bool:
    """Whether nobody could look if somebody did it: most causes are changes, so any other is then a guess."""
    return "changes" in scene.blind and hypothesis.kind not in BY_PEOPLE


def is_decided(verdict: Verdict) -> bool:
    """Whether some argument for a hypothesis is decisive."""
    return any(argument.decisive for argument in verdict.arguments)


def _is_unrefuted(hypothesis: Hypothesis, verdict: Verdict, scene: Scene) -> bool:
    """Whether what mostly refutes wrong causes was not there.

    That is who changed what; how the symptom does and who needs whom; how those do that are asked by who fails; or,
    where there are traces, those that decide: that they do not decide means that many are missing.
    """
    undecided = not is_decided(verdict) and _traced(scene)
    vague = any(map(is_vague, scene.explained(hypothesis)))
    return may_be_a_change(hypothesis, scene) or scene.only_short or undecided or vague


def _is_wrong_for_certain(hypothesis: Hypothesis) -> bool:
    """Whether a cause is a state that cannot be meant so: that is read, not inferred, so no other signal undoes it."""
    seen = hypothesis.trigger
    return seen is not None and is_mismatch(seen) and is_certain(seen) and not is_effect(seen)


def _traced(scene: Scene) -> bool:
    return any(o.signal is Signal.TRACES and o.kind is not ObservationKind.ABSENCE for o in scene.observations)
