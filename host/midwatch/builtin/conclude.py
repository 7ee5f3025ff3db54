"""From verdicts to a conclusion, and its outcome by rule: no cause without evidence, time and a path."""

from collections.abc import Container, Iterable, Mapping, Sequence

from midwatch.builtin import weights as w
from midwatch.builtin.caps import cap, is_decided, may_be_a_change
from midwatch.builtin.judge import confidence, leads_by_reading
from midwatch.builtin.observed import got_worse, harm
from midwatch.builtin.scene import LOOKS, Scene
from midwatch.records import (
    Cause,
    Conclusion,
    Gap,
    Hypothesis,
    HypothesisKind,
    Outcome,
    Verdict,
)
from midwatch.records.conclusion import Impact, NextCheck, RuledOut
from midwatch_kit.records import EntityId
from midwatch_kit.window import rfc3339


def conclude(
    scene: Scene, hypotheses: Sequence[Hypothesis], verdicts: Mapping[str, Verdict], gaps: Sequence[Gap]
) -> Conclusion:
    """Return what the evidence says; every hypothesis has a verdict under its id."""
    ranked = sorted(hypotheses, key=lambda h: (-verdicts[h.id].probability, h.id))
    standing = [h for h in ranked if verdicts[h.id].result == "supported"]
    read = frozenset(h.id for h in standing if leads_by_reading(h, hypotheses, verdicts))
    outcome = _outcome(scene, standing, verdicts, read)
    named = _named(standing, verdicts, scene) if outcome in _NAMES_CAUSES else ()
    causes = tuple(_cause(h, hypotheses, verdicts, scene, by_reading=h.id in read) for h in named)
    return Conclusion(
        outcome=outcome,
        statement=_statement(outcome, causes, scene),
        root_causes=causes,
        ruled_out=tuple(_ruled_out(h, verdicts[h.id]) for h in ranked if verdicts[h.id].result == "refuted"),
        gaps=tuple(gaps),
        next_checks=tuple(_next_checks(outcome, ranked, verdicts, scene)),
        impact=_impact(scene),
    )


_NAMES_CAUSES = (Outcome.ROOT_CAUSE, Outcome.BEST_EFFORT)


def _outcome(
    scene: Scene, standing: Sequence[Hypothesis], verdicts: Mapping[str, Verdict], read: Container[str]
) -> Outcome:
    if not scene.compared and standing and standing[0].id in read:
        return Outcome.BEST_EFFORT  # nobody measured the symptom: then the alert's word stands, and what was read
    if scene.blind >= LOOKS:
        return Outcome.BLOCKED
    if not scene.shifted:
        return Outcome.INCONCLUSIVE if scene.in_doubt else Outcome.NO_INCIDENT
    if not standing:
        return Outcome.INCONCLUSIVE
    leader = standing[0]
    sure = is_decided(verdicts[leader.id]) and not may_be_a_change(leader, scene) and leader.id not in read
    return Outcome.ROOT_CAUSE if sure else Outcome.BEST_EFFORT


def _named(standing: Sequence[Hypothesis], verdicts: Mapping[str, Verdict], scene: Scene) -> tuple[Hypothesis, ...]:
    """Return the likeliest cause and the likeliest of each trouble that has no tie to the others, the gravest first."""
    named: list[Hypothesis] = []
    for hypothesis in standing:
        if not named or (
            is_decided(verdicts[hypothesis.id]) and all(scene.independent(hypothesis, other) for other in named)
        ):
            named.append(hypothesis)
    return tuple(sorted(named, key=lambda h: -sum(map(harm, scene.explained(h)))))


