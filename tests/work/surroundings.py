"""What stands around hosts, on sockets of this process: a program that is told by webhook, and who plays the model."""

from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import anyio
import standardwebhooks
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from tests.backends.serving import listening
from tests.claude.messages_api import KEY, MessagesApi, Says, serving, use
from tests.claude.played import is_lead, shown, suggested, task, tool, turn

from midwatch.channels.webhook import Event
from midwatch_bench.messages import Json

SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOKEN: Final = "a token of a person who knows what it really was"
ANSWER_SECONDS: Final = 2.0
"""How long a host waits for the program; while a host that died still has its turn, no other tells the same."""


@dataclass
class Receiver:
    """A program that takes what is signed, at an address for each outage; a repeat it would know by its id."""

    url: str = ""
    taken: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    silent: dict[str, Path] = field(default_factory=dict)
    """Files by outages: the next event of one gets no answer, and its file is there once it has come."""

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{outage}", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        outage, body = request.path_params["outage"], await request.body()
        standardwebhooks.Webhook(SECRET).verify(body, dict(request.headers))
        event = Event.model_validate_json(body)
        assert event.id == request.headers["webhook-id"]
        self.taken[outage].append(event)
        if came := self.silent.pop(outage, None):
            came.touch()
            await anyio.sleep(60)
        return Response(status_code=204)


@dataclass
class Surroundings:
    """The program and the model, while they can be reached."""

    receiver: Receiver
    model: MessagesApi
    model_url: str

    def settings(self, outage: str, *, busy: bool) -> dict[str, Any]:
        """Return the settings of a host on an outage; a `busy` one has a model, and a person with a token."""
        ops = {"kind": "webhook", "url": f"{self.receiver.url}/{outage}", "secret": SECRET, "seconds": ANSWER_SECONDS}
        model = {"reasoner": "claude", "model_base_url": self.model_url, "model_api_key": KEY}
        return {"channels": {"ops": ops}} | ({"api": {"first_token": TOKEN}, **model} if busy else {})


@contextmanager
def surroundings() -> Generator[Surroundings]:
    """Serve both while the block runs."""
    receiver = Receiver()
    with listening(receiver.app()) as receiver.url, serving(play) as (url, model):
        yield Surroundings(receiver, model, url)


def play(body: Json) -> Says:
    """Have the likeliest hypothesis tested: read the change, and quote it; whoever has another task finishes it."""
    if is_lead(body):
        return Says([use("choose", 1, hypotheses=suggested(body)[:1])])
    if "confirm" not in task(body):
        return Says([use("finish", 1, why="nothing to add")])
    if turn(body) == 0:
        return Says([use(tool(body, "read_change"), 1, change_id="c1")])
    found = {"statement": "the deploy reads a new field", "bearing": "supports", "quote": "finish: str"}
    return Says([use("report_finding", 2, evidence=shown(body), **found), use("finish", 3, why="read")])
