"""What a model is told before it looks: the incident as statistics left it, the same for all models of it.

All of it is from outside but the frame, so it stands between the marks. The files of a team's own steering do not:
the team that runs midwatch wrote them for it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from midwatch.builtin.scene import LOOKS, Scene
from midwatch.claude.library import catalogue
from midwatch.claude.model import Block
from midwatch.claude.prompts import prompt
from midwatch.claude.untrusted import DataMark
from midwatch.records import Gap, Hypothesis, Incident, Verdict
from midwatch.records.runbook import Runbook
from midwatch.steering.files import Steering
from midwatch_kit.records import Observation, ObservationKind, Window
from midwatch_kit.window import rfc3339

_SURVEYED: Final = (
    "Statistics have surveyed the telemetry already; you judge what they cannot: what a change does, what an error "
    "means, what a runbook says."
)
_UNSEEN: Final = (
    "No statistics could be made of the telemetry this time: what you read, row by row, is all that there is to go by."
)
_OBSERVATIONS: Final = 40
_CHANGES: Final = 15
_LIKELY: Final = 0.005
"""What is less likely is ruled out already, and is not worth a line."""
_RELATIONS: Final = 60


def briefing(
    incident: Incident,
    scene: Scene,
    gaps: Sequence[Gap],
    steering: Iterable[Steering],
    mark: DataMark,
    runbooks: Sequence[Runbook] = (),
) -> tuple[Block, ...]:
    """Return the rules and the incident as the blocks of a system prompt, which end where a cache may keep them."""
    scope = scene.scope
    told = prompt(
        "incident",
        title=mark.around(incident.title, "the alert"),
        symptom=scope.symptom,
        onset=rfc3339(scope.onset) if scope.onset else "a time that is not known",
        window=_span(scope.window),
        baseline=_span(scope.baseline),
        topology=mark.around("\n".join(_relations(scene)), "what servers know of the application"),
        observations=mark.around("\n".join(_seen(scene)), "statistics over telemetry"),
        gaps=mark.around("\n".join(f"- {gap.what}: {gap.why}" for gap in gaps) or "- nothing", "what servers refused"),
        steering=_guidance(steering) + catalogue(runbooks, mark),
    )
    rules = prompt("rules", data_rule=mark.rule, statistics=_UNSEEN if scene.blind >= LOOKS else _SURVEYED)
    return {"type": "text", "text": rules}, {"type": "text", "text": told, "cache_control": {"type": "ephemeral"}}


def suggested(hypotheses: Sequence[Hypothesis], verdicts: Mapping[str, Verdict], mark: DataMark) -> str:
    """Return the hypotheses with how likely each is by now, the likeliest first, without those that are ruled out."""
    ranked = sorted(hypotheses, key=lambda h: (-verdicts[h.id].probability, h.id))
    ranked = [h for h in ranked if verdicts[h.id].probability >= _LIKELY or h is ranked[0]]
    lines = [f"{h.id}  {verdicts[h.id].probability:.2f}  {h.kind} at {h.entity}: {h.rationale[:160]}" for h in ranked]
    return mark.around("\n".join(lines) or "nothing", "what statistics suggest")


def _span(window: Window) -> str:
    return f"{rfc3339(window.start)} to {rfc3339(window.end)}"


def _relations(scene: Scene) -> list[str]:
    every = [f"{r.source} {r.kind} {r.target}" for r in scene.scope.topology.relations if r.kind != "alarmed_by"]
    return [*every[:_RELATIONS], *([f"… {len(every) - _RELATIONS} more"] if len(every) > _RELATIONS else [])]


def _seen(scene: Scene) -> list[str]:
    changes = [*scene.changes][-_CHANGES:]
    others = sorted((o for o in scene.observations if o.kind not in _LEFT_OUT), key=lambda o: (-o.score, o.id))
    return [_line(o) for o in (*changes, *others[:_OBSERVATIONS])] or ["nothing"]


_LEFT_OUT: Final = (ObservationKind.CHANGE, ObservationKind.NORMAL, ObservationKind.ABSENCE, ObservationKind.READING)


def _line(seen: Observation) -> str:
    change = seen.attributes.get("change_id")
    at = f"{rfc3339(seen.onset)} " if seen.onset else ""
    return f"{at}{seen.signal} {seen.statement}{f' (change_id {change})' if change else ''}"


def _guidance(steering: Iterable[Steering]) -> str:
    """Name the files, each with what it is about; a model reads those that matter."""
    every = [*steering]
    files = [f"- {file.name}: {file.description}" for file in every if file.text]
    required = [f"- {rule.named}" for file in every for rule in file.require]
    head = "\n# What the team wrote of its own systems, to be read with read_steering\n\n"
    told = head + "\n".join(files) if files else ""
    wants = "\n# What the team requires before a cause is called the root cause\n\n"
    return told + (f"\n{wants}" + "\n".join(required) if required else "")
