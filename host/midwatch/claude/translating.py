"""A person's words as fields of a steer, where code does not understand them: one short task of the smaller model.

What the model says is checked as if a person had typed it, so a wrong translation names no entity that is not there
and no time that cannot be. It is paid from the incident's purse.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import JsonValue

from midwatch.claude.agent import Ability, Agent, Bounds, Ended
from midwatch.claude.conversation import Told
from midwatch.claude.day import purse_of
from midwatch.claude.judgement import as_record
from midwatch.claude.masking import Mask
from midwatch.claude.model import Model, Turn
from midwatch.claude.models import Models
from midwatch.claude.prompts import prompt
from midwatch.claude.purse import Purse
from midwatch.claude.untrusted import DataMark, visible
from midwatch.errors import HostError
from midwatch.records import HypothesisKind, Incident, Steer
from midwatch.settings import Settings
from midwatch.steering.words import Around
from midwatch.storage.journal import Journal
from midwatch_kit.errors import KitError
from midwatch_kit.records import EntityId
from midwatch_kit.window import rfc3339
from midwatch_topology import UnknownEntity

_BY: Final = "translator"
_TURNS: Final = 2
"""One to say it, and one more where that was refused."""
_OUTPUT: Final = 500
_MOST_KNOWN: Final = 100
_LONGEST: Final = 200
_FIELDS: Final[Mapping[str, Any]] = {
    "kind": {"type": "string", "enum": [kind.value for kind in HypothesisKind], "description": "a cause to test"},
    "entity": {"type": "string", "description": "where to test it; goes with kind"},
    "leave_out": {"type": "string", "description": "an entity that is noise"},
    "ignore": {"type": "string", "description": "a text: observations that say it are noise"},
    "window": {
        "type": "string",
        "description": "latest or first (a wave), 2, whole, or START/END, START/, /END in UTC",
    },
}
Make = Callable[[Mapping[str, str]], Steer]
"""Makes a steer of fields as they would be typed; raises what says why not."""


@dataclass
class _Translating:
    make: Make
    steer: Steer | None = None
    abilities: list[Ability] = field(init=False)

    def __post_init__(self) -> None:
        schema = {"type": "object", "properties": dict(_FIELDS)}
        self.abilities = [
            Ability("steer", "Say what the person wants, by the fields that they spoke of.", schema, self._said),
            Ability("cannot", "Say that it is none of this.", {"type": "object", "properties": {}}, self._not),
        ]

    async def _said(self, told: Mapping[str, JsonValue]) -> Told:
        fields = {name: visible(str(value)).strip()[:_LONGEST] for name, value in told.items() if name in _FIELDS}
        try:
            self.steer = self.make({name: value for name, value in fields.items() if value})
        except (HostError, KitError, UnknownEntity) as error:
            return Told(str(error), failed=True)
        return Told("", over=True)

    async def _not(self, _: Mapping[str, JsonValue]) -> Told:
        return Told("", over=True)


async def translated(
    models: Models, journal: Journal, incident: Incident, settings: Settings, words: str, around: Around,
    known: Sequence[EntityId], make: Make,
) -> tuple[Steer | None, Ended]:  # fmt: skip
    """Return the steer that a model makes of words, None when it makes none, and how its task ended."""
    if models.tester is None:
        return None, Ended("down", models.why_not)
    mark, calls = DataMark(), 0

    def note(model: Model, turn: Turn | Exception) -> None:
        nonlocal calls
        calls += 1
        journal.note(
            incident.id, "model_call", f"{_BY}:{rfc3339(around.now)}:{calls}", as_record(model.name, turn), _BY
        )

    translating = _Translating(make)
    task = prompt(
        "translate",
        data_rule=mark.rule,
        began=rfc3339(around.began),
        now=rfc3339(around.now),
        known=mark.around(", ".join(known[:_MOST_KNOWN]), "telemetry"),
        words=mark.around(words, "the person"),
    )
    agent = Agent(
        model=models.tester,
        purse=Purse(_BY, settings.model_task_tokens, settings.model_task_usd, purse_of(journal, incident.id, settings)),
        bounds=Bounds(_TURNS, settings.model_call_seconds, settings.model_prompt_tokens, _OUTPUT),
        system=(),
        abilities=translating.abilities,
        mask=Mask(),
        noted=lambda turn: note(models.tester, turn) if models.tester else None,
    )
    ended = await agent.run(task)
    return translating.steer, ended
