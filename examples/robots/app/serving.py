"""One service's HTTP server: the socket it inherits, spans around requests, and errors as JSON."""

import asyncio
import json
import logging
import os
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

import uvicorn
from opentelemetry import trace
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.environment import descriptor, text
from app.errors import Overloaded, Refused, ServiceError
from app.telemetry import Telemetry

State = Mapping[str, Any]
Lifespan = Callable[[], AbstractAsyncContextManager[State]]

# Threads that compute give way to requests ten times as often as Python's default lets them.
SWITCH_SECONDS = 0.0005
# How often is looked for a request of those who have connected already, once the service is to end. Looks, not seconds:
# a process that the machine lets wait has heard nobody meanwhile.
LAST_LOOKS, LOOK_SECONDS = 50, 0.02
# Who reads slowly isn't given megabytes of the kernel's memory, as it would by default.
SEND_BUFFER_BYTES = 65_536

logger = logging.getLogger(__name__)


def serve(lifespan: Lifespan, routes: Sequence[Route]) -> None:
    """Serve until SIGTERM or SIGINT; what `lifespan` yields becomes `request.state`."""
    sys.setswitchinterval(SWITCH_SECONDS)
    telemetry = Telemetry()
    telemetry.start()
    application = Starlette(
        routes=[*routes, Route("/healthz", _healthz)],
        middleware=[_tracing(routes), Middleware(_AnswerErrors)],
        lifespan=_announced(lifespan, telemetry),
    )
    config = uvicorn.Config(application, log_config=None, access_log=False, timeout_graceful_shutdown=2)
    _Server(config).run(sockets=[_listening_socket()])


async def body(request: Request) -> dict[str, Any]:
    """Return the request's JSON object; raises Refused for anything else."""
    try:
        document = json.loads(await request.body())
    except ValueError as error:
        raise Refused(400, f"the body isn't JSON: {error}") from error
    if not isinstance(document, dict):
        raise Refused(400, "the body must be a JSON object")
    return document


async def _healthz(_: Request) -> Response:
    return JSONResponse({"status": "ok", "release": os.environ.get("RELEASE", "")})


def _listening_socket() -> socket.socket:
    inherited = descriptor("LISTEN_FD")
    if inherited is not None:
        listening = socket.socket(fileno=inherited)
    else:
        listening = socket.create_server(("127.0.0.1", int(text("PORT", "8000"))))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    return listening


def _announced(lifespan: Lifespan, telemetry: Telemetry) -> Callable[[Starlette], AbstractAsyncContextManager[State]]:
    @asynccontextmanager
    async def announced(_: Starlette) -> AsyncGenerator[State]:
        async with AsyncExitStack() as stack:
            # uvicorn ends the process by the signal it got: this is the last place that is sure to run.
            stack.push_async_callback(asyncio.to_thread, telemetry.stop)
            state = await stack.enter_async_context(lifespan())
            _tell_ready()
            yield state

    return announced


def _tell_ready() -> None:
    ready = descriptor("READY_FD")
    if ready is not None:
        os.write(ready, b"ready\n")
        os.close(ready)


def _tracing(routes: Sequence[Route]) -> Middleware:
    def details(scope: Scope) -> tuple[str, dict[str, str]]:
        matched = next((route.path for route in routes if route.matches(scope)[0] is Match.FULL), None)
        if matched is None:
            return scope["method"], {}
        return f"{scope['method']} {matched}", {"http.route": matched}

    return Middleware(
        OpenTelemetryMiddleware,
        excluded_urls="healthz",
        default_span_details=details,
        exclude_spans=["receive", "send"],
    )


class _Server(uvicorn.Server):
    """Hears whom it has let in before it ends: uvicorn resets a connection whose request it hasn't read yet.

    A connection is let in by the kernel, and again by the event loop, before its client has sent a byte.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        for listening in sockets or ():
            loop.remove_reader(listening)  # who isn't let in yet stays in the socket, for the process that takes over
        for look in range(LAST_LOOKS):  # who was let in just now becomes a connection only in the loop's next turns
            if look and not any(map(_unheard, self.server_state.connections)):
                break
            await asyncio.sleep(LOOK_SECONDS)
        await super().shutdown(sockets)


def _unheard(connection: object) -> bool:
    return getattr(connection, "cycle", connection) is None


class _AnswerErrors:
    """Answers a failed request as JSON, inside the request's span, so that the span holds the exception."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except Refused as error:
            logger.info("%s %s refused: %s", scope["method"], scope["path"], error)
            await JSONResponse({"error": str(error)}, error.status)(scope, receive, send)
        except Overloaded as error:  # no stack trace: it would cost more than the request that is spared
            trace.get_current_span().record_exception(error)
            logger.warning("%s %s turned away: %s", scope["method"], scope["path"], error)
            await JSONResponse({"error": str(error)}, error.status)(scope, receive, send)
        except Exception as error:
            trace.get_current_span().record_exception(error)
            logger.exception("%s %s failed: %s: %s", scope["method"], scope["path"], type(error).__name__, error)
            status = error.status if isinstance(error, ServiceError) else 500
            await JSONResponse({"error": f"{type(error).__name__}: {error}"}, status)(scope, receive, send)
