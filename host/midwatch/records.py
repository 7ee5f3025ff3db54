"""What flows through an investigation, in the order in which it comes to exist.

Every value is frozen and goes into the journal as it appears. The set of record types is closed: `BODIES` names
each with its shape, and `midwatch schema` publishes them as JSON Schema.
"""

from enum import StrEnum
from typing import Literal

from pydantic import Field, JsonValue, SkipValidation, model_validator

from midwatch.conclusion_record import Impact, NextCheck, Revision, RuledOut
from midwatch.long_term import Recommendation
from midwatch.runbook_record import Runbook
from midwatch.statements import Statement
from midwatch.triage_record import Triage
from midwatch.watch_record import Watch
from midwatch_kit.records import (
    Citation,
    EntityId,
    Evidence,
    Moment,
    Observation,
    Record,
    Signal,
    TopologyFragment,
    Window,
)


class Severity(StrEnum):
    """How bad an alert says it is."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


class Alert(Record):
    """What a trigger said, whatever sent it; `raw` is the sender's payload, kept whole."""

    id: str
    source: str
    external_id: str
    action: Literal["created", "updated", "resolved"] = "created"
    title: str = Field(max_length=400)
    description: str = Field("", max_length=10_000)
    severity: Severity = Severity.MEDIUM
    service: str
    started_at: Moment
    ended_at: Moment | None = Field(None, description="when it was over, by the sender's clock, where it says so")
    labels: dict[str, str] = Field(default_factory=dict)
    links: tuple[str, ...] = ()
    runbook: str = Field("", description="the name or the address of the runbook that it names")
    raw: SkipValidation[JsonValue] = None


class Status(StrEnum):
    """Where an incident stands."""

    TRIAGING = "triaging"
    INVESTIGATING = "investigating"
    AWAITING_APPROVAL = "awaiting_approval"
    MITIGATING = "mitigating"
    WATCHING = "watching"
    RESOLVED = "resolved"
    LINKED = "linked"
    SKIPPED = "skipped"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Incident(Record):
    """One outage, however many alerts; a later record with a higher `version` replaces an earlier one."""

    id: str
    title: str
    status: Status
    reason: str = Field("", description="why it has this status, when that needs a reason")
    severity: Severity
    service: EntityId
    started_at: Moment
    first_seen: Moment
    symptoms: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    runbook: str = Field("", description="the name or the address of the runbook that its alert names")
    owner: str | None = None
    alerts: tuple[str, ...] = Field((), description="the first of them; how many there are stands in `triage`")
    triage: Triage = Triage()
    version: int = 1


class Scope(Record):
    """What is looked at: the part of the graph that can hurt the symptom, and the two windows to compare.

    `watched` are the subjects that the alert is about, as surveys name them. `onset` is when the symptom itself
    began, with its uncertainty; None when no shift that lasts was found in it.
    """

    symptom: EntityId
    watched: tuple[str, ...] = ("error_rate", "latency_p95", "request_rate")
    window: Window
    baseline: Window
    onset: Moment | None
    onset_earliest: Moment | None = None
    onset_latest: Moment | None = None
    symptoms: tuple[Observation, ...] = ()
    topology: TopologyFragment
    age_seconds: float | None = None
    lookback_seconds: float | None = Field(None, description="how long before the alert the onset was looked for")
    changes_since: Moment | None = Field(None, description="how far back changes are looked for: they may bite late")
    waves: tuple[Window, ...] = Field((), description="when the symptom was bad, where somebody asked for its waves")
    chosen: str = Field("", description="why this is the window, where a person chose it")


class HypothesisKind(StrEnum):
    """Kinds of cause; each maps to a way of mitigating it."""

    CHANGE = "change"
    RESOURCE = "resource"
    DEPENDENCY = "dependency"
    TRAFFIC = "traffic"
    STATE = "state"
    ACCESS = "access"
    PLATFORM = "platform"
    OPERATOR = "operator"


class Hypothesis(Record):
    """A cause that could explain the symptom, with what would confirm it and what would kill it."""

    id: str
    kind: HypothesisKind
    entity: EntityId
    rationale: str
    confirms: str
    refutes: str
    prior: float = Field(gt=0, lt=1)
    trigger: Observation | None = Field(None, description="the change it starts from, if it starts from one")
    by_model: bool = Field(False, description="whether a model named it, and no rule did")


class Steer(Record):
    """What a person told an investigation: a cause to test, noise to leave out, or when to look.

    Noted when it is told, and again, with its effect, by the look that heeded it. It can grant nothing.
    """

    text: str = Field(min_length=1, max_length=1000, description="the person's own words")
    by: str
    kind: HypothesisKind | None = None
    entity: EntityId | None = None
    leave_out: EntityId | None = Field(None, description="whatever is seen of this entity is noise")
    ignore: str | None = Field(None, min_length=3, max_length=200, description="what says this text is noise")
    since: Moment | None = Field(None, description="where the window is to start")
    until: Moment | None = Field(None, description="where the window is to end")
    wave: int | None = Field(None, description="the wave to look at alone: 1 is the first, -1 the latest")
    whole: bool = Field(False, description="takes an earlier choice of a window back")
    at: Moment | None = Field(None, description="when it was told; a wave may have come until then")
    effect: str = ""


