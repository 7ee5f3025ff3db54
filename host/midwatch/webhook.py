"""The webhook: alerts over HTTP, in Alertmanager's form or a plain one. Answers 202 only once they are on disk."""

import json
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from midwatch.errors import BadAlert, BadSettings
from midwatch.host import Host
from midwatch.intake import alerts_from

_MOST_BYTES = 2**20
_BODY_SECONDS = 10.0


def application(host: Host) -> Starlette:
    """Return the webhook as a web application over a running host."""

    async def receive(request: Request) -> JSONResponse:
        try:
            with anyio.fail_after(_BODY_SECONDS):
                body = await _body(request)
        except TimeoutError:
            return JSONResponse({"error": f"the body did not come within {_BODY_SECONDS:g} s"}, 408)
        if body is None:
            return JSONResponse({"error": f"a body of more than {_MOST_BYTES} bytes is not taken"}, 413)
        try:
            incidents = host.receive(alerts_from(json.loads(body)), datetime.now(UTC))
        except BadAlert as error:
            return JSONResponse({"error": str(error)}, 422)
        except (ValueError, RecursionError):
            return JSONResponse({"error": "the body is not JSON"}, 422)
        return JSONResponse({"incidents": [incident.id for incident in incidents]}, 202)

    async def healthz(_: Request) -> JSONResponse:
        return JSONResponse({"ok": True, "servers_missing": host.eyes.missing()})

    return Starlette(routes=[Route("/alerts", receive, methods=["POST"]), Route("/healthz", healthz)])


def listen(address: str, port: int) -> socket.socket:
    """Return a bound socket; raises `BadSettings` when the port is taken."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each answer after the first is 40 ms late
    try:
        listening.bind((address, port))
    except (OSError, OverflowError) as error:
        listening.close()
        why = error.strerror if isinstance(error, OSError) else error
        raise BadSettings(f"cannot listen on {address}:{port}: {why}; choose another port") from None
    listening.listen(128)
    return listening


@asynccontextmanager
async def serve(host: Host, listening: socket.socket) -> AsyncGenerator[str]:
    """Serve the webhook on a bound socket while the block runs; yields its URL."""
    server = Quiet(uvicorn.Config(application(host), log_level="warning", lifespan="off"))
    address, port = listening.getsockname()[:2]
    async with anyio.create_task_group() as group:
        group.start_soon(_serve_and_close, server, listening)
        try:
            yield f"http://{address}:{port}/alerts"
        finally:
            server.should_exit = True


async def _serve_and_close(server: uvicorn.Server, listening: socket.socket) -> None:
    """Serve, and take the socket out of the event loop also when cancelled: uvicorn leaves that to its own end.

    A socket that is closed while the loop still waits for it makes the loop deaf for the next one of its number.
    """
    try:
        await server.serve([listening])
    finally:
        for each in getattr(server, "servers", ()):  # there are none before it has started
            each.close()


class Quiet(uvicorn.Server):
    """Leaves signals alone: they belong to the command that runs the host."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _body(request: Request) -> bytes | None:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            return None
    return body
