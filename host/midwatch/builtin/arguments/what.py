"""Arguments from content: what a change touched, what errors say, how many requests arrive, who explains it better."""

from collections.abc import Iterator

from midwatch.builtin import weights as w
from midwatch.builtin.arguments.argument import KILLS, argument
from midwatch.builtin.observed import amount, outgrows, says_what_failed, words_of
from midwatch.builtin.scene import BY_PEOPLE, Scene
from midwatch.builtin.vocabulary import kind_named, names_in
from midwatch.records import Argument, Hypothesis, HypothesisKind
from midwatch_kit.records import Observation

_BY_WORDS = (
    HypothesisKind.STATE,
    HypothesisKind.ACCESS,
    HypothesisKind.RESOURCE,
    HypothesisKind.DEPENDENCY,
    HypothesisKind.TRAFFIC,
)


def content(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """A change and the errors that it causes often name the same things."""
    if hypothesis.trigger is None or hypothesis.kind not in BY_PEOPLE:
        return
    contents = [o for o in scene.observations if o.subject == "content" and o.entity == hypothesis.entity]
    mine = [o for o in contents if o.attributes.get("change_id") == hypothesis.trigger.attributes.get("change_id")]
    errors = _errors(hypothesis, scene)
    said = names_in(" ".join(map(words_of, errors)))
    for touched in mine:
        shared = sorted(said & set(touched.attributes.get("names", "").split(",")))
        if shared:
            text = f"what was changed and the errors both name {', '.join(shared[:4])}"
            yield argument("content", w.FAIR, text, touched, *errors[:2])


def untouched(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """A change that leaves alone what the errors quote is not to blame where another one, of a callee, touched it."""
    change = hypothesis.trigger
    if change is None or hypothesis.kind not in BY_PEOPLE or not scene.touched_by(change):
        return
    for failing in scene.explained(hypothesis):
        missed = (
            (other, scene.missed_from(other, failing)) for other in scene.changes if other.entity != change.entity
        )
        other, names = next(((other, names) for other, names in missed if names), (None, frozenset()))
        if other is not None:
            text = f"the errors quote {', '.join(sorted(names))}, which another change touched: {other.statement}"
            yield argument("untouched", -w.STRONG, text, failing, other)


def words(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """Errors say, in standard words, what sort of thing is wrong; where they do, it is less likely another sort."""
    if hypothesis.kind not in _BY_WORDS:
        return
    errors = _errors(hypothesis, scene)
    origins = [o for o in errors if o.subject == "error_origin"]
    agreeing = [o for o in (*origins, *errors) if kind_named(words_of(o)) is hypothesis.kind]
    # Whatever breaks looks like a dependency that fails to those who call it: that says nothing against another kind.
    vague = (None, HypothesisKind.DEPENDENCY, hypothesis.kind)
    saying_else = [o for o in origins if kind_named(words_of(o)) not in vague]
    if agreeing:
        weight = w.FAIR if agreeing[0] in origins else w.SLIGHT
        yield argument("words", weight, f"the errors say: {words_of(agreeing[0])[:120]}", *agreeing[:2])
    elif saying_else:
        text = f"the errors speak of {kind_named(words_of(saying_else[0]))}: {words_of(saying_else[0])[:120]}"
        yield argument("words", -w.FAIR, text, *saying_else[:2])


def arrivals(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """A surge shows in the number of requests, and first where it comes from."""
    if hypothesis.kind is not HypothesisKind.TRAFFIC:
        return
    surge = scene.surge(hypothesis.entity)
    if surge is None:
        rates = [o for o in scene.observations if o.entity == hypothesis.entity and o.subject == "request_rate"]
        yield from map(_without_surge, rates[:1])
        return
    behind = [s for caller in scene.callers(hypothesis.entity) if (s := scene.surge(caller))]
    if behind:
        yield argument("arrivals", KILLS, f"they come from further up: {behind[0].statement}", surge, behind[0])
        return
    more = amount(surge) / max(surge.baseline or 0.0, 1e-9)
    weight = w.STRONG if more >= w.MUCH_MORE else w.SLIGHT
    yield argument("arrivals", weight, surge.statement, surge, decisive=more >= w.MUCH_MORE)


def _without_surge(rate: Observation) -> Argument:
    """Where requests did not clearly become more, they are as many as before, or perhaps more."""
    if amount(rate) < w.SOME_MORE * (rate.baseline or 0.0):
        return argument("arrivals", KILLS, f"no more requests arrived than before: {rate.statement}", rate)
    return argument("arrivals", w.SLIGHT, f"more requests arrive, though the step is not clear: {rate.statement}", rate)


def unexplained(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """A cause that nobody triggered is less likely where somebody did something just before."""
    latest = scene.scope.onset_latest or scene.scope.onset
    if hypothesis.kind in BY_PEOPLE or latest is None:
        return
    family = scene.family(hypothesis.entity)
    before = (change for change in scene.changes if change.onset and change.onset <= latest)
    near = [change for change in before if change.entity in family and not scene.passed(change)]
    if near:
        bites_late = all(scene.sound_requests_since(change) for change in near)
        weight = -w.SLIGHT if bites_late and not scene.full_or_gone_since(near[-1]) else -w.STRONG
        text = (
            f"a change at the same place {'may explain' if bites_late else 'explains'} it better: {near[-1].statement}"
        )
        yield argument("unexplained", weight, text, near[-1])


def flooded(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """Where many more requests arrive than before, trouble is less likely of another sort."""
    if hypothesis.kind in (HypothesisKind.TRAFFIC, *BY_PEOPLE):
        return
    surge = scene.surge(scene.service_of(hypothesis.entity))
    if surge is None or outgrows(hypothesis.trigger, surge):
        return
    if amount(surge) >= w.MUCH_MORE * (surge.baseline or 0.0):
        yield argument("flooded", -w.FAIR, f"it is asked far more often than before: {surge.statement}", surge)


def shortage(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """Where only resources are measured, what is furthest from what it was is the likeliest cause."""
    if not scene.only_short or hypothesis.kind is not HypothesisKind.RESOURCE or hypothesis.trigger is None:
        return
    mine, most = hypothesis.trigger, scene.shortages[0]
    text = mine.statement if mine is most else f"{mine.statement}; further from before is this: {most.statement}"
    yield argument("shortage", w.STRONG * mine.score / most.score, text, mine, most)


def _errors(hypothesis: Hypothesis, scene: Scene) -> list[Observation]:
    """Return what the errors say in the places in which this hypothesis lets them begin."""
    where = {member for place in scene.places(hypothesis) for member in scene.members(place)}
    return [o for o in scene.anomalies if says_what_failed(o) and o.entity in where]


ALL = (content, untouched, words, arrivals, unexplained, flooded, shortage)
