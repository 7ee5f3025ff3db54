"""What a model proposes for a plan, let in only as far as code can vouch for it: nobody's word is taken for a step.

A call must be of a tool that the gate could call, with arguments that fit its schema, name what the plan is about and
hold nothing that no change on record holds; and it must come with a call that takes it back. A command must be one of
few, word by word, or plain words. What is destructive, and what a team keeps from rolling back, never gets in.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal

from jsonschema import Draft202012Validator, SchemaError, ValidationError
from pydantic import JsonValue
from referencing import Registry
from referencing.exceptions import Unresolvable

from midwatch.builtin.commands import fault_of_command, rolls_back
from midwatch.builtin.planning import acting_step, by_hand_step, condition_step, sealed, unsafe
from midwatch.builtin.scene import Scene
from midwatch.mcp_client.toolbox import Tool
from midwatch.records import Call, Conclusion, Condition, Plan, Step
from midwatch_kit.records import Citation, EntityId, ObservationKind

_DESTROYS: Final = re.compile(
    r"delete|drop|purge|destroy|wipe|truncate|terminate|remove|kill|format|reset|erase|flush|uninstall", re.IGNORECASE
)
_FIGURES: Final = frozenset({"error_rate", "latency_p95", "request_rate", "error_origin"})
_ON_RECORD: Final = ("version", "previous_version", "change_id", "revision", "object", "workload", "namespace")
_SHORTEST: Final = 6
_LONGEST: Final = 300

ProposedPhase = Literal["pre_validate", "apply", "post_validate"]


@dataclass(frozen=True)
class Proposed:
    """One step as a model proposes it, with what it cites for it: a call and its undo, a command, or a condition."""

    why: str
    cites: tuple[Citation, ...]
    phase: ProposedPhase = "apply"
    call: Call | None = None
    undo: Call | None = None
    command: str = ""
    condition: Condition | None = None


@dataclass
class Admission:
    """Who decides what gets in: the conclusion and the scene that a plan is about, and the tools that the gate holds.

    `kept` are the entities that a team says never to roll back; `forbidden` says why a tool is not to be called.
    """

    conclusion: Conclusion
    scene: Scene
    hands: tuple[Tool, ...]
    kept: frozenset[EntityId] = frozenset()
    forbidden: Callable[[str, str], str] = lambda _server, _tool: ""
    steps: list[Step] = field(default_factory=list)

    def admit(self, proposed: Proposed) -> str:
        """Let a step in, or return why not; '' when it is in as it was proposed."""
        if proposed.condition is not None:
            return self._admit_condition(proposed, proposed.condition)
        if proposed.phase != "apply":
            return "before and after, only conditions are looked up"
        return self._admit_call(proposed, proposed.call) if proposed.call else self._admit_command(proposed)

    def _admit_condition(self, proposed: Proposed, condition: Condition) -> str:
        if proposed.phase == "apply":
            return "a condition is looked up before or after, in pre_validate or post_validate"
        if condition.entity not in self._entities:
            return f"{condition.entity} is not what this plan is about: {self._named}"
        if condition.comparison == "equals" and condition.value not in self._on_record:
            return f"no change on record has the version {condition.value!r}"
        if condition.comparison in ("present", "absent") and not self._was_said(condition.subject):
            return "no error or message that was seen says this text"
        figures = _FIGURES | {o.subject for o in self.scene.observations if o.signal is condition.signal}
        if condition.comparison not in ("equals", "present", "absent") and condition.subject not in figures:
            return f"{condition.subject!r} is no figure that a survey of {condition.signal} told"
        self._let_in(condition_step(proposed.phase, condition), proposed)
        return ""

    def _admit_command(self, proposed: Proposed) -> str:
        command = " ".join(proposed.command.split())[:_LONGEST]
        if fault := fault_of_command(command, self._names, self._on_record, self._strangers):
            return fault
        if rolls_back(command) and (why := self._kept_from_rolling_back(command)):
            return why
        self._let_in(by_hand_step("apply", command, command), proposed)
        return ""

    def _admit_call(self, proposed: Proposed, call: Call) -> str:
        if fault := self._fault_of(call):
            return fault
        if any(step.call for step in self.steps):
            return "a plan makes one call: with two, health could not tell which of them helped"
        why_not = self._fault_of(proposed.undo) if proposed.undo else "no call was named that takes it back"
        if proposed.undo and not why_not:
            why_not = self._not_its_undo(call, proposed.undo)
        if why_not or proposed.undo is None:
            words = f"call {called(call)} by hand; midwatch will not, for {why_not}"
            self._let_in(by_hand_step("apply", words[:_LONGEST], words), proposed)
            return f"left to a person, for {why_not}"
        self._let_in(acting_step("apply", called(call), call, proposed.undo), proposed)
        return ""

    def _fault_of(self, call: Call) -> str:
        """Return why a call cannot be vouched for; '' when it can."""
        tool = next((t for t in self.hands if (t.server, t.name) == (call.server, call.tool)), None)
        if tool is None or tool.barred or tool.read_only:
            return f"there is no writing tool {call.server}.{call.tool}"
        if no := self.forbidden(tool.server, tool.name):
            return no
        if tool.destructive or _DESTROYS.search(tool.name):
            return f"{tool.name} destroys, and what is destructive never runs"
        if fault := _misfit(call, tool):
            return f"the arguments do not fit {tool.name}: {fault[:160]}"
        return self._fault_of_arguments(call, tool)

    def _fault_of_arguments(self, call: Call, tool: Tool) -> str:
        values = [*_values(call.arguments)]
        known = self._names | self._on_record | (_choices(dict(tool.schema)) - self._strangers)
        for value in values:
            if isinstance(value, str) and value not in known:
                return f"nothing on record that this plan is about is called {value[:60]!r}: {self._named}"
            if isinstance(value, int | float) and not isinstance(value, bool) and value <= 0:
                return f"{value} is none: that would take away what is there"
        named = {value for value in values if isinstance(value, str)} & self._names
        if not named:
            return f"it names nothing that this plan is about: {self._named}"
        return self._kept_from_rolling_back(" ".join(named))

    def _not_its_undo(self, call: Call, undo: Call) -> str:
        if undo == call:
            return "what is to take it back is the same call again"
        mine, others = ({v for v in _values(c.arguments) if isinstance(v, str)} & self._names for c in (call, undo))
        return "" if mine == others else "what is to take it back is about something else"

    def _kept_from_rolling_back(self, text: str) -> str:
        """Return why what a text names must not be rolled back, nor touched by a tool that might; '' if it may."""
        words = set(re.findall(r"[\w.:@-]+", text))
        for entity in sorted(self.kept):
            if words & {entity, _bare(entity)}:
                return f"a steering file says never to roll {entity} back"
        for cause in self.conclusion.root_causes:
            own = (cause.entity, self.scene.service_of(cause.entity))
            named = words & {name for entity in own for name in (entity, _bare(entity))}
            if named and (why := unsafe(cause, self.scene, self.kept)):
                return why
        return ""

    def _was_said(self, text: str) -> bool:
        told = (f"{o.statement} {' '.join(o.attributes.values())}" for o in self.scene.anomalies)
        return len(text) >= _SHORTEST and any(text in each for each in told)

    def _let_in(self, step: Step, proposed: Proposed) -> None:
        said = {"by": "model", "reason": proposed.why[:_LONGEST], "cites": proposed.cites}
        self.steps.append(step.model_copy(update=said))

    @cached_property
    def _entities(self) -> frozenset[EntityId]:
        """What a plan may touch: the causes, those on their paths, and those whom they hurt, with their instances."""
        near = {entity for cause in self.conclusion.root_causes for entity in (cause.entity, *cause.path)}
        known = self.scene.topology
        hurt = {hit for entity in near if entity in known for hit in known.blast_radius(entity)}
        return frozenset(member for entity in near | hurt for member in self.scene.members(entity))

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(name for entity in self._entities for name in (entity, _bare(entity)))

    @cached_property
    def _strangers(self) -> frozenset[str]:
        """Names of what is known and is no part of this."""
        return frozenset(_bare(entity.id) for entity in self.scene.scope.topology.entities) - self._names

    @cached_property
    def _on_record(self) -> frozenset[str]:
        """Versions, changes and objects that are on record for what the plan may touch."""
        about = [o for o in self.scene.observations if o.entity in self._entities]
        told = [o for o in about if o.kind in (ObservationKind.CHANGE, ObservationKind.MISMATCH)]
        values = {o.attributes[name] for o in told for name in _ON_RECORD if o.attributes.get(name)}
        return frozenset(values | {part for value in values for part in re.split(r"[ /@]", value) if part})

    @property
    def _named(self) -> str:
        return f"it is about {', '.join(sorted(map(_bare, self._entities))[:8])}"


def with_proposed(plan: Plan, steps: Iterable[Step]) -> Plan:
    """Return a plan that was left to a person with a model's steps in it, sealed anew.

    A call takes the place of what a person would do, and its undo that of how they would take it back.
    """
    every = [*steps]
    if not every or not plan.steps or any(step.call for step in plan.steps):
        return plan
    calls = [step for step in every if step.call and step.inverse]
    undo = [
        acting_step("roll_back", f"if health got worse: {called(step.inverse)}", step.inverse, step.call).model_copy(
            update={"by": "model", "reason": f"it takes back {called(step.call)}"}
        )
        for step in calls
        if step.call and step.inverse
    ]
    own = [step for step in plan.steps if not (calls and step.phase in ("apply", "roll_back"))]
    offered = calls or [step for step in every if step.phase == "apply"]
    both = [*own, *(step for step in every if step.phase != "apply"), *offered, *undo]
    phases = ("prepare", "pre_validate", "apply", "post_validate", "roll_back")
    ordered = sorted(
        {step.title: step for step in reversed(both)}.values(), key=lambda s: (phases.index(s.phase), both.index(s))
    )
    action = "; then ".join(step.title for step in ordered if step.phase == "apply")
    risk = "a model proposes the call, and another takes it back; read both" if calls else plan.risk
    return sealed(plan.model_copy(update={"steps": tuple(ordered), "action": action, "risk": risk}))


def called(call: Call) -> str:
    """Return a call in words, with every argument."""
    given = ", ".join(f"{name}={json.dumps(value)}" for name, value in sorted(call.arguments.items()))
    return f"{call.server}.{call.tool}({given})"


def _values(value: JsonValue | Mapping[str, JsonValue]) -> Iterator[str | int | float | bool | None]:
    """Yield every value in a value that is no list and no object."""
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _values(each)
    elif isinstance(value, list):
        for each in value:
            yield from _values(each)
    else:
        yield value


def _misfit(call: Call, tool: Tool) -> str:
    """Return what of a call's arguments the tool's schema does not take; what it refers to elsewhere is not fetched."""
    if unknown := sorted(call.arguments.keys() - tool.arguments):
        return f"there is no {unknown[0]}"
    try:
        Draft202012Validator(dict(tool.schema), registry=Registry()).validate(call.arguments)
    except (ValidationError, SchemaError) as error:
        return error.message
    except (Unresolvable, RecursionError, ValueError):
        return "its schema cannot be used"
    return ""


def _choices(schema: JsonValue) -> frozenset[str]:
    """Return the values that a schema lists for somebody to choose from."""
    if isinstance(schema, list):
        return frozenset(choice for each in schema for choice in _choices(each))
    if not isinstance(schema, dict):
        return frozenset()
    listed = schema.get("enum")
    own = [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
    return frozenset([*own, *(choice for each in schema.values() for choice in _choices(each))])


def _bare(entity: EntityId) -> str:
    return entity.partition(":")[2] or entity
