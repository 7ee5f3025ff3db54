"""A Messages API whose model is whoever answers by file: a person, or any model that is reached in another way.

    python -m midwatch_bench.bridge FOLDER [--port 8765]

Each request becomes `FOLDER/001.request.json`; its answer is `FOLDER/001.answer.json`, a list of content blocks, or an
object with `content` and perhaps `stop_reason`. Write the answer beside it and rename it: a file that is half there
is not JSON, and is read again. Requests that come at the same time wait beside each other. What was billed, by the
count of `midwatch_bench.messages`, is in `FOLDER/bill.json`, with the number and the model of each request.

Whoever answers may take as long as it likes: a stream that waits is kept open with pings, as the service does it.
"""

import json
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import anyio
import typer
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from midwatch_bench.messages import Bill, Json, event, message, refusal, streamed

_LOOKS_EVERY: Final = 0.1
_QUIET_SECONDS: Final = 20.0
"""How long a stream is waited for in silence, and then between pings; a client gives up after minutes of silence."""
_START_SECONDS: Final = 20.0


@dataclass
class Bridge:
    """Where requests and answers lie, and for how long an answer is waited for (s).

    One that is not `strict` takes requests of any version of the API, and with parameters that newer models refuse.
    """

    folder: Path
    seconds: float
    strict: bool = True
    bill: Bill = field(default_factory=Bill)
    billed: list[Json] = field(default_factory=list)
    asked: int = 0

    def app(self) -> Starlette:
        """What is served."""
        return Starlette(routes=[Route("/v1/messages", self._messages, methods=["POST"])])

    async def _messages(self, request: Request) -> Response:
        body: Json = await request.json()
        if self.strict and (why := refusal(body, request.headers)):
            return _error(400, "invalid_request_error", why)
        self.asked += 1
        number, read = self.asked, self.bill.kept(body)
        write_json(self._path(number, "request"), body)
        streams = bool(body.get("stream"))
        with anyio.move_on_after(min(self.seconds, _QUIET_SECONDS) if streams else self.seconds):
            told = await self._told(number, body, read)
            if not streams:
                return JSONResponse(told)
            return StreamingResponse((event(*each) for each in streamed(told)), media_type="text/event-stream")
        if streams and self.seconds > _QUIET_SECONDS:
            return StreamingResponse(self._late(number, body, read), media_type="text/event-stream")
        return _error(529, "overloaded_error", self._nobody)

    async def _late(self, number: int, body: Json, read: int) -> AsyncIterator[str]:
        """An answer as a stream that is kept open until it is there."""
        until = time.monotonic() + self.seconds - _QUIET_SECONDS
        while time.monotonic() < until:
            yield event("ping", {})
            told: Json | None = None
            with anyio.move_on_after(_QUIET_SECONDS):
                told = await self._told(number, body, read)
            if told is not None:
                for each in streamed(told):
                    yield event(*each)
                return
        yield event("error", {"error": {"type": "overloaded_error", "message": self._nobody}})

    async def _told(self, number: int, body: Json, read: int) -> Json:
        """Wait for an answer, bill it, and return it as the service has it."""
        blocks, stop = await self._answer(number)
        usage = self.bill.usage(body, blocks, read)
        self.billed.append({"number": number, "model": body["model"], **usage})
        write_json(self.folder / "bill.json", self.billed)
        return message(body, number, blocks, stop, usage)

    @property
    def _nobody(self) -> str:
        return f"nobody answered within {self.seconds:g} s"

    async def _answer(self, number: int) -> tuple[list[Json], str]:
        """Wait for the file with the answer and return its blocks, and why it stops ('' when they say so)."""
        path = self._path(number, "answer")
        while True:
            if path.exists() and (found := _read(path, number)) is not None:
                return found
            await anyio.sleep(_LOOKS_EVERY)

    def _path(self, number: int, what: str) -> Path:
        return self.folder / f"{number:03}.{what}.json"


@contextmanager
def serving(app: Starlette) -> Generator[str]:
    """Serve an application on a port of the system's choice while the block runs; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        until = time.monotonic() + _START_SECONDS
        while not server.started:
            if time.monotonic() > until or not thread.is_alive():
                raise TimeoutError(f"it was not served within {_START_SECONDS:g} s")
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(_START_SECONDS)


def write_json(path: Path, value: object) -> None:
    """Write JSON so that nobody reads half of it."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value, indent=1, ensure_ascii=False), encoding="utf-8")
    part.rename(path)


def _read(path: Path, number: int) -> tuple[list[Json], str] | None:
    """Return an answer; None for one that is not there as a whole yet."""
    try:
        told: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None
    whole = {"content": told} if isinstance(told, list) else told
    blocks = [_block(f"{number}_{n}", block) for n, block in enumerate(whole["content"])]
    return blocks, str(whole.get("stop_reason", ""))


def _block(number: str, block: Json | str) -> Json:
    """Return a content block; a player may write a text as it is, and leave the id of a use of a tool out."""
    if isinstance(block, str):
        return {"type": "text", "text": block}
    return {"id": f"toolu_{number}", **block} if block["type"] == "tool_use" else block


def _error(status: int, kind: str, said: str) -> Response:
    return JSONResponse({"type": "error", "error": {"type": kind, "message": said}}, status)


def main(
    folder: Path,
    port: Annotated[int, typer.Option(help="port on 127.0.0.1")] = 8765,
    seconds: Annotated[float, typer.Option(help="how long an answer is waited for")] = 3600,
    strict: Annotated[bool, typer.Option(help="refuse what the newest version of the API refuses")] = True,
) -> None:
    """Serve until stopped."""
    folder.mkdir(parents=True, exist_ok=True)
    sys.stderr.write(
        f"set MIDWATCH_MODEL_BASE_URL=http://127.0.0.1:{port} and any ANTHROPIC_API_KEY; answer in {folder}\n"
    )
    uvicorn.run(Bridge(folder, seconds, strict).app(), port=port, log_level="warning")


if __name__ == "__main__":
    typer.run(main)
