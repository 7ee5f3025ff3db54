"""Fakes on a real socket for as long as a block runs, with a trouble in front of one when a test wants it."""

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import anyio
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.web import PromptServer, loopback


@dataclass
class Trouble:
    """What stands before a fake: `kind` says what goes wrong ('' nothing), `times` how often; `paths` was asked."""

    app: ASGIApp
    kind: str = ""
    times: int = 10**6
    paths: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or go wrong with it."""
        self.paths.append(scope["path"])
        if not self.kind or self.times <= 0:
            await self.app(scope, receive, send)
            return
        self.times -= 1
        if self.kind == "stall":
            await anyio.sleep(60)
        elif self.kind == "cut":
            await answered(send, 200, {"content-length": "1000"}, b'{"data":')
        elif self.kind == "garbage":
            await PlainTextResponse("<html>Sign in</html>", 200, media_type="text/html")(scope, receive, send)
        else:
            headers_of = {"429": {"retry-after": "0"}}
            response = PlainTextResponse("no, said the backend", int(self.kind), headers_of.get(self.kind))
            await response(scope, receive, send)


async def answered(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Answer with JSON, or with whatever else the headers say; one that says to be longer than it is breaks off."""
    whole = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    raw = [(name.encode(), value.encode()) for name, value in whole.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body, "more_body": False})


@contextmanager
def served(app: ASGIApp) -> Generator[tuple[str, Trouble]]:
    """Serve `app` as `listening` does; gives its address and the trouble before it."""
    trouble = Trouble(app)
    with listening(trouble) as url:
        yield url, trouble


@contextmanager
def listening(app: ASGIApp, lifespan: Literal["on", "off"] = "off") -> Generator[str]:
    """Serve `app` on a free port in a thread; gives its address. A stalled answer ends when the block is left."""
    socket_of_it = loopback()
    web = PromptServer(uvicorn.Config(app, log_config=None, lifespan=lifespan))
    thread = threading.Thread(target=web.run, kwargs={"sockets": [socket_of_it]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{socket_of_it.getsockname()[1]}"
    finally:
        web.end()
        thread.join(10)
        socket_of_it.close()
