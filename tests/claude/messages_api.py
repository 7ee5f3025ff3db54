"""A Messages API on a real socket that plays a script: what it is asked is kept, what it answers is what a test says.

It speaks the API as its description has it: JSON or server-sent events, `anthropic-version`, `request-id`, errors with
their types. It counts tokens as the service bills them: what stands before a `cache_control` and was sent before, by
anybody, is read from the cache; what is new there is written to it (five minutes are longer than any test). A token is
four characters here.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, TypeAlias

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from tests.backends.serving import listening

KEY: Final = "sk-ant-api03-a-key-that-nobody-may-ever-see-again"
VERSION: Final = "2026-10-21"
_LOOKS_BACK: Final = 20
"""Parts before a marked place in which the service looks for what it kept."""

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Says:
    """An answer that goes well: its blocks, and why it stops there."""

    blocks: Sequence[Json]
    stop: str = ""


@dataclass(frozen=True)
class Fails:
    """An answer with an error's status."""

    status: int
    kind: str = "api_error"
    message: str = "no"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Breaks:
    """A stream that goes wrong after some of its events: it ends there, sends rubbish, or goes on no more."""

    blocks: Sequence[Json]
    after: int
    how: str = "end"


Step: TypeAlias = Says | Fails | Breaks
Player: TypeAlias = Callable[[Json], Step]
"""Who answers: gets a request's body."""


def text(said: str) -> Json:
    """Return a block of text."""
    return {"type": "text", "text": said}


def use(name: str, number: int = 1, **arguments: Any) -> Json:
    """Return a block that asks for a tool."""
    return {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": arguments}


def script(*steps: Step) -> Player:
    """Return who answers with one step after the other, and fails the test when there are none left."""
    left = list(steps)

    def play(body: Json) -> Step:
        assert left, f"the script is at its end, and is asked once more: {json.dumps(body['messages'][-1])[:500]}"
        return left.pop(0)

    return play


@dataclass
class MessagesApi:
    """The service: who plays the model, and what was asked; `bodies` are requests in the order in which they came."""

    player: Player
    bodies: list[Json] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    billed: list[Json] = field(default_factory=list)
    _cached: set[str] = field(default_factory=set)

    def app(self) -> Starlette:
        """What is served."""
        return Starlette(routes=[Route("/v1/messages", self._messages, methods=["POST"])])

    async def _messages(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return _error(Fails(401, "authentication_error", "invalid bearer token"))
        body: Json = await request.json()
        self.headers.append(dict(request.headers))
        self.bodies.append(body)
        if why := _wrong(body, request.headers):
            return _error(Fails(400, "invalid_request_error", why))
        step = self.player(body)
        if isinstance(step, Fails):
            return _error(step)
        blocks = list(step.blocks)
        reason = step.stop if isinstance(step, Says) else ""
        told = {
            "id": f"msg_{len(self.bodies)}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": blocks,
            "stop_reason": reason or ("tool_use" if any(b["type"] == "tool_use" for b in blocks) else "end_turn"),
            "stop_sequence": None,
            "usage": self._usage(body, blocks),
        }
        self.billed.append(told["usage"])
        if not body.get("stream"):
            return JSONResponse(told)
        trouble = step if isinstance(step, Breaks) else None
        return StreamingResponse(_events(told, trouble), media_type="text/event-stream")

    def _usage(self, body: Json, blocks: Sequence[Json]) -> Json:
        """What the service bills: up to a marked place all is kept, and the longest part that was kept is read."""
        parts, marks = _parts(body), _marks(body)
        prefixes = [_prefix(parts, end) for end in range(len(parts) + 1)]
        seen = {end for mark in marks for end in range(max(0, mark - _LOOKS_BACK), mark + 1)}
        read = max((_tokens(parts[:end]) for end in seen if prefixes[end] in self._cached), default=0)
        marked = max((_tokens(parts[:mark]) for mark in marks), default=0)
        self._cached |= {prefixes[mark] for mark in marks}
        whole = _tokens(parts)
        return {
            "input_tokens": whole - marked,
            "cache_creation_input_tokens": marked - read,
            "cache_read_input_tokens": read,
            "output_tokens": _tokens(blocks),
        }


@contextmanager
def serving(player: Player) -> Generator[tuple[str, MessagesApi]]:
    """Serve the API while the block runs; gives its address."""
    api = MessagesApi(player)
    with listening(api.app()) as url:
        yield url, api


def _wrong(body: Json, headers: Mapping[str, str]) -> str:
    """Return what the service would refuse a request for."""
    if headers.get("anthropic-version") != VERSION:
        return "anthropic-version: header is required"
    if unknown := {"temperature", "top_p", "top_k"} & body.keys():
        return f"{sorted(unknown)[0]}: Extra inputs are not permitted"
    roles = [message["role"] for message in body["messages"]]
    if not roles or roles[0] != "user" or any(a == b for a, b in pairwise(roles)):
        return "messages: roles must alternate, beginning with user"
    return _unpaired(body["messages"])


def _unpaired(messages: Sequence[Json]) -> str:
    """Each use of a tool needs its result in the message that follows, and no result comes from nowhere."""
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


def _prefix(parts: Sequence[Json], end: int) -> str:
    return hashlib.sha256(json.dumps(_plain(parts[:end]), sort_keys=True).encode()).hexdigest()


def _tokens(parts: Sequence[Json]) -> int:
    return sum(-(-len(json.dumps(part)) // 4) for part in _plain(parts))


def _plain(parts: Sequence[Json]) -> list[Json]:
    return [{name: value for name, value in part.items() if name != "cache_control"} for part in parts]


def _error(step: Fails) -> Response:
    told = {"type": "error", "error": {"type": step.kind, "message": step.message}, "request_id": "req_1"}
    return JSONResponse(told, step.status, {"request-id": "req_1", **step.headers})


async def _events(told: Json, trouble: Breaks | None) -> AsyncIterator[str]:
    """A message as server-sent events, each text and each tool's input in pieces; or as far as the trouble lets it."""
    for number, (name, data) in enumerate(_streamed(told)):
        if trouble and number == trouble.after:
            if trouble.how == "stall":
                await anyio.sleep(60)
            if trouble.how == "rubbish":
                yield "event: content_block_delta\ndata: {not json\n\n"
            if trouble.how == "error":
                fault = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
                yield f"event: error\ndata: {json.dumps(fault)}\n\n"
            return
        yield f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n"


def _streamed(told: Json) -> list[tuple[str, Json]]:
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
