"""Hand-made scenes for the builtin reasoner, and what it makes of them."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from midwatch.builtin.conclude import conclude
from midwatch.builtin.hypothesize import hypothesize
from midwatch.builtin.judge import judge_all
from midwatch.builtin.scene import Scene
from midwatch.records import Conclusion, Hypothesis, HypothesisKind, Scope, Verdict
from midwatch.steering.files import Steering
from midwatch_kit.records import Citation, Observation, ObservationKind, Relation, Signal, TopologyFragment, Window
from midwatch_topology import Topology

ONSET = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)
GRAPH = """
service:gateway alarmed_by alarm:gateway-errors
service:gateway calls service:bot
service:bot calls service:forge
service:bot calls service:schedule
service:forge reads database:blueprints
service:forge runs_on instance:forge-1
service:forge runs_on instance:forge-2
service:billing reads database:ledger
"""
_NUMBERS = itertools.count()


def after(seconds: float) -> datetime:
    return ONSET + timedelta(seconds=seconds)


def seen(entity: str, subject: str, kind: ObservationKind = ObservationKind.SPIKE, **fields: object) -> Observation:
    """Return an observation; an anomaly unless it is told to be something else."""
    loud = {"score": 20.0, "direction": "up", "onset": ONSET} if kind not in _QUIET else {}
    said = {"signal": Signal.TRACES, "statement": f"{subject} of {entity}", **loud, **fields}
    cited = Citation(evidence="e" * 64, where="/rows/0", quote=1)
    name = f"o{next(_NUMBERS)}"
    return Observation.model_validate(
        {"id": name, "entity": entity, "subject": subject, "kind": kind, "citations": (cited,), **said}
    )


_QUIET = (ObservationKind.NORMAL, ObservationKind.ABSENCE, ObservationKind.CHANGE)


def healthy(entity: str) -> Observation:
    return seen(entity, "error_rate", ObservationKind.NORMAL, attributes={"requests": "380", "errors": "0"})


def change(entity: str, seconds: float, subject: str = "deploy", **attributes: str) -> Observation:
    facts = {"change_id": f"c{next(_NUMBERS)}", "version": "3f2c1ab", "previous_version": "9e8d7c6", **attributes}
    return seen(entity, subject, ObservationKind.CHANGE, signal=Signal.CHANGES, onset=after(seconds), attributes=facts)


def origin(entity: str, failing: int = 118, instances: str = "forge-1:60,forge-2:58", **fields: object) -> Observation:
    """Return the observation that failing traces begin in an entity."""
    attributes = {"instances": instances, "exception": "ValidationError: Extra inputs are not permitted: finish"}
    figures = {"magnitude": float(failing), "baseline": 0.0, "unit": "traces", "score": 30.0}
    return seen(entity, "error_origin", ObservationKind.ERROR_TRACE, **{"attributes": attributes, **figures, **fields})


SYMPTOM = seen("service:gateway", "error_rate", magnitude=31.0, baseline=0.0, unit="%")


def a_scene(
    *observations: Observation,
    graph: str = GRAPH,
    symptoms: tuple[Observation, ...] = (SYMPTOM,),
    blind: frozenset[str] = frozenset(),
) -> Scene:
    words = [line.split() for line in graph.strip().splitlines()]
    relations = tuple(Relation(source=source, kind=kind, target=target) for source, kind, target in words)
    topology = Topology.merge({"traces": TopologyFragment(relations=relations)})
    scope = Scope(
        symptom="service:gateway",
        window=Window(start=after(-60), end=after(60)),
        baseline=Window(start=after(-600), end=after(-60)),
        onset=ONSET if symptoms else None,
        onset_earliest=after(-1) if symptoms else None,
        onset_latest=after(1) if symptoms else None,
        symptoms=symptoms,
        topology=TopologyFragment(entities=tuple(topology.entities.values()), relations=relations),
    )
    return Scene(scope, topology, (), blind).having([*symptoms, *observations])


@dataclass(frozen=True)
class Judged:
    """What became of a scene: the hypotheses, their verdicts and the conclusion."""

    hypotheses: tuple[Hypothesis, ...]
    verdicts: Mapping[str, Verdict]
    conclusion: Conclusion

    def verdict(self, kind: HypothesisKind, entity: str, trigger: Observation | None = None) -> Verdict:
        found = [h for h in self.hypotheses if (h.kind, h.entity) == (kind, entity)]
        (one,) = [h for h in found if trigger is None or (h.trigger and h.trigger.id == trigger.id)]
        return self.verdicts[one.id]

    @property
    def cause(self) -> tuple[HypothesisKind, str]:
        first = self.conclusion.root_causes[0]
        return first.kind, first.entity


def reason(scene: Scene, *steering: Steering) -> Judged:
    hypotheses = hypothesize(scene, steering)
    verdicts = judge_all(hypotheses, scene)
    return Judged(hypotheses, verdicts, conclude(scene, hypotheses, verdicts, []))
