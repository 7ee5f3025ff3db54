"""What a server says beside its tools: its instructions, its prompts and its resources, for a model that asks for them.

All of it was written by others, whatever it calls itself: it is cut, cleaned and marked like a log line. It is shown
when it is asked for, so that it costs nothing otherwise. What may be read of a server is what the settings name.
A resource is evidence and can be quoted; a prompt and instructions are somebody's advice, and cannot.
"""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final, TypeAlias

from pydantic import JsonValue

from midwatch.claude.agent import Ability
from midwatch.claude.conversation import Told
from midwatch.claude.untrusted import DataMark, shortened, visible
from midwatch.inquiry import Inquiry
from midwatch.mcp_client.toolbox import GET_PROMPT, LIST_PROMPTS, LIST_RESOURCES, READ_RESOURCE, Tool, Words

INSTRUCTIONS_CHARS: Final = 2_000
LISTED_CHARS: Final = 2_000
"""Characters of one list: prompts, or resources."""
_LINE_CHARS: Final = 300

_WHAT: Final = ("about", "resource", "prompt")
Look: TypeAlias = Callable[[Tool, Mapping[str, JsonValue]], Awaitable[Told]]


@dataclass
class ServerWords:
    """The words of some servers, read on behalf of one model; `look` reads what becomes evidence."""

    by: str
    inquiry: Inquiry
    mark: DataMark
    look: Look

    def abilities(self) -> list[Ability]:
        """Return what they are read with; nothing when no server has any."""
        if not (servers := sorted(self.inquiry.eyes.words())):
            return []
        said = "What a server says of itself: about (instructions, prompts, resources); one resource; one prompt."
        return [Ability("read_server", said, _schema(servers), self._read, looks=True)]

    async def _read(self, told: Mapping[str, JsonValue]) -> Told:
        server, what, name = (str(told.get(key, "")) for key in ("server", "what", "name"))
        if (words := self.inquiry.eyes.words().get(server)) is None:
            return Told(f"there is no server {server[:80]!r} with words of its own", failed=True)
        if what == "about":
            return await self._about(server, words)
        if what == "resource" and _is_among(name, words.resources):
            return await self.look(self.inquiry.eyes.bound(server, READ_RESOURCE), {"uri": name})
        if what == "prompt" and _is_among(name, words.prompts):
            return await self._prompt(server, name, told.get("arguments", {}))
        return Told(f"the settings let nobody read the {what[:20]} {name[:80]!r}: about says what may be", failed=True)

    async def _about(self, server: str, words: Words) -> Told:
        parts = [f"Instructions: {shortened(words.instructions, INSTRUCTIONS_CHARS) or 'none'}"]
        for question, allowed, key in ((LIST_PROMPTS, words.prompts, "name"), (LIST_RESOURCES, words.resources, "uri")):
            if allowed:
                listed = await self._listed(server, question, allowed, key)
                parts.append(f"{question.partition('/')[0]}:\n{shortened(listed, LISTED_CHARS)}")
        text = self.mark.around("\n".join(parts), f"what {server} says of itself")
        return Told(text, f"about {server} (left out to save room)")

    async def _listed(self, server: str, question: str, allowed: Sequence[str], key: str) -> str:
        tool = self.inquiry.eyes.bound(server, question)
        answer = await self.inquiry.ask(tool, {}, self.by)
        return "\n".join(_lines(answer.rows, allowed, key)) if answer else self.inquiry.why_not(tool, {})

    async def _prompt(self, server: str, name: str, arguments: JsonValue) -> Told:
        tool = self.inquiry.eyes.bound(server, GET_PROMPT)
        asked: dict[str, JsonValue] = {"name": name, "arguments": arguments if isinstance(arguments, dict) else {}}
        answer = await self.inquiry.ask(tool, asked, self.by)
        if answer is None:
            return Told(self.mark.around(self.inquiry.why_not(tool, asked), server), failed=True)
        text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in answer.rows)
        return Told(
            self.mark.around(shortened(text, INSTRUCTIONS_CHARS), f"a prompt of {server}"), f"prompt {name[:80]}"
        )


def _schema(servers: Sequence[str]) -> Mapping[str, Any]:
    properties = {
        "server": {"type": "string", "enum": [*servers]},
        "what": {"type": "string", "enum": [*_WHAT]},
        "name": {"type": "string", "description": "URI of the resource, or name of the prompt"},
        "arguments": {"type": "object", "description": "of the prompt"},
    }
    return {"type": "object", "properties": properties, "required": ["server", "what"]}


def _lines(rows: Sequence[JsonValue], allowed: Sequence[str], key: str) -> Iterator[str]:
    """Yield what may be read, a line for each."""
    for row in rows:
        if isinstance(row, dict) and _is_among(str(row.get(key, "")), allowed):
            said = " ".join(str(row.get(part) or "") for part in ("title", "description")).strip()
            takes = row.get("arguments")
            names = (
                [str(each.get("name")) for each in takes if isinstance(each, dict)] if isinstance(takes, list) else []
            )
            takes_them = f" (takes {', '.join(names)})" if names else ""
            line = f"- {row[key]}: {said}{takes_them}"
            yield shortened(" ".join(visible(line).split()), _LINE_CHARS)


def _is_among(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
