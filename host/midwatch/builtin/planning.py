"""From a conclusion to a mitigation plan in five phases; what cannot be undone by a tool is for a person.

A plan is made here and run elsewhere. Its digest covers every step with every argument: what was approved is what
runs.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from midwatch.builtin.remedies import Remedy, remedy_for, runs, versions_of
from midwatch.builtin.scene import Scene
from midwatch.mcp_client.toolbox import Tool
from midwatch.records import Call, Cause, Conclusion, Condition, Expectation, HypothesisKind, Outcome, Phase, Plan, Step
from midwatch_kit.evidence import canonical, evidence_id
from midwatch_kit.records import EntityId
from midwatch_kit.server import Role

_LATER: Final[Mapping[str, Any]] = {"condition": None, "reason": "", "cites": [], "by": "code"}
"""Fields that steps did not always have: as they are by default they are no part of the digest."""


def plan_for(
    conclusion: Conclusion, scene: Scene, hands: Iterable[Tool], never_roll_back: frozenset[EntityId] = frozenset()
) -> Plan:
    """Return what to do about a conclusion; that nothing needs changing is a plan too.

    What must not be rolled back, since data would suffer or a team forbids it, is left to a person, with the reason.
    """
    if not conclusion.root_causes:
        well = conclusion.outcome is Outcome.NO_INCIDENT
        action = "nothing needs changing" if well else "change nothing yet: the next checks come first"
        return sealed(Plan(action=action, reasoning=conclusion.statement, risk="none", digest=""))
    causes = conclusion.root_causes
    # With two troubles at once health could not tell whose cure helped, so a person goes step by step.
    kept = {cause.entity: why for cause in causes if (why := unsafe(cause, scene, never_roll_back))}
    steps = _roll_back_steps(causes[0], hands) if len(causes) == 1 and not kept else ()
    steps = steps or _manual_steps([remedy_for(cause, scene, kept.get(cause.entity, "")) for cause in causes])
    return sealed(
        Plan(
            action=_action(steps),
            reasoning=conclusion.statement,
            risk=_risk(steps, kept.values()),
            blast_radius=tuple(dict.fromkeys(hit for cause in causes for hit in _blast_radius(cause.entity, scene))),
            steps=steps,
            digest="",
        )
    )


def digest(plan: Plan) -> str:
    """Return the hash of everything in a plan but the digest itself."""
    said = plan.model_dump(mode="json", exclude={"digest"})
    steps = [{name: v for name, v in step.items() if name not in _LATER or v != _LATER[name]} for step in said["steps"]]
    said["steps"] = steps
    return evidence_id(canonical(said))


def sealed(plan: Plan) -> Plan:
    """Return the plan with the digest of what it says."""
    return plan.model_copy(update={"digest": digest(plan)})


def unsafe(cause: Cause, scene: Scene, never_roll_back: frozenset[EntityId]) -> str:
    """Return why a change must not simply be rolled back; empty when it may be."""
    if cause.kind is not HypothesisKind.CHANGE or cause.trigger is None:
        return ""
    if forbidden := sorted(never_roll_back & {cause.entity, scene.service_of(cause.entity)}):
        return f"a steering file says never to roll {forbidden[0]} back"
    altered = scene.data_altered_since(cause.trigger)
    return f"it altered how data are kept ({altered}): what ran before may lose or misread them" if altered else ""


def _roll_back_steps(cause: Cause, hands: Iterable[Tool]) -> tuple[Step, ...]:
    tool = next((t for t in hands if t.role is Role.ACT and t.arguments >= {"service", "to_version"}), None)
    bad, good = versions_of(cause)
    if tool is None or not _is_deploy(cause) or not bad or not good:
        return ()
    service = cause.entity.removeprefix("service:")
    back = Call(server=tool.server, tool=tool.name, arguments={"service": service, "to_version": good})
    forth = Call(server=tool.server, tool=tool.name, arguments={"service": service, "to_version": bad})
    tells = (cause.entity,) if cause.entity.startswith("service:") else ()
    return (
        _looks("prepare", "the symptom is still there", Expectation.SYMPTOM_PERSISTS),
        *(condition_step("pre_validate", runs(entity, bad)) for entity in tells),
        _looks("pre_validate", f"a person agrees that {service} may go from {bad} to {good}", Expectation.BY_A_PERSON),
        acting_step("apply", f"roll {service} back from {bad} to {good}", back, forth),
        _looks("post_validate", "the symptom is gone", Expectation.SYMPTOM_GONE),
        *(condition_step("post_validate", runs(entity, good)) for entity in tells),
        acting_step("roll_back", f"if health got worse: bring {service} {bad} back", forth, back),
    )


def _is_deploy(cause: Cause) -> bool:
    """Whether a cause is a deploy: what else changes has versions of its own, which no deployer knows."""
    return cause.kind is HypothesisKind.CHANGE and cause.trigger is not None and cause.trigger.subject == "deploy"


def _manual_steps(remedies: Sequence[Remedy]) -> tuple[Step, ...]:
    """Return the five phases of what a person does; of several troubles all are mended before any is judged."""
    still = dict.fromkeys(chain.from_iterable(remedy.still for remedy in remedies))
    then = dict.fromkeys(chain.from_iterable(remedy.then for remedy in remedies))
    return (
        _looks("prepare", "the symptom is still there", Expectation.SYMPTOM_PERSISTS),
        *(condition_step("pre_validate", condition) for condition in still),
        *(by_hand_step("apply", remedy.title, remedy.command) for remedy in remedies),
        _looks("post_validate", "the symptom is gone", Expectation.SYMPTOM_GONE),
        *(condition_step("post_validate", condition) for condition in then),
        *(by_hand_step("roll_back", remedy.take_back, remedy.take_back_command) for remedy in reversed(remedies)),
    )


def _looks(phase: Phase, title: str, expect: Expectation) -> Step:
    return Step(title=title, phase=phase, expect=expect, safety="read_only")


def condition_step(phase: Phase, condition: Condition) -> Step:
    """Return the step that looks a condition up."""
    return Step(title=condition.said, phase=phase, expect=Expectation.HOLDS, safety="read_only", condition=condition)


def acting_step(phase: Phase, title: str, call: Call, inverse: Call) -> Step:
    """Return a step that calls a tool, with the call that takes it back."""
    return Step(
        title=title,
        phase=phase,
        call=call,
        expect=Expectation.SUCCEEDS,
        timeout_seconds=120,
        safety="mutating",
        inverse=inverse,
    )


def by_hand_step(phase: Phase, title: str, command: str) -> Step:
    """Return a step that a person does."""
    return Step(title=title, phase=phase, command=command, expect=Expectation.BY_A_PERSON, safety="mutating")


def _action(steps: Sequence[Step]) -> str:
    return "; then ".join(step.title for step in steps if step.phase == "apply")


def _risk(steps: Sequence[Step], unsafe: Iterable[str]) -> str:
    if why := "; ".join(unsafe):
        return f"high: {why}"
    if any(step.inverse for step in steps):
        return "low: one service changes to a version that ran before, and the step has an undo"
    return "a person does it and judges it: midwatch has no undo for it"


def _blast_radius(entity: EntityId, scene: Scene) -> tuple[EntityId, ...]:
    return tuple(scene.topology.blast_radius(entity)) if entity in scene.topology else ()
