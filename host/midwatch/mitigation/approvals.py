"""Ways of getting a person's yes or no to a plan: at the terminal, or through the journal from anywhere else.

A plan is approved as a whole, by its digest. No answer in time is a no.
"""

import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import anyio
from rich.console import Console

from midwatch.clocks import steady
from midwatch.errors import HostError
from midwatch.records import Decision, Incident, Plan, RecordType, Step
from midwatch.storage.journal import Entry, Journal

if sys.platform != "win32":
    import termios

_LOOK_EVERY = 0.5
_LATE = ":late"
_SLACK_SECONDS = 5.0
"""What the clocks of two machines may differ by."""
_BOTH: tuple[RecordType, ...] = ("plan", "decision")


@dataclass(frozen=True)
class AtTheTerminal:
    """Shows the plan and asks whoever sits there; with CI=true in the environment it says yes by that rule.

    No rule approves what cannot be undone, nor what a model proposed: then somebody has to be asked.
    """

    console: Console
    seconds: float = 3600.0

    async def decide(self, incident: Incident, plan: Plan) -> Decision:
        """Return the decision; a terminal that is not interactive says no."""
        self.console.print(plan_text(plan), highlight=False, markup=False)
        if os.environ.get("CI", "").casefold() == "true" and can_be_undone(plan) and not plan.by_a_model:
            reason = "approved by the rule that CI=true sets"
            return Decision(digest=plan.digest, approved=True, by="CI=true", reason=reason, rule=True)
        if not self.console.is_interactive or not sys.stdin.isatty():
            return Decision(digest=plan.digest, approved=False, by="nobody", reason="no terminal to ask at")
        if sys.platform != "win32":
            termios.tcflush(sys.stdin, termios.TCIFLUSH)  # what was typed before the question is no answer to it
        self.console.print(f"Run plan {plan.digest[:12]} as a whole? (y/n) ", end="", highlight=False)
        until = steady() + self.seconds
        answer = await _typed_line(self.seconds)
        if answer is None or steady() >= until:
            return _unanswered(plan, self.seconds)
        yes = answer.strip().casefold() in ("y", "yes")
        return Decision(digest=plan.digest, approved=yes, by="person at the terminal", reason="asked and answered")


@dataclass(frozen=True)
class ThroughTheJournal:
    """Waits until `midwatch approve` or `midwatch reject` has put a decision into the journal."""

    journal: Journal
    seconds: float

    async def decide(self, incident: Incident, plan: Plan) -> Decision:
        """Return the decision that somebody puts on record, or a no when nobody does in time.

        Time goes on while the host is stopped: what was decided meanwhile comes too late if the time is over by then.
        """
        until = steady() + self.seconds
        while (left := until - steady()) > 0:
            if decision := self.journal.recall(incident.id, "decision", plan.digest, Decision):
                return decision
            await anyio.sleep(min(_LOOK_EVERY, left))
        return _unanswered(plan, self.seconds)


class Resting(Exception):
    """Raised when an investigation has nothing to do until somebody decides: it goes on from the journal then."""


@dataclass(frozen=True)
class InTheirOwnTime:
    """Lets an investigation rest until a decision is on record, so that waiting takes no place, and no process.

    `patience` is counted from when the plan came on record.
    """

    journal: Journal
    patience: timedelta

    async def decide(self, incident: Incident, plan: Plan) -> Decision:
        """Return the decision on record, or a no when nobody made one in time; raises `Resting` until then."""
        if decision := self.journal.recall(incident.id, "decision", plan.digest, Decision):
            return decision
        noted = [entry.at for entry in self.journal.entries(incident.id, kind="plan")]
        if datetime.now(UTC) - noted[-1] >= self.patience:
            return _unanswered(plan, self.patience.total_seconds())
        raise Resting


