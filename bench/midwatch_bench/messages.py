"""The Messages API as its service speaks it: what it refuses, what it bills, and how an answer is streamed.

For whoever stands in for the service: the tests' script and the bridge. A token is four characters here; what stands
before a `cache_control` and was sent to the same model before, by anybody, is read from the cache, and what is new
there is written to it: five minutes are longer than any test.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, TypeAlias

VERSION: Final = "2026-10-21"
_LOOKS_BACK: Final = 20
"""Parts before a marked place in which the service looks for what it kept."""

Json: TypeAlias = dict[str, Any]


@dataclass
class Bill:
    """What a service keeps of what it was sent, and what it bills for it; `every` are its bills, in order."""

    every: list[Json] = field(default_factory=list)
    _cached: set[str] = field(default_factory=set)

    def kept(self, body: Json) -> int:
        """Return how many tokens are read from the cache: the longest part before a marked place that was kept."""
        parts, marks = _parts(body), _marks(body)
        seen = {end for mark in marks for end in range(max(0, mark - _LOOKS_BACK), mark + 1)}
        return max((_tokens(parts[:end]) for end in seen if _prefix(body, end) in self._cached), default=0)

    def usage(self, body: Json, blocks: Sequence[Json], read: int | None = None) -> Json:
        """What the service bills: up to a marked place all is kept for later.

        `read` is what was kept when the request came, where that was earlier: what others began meanwhile is no help.
        """
        parts, marks = _parts(body), _marks(body)
        read = self.kept(body) if read is None else read
        marked = max((_tokens(parts[:mark]) for mark in marks), default=0)
        self._cached |= {_prefix(body, mark) for mark in marks}
        whole = _tokens(parts)
        billed = {
            "input_tokens": whole - marked,
            "cache_creation_input_tokens": marked - read,
            "cache_read_input_tokens": read,
            "output_tokens": _tokens(blocks),
        }
        self.every.append(billed)
        return billed


def refusal(body: Json, headers: Mapping[str, str]) -> str:
    """Return what the service would refuse a request for."""
    if headers.get("anthropic-version") != VERSION:
        return "anthropic-version: header is required"
    if unknown := {"temperature", "top_p", "top_k"} & body.keys():
        return f"{sorted(unknown)[0]}: Extra inputs are not permitted"
    roles = [message["role"] for message in body["messages"]]
    if not roles or roles[0] != "user" or any(a == b for a, b in pairwise(roles)):
        return "messages: roles must alternate, beginning with user"
    return unpaired(body["messages"])


def unpaired(messages: Sequence[Json]) -> str:
    """Return which use of a tool has no result in the message that follows, or which result comes from nowhere."""
    for before, after in zip(messages, [*messages[1:], None], strict=False):
        asked = [b["id"] for b in _blocks(before) if b["type"] == "tool_use"]
        if after is None:
            return f"messages: `tool_use` ids without `tool_result`: {', '.join(asked)}" if asked else ""
        given = [b["tool_use_id"] for b in _blocks(after) if b["type"] == "tool_result"]
        if before["role"] == "assistant" and sorted(asked) != sorted(given):
            return f"messages: `tool_use` ids {asked} do not match `tool_result` ids {given}"
    return ""


def _blocks(message: Json) -> list[Json]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _parts(body: Json) -> list[Json]:
    """All that is sent, in the order in which it is cached: tools, system, messages."""
    system = body.get("system", [])
    of_system = [{"type": "text", "text": system}] if isinstance(system, str) else system
    return [*body.get("tools", []), *of_system, *(b for message in body["messages"] for b in _blocks(message))]


def _marks(body: Json) -> list[int]:
    """How many parts stand before each place that is marked to be kept; a mark on the body is at its end."""
    parts = _parts(body)
    ends = [number + 1 for number, part in enumerate(parts) if "cache_control" in part]
    return [*ends, len(parts)] if "cache_control" in body else ends


def _prefix(body: Json, end: int) -> str:
    """Return a name for what stands before a place; each model has a cache of its own."""
    kept = [body.get("model"), *_plain(_parts(body)[:end])]
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def _tokens(parts: Sequence[Json]) -> int:
    return sum(-(-len(json.dumps(part)) // 4) for part in _plain(parts))


def _plain(parts: Sequence[Json]) -> list[Json]:
    return [{name: value for name, value in part.items() if name != "cache_control"} for part in parts]


def streamed(told: Json) -> list[tuple[str, Json]]:
    """Return the events that a message is streamed as, by name; texts and what tools are asked with come in pieces.

    A block with `raw` sends that instead of the JSON of its input.
    """
    begun = {**told, "content": [], "stop_reason": None, "usage": {**told["usage"], "output_tokens": 1}}
    events: list[tuple[str, Json]] = [("message_start", {"message": begun})]
    for index, block in enumerate(told["content"]):
        field_name, kind = ("text", "text_delta") if block["type"] == "text" else ("partial_json", "input_json_delta")
        whole = block["text"] if block["type"] == "text" else block.get("raw") or json.dumps(block["input"])
        empty = {**block, "text": ""} if block["type"] == "text" else {**block, "input": {}}
        empty.pop("raw", None)
        events.append(("content_block_start", {"index": index, "content_block": empty}))
        for at in range(0, len(whole), 20):
            delta = {"type": kind, field_name: whole[at : at + 20]}
            events.append(("content_block_delta", {"index": index, "delta": delta}))
        events.append(("content_block_stop", {"index": index}))
    delta = {"stop_reason": told["stop_reason"], "stop_sequence": None}
    end = {"delta": delta, "usage": {"output_tokens": told["usage"]["output_tokens"]}}
    return [*events, ("message_delta", end), ("message_stop", {})]


def message(body: Json, number: int, blocks: Sequence[Json], stop: str, usage: Json) -> Json:
    """Return an answer as the service has it; without a reason to stop it is what the blocks say."""
    reason = stop or ("tool_use" if any(block["type"] == "tool_use" for block in blocks) else "end_turn")
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [*blocks],
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": usage,
    }


def event(name: str, data: Json) -> str:
    """Return one server-sent event."""
    return f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n"
