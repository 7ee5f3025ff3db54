"""A Messages API whose model is whoever answers by file: a person, or any model that is reached in another way.

    python -m midwatch_bench.bridge FOLDER [--port 8765]

Each request becomes `FOLDER/001.request.json`; its answer is `FOLDER/001.answer.json`, a list of content blocks, or an
object with `content` and perhaps `stop_reason`. Write the answer beside it and rename it: a file that is half there
is not JSON, and is read again. Requests that come at the same time wait beside each other. What was billed, by the
count of `midwatch_bench.messages`, is in `FOLDER/bill.json`.
"""

import json
import sys
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


@dataclass
class Bridge:
    """Where requests and answers lie, and for how long an answer is waited for (s)."""

    folder: Path
    seconds: float
    bill: Bill = field(default_factory=Bill)
    asked: int = 0

    def app(self) -> Starlette:
        """What is served."""
        return Starlette(routes=[Route("/v1/messages", self._messages, methods=["POST"])])

    async def _messages(self, request: Request) -> Response:
        body: Json = await request.json()
        if why := refusal(body, request.headers):
            return _error(400, "invalid_request_error", why)
        self.asked += 1
        number = self.asked
        self._path(number, "request").write_text(json.dumps(body, indent=1, ensure_ascii=False), encoding="utf-8")
        with anyio.move_on_after(self.seconds):
            blocks, stop = await self._answer(number)
            told = message(body, number, blocks, stop, self.bill.usage(body, blocks))
            (self.folder / "bill.json").write_text(json.dumps(self.bill.every, indent=1), encoding="utf-8")
            if not body.get("stream"):
                return JSONResponse(told)
            return StreamingResponse((event(*each) for each in streamed(told)), media_type="text/event-stream")
        return _error(529, "overloaded_error", f"nobody answered within {self.seconds:g} s")

    async def _answer(self, number: int) -> tuple[list[Json], str]:
        """Wait for the file with the answer and return its blocks, and why it stops ('' when they say so)."""
        path = self._path(number, "answer")
        while True:
            if path.exists() and (found := _read(path)) is not None:
                return found
            await anyio.sleep(_LOOKS_EVERY)

    def _path(self, number: int, what: str) -> Path:
        return self.folder / f"{number:03}.{what}.json"


def _read(path: Path) -> tuple[list[Json], str] | None:
    """Return an answer; None for one that is not there as a whole yet."""
    try:
        told: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None
    whole = {"content": told} if isinstance(told, list) else told
    return [_block(n, block) for n, block in enumerate(whole["content"])], str(whole.get("stop_reason", ""))


def _block(number: int, block: Json | str) -> Json:
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
) -> None:
    """Serve until stopped."""
    folder.mkdir(parents=True, exist_ok=True)
    sys.stderr.write(
        f"set MIDWATCH_MODEL_BASE_URL=http://127.0.0.1:{port} and any ANTHROPIC_API_KEY; answer in {folder}\n"
    )
    uvicorn.run(Bridge(folder, seconds).app(), port=port, log_level="warning")


if __name__ == "__main__":
    typer.run(main)
