"""From a conclusion to a mitigation plan in five phases; what cannot be undone by a tool is for a person.

A plan is made here and run elsewhere. Its digest covers every step with every argument: what was approved is what
runs.
"""

from collections.abc import Iterable, Mapping, Sequence

from midwatch.builtin.scene import Scene
from midwatch.records import Call, Cause, Conclusion, Expectation, HypothesisKind, Outcome, Plan, Step
from midwatch.toolbox import Tool
from midwatch_kit.evidence import canonical, evidence_id
from midwatch_kit.records import EntityId
from midwatch_kit.server import Role

_BY_HAND = {
    HypothesisKind.CHANGE: "roll {entity} back to what ran before",
    HypothesisKind.RESOURCE: "restart {entity}, or give it more room",
    HypothesisKind.DEPENDENCY: "fail over from {entity}, or shed the calls to it",
    HypothesisKind.TRAFFIC: "throttle what arrives at {entity}, or scale it out",
    HypothesisKind.STATE: "repair or replace the data of {entity}",
    HypothesisKind.ACCESS: "restore what {entity} may do: permission, credential, certificate or quota",
    HypothesisKind.PLATFORM: "drain {entity} and replace it",
    HypothesisKind.OPERATOR: "undo on {entity} what the session did; a restart often recreates what was removed",
}


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
    unsafe = {cause.entity: why for cause in causes if (why := _unsafe(cause, scene, never_roll_back))}
    steps = _roll_back_steps(causes[0], hands) if len(causes) == 1 and not unsafe else ()
    steps = steps or _manual_steps(causes, unsafe)
    return sealed(
        Plan(
            action=_action(steps),
            reasoning=conclusion.statement,
            risk=_risk(steps, unsafe.values()),
            blast_radius=tuple(dict.fromkeys(hit for cause in causes for hit in _blast_radius(cause.entity, scene))),
            steps=steps,
            digest="",
        )
    )


def digest(plan: Plan) -> str:
    """Return the hash of everything in a plan but the digest itself."""
    return evidence_id(canonical(plan.model_dump(mode="json", exclude={"digest"})))


def sealed(plan: Plan) -> Plan:
    """Return the plan with the digest of what it says."""
    return plan.model_copy(update={"digest": digest(plan)})


def _unsafe(cause: Cause, scene: Scene, never_roll_back: frozenset[EntityId]) -> str:
    """Return why a change must not simply be rolled back; empty when it may be."""
    if cause.kind is not HypothesisKind.CHANGE or cause.trigger is None:
        return ""
    if forbidden := sorted(never_roll_back & {cause.entity, scene.service_of(cause.entity)}):
        return f"a steering file says never to roll {forbidden[0]} back"
    altered = scene.data_altered_since(cause.trigger)
    return f"it altered how data are kept ({altered}): what ran before may lose or misread them" if altered else ""


def _roll_back_steps(cause: Cause, hands: Iterable[Tool]) -> tuple[Step, ...]:
    tool = next((t for t in hands if t.role is Role.ACT and t.arguments >= {"service", "to_version"}), None)
    facts = cause.trigger.attributes if cause.trigger else {}
    bad, good = facts.get("version"), facts.get("previous_version")
    if tool is None or cause.kind is not HypothesisKind.CHANGE or not bad or not good:
        return ()
    service = cause.entity.removeprefix("service:")
    back = Call(server=tool.server, tool=tool.name, arguments={"service": service, "to_version": good})
    forth = Call(server=tool.server, tool=tool.name, arguments={"service": service, "to_version": bad})
    return (
        Step(
            title="the symptom is still there", phase="prepare", expect=Expectation.SYMPTOM_PERSISTS, safety="read_only"
        ),
        Step(
            title=f"a person agrees that {service} may go from {bad} to {good}",
            phase="pre_validate",
            expect=Expectation.BY_A_PERSON,
            safety="read_only",
        ),
        Step(
            title=f"roll {service} back from {bad} to {good}",
            phase="apply",
            call=back,
            expect=Expectation.SUCCEEDS,
            timeout_seconds=120,
            safety="mutating",
            inverse=forth,
        ),
        Step(title="the symptom is gone", phase="post_validate", expect=Expectation.SYMPTOM_GONE, safety="read_only"),
        Step(
            title=f"if health got worse: bring {service} {bad} back",
            phase="roll_back",
            call=forth,
            expect=Expectation.SUCCEEDS,
            timeout_seconds=120,
            safety="mutating",
            inverse=back,
        ),
    )


def _manual_steps(causes: Sequence[Cause], unsafe: Mapping[EntityId, str]) -> tuple[Step, ...]:
    commands = [_by_hand(cause, unsafe.get(cause.entity, "")) for cause in causes]
    by_hand = (
        Step(title=command, phase="apply", command=command, expect=Expectation.BY_A_PERSON, safety="mutating")
        for command in commands
    )
    return (
        Step(
            title="the symptom is still there", phase="prepare", expect=Expectation.SYMPTOM_PERSISTS, safety="read_only"
        ),
        *by_hand,
        Step(title="the symptom is gone", phase="post_validate", expect=Expectation.SYMPTOM_GONE, safety="read_only"),
    )


def _by_hand(cause: Cause, unsafe: str) -> str:
    if unsafe:
        return f"don't roll {cause.entity} back, {unsafe}; mend it by a new version, or switch off what is new"
    return _BY_HAND[cause.kind].format(entity=cause.entity)


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
