"""A model with tools and a task, until it is done, or its budget is, or it goes round in circles.

The ladder, by what is spent of tokens, money, turns or time: from half on it is told so; from four fifths on nothing
more can be looked at, and it is asked for what it has; then it ends. However it ends, what it reported until then
stays. Nothing here knows of incidents.
"""

import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import anyio
from pydantic import JsonValue

from midwatch.claude.conversation import Conversation, Told
from midwatch.claude.loops import Loops, Made
from midwatch.claude.masking import Mask
from midwatch.claude.model import NOTHING, Asked, Block, Counted, Model, ModelDown, NoSense, Turn
from midwatch.claude.purse import Purse, Spent
from midwatch.errors import stopping

log = logging.getLogger("midwatch")

NUDGED: Final = 0.5
WITHDRAWN: Final = 0.8
_LAST_TURNS: Final = 2
"""Turns that are left to tell what there is, once nothing can be looked at."""
_BROKEN: Final = 2
"""Answers of one conversation that may be no sense before it is given up."""

_HALF = "Half of your budget is spent. Report what you have found so far, and look only at what decides the matter."
_NO_MORE = "Nothing more can be looked at. Report what you have found, each with its quote, and finish now."
_CUT = "Your answer was too long and was cut: say less, in smaller steps."
_IDLE = "Use a tool: look, report, or finish. Words alone are not kept."

Ending = Literal["done", "spent", "circles", "down", "refused", "late", "full"]


@dataclass(frozen=True)
class Ability:
    """A tool as a model sees it, and what is done when it uses it; one that `looks` can be withdrawn."""

    name: str
    description: str
    schema: Mapping[str, Any]
    do: Callable[[Mapping[str, JsonValue]], Awaitable[Told]]
    looks: bool = False

    @property
    def block(self) -> Block:
        """The tool as it is sent."""
        return {"name": self.name, "description": self.description, "input_schema": dict(self.schema)}


class CutOff(Exception):
    """A call that was given up before it was answered: it may be billed, so all that it may cost is taken as spent."""

    def __init__(self, tokens: int, usd: float) -> None:
        super().__init__("it was given up before it answered; what it may have cost at most is counted")
        self.tokens, self.usd = tokens, usd


@dataclass(frozen=True)
class Bounds:
    """How far one conversation may go, whatever its purse holds; `prompt` is how long it may grow, in tokens."""

    turns: int
    seconds: float
    prompt: int
    output: int


@dataclass(frozen=True)
class Ended:
    """How a conversation ended: the way, and the reason in words."""

    how: Ending
    why: str


