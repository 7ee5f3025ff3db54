"""What is told: an incident as it stands, and its turning points. A pure reading of the journal, the same everywhere.

Secrets and personal data are masked here, once for everybody; each place escapes the rest in its own way.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from textwrap import shorten
from typing import Final, TypeVar

from pydantic import Field

from midwatch.channels.origins import Origin
from midwatch.mitigation.approvals import told_of
from midwatch.reading.packet import WHY_LIMITED
from midwatch.records import (
    Action,
    Cause,
    Conclusion,
    Decision,
    Health,
    Incident,
    Plan,
    RecordType,
    Severity,
    Status,
    Step,
    Verdict,
)
from midwatch.settings.channels import Stage
from midwatch.storage.journal import Entry, Journal
from midwatch.storage.privacy import hidden
from midwatch_kit.records import EntityId, Moment, Record

READ: Final[tuple[RecordType, ...]] = ("incident", "conclusion", "verdict", "plan", "decision", "action", "health")
"""The types of record that a notice is made of."""
_CLOSED: Final = {Status.LINKED: "linked to another incident", Status.SKIPPED: "skipped", Status.CANCELLED: "cancelled"}
_MOST: Final = 6
_LONG: Final = 400
_BRIEF: Final = 180
ValueT = TypeVar("ValueT", bound=Record)


class Point(Record):
    """A turning point: `key` is its own within the incident, and the same whenever the journal is read."""

    key: str
    stage: Stage
    at: Moment
    text: str


class CauseTold(Record):
    """A root cause, in words."""

    text: str
    path: str
    confidence: float
    because: tuple[str, ...] = ()
    limited: str = ""


class PlanTold(Record):
    """A plan, in words; `waits` while a person has to decide on it."""

    digest: str
    action: str
    reasoning: str
    risk: str
    touches: str
    steps: tuple[str, ...] = ()
    waits: bool = False
    decided: str = ""
    done: tuple[str, ...] = ()


class Notice(Record):
    """An incident as it stands; texts are masked, and are still foreign: each place has to escape them."""

    incident: str
    title: str
    service: EntityId
    severity: Severity
    status: Status
    reason: str = ""
    owner: str = ""
    started_at: Moment
    alerts: int
    outcome: str = ""
    conclusion: str = ""
    causes: tuple[CauseTold, ...] = ()
    ruled_out: tuple[str, ...] = ()
    impact: str = ""
    gaps: tuple[str, ...] = ()
    next_checks: tuple[str, ...] = ()
    plan: PlanTold | None = None
    health: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    points: tuple[Point, ...] = ()
    origins: tuple[Origin, ...] = Field((), description="where its alerts came from: who may be answered there")

    @property
    def stage(self) -> Stage:
        """The latest turning point's."""
        return self.points[-1].stage if self.points else "opened"

    @property
    def over(self) -> bool:
        """Whether nothing more is to come, unless the incident is opened again."""
        return self.status in (Status.RESOLVED, Status.FAILED, *_CLOSED)

    @property
    def headline(self) -> str:
        """Where it stands, in a line."""
        return HEADLINES[self.stage]


HEADLINES: Final[dict[Stage, str]] = {
    "opened": "under investigation",
    "concluded": "concluded",
    "waits": "a plan waits for approval",
    "decided": "the plan was decided on",
    "acted": "the plan was carried out",
    "recovered": "recovered",
    "reopened": "it came back",
    "failed": "the investigation failed",
    "closed": "closed",
}


def notice_of(journal: Journal, investigation: str, origins: Sequence[Origin] = ()) -> Notice | None:
    """Return an incident as it stands, for people; None when the journal has none of that id."""
    entries = sorted(_entries(journal, investigation), key=lambda entry: entry.seq)
    incident = max(_of(entries, Incident), key=lambda each: each.version, default=None)
    if incident is None:
        return None
    conclusion = _last(_of(entries, Conclusion))
    told = {} if conclusion is None else _concluded(conclusion, _of(entries, Verdict))
    return Notice(
        incident=incident.id,
        title=_masked(incident.title),
        service=incident.service,
        severity=incident.severity,
        status=incident.status,
        reason=_masked(incident.reason),
        owner=incident.owner or "",
        started_at=incident.started_at,
        alerts=len(incident.alerts),
        plan=_plan(entries, incident),
        health=tuple(_health(_of(entries, Health))),
        links=incident.links[:_MOST],
        points=tuple(points(entries)),
        origins=tuple(origins),
        **told,
    )


