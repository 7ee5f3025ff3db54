"""A model that answers one question: what it may read, how it states, and what code makes of what it states.

Its statements need a source that it was shown and a quote that stands there; others are dropped and counted. It has no
tool that could change anything, and what it may spend is settled before it begins.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import JsonValue

from midwatch.chat.handles import line
from midwatch.chat.looks import Fresh
from midwatch.chat.pages import READ_JOURNAL, Pages
from midwatch.claude.agent import Ability, Agent, Bounds, Ended
from midwatch.claude.conversation import Told
from midwatch.claude.masking import Mask
from midwatch.claude.menu import Looking
from midwatch.claude.model import Model, Turn
from midwatch.claude.prompts import prompt
from midwatch.claude.purse import Purse
from midwatch.claude.shelf import Shelf
from midwatch.claude.untrusted import DataMark, visible
from midwatch.records.message import Statement
from midwatch.storage.journal import Entry
from midwatch.storage.privacy import hidden
from midwatch_kit.records import Citation, Observation, ObservationKind, Signal

MOST: Final = 8
_LONGEST: Final = 300
_QUOTED: Final = 100
_STATE: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "statement": {"type": "string", "description": "one short sentence of the answer"},
        "source": {"type": "string", "description": "what says so: r12 or E7"},
        "quote": {"type": "string", "description": "copied exactly from one field of it"},
    },
    "required": ["statement", "source", "quote"],
}
_FINISH: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {"answered": {"type": "string", "enum": ["yes", "partly", "no"]}},
    "required": ["answered"],
}
_ENDS: Final[Mapping[str, str]] = {
    "partly": "The model says that this answers the question in part.",
    "no": "The model found no answer to it in what it could read.",
}


@dataclass
class Answering:
    """The answer of a model, as it comes to be; `dropped` counts what did not stand."""

    pages: Pages
    fresh: Fresh
    mask: Mask
    mark: DataMark
    stated: list[Statement] = field(default_factory=list)
    dropped: int = 0
    answered: str = ""

    def abilities(self, *, looks: bool, about: str) -> list[Ability]:
        """Return what is read and stated with; with `looks`, also the reading tools of every server."""
        looking = Looking("question", self.fresh, self.pages.shelf, self.mask, self.mark)
        tools = [each for each in looking.abilities(about) if looks or each.name == "read_evidence"]
        return [
            Ability("read_journal", "Records of the investigation, by kind.", READ_JOURNAL, self._read, looks=True),
            *tools,
            Ability("state", "One sentence of the answer, with its source and quote.", _STATE, self._state),
            Ability("finish", "End, after your statements.", _FINISH, self._finish),
        ]

    async def _read(self, told: Mapping[str, JsonValue]) -> Told:
        skip = told.get("skip")
        try:
            text = self.mask.unmasked(str(told.get("text", "")))
            head, rows = self.pages.read(
                str(told.get("page", "")), text, skip if isinstance(skip, int) and skip > 0 else 0
            )
        except KeyError:
            return Told("there is no such page", failed=True)
        return Told(f"{head}\n{self.mark.around(chr(10).join(rows), 'the journal')}", f"{head} (left out to save room)")

    async def _state(self, told: Mapping[str, JsonValue]) -> Told:
        statement, source, quote = (str(told.get(key) or "").strip() for key in ("statement", "source", "quote"))
        if not statement:
            return Told("it needs a statement", failed=True)
        if len(self.stated) >= MOST:
            return Told(f"{MOST} are enough: finish", failed=True)
        unmasked = self.mask.unmasked(quote)
        found = self.pages.cite(source, unmasked)
        if found is None:
            self.dropped += 1
            return Told(f"dropped: {source} was not shown, or does not say {quote[:80]!r}", failed=True)
        text = hidden(visible(self.mask.unmasked(statement)))[:_LONGEST]
        shown = hidden(visible(unmasked))[:_QUOTED]
        made = self.pages.statement(f'{text} ("{shown}")', found)
        self.stated += [made] if not isinstance(found, Citation) else self._checked(made, found)
        return Told("told to the person")

    def _checked(self, made: Statement, found: Citation) -> list[Statement]:
        """Return a statement whose citation stands in the stored bytes, with nothing personal in its quote."""
        seen = Observation(
            id=hashlib.sha256(f"{found.evidence}{found.where}".encode()).hexdigest()[:26],
            entity="",
            signal=Signal.STATE,
            kind=ObservationKind.READING,
            subject="answer",
            statement=made.text[:200],
            citations=(found,),
            by="question",
        )
        return [made.model_copy(update={"citations": o.citations}) for o in self.fresh.checked([seen])]

    async def _finish(self, told: Mapping[str, JsonValue]) -> Told:
        self.answered = str(told.get("answered", ""))
        return Told("", over=True)

    def remarks(self, ended: Ended) -> list[str]:
        """Return what the person is told of how the answer came to be."""
        told = [_ENDS[self.answered]] if self.answered in _ENDS else []
        if self.dropped:
            told.append(f"statements of the model that were dropped, since their quotes do not stand: {self.dropped}")
        if ended.how != "done":
            told.append(f"The model did not finish: {ended.how}: {hidden(ended.why)[:300]}")
        return told


@dataclass(frozen=True)
class Reasoner:
    """A model with what it may spend on one question; `noted` puts its calls on record."""

    model: Model
    purse: Purse
    bounds: Bounds
    noted: Callable[[Turn | Exception], None]

    async def answer(self, asked: "Put", fresh: Fresh) -> tuple[Answering, Ended]:
        """Have a question answered; never raises for what a model or its service does."""
        mask, mark = Mask(), DataMark()
        pages = Pages(asked.entries, Shelf(fresh.kept))
        mask.know(pages.persons)
        pages.show([*asked.answered, *asked.remembered, *asked.concluded])
        answering = Answering(pages, fresh, mask, mark)
        rules = prompt("answer", data_rule=mark.rule, most=str(MOST))
        told = prompt(
            "question",
            question=visible(asked.question),
            earlier=_part("Earlier in this conversation:", asked.earlier, mark, "this conversation"),
            about=_part("What code answers to it:", [*map(line, asked.answered)], mark, "records, read by code")
            + _part("What was concluded so far:", [*map(line, asked.concluded)], mark, "the investigation"),
            looks=_looks(asked),
        )
        system = [{"type": "text", "text": mask.masked(rules), "cache_control": {"type": "ephemeral"}}]
        abilities = answering.abilities(looks=asked.looks, about=asked.question)
        agent = Agent(self.model, self.purse, self.bounds, system, abilities, mask, self.noted)
        return answering, await agent.run(told)


@dataclass(frozen=True)
class Put:
    """A question as it is put to a model: with the records that it may read, what was said before, what code answered.

    `remembered` is what was stated in the answers before, and `concluded` where the investigation stands.
    With `looks` it may use the reading tools of the servers; `window` says, in words, where to look.
    """

    question: str
    entries: Sequence[Entry]
    earlier: Sequence[str] = ()
    remembered: Sequence[Statement] = ()
    answered: Sequence[Statement] = ()
    concluded: Sequence[Statement] = ()
    looks: bool = False
    window: str = ""


def _part(head: str, lines: Sequence[str], mark: DataMark, source: str) -> str:
    return f"{head}\n{mark.around(chr(10).join(lines), source)}\n" if lines else ""


def _looks(asked: Put) -> str:
    if not asked.looks:
        return "The person asked for no fresh look: you can read what is on record."
    return f"You can use the reading tools of the servers. It is about {asked.window}."
