"""How an investigation runs, top to bottom; it only goes forward, and every value is journalled as it appears.

    Incident → Scope → Observation* → Hypothesis* → Verdict* → Conclusion → Plan → Decision → Action* → Report

Running it again for the same incident gives back what was settled and goes on from there: that is all that
resuming after a crash takes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import anyio

from midwatch.builtin.conclude import conclude
from midwatch.builtin.hypothesize import hypothesize
from midwatch.builtin.judge import judge
from midwatch.builtin.planning import plan_for
from midwatch.builtin.scene import Scene
from midwatch.gate import Approver, Gate, Patience
from midwatch.health import health, window_ending
from midwatch.inquiry import Inquiry, Limits
from midwatch.journal import Journal
from midwatch.packet import packet
from midwatch.records import (
    Conclusion,
    Decision,
    Gap,
    Hypothesis,
    Incident,
    Outcome,
    Plan,
    Report,
    Scope,
    Status,
    Verdict,
)
from midwatch.scoping import find_scope, survey_arguments
from midwatch.settings import Settings
from midwatch.steering import Steering
from midwatch.subagents import Subagent
from midwatch.toolbox import Eyes, Hands
from midwatch_kit.records import Observation, ObservationKind, Signal
from midwatch_kit.server import Role
from midwatch_topology import Topology

_SIGNALS = (Signal.TRACES.value, Signal.METRICS.value, Signal.LOGS.value, Signal.CHANGES.value)


@dataclass
class Investigation:
    """One incident under investigation; made by `begin`, run by `run`."""

    incident: Incident
    settings: Settings
    journal: Journal
    inquiry: Inquiry
    hands: Hands
    steering: Sequence[Steering]
    approver: Approver

    async def run(self) -> Report:
        """Investigate to a conclusion, propose a plan, carry it out if it is approved, and report."""
        if done := self.journal.recall(self.incident.id, "report", "1", Report):
            return done
        self._becomes(Status.INVESTIGATING)
        scope, topology = await self._scope()
        scene = await self._survey(scope, topology)
        steering = [s for s in self.steering if s.applies(entity.id for entity in scope.topology.entities)]
        suggested = {h.id: h for h in hypothesize(scene, steering)}
        hypotheses = [*self.journal.note_all(self.incident.id, "hypothesis", suggested).values()]
        scene, verdicts = await self._test(hypotheses, scene)
        scene, verdicts = await self._challenge(hypotheses, scene, verdicts)
        conclusion = self._conclude(scene, hypotheses, verdicts)
        plan = self.journal.note(self.incident.id, "plan", "1", plan_for(conclusion, scene, self.hands.tools()))
        mitigated = await self._mitigate(plan, scope)
        return await self._report(conclusion, plan, scope, mitigated=mitigated)

    async def _scope(self) -> tuple[Scope, Topology]:
        known = self.journal.recall(self.incident.id, "topology", "scope", Scope)
        if known:
            return known, Topology.merge({"journal": known.topology})
        self._note_missing_servers()
        end = self.incident.first_seen + timedelta(seconds=self.settings.gather_seconds)
        lookback = timedelta(seconds=self.settings.lookback_seconds)
        found, topology = await find_scope(self.inquiry, self.incident, lookback, end)
        return self.journal.note(self.incident.id, "topology", "scope", found), topology

    async def _survey(self, scope: Scope, topology: Topology) -> Scene:
        """Survey everything in scope at once, with every server that has a survey."""
        services = [e.id for e in scope.topology.entities if e.kind == "service"]
        tools = self.inquiry.eyes.tools(Role.SURVEY)
        asked = [(tool, survey_arguments(tool, scope.window, scope.baseline, services)) for tool in tools]
        answers = await self.inquiry.ask_all(asked, "survey")
        seen = [o for _, answer in answers for o in self.inquiry.checked(answer.observations)]
        blind = frozenset(_SIGNALS) - {tool.signal for tool, _ in answers}
        scene = Scene(scope, topology, (), blind).having([*scope.symptoms, *self._heard(seen, scope)])
        self.journal.note_all(self.incident.id, "observation", {o.id: o for o in scene.observations}, "survey")
        return scene

    def _heard(self, seen: Sequence[Observation], scope: Scope) -> list[Observation]:
        """Leave out what steering calls noise, and silence from a signal that lags behind the window."""
        services = [e.id for e in scope.topology.entities]
        steering = [s for s in self.steering if s.applies(services)]
        lag = {signal: seconds for s in steering for signal, seconds in s.lag_seconds.items()}
        late = {signal for signal, seconds in lag.items() if seconds >= scope.window.length.total_seconds()}
        for signal in sorted(late):
            self.inquiry.gap(
                f"silence in {signal}", f"they lag {lag[signal]:g} s, by a steering file", "what came late"
            )
        quiet = (ObservationKind.NORMAL, ObservationKind.ABSENCE)
        return [
            o for o in seen if not any(s.silences(o) for s in steering) and not (o.signal in late and o.kind in quiet)
        ]

    async def _test(self, hypotheses: Sequence[Hypothesis], scene: Scene) -> tuple[Scene, dict[str, Verdict]]:
        """Test all hypotheses at once, a subagent for each, then judge each by everything that was found."""
        found: dict[str, list[Observation]] = {}
        places = anyio.CapacityLimiter(self.settings.parallel_subagents)

        async def test(hypothesis: Hypothesis) -> None:
            async with places:
                found[hypothesis.id] = await self._drill(hypothesis, scene, challenge=False)

        async with anyio.create_task_group() as subagents:
            for hypothesis in hypotheses:
                subagents.start_soon(test, hypothesis)
        scene = scene.having(o for h in hypotheses for o in found[h.id])
        return scene, {h.id: judge(h, scene) for h in hypotheses}

    async def _challenge(
        self, hypotheses: Sequence[Hypothesis], scene: Scene, verdicts: dict[str, Verdict]
    ) -> tuple[Scene, dict[str, Verdict]]:
        """Have one subagent try to disprove the leader, then judge all again by what it found."""
        leader = max(hypotheses, key=lambda h: (verdicts[h.id].probability, h.id), default=None)
        if leader and verdicts[leader.id].result == "supported":
            scene = scene.having(await self._drill(leader, scene, challenge=True))
            verdicts = {h.id: judge(h, scene) for h in hypotheses}
        return scene, self.journal.note_all(self.incident.id, "verdict", verdicts)

    async def _drill(self, hypothesis: Hypothesis, scene: Scene, *, challenge: bool) -> list[Observation]:
        name = f"challenger of {hypothesis.id}" if challenge else _name(hypothesis)
        subagent = Subagent(name, hypothesis, scene.scope, self.inquiry, self.settings.subagent_calls)
        with anyio.move_on_after(self.settings.subagent_seconds) as limit:
            try:
                await (subagent.challenge(scene) if challenge else subagent.drill(scene))
            except Exception as error:  # one subagent that breaks must not stop the others
                self.inquiry.gap(name, f"it broke: {type(error).__name__}: {error}", hypothesis.confirms)
        if limit.cancelled_caught:
            self.inquiry.gap(name, f"it took longer than {self.settings.subagent_seconds:g} s", hypothesis.confirms)
        self.journal.note_all(self.incident.id, "observation", {o.id: o for o in subagent.found}, name)
        return subagent.found

    def _conclude(self, scene: Scene, hypotheses: Sequence[Hypothesis], verdicts: dict[str, Verdict]) -> Conclusion:
        gaps = self.journal.values(self.incident.id, Gap)
        conclusion = conclude(scene, hypotheses, verdicts, gaps)
        self.journal.note(self.incident.id, "budget", "conclusion", self.inquiry.spent())
        return self.journal.note(self.incident.id, "conclusion", "1", conclusion)

    async def _mitigate(self, plan: Plan, scope: Scope) -> bool:
        """Ask for approval of the whole plan and, with it, carry the plan out."""
        if not plan.steps:
            return False
        decision = self.journal.recall(self.incident.id, "decision", plan.digest, Decision)
        if decision is None:
            self._becomes(Status.AWAITING_APPROVAL)
            made = await self.approver.decide(self.incident, plan)
            decision = self.journal.note(self.incident.id, "decision", plan.digest, made, made.by)
        if decision.approved:
            self._becomes(Status.MITIGATING)
        patience = Patience(self.settings.settle_seconds, self.settings.recovery_seconds)
        return await Gate(self._second_inquiry(), self.hands, patience, scope).carry_out(plan, decision)

    async def _report(self, conclusion: Conclusion, plan: Plan, scope: Scope, *, mitigated: bool) -> Report:
        if mitigated:
            window = window_ending(datetime.now(UTC), max(self.settings.settle_seconds, 2.0))
            if last := await health(self._second_inquiry(), scope, window, "at_the_end"):
                self.journal.note(self.incident.id, "health", "at_the_end", last)
        over = mitigated or conclusion.outcome is Outcome.NO_INCIDENT
        self._becomes(Status.RESOLVED if over else Status.WATCHING)
        text = packet(self.incident, self.journal)
        done = Report(outcome=conclusion.outcome, mitigated=mitigated, packet=text)
        return self.journal.note(self.incident.id, "report", "1", done)

    def _second_inquiry(self) -> Inquiry:
        """Mitigation has a budget of its own: what the search for the cause spent must not stop the cure."""
        seconds = self.settings.recovery_seconds + self.settings.approval_seconds
        limits = replace(self.inquiry.limits, seconds=seconds, calls=self.settings.investigation_calls)
        return Inquiry(self.incident.id, self.journal, self.inquiry.eyes, self.inquiry.kept, limits)

    def _note_missing_servers(self) -> None:
        for server, why in sorted(self.inquiry.eyes.missing().items()):
            self.inquiry.gap(f"server {server}", why, f"everything that only {server} knows")

    def _becomes(self, status: Status) -> None:
        self.incident = becomes(self.journal, self.incident, status)


def limits_of(settings: Settings) -> Limits:
    """Return what the settings let one investigation spend."""
    return Limits(settings.investigation_seconds, settings.investigation_calls, settings.call_seconds)


def begin(
    incident: Incident,
    settings: Settings,
    journal: Journal,
    eyes: Eyes,
    hands: Hands,
    steering: Sequence[Steering],
    approver: Approver,
) -> Investigation:
    """Return the investigation of an incident, with the budget that the settings give it."""
    inquiry = Inquiry(incident.id, journal, eyes, eyes.kept, limits_of(settings))
    return Investigation(incident, settings, journal, inquiry, hands, steering, approver)


def becomes(journal: Journal, incident: Incident, status: Status, reason: str = "") -> Incident:
    """Note that an incident has another status, and return it as it stands now."""
    latest = current(journal, incident.id) or incident
    if latest.status is status:
        return latest
    later = latest.model_copy(update={"status": status, "reason": reason, "version": latest.version + 1})
    return journal.note(incident.id, "incident", str(later.version), later)


def current(journal: Journal, investigation: str) -> Incident | None:
    """Return an incident as it stands now; None when the journal has none of that id."""
    versions = journal.values(investigation, Incident)
    return max(versions, key=lambda incident: incident.version, default=None)


def _name(hypothesis: Hypothesis) -> str:
    return f"subagent {hypothesis.kind} {hypothesis.entity}"
