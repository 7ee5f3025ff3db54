"""Arguments from state: what is wrong with an object now, how sure that is, and what merely follows from it."""

from collections.abc import Iterator

from midwatch.builtin import weights as w
from midwatch.builtin.arguments.argument import argument
from midwatch.builtin.mismatches import explaining, is_certain, is_effect, is_mismatch, reaches
from midwatch.builtin.scene import Scene
from midwatch.records import Argument, Hypothesis


def mismatch(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """What is wrong now, for certain, and reaches the symptom, needs no further sign; an effect needs a reason."""
    seen = hypothesis.trigger
    if seen is None or not is_mismatch(seen):
        return
    if not is_certain(seen):
        yield argument("mismatch", w.SLIGHT, f"it may be meant so: {seen.statement}", seen)
    elif is_effect(seen):
        yield argument("mismatch", w.STRONG, f"it is unwell: {seen.statement}", seen)
    else:
        decisive = reaches(seen, scene.scope, scene.topology)
        yield argument("mismatch", w.STRONG + w.FAIR, f"it is wrong now: {seen.statement}", seen, decisive=decisive)


def follows(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """What shows that something is wrong is no cause where it is known what is wrong with the same thing."""
    seen = hypothesis.trigger
    if seen is None or not is_mismatch(seen) or not is_effect(seen):
        return
    reasons = [*explaining(seen, scene.mismatches), *(c.seen[0] for c in scene.complaints if seen in c.unwell)]
    if reasons:
        text = f"it follows from something else: {reasons[0].statement}"
        yield argument("follows", -w.STRONG, text, seen, reasons[0])


def complaint(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """Several who use the same thing and complain of it speak of that; one alone who is unwell speaks of himself."""
    found = next((c for c in scene.complaints if c.blames(hypothesis)), None)
    if found is None:
        return
    text = f"{', '.join(sorted(u.partition(':')[2] for u in found.users)[:4])} complain: {found.says}"
    yield argument("complaint", w.STRONG + w.FAIR, text, *found.seen[:3], *found.unwell[:3], decisive=found.telling)


ALL = (mismatch, follows, complaint)
