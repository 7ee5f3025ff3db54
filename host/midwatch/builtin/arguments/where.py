"""Arguments from place: where failures begin, what stayed healthy, which instances are hit, who is whose victim."""

from collections.abc import Iterator, Mapping

from midwatch.builtin import weights as w
from midwatch.builtin.arguments.argument import KILLS, argument
from midwatch.builtin.excess import EXCESSES
from midwatch.builtin.mismatches import ends, is_certain, is_mismatch, reaches
from midwatch.builtin.observed import ON_THE_WAY, TURNS, answered, harm, waits_for_connection
from midwatch.builtin.scene import Scene
from midwatch.builtin.ties import is_tied
from midwatch.records import Argument, Hypothesis, HypothesisKind
from midwatch_kit.records import EntityId, Observation


def symptom(_: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """Where the symptom's figures are as well as before, there is nothing to explain."""
    seen = scene.normal(scene.scope.symptom, as_a_whole=False) or next(iter(scene.scope.symptoms), None)
    if seen and not (scene.shifted or scene.leans or scene.in_progress):
        yield argument("symptom", KILLS, f"there is no harm to explain: {seen.statement}", seen)


def path(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """A cause needs a way to the symptom."""
    known, target = scene.topology, scene.scope.symptom
    trigger = hypothesis.trigger
    if trigger is not None and is_mismatch(trigger) and reaches(trigger, scene.scope, known):
        return
    if hypothesis.entity == target or hypothesis.entity not in known or target not in known:
        return
    if not is_tied(target, known):
        return
    if not known.paths(hypothesis.entity, target, limit=1):
        seen = [o for o in (hypothesis.trigger, *scene.scope.symptoms[:1]) if o]
        yield argument("path", KILLS, f"nothing leads from {hypothesis.entity} to {target}", *seen)


def place(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """Failures (or lost time) begin in the cause, not in what passes them on."""
    begun = scene.beginnings
    total = sum(map(harm, begun.values()))
    if total <= 0 or _answers_nobody(hypothesis, scene):
        return
    mine = scene.explained(hypothesis)
    share = sum(map(harm, mine)) / total
    most = max(begun.values(), key=harm)
    roots = scene.deepest(mine)
    surely = share >= w.PART and most.subject not in TURNS  # the lesser one of two turns may be chance
    of_its_own = surely and bool(roots) and all(scene.apart(root, most.entity) for root in roots)
    if mine and mine[0].subject in EXCESSES:  # a loss that is reckoned from metrics was not seen to begin there
        weight = w.STRONG * min(1.0, sum(map(harm, mine)) / harm(most))
        yield argument("place", weight, mine[0].statement, *mine, most)
    elif mine and (share >= w.MOST or of_its_own):
        yield argument("place", w.STRONG, mine[0].statement, *mine, decisive=True)
    elif mine:
        yield argument("place", w.STRONG * (share - w.MOST), mine[0].statement, *mine, most)
    else:
        yield _elsewhere(hypothesis, most, scene)


def _answers_nobody(hypothesis: Hypothesis, scene: Scene) -> bool:
    """Whether what is wrong with somebody who others need keeps him from answering: then it shows only in them."""
    trigger = hypothesis.trigger
    if trigger is None or not is_mismatch(trigger) or not is_certain(trigger):
        return False
    return any(scene.can_hurt(end, place) for end in ends(trigger) for place in scene.beginnings if place != end)


def _elsewhere(hypothesis: Hypothesis, most: Observation, scene: Scene) -> Argument:
    """Nothing begins here; that kills when the place was looked at and found healthy, or begins elsewhere for sure.

    Metrics know which requests fail, not why: a change may make a service answer what others cannot use, which then
    fails with them. Most likely that is who asked for it, less so whom the same caller asks next.
    """
    entity = hypothesis.entity
    if most.subject in EXCESSES and hypothesis.kind is HypothesisKind.CHANGE:
        if scene.can_hurt(scene.service_of(entity), most.entity):
            text = f"{most.entity}, which needs it, may not be able to use its answers: {most.statement}"
            return argument("place", 0.0, text, most)
        if shared := sorted({*scene.users(scene.service_of(entity))} & {*scene.users(most.entity)}):
            text = f"{shared[0]} asks it and {most.entity}, and may hand its answers on: {most.statement}"
            return argument("place", -w.SLIGHT, text, most)
    healthy = scene.normal(entity) or scene.normal(scene.service_of(entity))
    text = f"it begins in {most.entity}, not in {entity}: {most.statement}"
    return argument("place", KILLS if healthy or most.score >= w.SHIFTED else -w.STRONG, text, most, healthy)


def between(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """Time that is lost on the way to a place, and not in it, is lost by what carries the calls."""
    ways = [o for o in scene.explained(hypothesis) if o.subject == ON_THE_WAY]
    if ways and hypothesis.kind is HypothesisKind.PLATFORM:
        yield argument("between", w.FAIR, f"it is lost on the way, not at either end: {ways[0].statement}", *ways)


def health(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """What stayed healthy is not the cause."""
    members = scene.members(hypothesis.entity)
    troubled = [o for o in scene.anomalies if o.entity in members and o.score >= w.SHIFTED]
    healthy = scene.normal(hypothesis.entity) or scene.normal(scene.service_of(hypothesis.entity))
    if healthy and not troubled and not _silent(hypothesis, scene) and not _is_misread(hypothesis, scene):
        yield argument("health", KILLS, f"it stayed healthy: {healthy.statement}", healthy)


def _is_misread(hypothesis: Hypothesis, scene: Scene) -> bool:
    """Whether a change took something out of the answers of a service, which it gives without error."""
    change = hypothesis.trigger
    return change is not None and any(scene.missed_from(change, seen) for seen in scene.explained(hypothesis))


def spread(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """What reaches every instance shows in every instance; what touches one shows in that one."""
    service = scene.service_of(hypothesis.entity)
    instances, hit = scene.instances(service), scene.hit_instances(service)
    total = sum(hit.values())
    if len(instances) < 2 or total <= 0:
        return
    seen = scene.beginnings[service]
    sure = 1 - len(instances) ** (1 - total)  # the chance that it is not by chance that one has them all
    alone = scene.alone(service)
    of, slow = f"of {len(instances)} instances", seen.subject == "self_time"
    hurt, all_hurt = ("is slow", "are slow") if slow else ("fails", "fail")
    if hypothesis.entity != service:
        mine = alone == hypothesis.entity
        text = f"{of} {'only' if mine else 'not only'} {hypothesis.entity} {hurt} ({_counted(hit)})"
        yield argument("spread", w.FAIR * sure if mine else KILLS, text, seen)
    elif alone:
        text = f"{of} only {alone} {hurt} ({_counted(hit)}), though all of them were reached"
        yield argument("spread", -w.STRONG * sure, text, seen)
    else:
        yield argument("spread", w.SLIGHT * sure, f"{of} {len(hit)} {all_hurt} ({_counted(hit)})", seen)


def unasked(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """What is not asked, since who would ask it has no connection left, is not what is broken."""
    seen = scene.beginnings.get(hypothesis.entity)
    if seen and seen.related and waits_for_connection(seen):
        text = f"it was not even asked: {seen.related} had no connection left for it: {seen.statement}"
        yield argument("unasked", -w.STRONG, text, seen)


def given_up(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """Who answers as quickly as ever is not to blame where a caller gives up on it, nor is what was done to it."""
    seen = scene.beginnings.get(scene.service_of(hypothesis.entity))
    if seen and seen.related and seen.subject == "error_origin" and scene.given_up_early(seen):
        yield argument("given up", -w.STRONG, f"it is as quick as before: {seen.related} waits for it no longer", seen)


def choosy(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """What answers, and fails one of its callers only, is not itself what is broken."""
    seen = scene.beginnings.get(hypothesis.entity)
    blamed = hypothesis.kind in (HypothesisKind.DEPENDENCY, HypothesisKind.STATE)
    if not blamed or hypothesis.entity.startswith("service:"):
        return
    if seen is None or seen.related is None or seen.subject != "error_origin":
        return
    if answered(seen):
        yield argument("choosy", -w.FAIR, f"it answers, and says what it was asked wrongly: {seen.statement}", seen)
    well = [caller for caller in scene.users(hypothesis.entity) if caller not in scene.refused_by(hypothesis.entity)]
    if well:
        yield argument("choosy", -w.FAIR, f"it fails {seen.related} only, and serves {', '.join(well)} as before", seen)


def victim(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """What fails because something that it depends on fell silent before is a victim."""
    silence = hypothesis.trigger if _silent(hypothesis, scene) else None
    if silence:
        yield argument("silence", w.STRONG, f"{silence.statement}, and it did not come back", silence, decisive=True)
        return
    for other in scene.silences:
        mine = other.entity in scene.family(hypothesis.entity)
        hurt = scene.service_of(hypothesis.entity)
        if not mine and scene.can_hurt(scene.service_of(other.entity), hurt) and hurt in scene.beginnings:
            text = f"{hurt} needs {other.entity}, which fell silent: {other.statement}"
            yield argument("victim", -w.STRONG, text, other, scene.beginnings[hurt])
            return


def exemplar(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """Single failing traces, read span by span, end in the cause."""
    read = [o for o in scene.observations if o.subject == "exemplar"]
    mine = [o for o in read if o.entity in scene.members(hypothesis.entity)]
    if mine:
        text = f"{len(mine)} of {len(read)} failing traces that were read end there: {mine[0].statement}"
        yield argument("exemplar", w.SLIGHT * len(mine) / len(read), text, *mine)


def _silent(hypothesis: Hypothesis, scene: Scene) -> bool:
    return hypothesis.kind is HypothesisKind.PLATFORM and hypothesis.trigger in scene.silences


def _counted(hit: Mapping[EntityId, float]) -> str:
    return ", ".join(f"{name.partition(':')[2]} {count:.0f}" for name, count in sorted(hit.items()))


ALL = (symptom, path, place, between, health, spread, unasked, given_up, choosy, victim, exemplar)