def points(entries: Iterable[Entry]) -> list[Point]:
    """Return the turning points of one incident, in order, from its records in order."""
    turns = _Turns()
    for entry in entries:
        turns.hear(entry)
    return turns.points


@dataclass
class _Turns:
    """Turning points, while records are read one after the other."""

    points: list[Point] = field(default_factory=list)
    _status: Status | None = None
    _plan: Plan | None = None
    _known: set[str] = field(default_factory=set)
    _rounds: int = 0
    _back: bool = False

    def hear(self, entry: Entry) -> None:
        match entry.value():
            case Incident() as incident:
                self._incident(entry.at, incident)
            case Conclusion() as conclusion:
                self._back = False
                said = f"Concluded ({outcome_said(conclusion)}): {_masked(conclusion.statement)}"
                self._turn(f"concluded:{conclusion.version}", "concluded", entry.at, said)
            case Plan() as plan:
                self._plan = plan
            case Decision() as decision:
                self._turn(f"decided:{decision.digest[:16]}", "decided", entry.at, _masked(decision.said))
            case Action(phase="apply" | "roll_back") as action if action.outcome not in ("begun", "skipped"):
                said = _masked(f"{action.outcome.replace('_', ' ')}: {action.step}")
                self._turn(f"acted:{entry.key[:80]}:{action.outcome}", "acted", entry.at, said)
            case _:
                pass

    def _incident(self, at: datetime, incident: Incident) -> None:
        before, self._status = self._status, incident.status
        why = f": {_masked(incident.reason)}" if incident.reason else ""
        if before is None:
            self._turn("opened", "opened", at, f"Opened: {_masked(incident.title)}")
        if before is incident.status:
            return
        if incident.status is Status.AWAITING_APPROVAL and self._plan:
            said = f"Waits for approval: {_masked(self._plan.action)} (plan {self._plan.digest[:12]})"
            self._turn(f"waits:{self._plan.digest[:16]}", "waits", at, said)
        elif incident.status is Status.RESOLVED:
            self._rounds, self._back = self._rounds + 1, False
            self._turn(f"recovered:{self._rounds}", "recovered", at, f"Recovered{why}")
        elif incident.status not in _CLOSED and self._is_back(before, incident):
            self._back = True
            self._turn(f"reopened:{incident.version}", "reopened", at, f"It came back{why}")
        elif incident.status is Status.FAILED:
            self._turn(f"failed:{incident.version}", "failed", at, f"The investigation failed{why}")
        elif incident.status in _CLOSED:
            self._turn(f"closed:{incident.version}", "closed", at, f"Closed, {_CLOSED[incident.status]}{why}")

    def _is_back(self, before: Status | None, incident: Incident) -> bool:
        """Whether the symptom returned: after it was resolved, or while it was watched; said once for each return."""
        again = before is Status.WATCHING and incident.status is Status.INVESTIGATING and bool(incident.reason)
        return not self._back and (before is Status.RESOLVED or again)

    def _turn(self, key: str, stage: Stage, at: datetime, text: str) -> None:
        if key not in self._known:
            self._known.add(key)
            self.points.append(Point(key=key, stage=stage, at=at, text=shorten(text, _LONG, placeholder=" …")))


def outcome_said(conclusion: Conclusion) -> str:
    """Return how an investigation ended, with the confidence if it names a cause."""
    sure = f", {conclusion.root_causes[0].confidence:.2f}" if conclusion.root_causes else ""
    return f"{conclusion.outcome.replace('_', ' ')}{sure}"