class ToolCall(Record):
    """One question to one server; `records` is the id of the typed records that came with the evidence."""

    server: str
    tool: str
    arguments: dict[str, JsonValue]
    evidence: Evidence | None = None
    records: str | None = None
    lines: tuple[str, ...] = ()
    error: str | None = None
    seconds: float = 0.0


class Argument(Record):
    """One independent piece of evidence for or against a hypothesis, and how much it weighs, in log-odds."""

    name: str
    weight: float
    text: str
    observations: tuple[str, ...] = ()
    decisive: bool = False


class Verdict(Record):
    """What became of a hypothesis; `refuted` is what a report lists as ruled out."""

    hypothesis: str
    result: Literal["supported", "refuted", "inconclusive"]
    reason: str
    probability: float = Field(ge=0, le=1)
    arguments: tuple[Argument, ...] = ()
    observations: tuple[str, ...] = ()


class Gap(Record):
    """What could not be looked at, why, and what that may hide."""

    what: str
    why: str
    may_hide: str


class Outcome(StrEnum):
    """How an investigation ended; the last three are honest answers too."""

    ROOT_CAUSE = "root_cause"
    BEST_EFFORT = "best_effort"
    INCONCLUSIVE = "inconclusive"
    NO_INCIDENT = "no_incident"
    BLOCKED = "blocked"


class Limit(StrEnum):
    """What was not there to be looked at, so that nobody is sure of a cause, whatever the rest weighs."""

    CHANGES_UNKNOWN = "changes_unknown"
    SIGNAL_UNREAD = "signal_unread"
    SYMPTOM_UNMEASURED = "symptom_unmeasured"
    CALLEES_UNMEASURED = "callees_unmeasured"
    TRACES_UNDECIDED = "traces_undecided"
    ONLY_READ = "only_read"
    HOUSE_RULE = "house_rule"


class Cause(Record):
    """One cause: what, since when, how sure, and how it reaches the symptom."""

    entity: EntityId
    kind: HypothesisKind
    statement: str
    onset: Moment | None
    confidence: float = Field(ge=0, le=1)
    limited_by: Limit | None = Field(default=None, description="what keeps the confidence below a bound, if anything")
    path: tuple[EntityId, ...]
    supports: tuple[str, ...]
    contradicts: tuple[str, ...] = ()
    trigger: Observation | None = None
    hypothesis: str


class Conclusion(Record):
    """What the evidence says; claims without evidence never get here.

    A further look that comes to another outcome, cause or confidence makes a new version.
    """

    outcome: Outcome
    statement: str
    root_causes: tuple[Cause, ...] = ()
    contributing: tuple[Cause, ...] = ()
    ruled_out: tuple[RuledOut, ...] = ()
    gaps: tuple[Gap, ...] = ()
    next_checks: tuple[NextCheck, ...] = ()
    impact: Impact | None = None
    version: int = Field(1, ge=1)
    revision: Revision | None = Field(None, description="what came of looking again; none for the first look")


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


class Budget(Record):
    """What an investigation has spent, and what it may spend."""

    seconds: float
    seconds_allowed: float
    tool_calls: int
    tool_calls_allowed: int
    tokens: int = 0
    money_usd: float = 0.0


class ModelCall(Record):
    """One call of a model: what it took and cost, and how it ended; `error` is why there was no answer.

    What a `question` cost comes out of the question's own purse, and not out of that of the investigation.
    """

    model: str
    purpose: Literal["investigation", "question"] = "investigation"
    input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    seconds: float = 0.0
    stop: str = ""
    error: str = ""

    @property
    def tokens(self) -> int:
        """All tokens that were sent and received."""
        return self.input_tokens + self.cache_write_tokens + self.cache_read_tokens + self.output_tokens


class Report(Record):
    """The end of an investigation: the packet, as text, and what was done."""

    outcome: Outcome
    mitigated: bool
    packet: str


class Message(Record):
    """Something said in an investigation; `evidence` is the document that it speaks of, `statements` an answer's."""

    text: str
    evidence: str | None = None
    statements: tuple[Statement, ...] = ()


class NamedCause(Record):
    """A cause by its kind and place, and by the id of the change where it is one of several there."""

    kind: HypothesisKind
    entity: EntityId
    change: str = ""


class Feedback(Record):
    """What a person said the cause really was; without a cause, that there was no incident. The latest counts."""

    causes: tuple[NamedCause, ...] = ()
    note: str = Field("", max_length=2000)
    by: str = Field(min_length=1, max_length=200)


RecordType = Literal[
    "incident", "topology", "hypothesis", "tool_call", "observation", "verdict", "gap", "steer", "conclusion",
    "plan", "decision", "action", "health", "message", "budget", "report", "recommendation", "feedback", "model_call",
    "runbook", "watch",
]  # fmt: skip

BODIES: dict[RecordType, type[Record]] = {
    "incident": Incident,
    "topology": Scope,
    "hypothesis": Hypothesis,
    "tool_call": ToolCall,
    "observation": Observation,
    "verdict": Verdict,
    "gap": Gap,
    "steer": Steer,
    "conclusion": Conclusion,
    "plan": Plan,
    "decision": Decision,
    "action": Action,
    "health": Health,
    "message": Message,
    "budget": Budget,
    "report": Report,
    "recommendation": Recommendation,
    "feedback": Feedback,
    "model_call": ModelCall,
    "runbook": Runbook,
    "watch": Watch,
}
