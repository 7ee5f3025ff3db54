"""How an investigation runs, top to bottom; it only goes forward, and every value is journalled as it appears.

    Incident → Scope → Observation* → Hypothesis* → Verdict* → Conclusion → Plan → Decision → Action* → Report

Running it again for the same incident gives back what was settled and goes on from there: that is all that
resuming after a crash takes. What a person tells it once it looks ends that look, or follows its conclusion, and starts
a further look, with a conclusion of its own: the later one replaces the earlier one, both stay.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import anyio

from midwatch.builtin.admission import Admission, with_proposed
from midwatch.builtin.asked import asked_less
from midwatch.builtin.conclude import conclude
from midwatch.builtin.contradictions import contradictions
from midwatch.builtin.excess import excesses, without_doubles
from midwatch.builtin.hypothesize import hypothesize
from midwatch.builtin.judge import judge_all
from midwatch.builtin.lessons import lessons
from midwatch.builtin.planning import plan_for, sealed
from midwatch.builtin.scene import Scene
from midwatch.claude.models import Models
from midwatch.declared import declared_topology
from midwatch.errors import first_of, stopping
from midwatch.inquiry import Inquiry, Limits
from midwatch.last_words import last_words, worth_asking
from midwatch.mcp_client.toolbox import Eyes, Hands
from midwatch.mitigation.approvals import decided_in_time, too_late
from midwatch.mitigation.gate import Approver, Gate, Patience
from midwatch.mitigation.health import health, window_ending
from midwatch.reading.packet import packet
from midwatch.reading.recommendations import put_on_record
from midwatch.reading.revisions import revised
from midwatch.records import (
    Budget,
    Conclusion,
    Gap,
    Hypothesis,
    Incident,
    ModelCall,
    Outcome,
    Plan,
    Report,
    Scope,
    Status,
    Steer,
    Verdict,
)
from midwatch.records.runbook import Runbook
from midwatch.required import ask_required, capped, of_other_looks, unmet
from midwatch.runbooks import find_runbooks
from midwatch.scoping import before, find_scope, survey_arguments
from midwatch.settings import Settings
from midwatch.steering.files import Steering, forbidden_by
from midwatch.steering.steers import as_steering, end, hear, heed, look_of, told, unheeded
from midwatch.storage.journal import Journal
from midwatch.subagents import Subagent
from midwatch.windows import steered
from midwatch_kit.records import Observation, ObservationKind, Signal
from midwatch_kit.server import Role
from midwatch_topology import Topology

if TYPE_CHECKING:
    from midwatch.claude.judgement import Judgement

ResultT = TypeVar("ResultT")
_LISTEN_EVERY = 0.5
_TASKS_IN_TURN = 4
"""Of a model: the lead proposes, then all testers test, then the challenger challenges, then the planner plans."""
_SIGNALS = (Signal.TRACES.value, Signal.METRICS.value, Signal.LOGS.value, Signal.CHANGES.value)


@dataclass(frozen=True)
class _Looked:
    """What one look came to before its conclusion; `noise` is what steering left out."""

    scene: Scene
    hypotheses: Sequence[Hypothesis]
    verdicts: dict[str, Verdict]
    noise: Sequence[Observation]
    judgement: "Judgement | None"


@dataclass
class Investigation:
    """One incident under investigation; made by `begin`, run by `run`."""

    incident: Incident
    settings: Settings
    journal: Journal
    inquiry: Inquiry
    hands: Hands
    steering: Sequence[Steering]
    approver: Approver | None
    models: Models | None = None
    look: int = 1
    heard: Mapping[str, Steer] = field(default_factory=dict)

    async def run(self) -> Report:
        """Investigate, report, and look again for as long as somebody has told something that was not heeded yet."""
        while True:
            self.look = look_of(self.journal, self.incident.id)
            if done := self.journal.recall(self.incident.id, "report", str(self.look), Report):
                return done
            await self._look()
            self.inquiry = _fresh(self.inquiry)

    async def _look(self) -> None:
        """Come to a conclusion, propose a plan, carry it out if it is approved, and report.

        Somebody who says more meanwhile ends it before it concludes; what was found until then stays on record.
        """
        if self.journal.recall(self.incident.id, "conclusion", str(self.look), Conclusion) is None:
            self._becomes(Status.INVESTIGATING)
        whole, topology = await self._scope()
        self.heard = hear(self.journal, self.incident.id, self.look)
        if (looked := await self._unless_told(lambda: self._investigate(whole, topology))) is None:
            end(self.journal, self.incident.id, self.look, self._news())
            return
        conclusion = self._conclude(looked)
        scope, plan = looked.scene.scope, await self._plan(conclusion, looked.scene, looked.judgement)
        mitigated = await self._mitigate(plan, scope)
        await self._report(conclusion, plan, scope, mitigated=mitigated)

    async def _investigate(self, whole: Scope, topology: Topology) -> _Looked:
        """Look at what is in scope, over the window that was chosen, and test what could explain it."""
        scope = await self._chosen(whole)
        scene, noise = await self._survey(scope, topology)
        await ask_required(self.inquiry, scope, self._steering(scope))
        judgement = self._judgement(scene)
        hypotheses = await self._hypotheses(scene, judgement)
        scene, verdicts = await self._test(hypotheses, scene, judgement)
        scene, verdicts = await self._challenge(hypotheses, scene, verdicts, judgement)
        return _Looked(scene, hypotheses, verdicts, noise, judgement)

    async def _chosen(self, whole: Scope) -> Scope:
        """Return the scope of this look: over the window that a person chose, on record where it is another one."""
        key = f"scope:{self.look}"
        if known := self.journal.recall(self.incident.id, "topology", key, Scope):
            return known
        scope = await steered(self.inquiry, self.incident, whole, self.heard.values())
        return scope if scope == self._before() else self.journal.note(self.incident.id, "topology", key, scope)

    def _before(self) -> Scope:
        """Return the scope of the look before this one; of the first, the scope that follows from the alert."""
        noted = self.journal.entries(self.incident.id, kind="topology")
        return [Scope.model_validate(e.body) for e in noted if e.key != f"scope:{self.look}"][-1]

    async def _unless_told(self, work: Callable[[], Awaitable[ResultT]]) -> ResultT | None:
        """Return what work gives; None when a person tells the investigation something first, which cancels it."""
        given: list[ResultT] = []
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._listen, group.cancel_scope)
                given.append(await work())
                group.cancel_scope.cancel()
        except ExceptionGroup as errors:
            raise stopping(errors) or first_of(errors) from None  # as it was, for whoever says it
        return given[0] if given else None

    async def _listen(self, waiting: anyio.CancelScope) -> None:
        while True:
            if self._news():
                waiting.cancel()
            await anyio.sleep(_LISTEN_EVERY)

    def _news(self) -> dict[str, Steer]:
        """Return what was told since this look began."""
        said = told(self.journal, self.incident.id)
        return {key: steer for key, steer in said.items() if key not in self.heard}

    async def _scope(self) -> tuple[Scope, Topology]:
        known = self.journal.recall(self.incident.id, "topology", "scope", Scope)
        if known:
            return known, Topology.merge({"journal": known.topology})
        self._note_missing_servers()
        end = self.incident.first_seen + timedelta(seconds=self.settings.gather_seconds)
        lookback = timedelta(seconds=self.settings.lookback_seconds)
        declared = declared_topology(self.settings)
        async with anyio.create_task_group() as group:
            group.start_soon(self._find_runbooks)
            found, topology = await find_scope(self.inquiry, self.incident, lookback, end, declared)
        return self.journal.note(self.incident.id, "topology", "scope", found), topology

    async def _survey(self, scope: Scope, topology: Topology) -> tuple[Scene, list[Observation]]:
        """Survey everything in scope at once, with every server that has a survey; return what is noise as well."""
        services = [e.id for e in scope.topology.entities if e.kind == "service"]
        tools = self.inquiry.eyes.tools(Role.SURVEY)
        asked = [(tool, survey_arguments(tool, scope.window, before(tool, scope), services)) for tool in tools]
        answers = await self.inquiry.ask_all(asked, "survey")
        seen = [o for _, answer in answers for o in self.inquiry.checked(answer.observations)]
        blind = frozenset(_SIGNALS) - {tool.signal for tool, _ in answers}
        noise = self._noise(seen, scope)
        for doubt in contradictions(_without(seen, noise)):
            self.inquiry.gap(doubt.what, doubt.why, doubt.may_hide)
        timely = without_doubles(self._timely(_without(seen, noise), scope))
        own = [*timely, *excesses(timely, topology, scope), *asked_less(timely, topology, scope)]
        scene = Scene(scope, topology, (), blind).having([*scope.symptoms, *own])
        if worth_asking(scene):
            scene = scene.having(await last_words(self.inquiry, scope))
        self.journal.note_all(self.incident.id, "observation", {o.id: o for o in scene.observations}, "survey")
        return scene, noise

    def _steering(self, scope: Scope) -> list[Steering]:
        """Return what guides this look: the files that apply, and what people told the investigation."""
        entities = [entity.id for entity in scope.topology.entities]
        named = self.incident.runbook
        ours = (s for s in self.steering if s.applies(entities) or (named and s.is_runbook(named)))
        return [*ours, *map(as_steering, self.heard.values())]

    def _noise(self, seen: Sequence[Observation], scope: Scope) -> list[Observation]:
        steering = self._steering(scope)
        return [o for o in seen if any(s.silences(o) for s in steering)]

    def _judgement(self, scene: Scene) -> "Judgement | None":
        """Return the model's part in this look; None when the settings want none, or all is well."""
        if self.models is None or not (scene.shifted or scene.in_doubt):
            return None
        from midwatch.claude.judgement import Judgement  # noqa: PLC0415 - the client takes long to import

        steering = self._steering(scene.scope)
        return Judgement(self.models, self.incident, self.settings, self.inquiry, scene, steering, self.look)

    async def _hypotheses(self, scene: Scene, judgement: "Judgement | None") -> list[Hypothesis]:
        """Return what is worth testing; what is left out as a whole is no cause either."""
        steering = self._steering(scene.scope)
        left_out = {entity for s in steering for entity in s.leave_out}
        suggested = {h.id: h for h in hypothesize(scene, steering) if h.entity not in left_out}
        if judgement:
            known = [*suggested.values()]
            proposed = await judgement.proposals(known, judge_all(known, scene))
            suggested |= {h.id: h for h in proposed if h.entity not in left_out}
        return self._note(suggested)

    def _note(self, suggested: Mapping[str, Hypothesis]) -> list[Hypothesis]:
        """Put hypotheses on record; one that an earlier look had with other figures is on record anew."""
        noted = [*self.journal.entries(self.incident.id, kind="hypothesis")]
        earlier = [(e.key, Hypothesis.model_validate(e.body)) for e in noted]
        keys = {name: f"{name}:{self.look}" for name in suggested}
        other = {h.id for key, h in earlier if h.id in suggested and key != keys[h.id] and h != suggested[h.id]}
        bodies = {keys[name] if name in other else name: h for name, h in suggested.items()}
        return [*self.journal.note_all(self.incident.id, "hypothesis", bodies).values()]

    def _timely(self, seen: Sequence[Observation], scope: Scope) -> list[Observation]:
        """Leave out silence from a signal that lags behind the window, and say so."""
        steering = self._steering(scope)
        lag = {signal: seconds for s in steering for signal, seconds in s.lag_seconds.items()}
        late = {signal for signal, seconds in lag.items() if seconds >= scope.window.length.total_seconds()}
        for signal in sorted(late):
            self.inquiry.gap(
                f"silence in {signal}", f"they lag {lag[signal]:g} s, by a steering file", "what came late"
            )
        quiet = (ObservationKind.NORMAL, ObservationKind.ABSENCE)
        return [o for o in seen if not (o.signal in late and o.kind in quiet)]

    async def _test(
        self, hypotheses: Sequence[Hypothesis], scene: Scene, judgement: "Judgement | None"
    ) -> tuple[Scene, dict[str, Verdict]]:
        """Test all hypotheses at once, a subagent for each, then judge each by everything that was found.

        A model tests, beside these, what its lead chose.
        """
        found: dict[str, list[Observation]] = {}
        read: dict[str, list[Observation]] = {}
        places = anyio.CapacityLimiter(self.settings.parallel_subagents)

        async def test(hypothesis: Hypothesis) -> None:
            async with places:
                found[hypothesis.id] = await self._drill(hypothesis, scene, challenge=False)

        async def judge(hypothesis: Hypothesis, by: "Judgement") -> None:
            read[hypothesis.id] = await by.findings(hypothesis)

        async with anyio.create_task_group() as subagents:
            for hypothesis in hypotheses:
                subagents.start_soon(test, hypothesis)
                if judgement and hypothesis.id in judgement.chosen:
                    subagents.start_soon(judge, hypothesis, judgement)
        scene = scene.having(o for h in hypotheses for o in (*found[h.id], *read.get(h.id, [])))
        return scene, judge_all(hypotheses, scene)

    async def _challenge(
        self,
        hypotheses: Sequence[Hypothesis],
        scene: Scene,
        verdicts: dict[str, Verdict],
        judgement: "Judgement | None",
    ) -> tuple[Scene, dict[str, Verdict]]:
        """Have one subagent try to disprove the leader, then judge all again by what it found."""
        leader = max(hypotheses, key=lambda h: (verdicts[h.id].probability, h.id), default=None)
        if leader and verdicts[leader.id].result == "supported":
            scene = scene.having(await self._drill(leader, scene, challenge=True))
            scene = scene.having(await judgement.findings(leader, challenge=True) if judgement else ())
            verdicts = judge_all(hypotheses, scene)
        noted = {self._key(name): verdict for name, verdict in verdicts.items()}
        settled = self.journal.note_all(self.incident.id, "verdict", noted)
        return scene, {verdict.hypothesis: verdict for verdict in settled.values()}

    async def _drill(self, hypothesis: Hypothesis, scene: Scene, *, challenge: bool) -> list[Observation]:
        name = f"challenger of {hypothesis.id}" if challenge else _name(hypothesis)
        subagent = Subagent(name, hypothesis, scene.scope, self.inquiry, self.settings.subagent_calls)
        with anyio.move_on_after(self.settings.subagent_seconds) as limit:
            try:
                await (subagent.challenge(scene) if challenge else subagent.drill(scene))
            except Exception as error:  # one subagent that breaks must not stop the others
                if stopping(error):
                    raise
                self.inquiry.gap(name, f"it broke: {type(error).__name__}: {error}", hypothesis.confirms)
        if limit.cancelled_caught:
            self.inquiry.gap(name, f"it took longer than {self.settings.subagent_seconds:g} s", hypothesis.confirms)
        self.journal.note_all(self.incident.id, "observation", {o.id: o for o in subagent.found}, name)
        return _without(subagent.found, self._noise(subagent.found, scene.scope))

    def _conclude(self, looked: _Looked) -> Conclusion:
        """Conclude, beside what was concluded before, and note what came of what people told."""
        name, key = self.incident.id, str(self.look)
        since = [steer for told_as, steer in unheeded(self.journal, name).items() if told_as in self.heard]
        tested = [(h, looked.verdicts[h.id]) for h in looked.hypotheses]
        missing = unmet(self.inquiry, looked.scene.scope, self._steering(looked.scene.scope), tested)
        for gap in (rule.gap for rule in missing):
            self.inquiry.gap(gap.what, gap.why, gap.may_hide)
        gaps = [*of_other_looks(self.journal.values(name, Gap)), *(rule.gap for rule in missing)]
        concluded = capped(conclude(looked.scene, looked.hypotheses, looked.verdicts, gaps), missing)
        earlier = [e for e in self.journal.entries(name, kind="conclusion") if e.key != key]
        before = [Conclusion.model_validate(entry.body) for entry in earlier]
        self.journal.note(name, "budget", self._key("conclusion"), self._spent())
        conclusion = self.journal.note(name, "conclusion", key, revised(concluded, before, since))
        heed(self.journal, name, self.heard, tested, looked.noise, (self._before(), looked.scene.scope))
        return conclusion

    def _spent(self) -> Budget:
        every = self.journal.values(self.incident.id, ModelCall)
        calls = [call for call in every if call.purpose == "investigation"]
        money = round(sum(call.usd for call in calls), 6)
        return self.inquiry.spent().model_copy(update={"tokens": sum(c.tokens for c in calls), "money_usd": money})

    async def _plan(self, conclusion: Conclusion, scene: Scene, judgement: "Judgement | None") -> Plan:
        """Propose a plan, and what would have prevented the incident; a model adds to both where one takes part.

        The plan of a further look is another plan, so a no to an earlier one is none to it.
        """
        kept = frozenset(entity for s in self._steering(scene.scope) for entity in s.never_roll_back)
        plan = plan_for(conclusion, scene, self.hands.tools(), kept)
        learnt = lessons(conclusion, scene, self.incident.owner)
        if judgement and conclusion.root_causes:
            admission = Admission(
                conclusion, scene, tuple(t for t in self.hands.tools() if t.for_models), kept, self.inquiry.forbidden
            )
            drafted = await judgement.drafted(admission, plan, learnt[0].spec if learnt else None)
            self.journal.note(self.incident.id, "budget", self._key("plan"), self._spent())
            plan = with_proposed(plan, drafted.steps)
            if drafted.fix:
                learnt[0] = learnt[0].model_copy(update={"spec": drafted.fix})
        if self.look > 1:
            plan = sealed(plan.model_copy(update={"reasoning": f"{plan.reasoning} (look {self.look})"}))
        noted = self.journal.note(self.incident.id, "plan", str(self.look), plan)
        put_on_record(self.journal, self.incident.id, self.look, learnt, datetime.now(UTC))
        return noted

    async def _mitigate(self, plan: Plan, scope: Scope) -> bool:
        """Ask for approval of the whole plan and, with it, carry the plan out; not if somebody says more instead."""
        if not plan.steps or self.approver is None:  # nobody to ask: then nothing runs
            return False
        decision = decided_in_time(self.journal, self.incident.id, plan, self.settings.approval_seconds)
        if decision is None:
            self._becomes(Status.AWAITING_APPROVAL)
            approver = self.approver
            if (made := await self._unless_told(lambda: approver.decide(self.incident, plan))) is None:
                return False
            decision = self.journal.note(self.incident.id, "decision", plan.digest, made, made.by)
            if decision.approved and made.by == "nobody":
                decision = too_late(self.journal, self.incident.id, plan, self.settings.approval_seconds)
        if decision.approved:
            self._becomes(Status.MITIGATING)
        patience = Patience(self.settings.settle_seconds, self.settings.recovery_seconds)
        return await Gate(self._second_inquiry(), self.hands, patience, scope, self._key("")).carry_out(plan, decision)

    async def _report(self, conclusion: Conclusion, plan: Plan, scope: Scope, *, mitigated: bool) -> Report:
        if mitigated:
            window = window_ending(datetime.now(UTC), max(self.settings.settle_seconds, 2.0))
            if last := await health(self._second_inquiry(), scope, window, "at_the_end"):
                self.journal.note(self.incident.id, "health", self._key("at_the_end"), last)
        over = conclusion.outcome is Outcome.NO_INCIDENT or (mitigated and not self.settings.watch.enabled)
        self._becomes(Status.RESOLVED if over else Status.WATCHING)
        text = packet(self.incident, self.journal, asks=self.approver is not None)
        done = Report(outcome=conclusion.outcome, mitigated=mitigated, packet=text)
        return self.journal.note(self.incident.id, "report", str(self.look), done)

    def _key(self, name: str) -> str:
        """Return the key of a record that each look makes anew."""
        return name if self.look == 1 else f"{name}:{self.look}"

    def _second_inquiry(self) -> Inquiry:
        """Mitigation has a budget of its own: what the search for the cause spent must not stop the cure."""
        seconds = self.settings.recovery_seconds + self.settings.approval_seconds
        limits = replace(self.inquiry.limits, seconds=seconds, calls=self.settings.investigation_calls)
        of = self.inquiry
        return Inquiry(self.incident.id, self.journal, of.eyes, of.kept, limits, of.forbidden)

    def _note_missing_servers(self) -> None:
        for server, why in sorted(self.inquiry.eyes.missing().items()):
            self.inquiry.gap(f"server {server}", why, f"everything that only {server} knows")

    async def _find_runbooks(self) -> None:
        """Find what documents there are of this alert, and say when the one that it names is not among them."""
        found: list[Runbook] = []
        try:
            found = await find_runbooks(self.inquiry, self.incident)
        except Exception as error:  # whatever a wiki says must not stop an investigation
            if stopping(error):
                raise
            self.inquiry.gap("runbooks", f"it broke: {type(error).__name__}", "what the team knows of this alert")
        named = self.incident.runbook
        if named and not any(s.is_runbook(named) for s in self.steering) and not any(r.named for r in found):
            places = "".join(f", nor a document of {server}" for server in self.inquiry.eyes.runbooks())
            why = f"the alert names it, and no steering file has its name{places}"
            self.inquiry.gap(f"runbook {named}", why, "what the team knows of this alert")

    def _becomes(self, status: Status) -> None:
        self.incident = becomes(self.journal, self.incident, status)


