"""A server on a real socket that is unwell in one way, before it answers as Prometheus would."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio
from starlette.types import Receive, Scope, Send
from tests.backends.serving import answered, listening

EMPTY: Mapping[str, object] = {"resultType": "matrix", "result": []}


@dataclass
class Unwell:
    """How it answers: the first `times` calls with the trouble, all further ones well; what it was asked is kept."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    stall: float = 0.0
    cut: bool = False
    times: int = 1_000
    path: str = ""
    asked: list[str] = field(default_factory=list)
    seen: list[Mapping[str, str]] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    url: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["raw_path"].decode() + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        self.asked.append(path)
        self.seen.append({name.decode(): value.decode() for name, value in scope["headers"]})
        self.sent.append((await receive()).get("body", b"").decode())
        if self.path not in path or len(self.asked) > self.times:
            data = [] if "/series" in path or "/label" in path else EMPTY
            await answered(send, 200, {}, json.dumps({"status": "success", "data": data}).encode())
            return
        await anyio.sleep(self.stall)
        cut = {"content-length": str(len(self.body) + 100)} if self.cut else {}
        await answered(send, self.status, {**self.headers, **cut}, self.body)


@contextmanager
def serving(unwell: Unwell) -> Iterator[Unwell]:
    """Serve until left."""
    with listening(unwell) as unwell.url:
        yield unwell


def seconds(began: float) -> float:
    return time.monotonic() - began
