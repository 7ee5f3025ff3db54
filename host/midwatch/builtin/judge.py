"""From arguments to a verdict, and from verdicts to how sure one can be. All combining happens here.

The arguments of a hypothesis look at independent things, so their log-odds add up (naive Bayes) on top of the
prior. Rivals share what probability there is with "something that nobody thought of", whose odds are 1.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from midwatch.builtin import weights as w
from midwatch.builtin.arguments import arguments
from midwatch.builtin.arguments.readings import READING, only_read
from midwatch.builtin.calibration import CALIBRATION
from midwatch.builtin.caps import is_decided
from midwatch.builtin.scene import Scene
from midwatch.records import Argument, Hypothesis, Verdict

_KILLED = -1e8


def judge_all(hypotheses: Sequence[Hypothesis], scene: Scene) -> dict[str, Verdict]:
    """Return the verdict on each hypothesis by its id; a rival that is far better explains the others away."""
    verdicts = {h.id: judge(h, scene) for h in hypotheses}
    standing = [h for h in hypotheses if verdicts[h.id].result == "supported"]
    return {h.id: _beside(verdicts[h.id], h, standing, verdicts, scene) for h in hypotheses}


def _beside(
    verdict: Verdict, hypothesis: Hypothesis, standing: Sequence[Hypothesis], verdicts: dict[str, Verdict], scene: Scene
) -> Verdict:
    rivals = [h for h in standing if not scene.independent(hypothesis, h)]
    best = max(rivals, key=lambda h: (verdicts[h.id].probability, h.id), default=None)
    if verdict.result == "refuted" or best is None:
        return verdict
    better = verdicts[best.id]
    if _rival_odds(better) < w.FAR_BETTER * _rival_odds(verdict):
        return verdict
    reason = f"{best.kind} at {best.entity} explains it far better: {better.reason}"
    return verdict.model_copy(update={"result": "refuted", "reason": reason})


def judge(hypothesis: Hypothesis, scene: Scene) -> Verdict:
    """Return the verdict on a hypothesis by itself: what it is, how likely, and the arguments."""
    weighed = arguments(hypothesis, scene)
    killing = [argument for argument in weighed if argument.weight <= _KILLED]
    odds = _odds(hypothesis, weighed)
    probability = 0.0 if killing else odds / (1 + odds)
    strongest = max(weighed, key=lambda argument: abs(argument.weight), default=None)
    if killing or probability <= w.REFUTED:
        result, why = "refuted", killing[0] if killing else strongest
    elif probability >= (w.READ_ALONE if only_read(weighed) and not scene.compared else w.SUPPORTED):
        result, why = "supported", max(weighed, key=lambda argument: argument.weight)
    else:
        result, why = "inconclusive", strongest
    return Verdict(
        hypothesis=hypothesis.id,
        result=result,
        reason=why.text if why else "nothing was seen that speaks for or against it",
        probability=round(probability, 4),
        arguments=weighed,
        observations=tuple(dict.fromkeys(name for argument in weighed for name in argument.observations)),
    )


def leads_by_reading(leader: Hypothesis, hypotheses: Sequence[Hypothesis], verdicts: Mapping[str, Verdict]) -> bool:
    """Return whether a hypothesis leads only by what a model read.

    That is so where nothing else speaks for it, or more for another one that was read down; and where a model named it:
    what was measured then says where the trouble is, and not what it is.
    """

    def measured(hypothesis: Hypothesis) -> float:
        return _odds(hypothesis, [a for a in verdicts[hypothesis.id].arguments if a.name != READING])

    if not any(argument.name == READING for verdict in verdicts.values() for argument in verdict.arguments):
        return False
    every = verdicts[leader.id].arguments
    was_read = any(argument.name == READING for argument in every)
    named_or_read = was_read and (leader.by_model or only_read(every))
    return named_or_read or max(map(measured, hypotheses)) > measured(leader)


def confidence(leader: Verdict, rivals: Iterable[Verdict], highest: float) -> float:
    """Return how sure one can be of the leader among its rivals, in 0 to 1: calibrated, and then at most `highest`."""
    curve = CALIBRATION.decisive if is_decided(leader) else CALIBRATION.indecisive
    return round(min(curve.confidence(log_odds(leader, rivals)), highest), 2)


def log_odds(leader: Verdict, rivals: Iterable[Verdict]) -> float:
    """Return the log-odds of the leader against its rivals and something that nobody thought of."""
    against = sum(_rival_odds(rival) for rival in rivals if rival.hypothesis != leader.hypothesis)
    return math.log(max(_rival_odds(leader), 1e-6) / (1 + against))


def _odds(hypothesis: Hypothesis, weighed: Iterable[Argument]) -> float:
    prior = math.log(hypothesis.prior / (1 - hypothesis.prior))
    return math.exp(max(-700.0, min(700.0, prior + sum(argument.weight for argument in weighed))))


def _rival_odds(verdict: Verdict) -> float:
    if verdict.result == "refuted":
        return 0.0
    return verdict.probability / max(1e-6, 1 - verdict.probability)
