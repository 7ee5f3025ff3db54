"""The lead, the testers and the challenger: what models add to an investigation, in the places where judgement counts.

The lead says which hypotheses are worth a test, and names missing ones. A tester for each looks for what confirms and
refutes it. One is told to disprove the leader. What they find are observations with citations, weighed by the same
rules as all others; without a model, or when it is down or its money is spent, these places stay empty.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

from pydantic import JsonValue

from midwatch.builtin.scene import Scene
from midwatch.builtin.weights import PRIORS
from midwatch.claude.agent import Ability, Agent, Bounds, Ended
from midwatch.claude.briefing import suggested
from midwatch.claude.conversation import Told
from midwatch.claude.library import reading_runbooks
from midwatch.claude.masking import Mask
from midwatch.claude.menu import Looking
from midwatch.claude.model import Block, Model, Turn
from midwatch.claude.prompts import prompt
from midwatch.claude.purse import Purse
from midwatch.claude.reporting import Reporting
from midwatch.claude.shelf import Shelf
from midwatch.claude.untrusted import DataMark, shortened, visible
from midwatch.errors import BadSteering
from midwatch.inquiry import Inquiry
from midwatch.records import Hypothesis, HypothesisKind, Verdict
from midwatch.records.runbook import Runbook
from midwatch.steering.files import Phase, Steering
from midwatch.steering.skill_files import read_named
from midwatch_kit.records import EntityId

MOST_PROPOSED: Final = 3
MOST_CHOSEN: Final = 4
_LONGEST: Final = 300
_STEERING_CHARS: Final = 6_000
_MOST_LOOKED_AT: Final = 20

_KINDS: Final = (
    "change: a deploy, a setting, a flag. resource: CPU, memory, disk, connections or locks run short or are held. "
    "dependency: what is called fails or is slow. traffic: more or other requests, retries too. state: bad data, cache "
    "or schema. access: permission, credential, certificate, quota. platform: host, network, zone. operator: a hand on "
    "a machine that is on record"
)
_PROPOSAL: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "kind": {"type": "string", "enum": [kind.value for kind in HypothesisKind], "description": _KINDS},
        "entity": {"type": "string", "description": "as it is named above: service:NAME, instance:NAME…"},
        "rationale": {"type": "string", "description": "one sentence"},
        "confirms": {"type": "string", "description": "what would be seen if it were so"},
        "refutes": {"type": "string", "description": "what would be seen if it were not"},
    },
    "required": ["kind", "entity", "rationale", "confirms", "refutes"],
}
_CHOSEN: Final = "ids; of those proposed just now also as KIND at ENTITY"
_CHOICE: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "hypotheses": {"type": "array", "items": {"type": "string"}, "maxItems": MOST_CHOSEN, "description": _CHOSEN}
    },
    "required": ["hypotheses"],
}


@dataclass(frozen=True)
class Means:
    """What models of one investigation share: who they are, what they may spend, and how they see the world.

    `noted` puts a call of a model on record, with who made it; `settled` gives the answers there are.
    """

    lead: Model
    tester: Model
    purse: Purse
    each_tokens: int
    each_usd: float
    bounds: Bounds
    inquiry: Inquiry
    shelf: Shelf
    noted: Callable[[str, Model, Turn | Exception], None]
    steering: Sequence[Steering] = ()
    runbooks: Sequence[Runbook] = ()
    settled: Callable[[str], Sequence[Turn]] = lambda _: ()
    mask: Mask = field(default_factory=Mask)
    mark: DataMark = field(default_factory=DataMark)

    def agent(self, name: str, model: Model, system: Sequence[Block], abilities: Sequence[Ability]) -> Agent:
        """Return who has one conversation, with a purse of its own."""
        own = Purse(name, self.each_tokens, self.each_usd, self.purse)
        return Agent(
            model,
            own,
            self.bounds,
            system,
            abilities,
            self.mask,
            lambda turn: self.noted(name, model, turn),
            self.settled(name),
        )

    def looking(self, by: str, about: str) -> list[Ability]:
        """Return what one model can look at things with: what the team wrote, and the tools that fit the matter."""
        tools = Looking(by, self.inquiry, self.shelf, self.mask, self.mark).abilities(about)
        tools = [*reading_runbooks(self.runbooks, self.shelf, self.mark), *tools]
        return [reading(self.steering), *tools] if any(file.text for file in self.steering) else tools

    def meant(self, phase: Phase, kind: HypothesisKind | None = None) -> str:
        """Return which files are meant to be read in a phase, in words; '' for none."""
        names = [file.name for file in self.steering if file.is_read(phase, kind)]
        return f"\n\nMeant for this, with read_steering: {', '.join(names)}." if names else ""


@dataclass
class Proposing:
    """What the lead proposes and chooses, as far as it makes sense; `chosen` are ids, the likeliest first."""

    scene: Scene
    known: Mapping[str, Hypothesis]
    proposed: dict[str, Hypothesis] = field(default_factory=dict)
    chosen: tuple[str, ...] = ()

    def abilities(self) -> list[Ability]:
        """Return what is proposed and chosen with."""
        return [
            Ability("propose_hypothesis", "Name a cause that is missing.", _PROPOSAL, self._propose),
            Ability("choose", "Say which hypotheses are to be tested; this ends your task.", _CHOICE, self._choose),
        ]

    async def _propose(self, told: Mapping[str, JsonValue]) -> Told:
        said = {key: visible(str(told.get(key, ""))).strip()[:_LONGEST] for key in _PROPOSAL["properties"]}
        if missing := [key for key, value in said.items() if not value]:
            return Told(f"it needs {', '.join(missing)}", failed=True)
        if said["kind"] not in set(HypothesisKind):
            return Told(f"{said['kind']!r} is no kind: one of {', '.join(HypothesisKind)}", failed=True)
        if said["entity"] not in self._entities:
            near = get_close_matches(said["entity"], self._entities, 3, 0.4)
            return Told(
                f"nothing here is called {said['entity']!r}; near it are {', '.join(near) or 'none'}", failed=True
            )
        kind = HypothesisKind(said["kind"])
        if same := next((h for h in self.known.values() if (h.kind, h.entity) == (kind, said["entity"])), None):
            return Told(f"that is {same.id}: choose it")
        if len(self.proposed) >= MOST_PROPOSED:
            return Told(f"{MOST_PROPOSED} are proposed already: choose", failed=True)
        made = _hypothesis(kind, said["entity"], said["rationale"], said["confirms"], said["refutes"])
        self.proposed[made.id] = made
        return Told(f"on record as {made.id}")

    async def _choose(self, told: Mapping[str, JsonValue]) -> Told:
        asked = told.get("hypotheses")
        names = [str(name) for name in asked] if isinstance(asked, list) else []
        every = {**self.known, **self.proposed}
        by_words = {f"{h.kind} at {h.entity}": h.id for h in every.values()}
        good = dict.fromkeys(by_words.get(name, name) for name in names if name in every or name in by_words)
        if not good:
            return Told("none of these is a hypothesis: give ids, as they stand before each", failed=True)
        self.chosen = tuple(good)[:MOST_CHOSEN]
        return Told("", over=True)

    @property
    def _entities(self) -> list[EntityId]:
        return [entity.id for entity in self.scene.scope.topology.entities]


def _hypothesis(kind: HypothesisKind, entity: EntityId, rationale: str, confirms: str, refutes: str) -> Hypothesis:
    return Hypothesis(
        id=hashlib.sha256(f"proposed|{kind}|{entity}".encode()).hexdigest()[:12],
        kind=kind,
        entity=entity,
        rationale=rationale,
        confirms=confirms,
        refutes=refutes,
        prior=PRIORS[kind],
        by_model=True,
    )


async def propose(
    means: Means, system: Sequence[Block], scene: Scene, known: Sequence[Hypothesis], verdicts: Mapping[str, Verdict]
) -> tuple[Proposing, Ended]:
    """Have the lead propose and choose; whatever it came to before it ended stands."""
    proposing = Proposing(scene, {h.id: h for h in known})
    looking = means.looking("lead", "change diff runbook")
    task = prompt(
        "lead",
        hypotheses=suggested(known, verdicts, means.mark),
        most=str(MOST_PROPOSED),
        chosen=str(MOST_CHOSEN),
    ) + means.meant("lead")
    ended = await means.agent("lead", means.lead, system, [*looking, *proposing.abilities()]).run(task)
    return proposing, ended


async def examine(
    means: Means, system: Sequence[Block], hypothesis: Hypothesis, *, challenge: bool = False
) -> tuple[Reporting, Ended]:
    """Have one hypothesis tested, or disproved if it can be; whatever was found before it ended stands."""
    by = f"{'challenger' if challenge else 'tester'} of {hypothesis.id}"
    reporting = Reporting(by, hypothesis, means.inquiry, means.shelf, means.mask)
    about = f"{hypothesis.kind} {hypothesis.entity} {hypothesis.rationale} {hypothesis.confirms} {hypothesis.refutes}"
    told = {"kind": hypothesis.kind.value, "entity": hypothesis.entity, "refutes": hypothesis.refutes}
    told |= {} if challenge else {"confirms": hypothesis.confirms}
    rationale = means.mark.around(hypothesis.rationale, "why it was suggested")
    task = prompt("challenge" if challenge else "test", **told, rationale=rationale)
    task += means.meant("challenge" if challenge else "test", hypothesis.kind)
    task += _looked_at(means)
    abilities = [*means.looking(by, about), *reporting.abilities()]
    ended = await means.agent(by, means.lead if challenge else means.tester, system, abilities).run(task)
    return reporting, ended


def _looked_at(means: Means) -> str:
    """Return what others looked at before, so that nobody looks twice; '' for nothing."""
    lines = [shortened(line, _LONGEST) for line in means.shelf.looked_at[-_MOST_LOOKED_AT:]]
    told = means.mark.around("\n".join(lines), "what was asked before")
    return (
        f"\n\nOthers have looked at these already; read_evidence shows one again, and you can quote it:\n\n{told}"
        if lines
        else ""
    )


def reading(steering: Sequence[Steering]) -> Ability:
    """Return what a model reads steering files with; the team wrote them, so they are no data of others."""
    files = {file.name: file for file in steering if file.text}

    async def read(told: Mapping[str, JsonValue]) -> Told:
        name, beside = str(told.get("name", "")), str(told.get("file") or "").removeprefix("./")
        if (file := files.get(name)) is None:
            return Told(f"there is no file {name!r}: {', '.join(sorted(files))}", failed=True)
        if not beside:
            more = f"\n\nFiles of it, to be read with file: {', '.join(file.beside)}" if file.beside else ""
            text = f"# {name}\n{shortened(file.text, _STEERING_CHARS)}{more}"
            return Told(text, f"{name} (read; left out to save room)")
        if file.folder is None or beside not in file.beside:
            return Told(f"{name} has no file {beside!r}: {', '.join(file.beside) or 'it has none'}", failed=True)
        try:
            text = read_named(file.folder, beside)
        except BadSteering as error:
            return Told(str(error), failed=True)
        return Told(
            f"# {name}: {beside}\n{shortened(text, _STEERING_CHARS)}", f"{beside} (read; left out to save room)"
        )

    properties = {
        "name": {"type": "string", "enum": sorted(files)},
        "file": {"type": "string", "description": "a file that belongs to it, as its text names it"},
    }
    schema = {"type": "object", "properties": properties, "required": ["name"]}
    return Ability("read_steering", "What the team wrote of its own systems.", schema, read, looks=True)
