"""What a model may look at: the reading tools that fit its matter, what finds others, and what all of them give.

What a tool may be used for was settled before (`trust`); nothing that is read here changes it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import JsonValue

from midwatch.claude.agent import Ability
from midwatch.claude.conversation import Told
from midwatch.claude.finding import FIND_CHARS, Finding
from midwatch.claude.masking import Mask
from midwatch.claude.picking import fits, for_models, name_of, picked, schema_of, size_of, words_of
from midwatch.claude.server_words import ServerWords
from midwatch.claude.shelf import Shelf
from midwatch.claude.untrusted import DataMark, shortened
from midwatch.inquiry import Inquiry
from midwatch.mcp_client.toolbox import Answer, Tool
from midwatch_kit.evidence import canonical

MENU_CHARS: Final = 12_000
"""Characters of all tools together, as they are sent: about 3,000 tokens."""
RESULT_CHARS: Final = 6_000
_OF_A_PERSON: Final = re.compile(r"(^|\.)(user|login|user\.(id|name|full_name|email))$")
"""Keys of a change's attributes that name a person; user.… are OpenTelemetry's (https://opentelemetry.io/docs/specs/semconv/registry/attributes/user/)."""

READ_EVIDENCE: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "evidence": {"type": "string", "description": "its name, as E7"},
        "text": {"type": "string", "description": "only rows with this text, in any case"},
        "skip": {"type": "integer", "minimum": 0, "description": "rows to pass over"},
    },
    "required": ["evidence"],
}


@dataclass
class Looking:
    """How one model looks at things: on behalf of whom, with what names, marks and masks."""

    by: str
    inquiry: Inquiry
    shelf: Shelf
    mask: Mask
    mark: DataMark

    def abilities(self, about: str, most_chars: int = MENU_CHARS) -> list[Ability]:
        """Return what can be looked with: the tools that fit what it is about, and what finds and reads more.

        All of them together have at most `most_chars` as they are sent, of which the last three need 1,200.
        """
        words = "More rows of a result that was cut, by its name: all of them in turn, or those with a text."
        read_on = Ability("read_evidence", words, READ_EVIDENCE, self._read_on, looks=True)
        forbidden = self.inquiry.forbidden
        every = for_models(t for t in self.inquiry.eyes.all() if not forbidden(t.server, t.name))
        words_of_servers = ServerWords(self.by, self.inquiry, self.mark, self._look).abilities()
        room = most_chars - sum(size_of(each.block) for each in (read_on, *words_of_servers))
        chosen = every if fits(every, room) else picked(every, about, room - FIND_CHARS)
        names = {name_of(tool) for tool in chosen}
        left_out = [tool for tool in every if name_of(tool) not in names]
        finding = Finding(left_out, self._look, self.mark)
        return [*map(self._ability, sorted(chosen, key=name_of)), *finding.abilities(), *words_of_servers, read_on]

    def _ability(self, tool: Tool) -> Ability:
        async def look(arguments: Mapping[str, JsonValue]) -> Told:
            return await self._look(tool, arguments)

        return Ability(name_of(tool), words_of(tool), schema_of(tool), look, looks=True)

    async def _look(self, tool: Tool, arguments: Mapping[str, JsonValue]) -> Told:
        asked = {name: self._inside(value, tool) for name, value in arguments.items()}
        answer = await self.inquiry.ask(tool, asked, self.by)
        if answer is None:
            return Told(self.mark.around(self.inquiry.why_not(tool, asked), _title(tool)), failed=True)
        return self._told(tool, arguments, answer)

    def _inside(self, value: JsonValue, tool: Tool) -> JsonValue:
        """Persons are named to the servers that told of them, and to nobody else."""
        if isinstance(value, str):
            return self.mask.unmasked(value) if tool.ours else value
        if isinstance(value, list):
            return [self._inside(each, tool) for each in value]
        if isinstance(value, dict):
            return {name: self._inside(each, tool) for name, each in value.items()}
        return value

    def _told(self, tool: Tool, arguments: Mapping[str, JsonValue], answer: Answer) -> Told:
        self.mask.know(_persons(answer.rows))
        every = _lines(answer)
        shown = _fitting(every)
        matched = answer.reply.get("matched", len(answer.rows))
        asked = json.dumps(dict(arguments), ensure_ascii=False)
        name = self.shelf.put(answer.evidence, _title(tool), f"{_title(tool)} {asked}: {matched} matched")
        head = f"[{name}] {_title(tool)}: {matched} matched"
        is_cut = len(shown) < len(every) or answer.reply.get("truncated")
        rest = f", not all of it is here; more with read_evidence {name}" if is_cut else ""
        lines = [*shown, *_remarks(answer)]
        data = self.mark.around("\n".join(lines), _title(tool))
        as_shown = self.inquiry.kept.put(canonical({"rows": [*lines]})) if answer.reply.get("lines") else ""
        self.shelf.told(name, f"{head}{rest}\n{data}", as_shown)
        return Told(f"{head}{rest}\n{data}", f"{head} (left out to save room)")

    async def _read_on(self, arguments: Mapping[str, JsonValue]) -> Told:
        name, text, skip = str(arguments.get("evidence", "")), str(arguments.get("text", "")), arguments.get("skip", 0)
        try:
            rows = self.shelf.lines(name, self.mask.unmasked(text))
        except KeyError:
            return Told(f"there is no evidence {name!r}: names are those in brackets before results", failed=True)
        passed = skip if isinstance(skip, int) and skip > 0 else 0
        if not text and not passed and (told := self.shelf.as_told(name)):
            return Told(told, told.partition("\n")[0])
        shown = _fitting(rows[passed:])
        head = f"[{name}] rows {passed + 1} to {passed + len(shown)} of {len(rows)}"
        data = self.mark.around("\n".join(shown), self.shelf.tool_of(name))
        return Told(f"{head}\n{data}", head)


def _title(tool: Tool) -> str:
    return f"{tool.server}.{tool.name}"


def _fitting(lines: Sequence[str]) -> list[str]:
    """Return the first lines that fit one result."""
    shown: list[str] = []
    left = RESULT_CHARS
    for line in lines:
        if (left := left - len(line) - 1) < 0 and shown:
            break
        shown.append(shortened(line, RESULT_CHARS))
    return shown


def _lines(answer: Answer) -> list[str]:
    """Return an answer's lines; of one that was asked for before, and by somebody else, its rows."""
    lines = answer.reply.get("lines")
    if isinstance(lines, list):
        return [str(line) for line in lines]
    return [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in answer.rows]


def _remarks(answer: Answer) -> list[str]:
    """Return what a server says of its answer: what it could not look at, and what to try when nothing matched.

    How a client reads the rest of a result is left out: a model has read_evidence for that.
    """
    caveats, hint = answer.reply.get("caveats"), answer.reply.get("hint")
    told = [*map(str, caveats if isinstance(caveats, list) else []), *([str(hint)] if hint else [])]
    return [text for text in told if "midwatch://evidence/" not in text]


def _persons(rows: Iterable[JsonValue]) -> Iterator[str]:
    """Yield who is named as a person in rows of changes: who made them, and whose session they were."""
    for row in rows:
        if isinstance(row, dict) and isinstance(author := row.get("author"), str):
            yield author
            facts = row.get("attributes")
            named = facts.items() if isinstance(facts, dict) else ()
            yield from (value for key, value in named if _OF_A_PERSON.search(key) and isinstance(value, str))
