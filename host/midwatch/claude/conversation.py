"""What has been said between a model and us, as it is sent; made shorter when it grows too long.

What is left out are old results: each leaves a line behind that names its evidence, which can be read again. What was
found is kept elsewhere, and loops are remembered elsewhere, so nothing that matters is lost with them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from midwatch.claude.model import Block, Turn

_KEPT: Final = 2
"""Messages with results that stay whole: what a model has just asked for."""


@dataclass(frozen=True)
class Told:
    """What a use of a tool gave: the whole of it, and the line that stands for it later; `over` ends it all."""

    text: str
    short: str = ""
    failed: bool = False
    over: bool = False


@dataclass
class Conversation:
    """Messages in order, beginning with the task; `messages` are ready to be sent."""

    messages: list[Block]
    _short: dict[str, str] = field(default_factory=dict)

    @classmethod
    def about(cls, task: str) -> "Conversation":
        """Begin one with a task."""
        return cls([{"role": "user", "content": [{"type": "text", "text": task}]}])

    def answered(self, turn: Turn) -> None:
        """Add what the model said, without the use that it was cut off in; after a pause it goes on where it was."""
        whole = {use["id"] for use in turn.uses}
        kept = [block for block in turn.blocks if block["type"] != "tool_use" or block["id"] in whole]
        kept = [_sendable(block) for block in kept if block["type"] != "text" or block["text"].strip()]
        if self.messages[-1]["role"] == "assistant":
            self.messages[-1]["content"] += kept
        else:
            self.messages.append({"role": "assistant", "content": kept or [{"type": "text", "text": "(nothing)"}]})

    def tell(self, results: Sequence[tuple[str, Told]], *words: str) -> None:
        """Add what the uses of tools gave, by their ids and in their order, and then words of ours."""
        content: list[Block] = [_result(use, told) for use, told in results]
        content += [{"type": "text", "text": said} for said in words if said]
        self._short |= {use: told.short for use, told in results if told.short}
        self.messages.append({"role": "user", "content": content or [{"type": "text", "text": "Go on."}]})

    def shorten(self) -> int:
        """Leave old results out and return how many."""
        with_results = [m for m in self.messages if m["role"] == "user" and any(map(_is_result, m["content"]))]
        left_out = 0
        for message in with_results[:-_KEPT]:
            for block in filter(_is_result, message["content"]):
                if (short := self._short.pop(block["tool_use_id"], None)) is not None:
                    block["content"] = short
                    left_out += 1
        return left_out


def _sendable(block: Block) -> Block:
    """Return a block that the service takes back: what a tool is asked with must be an object."""
    wrong = block["type"] == "tool_use" and not isinstance(block["input"], dict)
    return {**block, "input": {}} if wrong else block


def _result(use: str, told: Told) -> dict[str, Any]:
    result: dict[str, Any] = {"type": "tool_result", "tool_use_id": use, "content": told.text or "(nothing)"}
    return {**result, "is_error": True} if told.failed else result


def _is_result(block: Mapping[str, Any]) -> bool:
    return bool(block["type"] == "tool_result")
