"""A model's part in one investigation: what it proposes and finds, put on record, and what keeps it from more.

What was settled before a crash is taken from the journal. When a model cannot go on, its part ends with a gap that says
why; what it found until then stays, and statistics conclude alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from midwatch.builtin.admission import Admission
from midwatch.builtin.scene import Scene
from midwatch.claude.agent import Bounds, CutOff, Ended
from midwatch.claude.briefing import briefing
from midwatch.claude.day import purse_of
from midwatch.claude.drafting import Drafted, draft
from midwatch.claude.model import Block, Model, Turn
from midwatch.claude.models import Models
from midwatch.claude.purse import Purse
from midwatch.claude.reasoner import Means, examine, propose
from midwatch.claude.settled import keep, settled, shelved
from midwatch.claude.shelf import Shelf
from midwatch.inquiry import Inquiry
from midwatch.records import Gap, Hypothesis, Incident, Message, ModelCall, Plan, Verdict
from midwatch.records.recommendation import Fix
from midwatch.records.runbook import Runbook
from midwatch.settings import Settings
from midwatch.steering.files import Steering
from midwatch.storage.journal import Entry
from midwatch_kit.errors import KitError
from midwatch_kit.evidence import canonical
from midwatch_kit.records import Observation

_LOST = "what statistics cannot judge: diffs, runbooks, foreign servers"


@dataclass
class Judgement:
    """The models at work on one incident; `look` is the number of the look, `chosen` what the lead wants tested."""

    models: Models
    incident: Incident
    settings: Settings
    inquiry: Inquiry
    scene: Scene
    steering: Sequence[Steering]
    look: int = 1
    chosen: tuple[str, ...] = ()
    off: bool = False
    _calls: int = field(default=0)

    async def proposals(self, known: Sequence[Hypothesis], verdicts: Mapping[str, Verdict]) -> list[Hypothesis]:
        """Return the hypotheses that the lead adds; afterwards `chosen` are the ids of those worth a test."""
        if self._is_off():
            return []
        proposing, ended = await propose(self._means, self._system, self.scene, known, verdicts)
        self._over("lead", ended)
        ranked = sorted(known, key=lambda h: (-verdicts[h.id].probability, h.id))
        self.chosen = proposing.chosen or tuple(h.id for h in ranked[:2])
        return [*proposing.proposed.values()]

    async def findings(self, hypothesis: Hypothesis, *, challenge: bool = False) -> list[Observation]:
        """Return what a model finds about a hypothesis."""
        if self._is_off():
            return []
        key = f"{'challenged' if challenge else 'tested'}:{self.look}:{hypothesis.id}"
        journal, name = self.inquiry.journal, self.incident.id
        if known := journal.recall(name, "message", key, Message):
            return [o for o in journal.values(name, Observation) if o.by == known.text.partition(":")[0]]
        reporting, ended = await examine(self._means, self._system, hypothesis, challenge=challenge)
        self._over(reporting.by, ended)
        journal.note_all(name, "observation", {o.id: o for o in reporting.found}, reporting.by)
        counts = f"{len(reporting.found)} findings, {reporting.dropped} dropped"
        said = f"{reporting.by}: {ended.how}; {counts}{f'; {reporting.why}' if reporting.why else ''}"
        journal.note(name, "message", key, Message(text=said), reporting.by)
        return reporting.found

    async def drafted(self, admission: Admission, plan: Plan, known: Fix | None) -> Drafted:
        """Return what a model adds to a plan, and how it words the long-term fix; asked once for each look."""
        journal, name, key = self.inquiry.journal, self.incident.id, f"planned:{self.look}"
        if noted := journal.recall(name, "message", key, Message):
            return self._recalled(noted)
        if self._is_off():
            return Drafted()
        supports = {each for cause in admission.conclusion.root_causes for each in cause.supports}
        seen = [o for o in admission.scene.observations if o.id in supports]
        drafted, ended = await draft(self._means, self._system, admission, plan, known, seen)
        self._over("planner", ended)
        evidence = self.inquiry.kept.put(canonical(drafted.model_dump(mode="json")))
        counts = f"{len(drafted.steps)} steps, {'a' if drafted.fix else 'no'} fix, {drafted.dropped} dropped"
        journal.note(
            name, "message", key, Message(text=f"planner: {ended.how}; {counts}", evidence=evidence), "planner"
        )
        return drafted

    def _recalled(self, noted: Message) -> Drafted:
        try:
            return Drafted.model_validate_json(self.inquiry.kept.get(noted.evidence or ""))
        except (KitError, ValueError):
            return Drafted()

    def _is_off(self) -> bool:
        if self.models.why_not and not self.off:
            self.inquiry.gap("the model", self.models.why_not, _LOST)
            self.off = True
        return self.off

    def _over(self, by: str, ended: Ended) -> None:
        if ended.how == "done":
            return
        self.inquiry.gap(f"the model: {by}", f"{ended.how}: {ended.why}", _LOST)
        self.off = self.off or ended.how == "down"

    @cached_property
    def _system(self) -> tuple[Block, ...]:
        gaps = self.inquiry.journal.values(self.incident.id, Gap)
        runbooks = self._means.runbooks
        told = briefing(self.incident, self.scene, gaps, self.steering, self._means.mark, runbooks)
        mask = self._means.mask  # once: it is the same for all, so that it is paid for once
        return tuple({**block, "text": mask.masked(block["text"])} for block in told)

    @cached_property
    def _means(self) -> Means:
        lead, tester = self.models.lead, self.models.tester
        if lead is None or tester is None:
            raise RuntimeError("there is no model to ask")
        s = self.settings
        means = Means(
            lead=lead,
            tester=tester,
            purse=self._purse(),
            each_tokens=s.model_task_tokens,
            each_usd=s.model_task_usd,
            bounds=Bounds(s.model_task_turns, s.model_task_seconds, s.model_prompt_tokens, s.model_output_tokens),
            inquiry=self.inquiry,
            shelf=Shelf(self.inquiry.kept),
            noted=self._note,
            settled=lambda by: settled(self._calls_of(by), self.inquiry.kept),
            steering=self.steering,
            runbooks=self.inquiry.journal.values(self.incident.id, Runbook),
        )
        means.shelf.fill(shelved(self._calls_of(), means.shelf.kept))
        means.mask.know(o.attributes.get("author", "") for o in self.scene.observations)
        return means

    def _purse(self) -> Purse:
        return purse_of(self.inquiry.journal, self.incident.id, self.settings, self.models.within)

    def _calls_of(self, by: str = "") -> list[Entry]:
        """Return the calls of this look that are on record, in order; with a name, those of one conversation."""
        calls = self.inquiry.journal.entries(self.incident.id, kind="model_call")
        mine = f"{self.look}:{by}:" if by else f"{self.look}:"
        return [entry for entry in calls if entry.key.startswith(mine)]

    def _note(self, by: str, model: Model, turn: Turn | Exception) -> None:
        """Put a call on record; an answer is kept before, so that it is there for whoever goes on after a crash."""
        self._calls += 1
        answer = keep(turn, self._means.shelf) if isinstance(turn, Turn) else ""
        called = as_record(model.name, turn).model_copy(update={"answer": answer})
        key = f"{self.look}:{by}:{self._calls}:{datetime.now(UTC).timestamp()}"
        self.inquiry.journal.note(self.incident.id, "model_call", key, called, by)


def as_record(model: str, turn: Turn | Exception) -> ModelCall:
    """Return a call of a model, or what kept it from answering, as it goes on record."""
    if isinstance(turn, CutOff):
        return ModelCall(model=model, input_tokens=turn.tokens, usd=turn.usd, error=str(turn))
    if isinstance(turn, Exception):
        return ModelCall(model=model, error=str(turn)[:300])
    return ModelCall(
        model=model,
        input_tokens=turn.usage.input,
        cache_write_tokens=turn.usage.cache_write,
        cache_read_tokens=turn.usage.cache_read,
        output_tokens=turn.usage.output,
        usd=turn.usd,
        seconds=turn.seconds,
        stop=turn.stop,
    )
