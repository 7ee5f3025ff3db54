"""Asking a server whose manners are unknown: every answer, refusal and silence is kept for judging, none raises."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import anyio
from mcp import types
from pydantic import JsonValue

from midwatch.mcp_client.links import Link, Unanswered
from midwatch.mcp_client.toolbox import Answer, keep, text_of
from midwatch_kit.evidence import EvidenceStore

_BACK_SECONDS = 5.0


@dataclass(frozen=True)
class Said:
    """What came of one question.

    `result` is what the server gave, if it gave anything, else `trouble` says why not. `answer` is there when the
    bytes behind the result could be read and checked, else `fault` says what is wrong with them.
    """

    tool: str
    arguments: Mapping[str, JsonValue]
    result: types.CallToolResult | None = None
    trouble: str = ""
    answer: Answer | None = None
    fault: str = ""

    @property
    def text(self) -> str:
        """What the result says in words."""
        return text_of(self.result) if self.result else ""

    @property
    def refused(self) -> bool:
        """Whether the server answered with a tool error."""
        return bool(self.result and self.result.is_error)

    @property
    def reply(self) -> Mapping[str, JsonValue]:
        """The structured fields of the result; empty when there are none."""
        given = self.result.structured_content if self.result else None
        return given if isinstance(given, dict) else {}

    @property
    def why(self) -> str:
        """Why there is no answer to go on with, in words; empty when there is one."""
        if self.answer:
            return ""
        return f"{self.tool}: " + (self.trouble or self.fault or self.text[:200] or "an error without words")


@dataclass
class Probe:
    """The questions put to one server so far; each has `seconds` to be answered."""

    link: Link
    seconds: float
    kept: EvidenceStore
    said: list[Said] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    async def ask(self, tool: str, arguments: Mapping[str, JsonValue]) -> Said:
        """Ask one question, wait for a server that crashed to come back, and say what came of it."""
        await self._until_up()
        said = await self._ask(tool, arguments)
        self.said.append(said)
        return said

    async def _ask(self, tool: str, arguments: Mapping[str, JsonValue]) -> Said:
        began = time.monotonic()
        try:
            result = await self.link.call(tool, arguments, self.seconds)
        except Unanswered as error:
            if time.monotonic() - began >= self.seconds:
                self.late.append(f"{tool} did not answer within {self.seconds:g} s")
            if not self.link.up:
                self.lost.append(f"the connection was lost while {tool} was asked")
            return Said(tool, arguments, trouble=str(error))
        if result.is_error:
            return Said(tool, arguments, result)
        try:
            return Said(tool, arguments, result, answer=await self._keep(tool, result))
        except Unanswered as error:
            return Said(tool, arguments, result, fault=str(error))

    async def _keep(self, tool: str, result: types.CallToolResult) -> Answer:
        with anyio.move_on_after(self.seconds):
            return await keep(self.link, tool, result, self.seconds, self.kept)
        raise Unanswered(f"its evidence could not be read within {self.seconds:g} s", down=True)

    async def _until_up(self) -> None:
        with anyio.move_on_after(_BACK_SECONDS):
            while not self.link.up:  # noqa: ASYNC110 - the link has no event for coming back
                await anyio.sleep(0.05)
