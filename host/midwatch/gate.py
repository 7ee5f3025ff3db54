"""The gate: the one place from which anything in production can be changed.

A plan runs only when a person (or a rule that a person set) approved its digest, step by step, in order. Health is
taken before and after; what makes it worse is undone. This module alone holds `Hands`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol

import anyio

from midwatch.builtin.planning import digest
from midwatch.health import health, window_ending, worse
from midwatch.inquiry import Inquiry
from midwatch.links import Unanswered
from midwatch.records import Action, ActionOutcome, Call, Decision, Expectation, Health, Incident, Plan, Scope, Step
from midwatch.toolbox import Hands

_LOOKS = 12
_UNDO_TRIES = 3
_MAY_HAVE_CHANGED = ("done", "unknown")
Done = tuple[ActionOutcome, str, str | None]
"""How a call went: the outcome, the answer's words or the error's, and the id of its evidence."""


class Approver(Protocol):
    """Whoever may say yes or no to a plan, as a whole."""

    async def decide(self, incident: Incident, plan: Plan) -> Decision:
        """Return the decision on the plan's digest; waits for a person as long as it may."""
        ...


@dataclass(frozen=True)
class Patience:
    """How long to wait after a change before judging it, and how long recovery may take, in seconds."""

    settle: float
    recovery: float


@dataclass
class Gate:
    """Runs approved plans with the hands it alone holds, and notes every step."""

    inquiry: Inquiry
    hands: Hands
    patience: Patience
    scope: Scope

    async def carry_out(self, plan: Plan, decision: Decision) -> bool:
        """Run a plan if it was approved and return whether the symptom is gone; every step goes on record."""
        if not decision.approved or decision.digest != plan.digest or digest(plan) != plan.digest:
            return False
        if not self._is_for_us(plan):
            return False
        before = await self._health("before", plan)
        if before is None or before.healthy:
            self._note(
                plan.steps[0], "skipped", "the symptom is no longer there, or cannot be seen: nothing was changed"
            )
            return before is not None
        for step in (step for step in plan.steps if step.phase == "apply"):
            if not await self._apply(step):
                return False
        return await self._prove(plan, before)

    def _is_for_us(self, plan: Plan) -> bool:
        """Return whether the plan may run here: not if a person has to do it, and not again once it was undone."""
        if fatal := next((step for step in plan.steps if step.safety == "destructive"), None):
            self._note(fatal, "skipped", "it is destructive: a person has to do it; nothing was changed")
            return False
        if not any(step.call for step in plan.steps if step.phase == "apply"):
            self._note_manual(plan)
            return False
        return not any(self._recorded(step) for step in plan.steps if step.phase == "roll_back")

    async def _apply(self, step: Step) -> bool:
        """Run a step unless it is on record, and return whether it may have changed something."""
        if recorded := self._recorded(step):
            return recorded.outcome in _MAY_HAVE_CHANGED
        if step.call is None:
            return True
        if self._begun(step) and not self.hands.repeatable(step.call.server, step.call.tool):
            self._note(step, "unknown", "midwatch was stopped while it ran; health tells whether it had its effect")
            return True
        self._note(step, "begun", "about to act")
        outcome, detail, evidence = await self._call(step.call, step.timeout_seconds)
        self._note(step, outcome, detail, evidence)
        return outcome in _MAY_HAVE_CHANGED

    async def _prove(self, plan: Plan, before: Health) -> bool:
        """Watch until the symptom is gone; undo when health gets worse or recovery takes too long."""
        pause = self.patience.recovery / _LOOKS
        await anyio.sleep(self.patience.settle)
        for _ in range(_LOOKS):
            after = await self._health("after", plan)
            if after and after.healthy:
                return True
            if after and worse(after, before):
                await self._undo(plan, f"health got worse: {after.statement}")
                return False
            await anyio.sleep(pause)
        await self._undo(plan, f"the symptom was still there after {self.patience.recovery:g} s")
        return False

    async def _undo(self, plan: Plan, why: str) -> None:
        """Take back what was done; an undo that fails is tried again, for it returns to what ran before."""
        for step in (step for step in plan.steps if step.phase == "roll_back"):
            if step.call:
                self._note(step, "begun", why)
                outcome, detail, evidence = await self._insist(step.call, step.timeout_seconds)
                self._note(step, "undone" if outcome == "done" else "failed", f"{why}; {detail}", evidence)

    async def _insist(self, call: Call, seconds: float) -> Done:
        for _ in range(_UNDO_TRIES - 1):
            if (done := await self._call(call, seconds))[0] == "done":
                return done
            await anyio.sleep(self.patience.settle)
        return await self._call(call, seconds)

    async def _call(self, call: Call, seconds: float) -> Done:
        try:
            answer = await self.hands.act(call.server, call.tool, call.arguments, seconds)
        except Unanswered as error:
            return ("unknown" if error.down and error.asked else "failed"), str(error), None
        lines = answer.reply.get("lines")
        return "done", "; ".join(map(str, lines)) if isinstance(lines, list) else "done", answer.evidence

    async def _health(self, when: Literal["before", "after"], plan: Plan) -> Health | None:
        now = datetime.now(UTC)
        seen = await health(self.inquiry, self.scope, window_ending(now, max(self.patience.settle, 2.0)), when)
        if seen is None:
            return None
        key = f"{when}:{plan.digest if when == 'before' else now.isoformat()}"  # the first look before is what counts
        return self.inquiry.journal.note(self.inquiry.investigation, "health", key, seen)

    def _recorded(self, step: Step) -> Action | None:
        return self.inquiry.journal.recall(self.inquiry.investigation, "action", step.title, Action)

    def _begun(self, step: Step) -> bool:
        return self.inquiry.journal.recall(self.inquiry.investigation, "action", _begun(step), Action) is not None

    def _note_manual(self, plan: Plan) -> None:
        for step in (step for step in plan.steps if step.expect is Expectation.BY_A_PERSON):
            self._note(step, "for_a_person", step.command or step.title)

    def _note(
        self,
        step: Step,
        outcome: ActionOutcome,
        detail: str,
        evidence: str | None = None,
    ) -> None:
        action = Action(
            step=step.title, phase=step.phase, call=step.call, outcome=outcome, detail=detail[:2000], evidence=evidence
        )
        key = _begun(step) if outcome == "begun" else step.title
        self.inquiry.journal.note(self.inquiry.investigation, "action", key, action)


def _begun(step: Step) -> str:
    """Return the key of the record that a step is about to run: it is on disk before anything is changed."""
    return f"begun: {step.title}"
