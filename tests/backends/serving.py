"""A fake on a real socket for as long as a block runs, with a trouble in front of it when a test wants one."""

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send


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
            headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b'{"data":', "more_body": False})
        elif self.kind == "garbage":
            await PlainTextResponse("<html>Sign in</html>", 200, media_type="text/html")(scope, receive, send)
        else:
            headers_of = {"429": {"retry-after": "0"}}
            response = PlainTextResponse("no, said the backend", int(self.kind), headers_of.get(self.kind))
            await response(scope, receive, send)


@contextmanager
def served(app: ASGIApp) -> Generator[tuple[str, Trouble]]:
    """Serve `app` on a free port in a thread; gives its address and the trouble before it."""
    trouble = Trouble(app)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(trouble, log_config=None, timeout_graceful_shutdown=1, lifespan="off")
    web = uvicorn.Server(config)
    thread = threading.Thread(target=web.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", trouble
    finally:
        web.should_exit = True
        thread.join(10)
        listening.close()