def _concluded(conclusion: Conclusion, verdicts: Sequence[Verdict]) -> dict[str, object]:
    gaps = {f"{gap.what}: {gap.why}": None for gap in conclusion.gaps}
    return {
        "outcome": outcome_said(conclusion),
        "conclusion": _masked(conclusion.statement),
        "causes": tuple(_cause(cause, verdicts) for cause in conclusion.root_causes[:_MOST]),
        "ruled_out": tuple(_short(_masked(f"{out.statement}: {out.reason}")) for out in conclusion.ruled_out[:_MOST]),
        "impact": _masked(conclusion.impact.statement) if conclusion.impact else "",
        "gaps": tuple(map(_masked, [*gaps][:_MOST])),
        "next_checks": tuple(_masked(f"{check.what} ({check.cost})") for check in conclusion.next_checks[:_MOST]),
    }


def _cause(cause: Cause, verdicts: Sequence[Verdict]) -> CauseTold:
    verdict = _last([each for each in verdicts if each.hypothesis == cause.hypothesis])
    because = sorted(verdict.arguments, key=lambda a: -a.weight)[:_MOST] if verdict else []
    trigger = f" — {cause.trigger.statement}" if cause.trigger else ""
    return CauseTold(
        text=_masked(f"{cause.kind} at {cause.entity}{trigger}"),
        path=" → ".join(cause.path),
        confidence=cause.confidence,
        because=tuple(_masked(argument.text) for argument in because),
        limited=WHY_LIMITED[cause.limited_by] if cause.limited_by else "",
    )


def _plan(entries: Sequence[Entry], incident: Incident) -> PlanTold | None:
    plan = _last(_of(entries, Plan))
    if plan is None:
        return None
    decision = _last([each for each in _of(entries, Decision) if each.digest == plan.digest])
    latest = {action.step: action for action in _of(entries, Action)}
    return PlanTold(
        digest=plan.digest,
        action=_masked(plan.action),
        reasoning=_masked(plan.reasoning),
        risk=_masked(plan.risk),
        touches=", ".join(plan.blast_radius),
        steps=tuple(_masked(_step(step)) for step in plan.steps),
        waits=bool(plan.steps) and decision is None and incident.status is Status.AWAITING_APPROVAL,
        decided=_masked(decision.said) if decision else "",
        done=tuple(_masked(f"{a.outcome.replace('_', ' ')}: {a.step}") for a in latest.values()),
    )


def _step(step: Step) -> str:
    undo = f" (undo: {step.inverse.tool} {step.inverse.arguments})" if step.inverse and step.phase == "apply" else ""
    call = f" [{step.call.server}.{step.call.tool} {step.call.arguments}]" if step.call else ""
    more = "".join(f"; {name}: {text}" for name, text in told_of(step).items())
    whose = ", a model proposes it" if step.by == "model" else ""
    return f"{step.phase.replace('_', ' ')}: {step.title}{call}{undo}{more} ({step.safety.replace('_', ' ')}{whose})"


def _health(looks: Sequence[Health]) -> Iterator[str]:
    before = next((look for look in looks if look.when == "before"), None)
    after = next((look for look in reversed(looks) if look.when != "before"), None)
    for name, look in (("before", before), ("after", after)):
        if look:
            yield _masked(f"{name}: {look.errors} of {look.requests} requests failed; {look.statement}")


def _entries(journal: Journal, investigation: str) -> Iterator[Entry]:
    for kind in READ:
        yield from journal.entries(investigation, kind=kind)


def _of(entries: Iterable[Entry], shape: type[ValueT]) -> list[ValueT]:
    return [value for entry in entries if isinstance(value := entry.value(), shape)]


def _last(values: Sequence[ValueT]) -> ValueT | None:
    return values[-1] if values else None


def _masked(text: str) -> str:
    return hidden(text)


def _short(text: str) -> str:
    """Return as much of a text as tells what it is about: `midwatch report` has all of it."""
    return shorten(text, _BRIEF, placeholder=" …")
