"""The deployer's HTTP face on the loopback interface: JSON in, JSON out. What it does is in `deployer`."""

import contextlib
import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
import uvicorn
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from robots.configuration import Configuration, UnknownFile
from robots.deployer import Deployer, Done, UnknownTarget
from robots.record import Change

LONGEST_BODY = 10_000
START_SECONDS = 5.0

A = TypeVar("A", bound="_Asked")


class _Asked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str
    by: str = Field(default="", description="who asks, for the record")


class Deploy(_Asked):
    """`POST /deploy`."""

    revision: str


class RollBack(_Asked):
    """`POST /roll-back`."""

    to_version: str


class Configure(_Asked):
    """`POST /configure`."""

    file: str
    text: str
    title: str


class Restart(_Asked):
    """`POST /restart`."""

    instance: str
    reason: str = ""


def application(deployer: Deployer, configuration: Configuration) -> Starlette:
    """Return the deployer as an ASGI application."""

    async def versions(_: Request) -> Response:
        return JSONResponse({"services": deployer.versions()})

    async def deploy(request: Request) -> Response:
        return await _answer(request, Deploy, lambda asked: deployer.deploy(asked.service, asked.revision, asked.by))

    async def roll_back(request: Request) -> Response:
        return await _answer(
            request, RollBack, lambda asked: deployer.roll_back(asked.service, asked.to_version, asked.by)
        )

    async def restart(request: Request) -> Response:
        return await _answer(
            request, Restart, lambda asked: deployer.restart(asked.service, asked.instance, asked.by, asked.reason)
        )

    async def configure(request: Request) -> Response:
        return await _answer(
            request,
            Configure,
            lambda asked: configuration.change(
                asked.service, asked.file, asked.text, by=asked.by or "deployer", title=asked.title
            ),
        )

    return Starlette(
        routes=[
            Route("/versions", versions),
            Route("/deploy", deploy, methods=["POST"]),
            Route("/roll-back", roll_back, methods=["POST"]),
            Route("/restart", restart, methods=["POST"]),
            Route("/configure", configure, methods=["POST"]),
        ]
    )


@asynccontextmanager
async def served(deployer: Deployer, configuration: Configuration) -> AsyncGenerator[str]:
    """Serve the deployer on a free port and yield its URL."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = _Server(
        uvicorn.Config(application(deployer, configuration), log_config=None, access_log=False, lifespan="off")
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, [listening])
        with anyio.fail_after(START_SECONDS):
            await server.accepting.wait()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        tasks.cancel_scope.cancel()


async def _answer(request: Request, model: type[A], act: Callable[[A], Awaitable[Done | Change]]) -> Response:
    """Check the request, act, and answer."""
    if request.headers.get("content-type", "").split(";")[0] != "application/json":
        # Also keeps web pages out: a browser doesn't send JSON elsewhere without asking first.
        return JSONResponse({"error": "send the body as content-type: application/json"}, 415)
    try:
        asked = model.model_validate_json((await request.body())[:LONGEST_BODY])
        done = await act(asked)
    except ValidationError as error:
        problems = json.loads(error.json(include_url=False, include_context=False))
        return JSONResponse({"error": "the body doesn't fit", "problems": problems}, 400)
    except (UnknownTarget, UnknownFile) as error:
        return JSONResponse({"error": str(error)}, 404)
    return JSONResponse(done.model_dump(mode="json"), 200 if done.outcome == "succeeded" else 500)


class _Server(uvicorn.Server):
    """A server inside of a bigger process, which has its own use for the signals."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepting = anyio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.accepting.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield
