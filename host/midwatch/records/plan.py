"""What to do about it, who decided that, what was done, and whether it helped."""

from enum import StrEnum
from typing import Literal

from pydantic import Field, JsonValue, model_validator

from midwatch_kit.records import Citation, EntityId, Record, Signal, Window


class Call(Record):
    """A tool call that a plan's step makes."""

    server: str
    tool: str
    arguments: dict[str, JsonValue]


Phase = Literal["prepare", "pre_validate", "apply", "post_validate", "roll_back"]


class Expectation(StrEnum):
    """What code can check after a step."""

    SUCCEEDS = "succeeds"
    SYMPTOM_PERSISTS = "symptom_persists"
    SYMPTOM_GONE = "symptom_gone"
    HOLDS = "holds"
    BY_A_PERSON = "by_a_person"


Comparison = Literal["normal", "unusual", "present", "absent", "at_most", "at_least", "equals"]


class Condition(Record):
    """What code can look up: how a figure stands, whether a message still comes, which version runs.

    `subject` is what surveys call it (`error_rate`, `error_origin`, a metric); for `present` and `absent` a message, as
    surveys tell it; for `equals` it is `version`, told by whoever knows the changes. `normal` and `unusual` are beside
    the incident's baseline; a value is in the unit that the survey tells it in.
    """

    entity: EntityId
    signal: Signal
    subject: str = Field(min_length=1, max_length=300)
    comparison: Comparison
    value: float | str | None = None

    @model_validator(mode="after")
    def _can_be_compared(self) -> "Condition":
        wanted = {"at_most": float, "at_least": float, "equals": str}.get(self.comparison, type(None))
        if not isinstance(self.value, wanted):
            raise ValueError(f"{self.comparison} needs {'no value' if wanted is type(None) else wanted.__name__}")
        if self.comparison == "equals" and (self.subject, self.signal) != ("version", Signal.CHANGES):
            raise ValueError("only a version can be compared with equals, and only changes tell it")
        return self

    @property
    def said(self) -> str:
        """The condition in words."""
        if self.comparison == "equals":
            return f"{self.entity} runs {self.value}"
        if self.comparison in ("present", "absent"):
            says = "still say" if self.comparison == "present" else "no longer say"
            return f"{self.signal} of {self.entity} {says}: {self.subject}"
        value = "" if self.value is None else f" {self.value:g}" if isinstance(self.value, float) else f" {self.value}"
        return f"{self.subject} of {self.entity} is {self.comparison.replace('_', ' ')}{value}"


class Step(Record):
    """One step: a tool call or a command for a person, what to expect of it, and how to take it back.

    `condition` is what `holds` expects. `by` is who proposed it; a model's step says why, and cites what says so.
    """

    title: str
    phase: Phase
    call: Call | None = None
    command: str | None = None
    expect: Expectation
    timeout_seconds: float = 30.0
    safety: Literal["read_only", "mutating", "destructive"]
    inverse: Call | None = None
    condition: Condition | None = None
    reason: str = ""
    cites: tuple[Citation, ...] = ()
    by: Literal["code", "model"] = "code"


class Plan(Record):
    """What to do about it, as a whole; what was approved (the digest) is what runs."""

    action: str
    reasoning: str
    risk: str
    blast_radius: tuple[EntityId, ...] = ()
    steps: tuple[Step, ...] = ()
    digest: str

    @property
    def by_a_model(self) -> bool:
        """Whether a model proposed any of it: then a person has to say yes, no rule can."""
        return any(step.by == "model" for step in self.steps)


class Decision(Record):
    """A yes or a no to a plan's digest, by a person or by a rule."""

    digest: str
    approved: bool
    by: str
    reason: str
    rule: bool = Field(False, description="whether nobody was asked: a rule that a person set decided")

    @property
    def said(self) -> str:
        """What was decided, by whom if it was anybody, and why."""
        who = f" by {self.by}" if self.by != "nobody" else ""
        return f"{'Approved' if self.approved else 'Not approved'}{who}: {self.reason}"


ActionOutcome = Literal["begun", "done", "failed", "unknown", "skipped", "undone", "for_a_person"]


class Action(Record):
    """A step that ran, and how it went; `unknown` when the answer was lost, so that only health can tell.

    `begun` is on record before the call is made, and is followed by how it went.
    """

    step: str
    phase: Phase
    call: Call | None = None
    outcome: ActionOutcome
    detail: str
    evidence: str | None = None


class Health(Record):
    """The symptom's own figures over one window: how midwatch tells better from worse."""

    when: Literal["before", "after", "at_the_end"]
    window: Window
    healthy: bool
    requests: int
    errors: int
    latency_p95_ms: float | None = None
    statement: str
    evidence: tuple[str, ...] = ()