@dataclass
class Agent:
    """One conversation; `noted` hears of every call of the model, also of one that failed."""

    model: Model
    purse: Purse
    bounds: Bounds
    system: Sequence[Block]
    abilities: Sequence[Ability]
    mask: Mask
    noted: Callable[[Turn | Exception], None]
    settled: Sequence[Turn] = ()
    """Its first answers, where they are on record already: they are taken in turn before the model is asked again."""
    loops: Loops = field(default_factory=Loops)
    turns: int = 0
    broken: int = 0
    warned: bool = False
    withdrawn_at: int | None = None
    _began: float = field(default_factory=time.monotonic)
    _counted: Counted = NOTHING

    async def run(self, task: str) -> Ended:
        """Have the task done; never raises for what a model or its service does."""
        talk = Conversation.about(self.mask.masked(task))
        with anyio.move_on_after(self.bounds.seconds):
            while True:
                try:
                    turn = await self._answer(talk)
                except Spent as error:
                    return Ended("spent", str(error))
                except ModelDown as error:
                    return Ended("down", str(error))
                except NoSense as error:
                    self.broken += 1
                    if self.broken > _BROKEN:
                        return Ended("down", str(error))
                    continue
                if ended := await self._heed(turn, talk):
                    return ended
        return Ended("late", f"its {self.bounds.seconds:g} s are over")

    async def _answer(self, talk: Conversation) -> Turn:
        asked = Asked(
            system=self.system,
            messages=talk.messages,
            tools=[ability.block for ability in self.abilities],
            most_output=self.bounds.output,
            choice={"type": "any"} if self.withdrawn_at is not None else None,
            counted=self._counted,
        )
        turn = self._recalled() or await self._told(asked)
        self.turns += 1
        self._counted = Counted(asked.sent, turn.usage.prompt)
        return turn

    def _recalled(self) -> Turn | None:
        if self.turns >= len(self.settled):
            return None
        turn = self.settled[self.turns]
        self.purse.know(turn.usage.total, turn.usd)
        return turn

    async def _told(self, asked: Asked) -> Turn:
        """Ask the model, and have it noted what came of that."""
        tokens, usd = self.purse.spent_tokens, self.purse.spent_usd
        try:
            turn = await self.model.answer(asked, self.purse)
        except (ModelDown, NoSense) as error:
            self.noted(error)
            raise
        except anyio.get_cancelled_exc_class():
            self.noted(CutOff(self.purse.spent_tokens - tokens, self.purse.spent_usd - usd))
            raise
        self.noted(turn)
        return turn

    async def _heed(self, turn: Turn, talk: Conversation) -> Ended | None:
        """Do what the model asks for, and tell it how that went; returns how it ended, if it did."""
        talk.answered(turn)
        if turn.stop == "refused":
            return Ended("refused", turn.text[:200] or "the model declined to go on")
        if turn.stop == "paused":  # it is sent back as it is, and goes on by itself
            return Ended("spent", f"its {self.turns} turns are used") if self.turns >= self.bounds.turns else None
        results = await self._do(turn.uses)
        if any(told.over for _, told in results):
            return Ended("done", "")
        circle = self.loops.after(
            [Made(_named(use), told.failed) for use, (_, told) in zip(turn.uses, results, strict=True)]
        )
        words = [_CUT if turn.stop == "cut" else "", "" if turn.uses or turn.stop == "cut" else _IDLE]
        words += self._ladder(circle)
        if self._is_over():
            return Ended("circles", circle) if circle else Ended("spent", "it was asked to finish, and did not")
        if turn.usage.prompt >= self.bounds.prompt or turn.stop == "full":
            left_out = talk.shorten()
            self._counted = NOTHING
            if turn.stop == "full" and not left_out:
                return Ended("full", "the conversation is longer than the model can read")
        talk.tell(results, *words)
        return None

    def _ladder(self, circle: str) -> list[str]:
        """Return what is said about the budget and about circles, and take the next step down when it is time."""
        if self.withdrawn_at is not None:
            return [_NO_MORE]
        last_turns = self.turns >= self.bounds.turns - _LAST_TURNS
        if last_turns or self._share >= WITHDRAWN or (circle and self.warned):
            self.withdrawn_at = self.turns
            return [circle, _NO_MORE]
        if circle or (self._share >= NUDGED and not self.warned):
            self.warned = True
            return [f"{circle}. Look elsewhere, or report." if circle else _HALF]
        return []

    def _is_over(self) -> bool:
        late = self.withdrawn_at is not None and self.turns - self.withdrawn_at >= _LAST_TURNS
        return late or self.turns >= self.bounds.turns

    @property
    def _share(self) -> float:
        """Which part of its budget is spent, by whatever is spent most of."""
        seconds = (time.monotonic() - self._began) / self.bounds.seconds
        return max(self.purse.share_spent, self.turns / self.bounds.turns, seconds)

    async def _do(self, uses: Sequence[Block]) -> list[tuple[str, Told]]:
        """Use the tools: those that look all at once, then the others in turn; results stand as they were asked for."""
        told: dict[str, Told] = {}

        async def one(use: Block) -> None:
            told[use["id"]] = await self._use(use)

        looking = {ability.name for ability in self.abilities if ability.looks}
        async with anyio.create_task_group() as group:
            for use in uses:
                if use["name"] in looking:
                    group.start_soon(one, use)
        for use in uses:
            if use["name"] not in looking:
                await one(use)
        return [(use["id"], told[use["id"]]) for use in uses]

    async def _use(self, use: Block) -> Told:
        ability = next((each for each in self.abilities if each.name == use["name"]), None)
        if ability is None:
            return Told(f"there is no tool {use['name']!r}", failed=True)
        if ability.looks and self.withdrawn_at is not None:
            return Told(_NO_MORE, failed=True)
        if not isinstance(use["input"], dict):
            return Told("its input must be an object", failed=True)
        try:
            told = await ability.do(use["input"])
        except Exception as error:  # one tool that breaks must not take the conversation with it
            if stopping(error):
                raise
            log.exception("%s broke", ability.name)
            return Told(f"it broke: {type(error).__name__}", failed=True)
        return Told(self.mask.masked(told.text), self.mask.masked(told.short), told.failed, told.over)


def _named(use: Block) -> str:
    return f"{use['name']} {json.dumps(use['input'], sort_keys=True, ensure_ascii=False)}"
