"""The gate: the one place from which anything in production can be changed.

A plan runs only when a person (or a rule that a person set) approved its digest, step by step, in order. Health is
taken before and after; what makes it worse is undone. What a plan expects besides is looked up: before, or nothing is
changed; after, or it does not count as cured. This module alone holds `Hands`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol

import anyio

from midwatch.builtin.planning import digest
from midwatch.inquiry import Inquiry
from midwatch.mcp_client.links import Unanswered
from midwatch.mcp_client.toolbox import Hands
from midwatch.mitigation.conditions import Held, look_up
from midwatch.mitigation.health import health, window_ending, worse
from midwatch.records import (
    Action,
    ActionOutcome,
    Call,
    Decision,
    Expectation,
    Health,
    Incident,
    Phase,
    Plan,
    Scope,
    Step,
)

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
    """Runs approved plans with the hands it alone holds, and notes every step.

    `of` sets the plan of a further look apart: a step that an earlier plan ran has not run for it.
    """

    inquiry: Inquiry
    hands: Hands
    patience: Patience
    scope: Scope
    of: str = ""

    async def carry_out(self, plan: Plan, decision: Decision) -> bool:
        """Run a plan if it was approved and return whether the symptom is gone; every step goes on record."""
        if not decision.approved or decision.digest != plan.digest or digest(plan) != plan.digest:
            return False
        if not self._is_for_us(plan, decision):
            return False
        before = await self._health("before", plan)
        if before is None or before.healthy:
            self._note(
                plan.steps[0], "skipped", "the symptom is no longer there, or cannot be seen: nothing was changed"
            )
            return before is not None
        if not await self._may_begin(plan):
            return False
        for number, step in enumerate(_of(plan, "apply")):
            if not await self._apply(step):
                if number:  # of what ran before it nobody knows whether it helps alone
                    await self._undo(plan, f"a later step failed: {step.title}")
                return False
        return await self._prove(plan, before)

    def _is_for_us(self, plan: Plan, decision: Decision) -> bool:
        """Return whether the plan may run here: not if a person has to do it, and not again once it was undone."""
        if fatal := next((step for step in plan.steps if step.safety == "destructive"), None):
            self._note(fatal, "skipped", "it is destructive: a person has to do it; nothing was changed")
            return False
        if not any(step.call for step in _of(plan, "apply")):
            self._note_manual(plan)
            return False
        if why := _unguarded(plan, decision):
            self._note(plan.steps[0], "skipped", f"{why}; nothing was changed")
            return False
        return not any(self._recorded(step) for step in _of(plan, "roll_back"))

    async def _may_begin(self, plan: Plan) -> bool:
        """Look up what has to be so before anything is changed; once something was, that is behind us."""
        if any(self._begun(step) or self._recorded(step) for step in _of(plan, "apply")):
            return True
        for step in (*_of(plan, "prepare"), *_of(plan, "pre_validate")):
            if step.condition is None:
                continue
            held = await self._look_up(step)
            if not held.met:
                unsure = " (nobody can say)" if held.met is None else ""
                self._note(step, "skipped", f"not so{unsure}: {held.said}; nothing was changed", held.evidence)
                return False
            self._note(step, "done", held.said, held.evidence)
        return True

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
                return await self._confirm(plan, before.window.end)
            if after and worse(after, before):
                await self._undo(plan, f"health got worse: {after.statement}")
                return False
            await anyio.sleep(pause)
        await self._undo(plan, f"the symptom was still there after {self.patience.recovery:g} s")
        return False

    async def _confirm(self, plan: Plan, acted: datetime) -> bool:
        """Look up what has to be so once the symptom is gone; what is not so is for a person, and undoes nothing."""
        met = True
        for step in _of(plan, "post_validate"):
            if step.condition is None:
                continue
            held = await self._look_up(step, acted)
            for _ in range(_LOOKS):
                if held.met:
                    break
                await anyio.sleep(self.patience.recovery / _LOOKS)
                held = await self._look_up(step, acted)
            outcome: ActionOutcome = "done" if held.met else "unknown" if held.met is None else "failed"
            self._note(step, outcome, held.said, held.evidence)
            met = met and held.met is not False
        return met

    async def _look_up(self, step: Step, acted: datetime | None = None) -> Held:
        if step.condition is None:
            return Held(True, "nothing has to be so")
        window = window_ending(datetime.now(UTC), max(self.patience.settle, 2.0))
        return await look_up(self.inquiry, self.scope, step.condition, window, acted)

    async def _undo(self, plan: Plan, why: str) -> None:
        """Take back what was done; an undo that fails is tried again, for it returns to what ran before."""
        changed = [step.inverse for step in _of(plan, "apply") if self._may_have_changed(step)]
        for step in _of(plan, "roll_back"):
            if step.call and step.call in changed:
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
        self.inquiry.journal.confirm()  # a host that was paused for long may have been taken for dead
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
        return self._recall(step.title)

    def _begun(self, step: Step) -> bool:
        return self._recall(_begun(step)) is not None

    def _recall(self, key: str) -> Action | None:
        return self.inquiry.journal.recall(self.inquiry.investigation, "action", f"{key}{self.of}", Action)

    def _may_have_changed(self, step: Step) -> bool:
        done = self._recorded(step)
        return done is not None and done.outcome in _MAY_HAVE_CHANGED

    def _note_manual(self, plan: Plan) -> None:
        for step in (step for step in _of(plan, "apply") if step.expect is Expectation.BY_A_PERSON):
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
        self.inquiry.journal.note(self.inquiry.investigation, "action", f"{key}{self.of}", action)


def _of(plan: Plan, phase: Phase) -> list[Step]:
    return [step for step in plan.steps if step.phase == phase]


def _unguarded(plan: Plan, decision: Decision) -> str:
    """Return what keeps a plan with a model's part from running; '' for nothing."""
    if not plan.by_a_model:
        return ""
    if decision.rule:
        return "a model has a part in it, so a person has to say yes, and a rule did"
    undone = [step.call for step in _of(plan, "roll_back")]
    bare = [step for step in _of(plan, "apply") if step.call and (not step.inverse or step.inverse not in undone)]
    return f"a model's plan needs an undo, and there is none for: {bare[0].title}" if bare else ""


def _begun(step: Step) -> str:
    """Return the key of the record that a step is about to run: it is on disk before anything is changed."""
    return f"begun: {step.title}"
