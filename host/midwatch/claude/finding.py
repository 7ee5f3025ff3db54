"""Tools that a model was not given for want of room: it finds them by words, and uses them by name.

The list of tools stays what it is through a conversation, since what is sent first must stay the same to be read from
the service's cache. So what is found is shown as a result, with its arguments, and used through one tool for all.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from pydantic import JsonValue

from midwatch.claude.agent import Ability
from midwatch.claude.conversation import Told
from midwatch.claude.picking import name_of, ranking, schema_of, words_of
from midwatch.claude.untrusted import DataMark, visible
from midwatch.mcp_client.toolbox import Tool

FIND_CHARS: Final = 700
"""Characters that the two tools have together, as they are sent."""
SHOWN_CHARS: Final = 4_000
"""Characters of what one search shows."""
_MOST_SHOWN: Final = 12
"""Tools that one search shows."""

_FIND: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {"words": {"type": "string", "description": "what it should be about, in a few words"}},
    "required": ["words"],
}
_USE: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "tool": {"type": "string", "description": "its name, as find_tools showed it"},
        "arguments": {"type": "object", "description": "as its schema has them"},
    },
    "required": ["tool"],
}
Look: TypeAlias = Callable[[Tool, Mapping[str, JsonValue]], Awaitable[Told]]


@dataclass
class Finding:
    """The tools that were left out, and those of them that were found; what was not shown cannot be used."""

    left_out: Sequence[Tool]
    look: Look
    mark: DataMark
    _found: dict[str, Tool] = field(default_factory=dict)

    def abilities(self) -> list[Ability]:
        """Return what is found and used with; nothing when no tool was left out."""
        if not self.left_out:
            return []
        find = f"Find more reading tools by words: {len(self.left_out)} are not listed here."
        use = "Use a tool that find_tools showed."
        return [
            Ability("find_tools", find, _FIND, self._find, looks=True),
            Ability("use_tool", use, _USE, self._use, looks=True),
        ]

    async def _find(self, told: Mapping[str, JsonValue]) -> Told:
        words = str(told.get("words", ""))
        lines: list[str] = []
        for tool in ranking(self.left_out, words)[:_MOST_SHOWN]:
            line = f"{name_of(tool)}: {words_of(tool)} Arguments: {json.dumps(schema_of(tool), ensure_ascii=False)}"
            if sum(map(len, lines)) + len(line) > SHOWN_CHARS:
                continue
            lines.append(line)
            self._found[name_of(tool)] = tool
        if not lines:
            return Told("none of them fits here", failed=True)
        names = ", ".join(line.partition(":")[0] for line in lines)
        return Told(self.mark.around("\n".join(lines), "what servers say of their tools"), f"found: {names}")

    async def _use(self, told: Mapping[str, JsonValue]) -> Told:
        name, arguments = visible(str(told.get("tool", ""))), told.get("arguments", {})
        if (tool := self._found.get(name)) is None:
            return Told(f"find_tools showed no tool {name[:80]!r}: find it first, or use it by itself", failed=True)
        if not isinstance(arguments, dict):
            return Told("arguments must be an object", failed=True)
        return await self.look(tool, arguments)