def decide_by_name(
    journal: Journal,
    investigation: str,
    digest: str,
    *,
    approved: bool,
    by: str,
    reason: str = "said at the command line",
) -> Decision:
    """Put a person's decision on record; `digest` may be shortened to its first eight digits or more.

    Raises `HostError` when it is not the digest of the plan that waits.
    """
    plans = journal.values(investigation, Plan)
    if not plans or len(digest) < 8 or not plans[-1].digest.startswith(digest):
        waiting = plans[-1].digest[:12] if plans else "none"
        raise HostError(f"{digest!r} is not the digest of the plan that waits ({waiting}): read the plan again")
    decision = Decision(digest=plans[-1].digest, approved=approved, by=by, reason=reason)
    return journal.note(investigation, "decision", plans[-1].digest, decision, by)


def decided_in_time(journal: Journal, investigation: str, plan: Plan, seconds: float) -> Decision | None:
    """Return the decision on a plan, if there is one; a yes of after the time that the plan waits becomes a no.

    Time is counted from when the plan came on record, as the journal has it.
    """
    decided = decision_on(journal, investigation, plan)
    at = {e.type: e.at for kind in _BOTH for e in journal.entries(investigation, kind=kind) if _of(e, plan)}
    if decided and decided.approved and (at["decision"] - at["plan"]).total_seconds() > seconds + _SLACK_SECONDS:
        return too_late(journal, investigation, plan, seconds)
    return decided


def too_late(journal: Journal, investigation: str, plan: Plan, seconds: float) -> Decision:
    """Put on record that a plan was approved only when its time was over, and return that no."""
    reason = f"it was approved, but only after the {seconds:g} s that it waited for an answer"
    late = Decision(digest=plan.digest, approved=False, by="nobody", reason=reason)
    return journal.note(investigation, "decision", f"{plan.digest}{_LATE}", late)


def decision_on(journal: Journal, investigation: str, plan: Plan) -> Decision | None:
    """Return the decision on a plan's digest, if there is one; a yes that came too late is none."""
    late = journal.recall(investigation, "decision", f"{plan.digest}{_LATE}", Decision)
    return late or journal.recall(investigation, "decision", plan.digest, Decision)


def _of(entry: Entry, plan: Plan) -> bool:
    return entry.body["digest"] == plan.digest


def can_be_undone(plan: Plan) -> bool:
    """Return whether every step that changes something by itself has an undo."""
    return all(step.inverse for step in plan.steps if step.phase == "apply" and step.call)


def plan_text(plan: Plan) -> str:
    """Return a plan as plain text, phase by phase."""
    lines = [f"Plan {plan.digest[:12]}: {plan.action}", f"Why: {plan.reasoning}", f"Risk: {plan.risk}"]
    for step in plan.steps:
        undo = (
            f"  (undo: {step.inverse.tool} {step.inverse.arguments})" if step.inverse and step.phase == "apply" else ""
        )
        whose = "  (a model proposes it)" if step.by == "model" else ""
        lines.append(f"  {step.phase:<13} {step.title}{undo}{whose}")
        lines += [f"  {'':<13} {name}: {text}" for name, text in told_of(step).items()]
    return "\n".join(lines)


def told_of(step: Step) -> dict[str, str]:
    """Return what a person has to know of a step beside its title: the command, what is looked up, and why."""
    command = step.command if step.command != step.title else ""
    said = step.condition.said if step.condition and step.condition.said != step.title else ""
    told = {
        "by hand": command,
        "looked up": said,
        "why": step.reason,
        "cites": "; ".join(str(c.quote) for c in step.cites),
    }
    return {name: text for name, text in told.items() if text}


async def _typed_line(seconds: float) -> str | None:
    """Return the next line typed at the terminal, or None when none comes in time.

    No thread waits for it: one that waits for a terminal cannot be stopped, and would outlive Ctrl-C.
    """
    with anyio.move_on_after(seconds):
        await anyio.wait_readable(sys.stdin)
        return sys.stdin.readline()
    return None


def _unanswered(plan: Plan, seconds: float) -> Decision:
    return Decision(digest=plan.digest, approved=False, by="nobody", reason=f"no answer within {seconds:g} s")
