"""A Messages API on a real socket that plays a script: what it is asked is kept, what it answers is what a test says.

It speaks the API as its description has it: JSON or server-sent events, `anthropic-version`, `request-id`, errors with
their types. Bills and events are those of `midwatch_bench.messages`.
"""

import json
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from tests.backends.serving import listening

from midwatch_bench.messages import Bill, Json, event, message, refusal, streamed

KEY: Final = "sk-ant-api03-a-key-that-nobody-may-ever-see-again"


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


def use(name: str, number: int = 1, /, **arguments: Any) -> Json:
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
    bill: Bill = field(default_factory=Bill)

    def app(self) -> Starlette:
        """What is served."""
        return Starlette(routes=[Route("/v1/messages", self._messages, methods=["POST"])])

    async def _messages(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return _error(Fails(401, "authentication_error", "invalid bearer token"))
        body: Json = await request.json()
        self.headers.append(dict(request.headers))
        self.bodies.append(body)
        if why := refusal(body, request.headers):
            return _error(Fails(400, "invalid_request_error", why))
        step = self.player(body)
        if isinstance(step, Fails):
            return _error(step)
        stop = step.stop if isinstance(step, Says) else ""
        told = message(body, len(self.bodies), step.blocks, stop, self.bill.usage(body, step.blocks))
        if not body.get("stream"):
            return JSONResponse(told)
        trouble = step if isinstance(step, Breaks) else None
        return StreamingResponse(events(told, trouble), media_type="text/event-stream")

    @property
    def billed(self) -> list[Json]:
        """What was billed, in order."""
        return self.bill.every


@contextmanager
def serving(player: Player) -> Generator[tuple[str, MessagesApi]]:
    """Serve the API while the block runs; gives its address."""
    api = MessagesApi(player)
    with listening(api.app()) as url:
        yield url, api


def _error(step: Fails) -> Response:
    told = {"type": "error", "error": {"type": step.kind, "message": step.message}, "request_id": "req_1"}
    soon = {"retry-after-ms": "1"}  # else who is to ask again waits for half a second, and then for a whole one
    return JSONResponse(told, step.status, {"request-id": "req_1", **soon, **step.headers})


async def events(told: Json, trouble: Breaks | None) -> AsyncIterator[str]:
    """A message as server-sent events; or as far as the trouble lets it."""
    for number, (name, data) in enumerate(streamed(told)):
        if trouble and number == trouble.after:
            if trouble.how == "stall":
                await anyio.sleep(60)
            if trouble.how == "rubbish":
                yield "event: content_block_delta\ndata: {not json\n\n"
            if trouble.how == "error":
                yield event("error", {"error": {"type": "overloaded_error", "message": "Overloaded"}})
            return
        yield event(name, data)
