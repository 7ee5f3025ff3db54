"""What the evidence says, with what died, what was hit, what is new and what to look at next."""

from enum import StrEnum

from pydantic import Field

from midwatch.records.call import Gap
from midwatch.records.hypothesis import HypothesisKind
from midwatch_kit.records import EntityId, Moment, Observation, Record


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


class RuledOut(Record):
    """A hypothesis that died, and of what."""

    hypothesis: str
    statement: str
    reason: str
    observations: tuple[str, ...]


class NextCheck(Record):
    """A look that would tell rivals apart."""

    what: str
    why: str
    cost: str


class Impact(Record):
    """What was hit, how much, since when, and how that was measured."""

    statement: str
    observations: tuple[str, ...] = ()


class Difference(Record):
    """One thing that is not as it was; `because` are the arguments that made the difference, where there are any."""

    what: str
    was: str
    now: str
    because: tuple[str, ...] = ()


class Revision(Record):
    """How a further look's conclusion differs from version `of`, and what people said since; no change, no version."""

    of: int
    steers: tuple[str, ...]
    changes: tuple[Difference, ...] = ()


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


class Report(Record):
    """The end of an investigation: the packet, as text, and what was done."""

    outcome: Outcome
    mitigated: bool
    packet: str