def _cause(
    hypothesis: Hypothesis,
    hypotheses: Sequence[Hypothesis],
    verdicts: Mapping[str, Verdict],
    scene: Scene,
    *,
    by_reading: bool,
) -> Cause:
    verdict = verdicts[hypothesis.id]
    rivals = [verdicts[h.id] for h in hypotheses if not scene.independent(hypothesis, h)]
    speaking = [a for a in verdict.arguments if a.weight > 0]
    against = [a for a in verdict.arguments if a.weight < 0]
    trigger = hypothesis.trigger or (
        scene.surge(hypothesis.entity) if hypothesis.kind is HypothesisKind.TRAFFIC else None
    )
    most = cap(hypothesis, verdict, scene, by_reading=by_reading)
    return Cause(
        entity=hypothesis.entity,
        kind=hypothesis.kind,
        statement=trigger.statement if trigger else hypothesis.rationale,
        onset=trigger.onset if trigger else scene.scope.onset,
        confidence=confidence(verdict, rivals, most.highest),
        limited_by=most.limit,
        path=path_to_symptom(hypothesis.entity, scene),
        supports=tuple(dict.fromkeys(name for a in speaking for name in a.observations)),
        contradicts=tuple(dict.fromkeys(name for a in against for name in a.observations)),
        trigger=trigger,
        hypothesis=hypothesis.id,
    )


def path_to_symptom(entity: EntityId, scene: Scene) -> tuple[EntityId, ...]:
    """Return the shortest way from an entity to the symptom, both ends included, and on to the alarm."""
    symptom, known = scene.scope.symptom, scene.topology
    alarms = [r.target for r in known.relations if r.kind == "alarmed_by" and r.source == symptom]
    if entity == symptom:
        return (entity, *alarms[:1])
    if entity not in known or symptom not in known:
        return (entity, symptom)
    paths = known.paths(entity, symptom, limit=1)
    return (*(paths[0].entities if paths else (entity, symptom)), *alarms[:1])


def _statement(outcome: Outcome, causes: Sequence[Cause], scene: Scene) -> str:
    symptom, said = scene.scope.symptom, "; and apart from that, ".join(cause.statement for cause in causes)
    match outcome:
        case Outcome.ROOT_CAUSE:
            return f"{said} made {symptom} fail"
        case Outcome.BEST_EFFORT:
            return f"{said} probably made {symptom} fail; decisive evidence is missing"
        case Outcome.NO_INCIDENT:
            more = scene.surge(symptom)
            figures = (
                f"{more.statement}, and all is as well as before" if more else "its figures are what they were before"
            )
            return f"nothing is wrong with {symptom}: {figures}"
        case Outcome.BLOCKED:
            return f"nothing could be looked at, so nothing can be said about {symptom}"
        case Outcome.INCONCLUSIVE:
            return f"something may be wrong with {symptom}, but no hypothesis stands on its evidence"


def _ruled_out(hypothesis: Hypothesis, verdict: Verdict) -> RuledOut:
    return RuledOut(
        hypothesis=hypothesis.id,
        statement=f"{hypothesis.kind} at {hypothesis.entity}: {hypothesis.rationale}",
        reason=verdict.reason,
        observations=verdict.observations,
    )


def _next_checks(
    outcome: Outcome, ranked: Sequence[Hypothesis], verdicts: Mapping[str, Verdict], scene: Scene
) -> Iterable[NextCheck]:
    if outcome in (Outcome.ROOT_CAUSE, Outcome.NO_INCIDENT):
        return
    for signal in sorted(scene.blind):
        yield NextCheck(
            what=f"see why {signal} could not be looked at, mend it, and investigate again",
            why=f"without {signal} rivals cannot be told apart",
            cost="a minute",
        )
    if not scene.compared or scene.in_progress:
        yield _look_earlier(scene)
    for hypothesis in [h for h in ranked if verdicts[h.id].result == "inconclusive"][:2]:
        yield NextCheck(
            what=f"look at {hypothesis.entity}: is it so that {hypothesis.confirms}?",
            why=f"it would settle whether it was {hypothesis.kind}",
            cost="one look by a person",
        )


def _look_earlier(scene: Scene) -> NextCheck:
    began, why = scene.scope.window.start, "no earlier requests of it are known, so nobody can say whether it changed"
    if scene.in_progress:
        began, why = scene.scope.baseline.start, "it was as unwell before, so nobody can say what it began with"
    return NextCheck(
        what=f"find out how {scene.scope.symptom} did before {rfc3339(began)}: a dashboard, an older store, "
        "or the same hour yesterday",
        why=why,
        cost="one look by a person",
    )


def _impact(scene: Scene) -> Impact | None:
    worst = next((o for o in scene.scope.symptoms if got_worse(o)), None)
    if worst is None or worst.score < w.SHIFTED:
        return None
    return Impact(statement=worst.statement, observations=(worst.id,))