def _fresh(spent: Inquiry) -> Inquiry:
    """Return an inquiry that has spent nothing; what was answered before is still known from the journal."""
    return Inquiry(spent.investigation, spent.journal, spent.eyes, spent.kept, spent.limits, spent.forbidden)


def limits_of(settings: Settings) -> Limits:
    """Return what the settings let one investigation spend."""
    thinking = 0 if settings.reasoner == "builtin" else _TASKS_IN_TURN * settings.model_task_seconds
    seconds = settings.investigation_seconds + thinking
    return Limits(seconds, settings.investigation_calls, settings.call_seconds, at_once=settings.parallel_calls)


def begin(
    incident: Incident,
    settings: Settings,
    journal: Journal,
    eyes: Eyes,
    hands: Hands,
    steering: Sequence[Steering],
    approver: Approver | None,
    models: Models | None = None,
) -> Investigation:
    """Return the investigation of an incident, with the budget that the settings give it.

    Without an approver it ends with the plan: nobody is asked, and nothing runs. Without models statistics judge alone.
    """
    inquiry = Inquiry(incident.id, journal, eyes, eyes.kept, limits_of(settings), forbidden_by(steering))
    return Investigation(incident, settings, journal, inquiry, hands, steering, approver, models)


def becomes(journal: Journal, incident: Incident, status: Status, reason: str = "") -> Incident:
    """Note that an incident has another status, and return it as it stands now.

    One that was linked or skipped meanwhile stays so: whoever decided that takes it back.
    """
    while True:
        latest = journal.incident(incident.id) or incident
        if latest.status in (status, Status.LINKED, Status.SKIPPED):
            return latest
        later = latest.model_copy(update={"status": status, "reason": reason, "version": latest.version + 1})
        if journal.note(incident.id, "incident", str(later.version), later) == later:  # else alerts came in between
            return later


def _without(seen: Sequence[Observation], noise: Sequence[Observation]) -> list[Observation]:
    dropped = {o.id for o in noise}
    return [o for o in seen if o.id not in dropped]


def _name(hypothesis: Hypothesis) -> str:
    return f"subagent {hypothesis.kind} {hypothesis.entity}"
