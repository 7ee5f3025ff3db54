"""The webhook: alerts over HTTP from every source of intake. Answers 202 only once they are on disk."""

import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from midwatch.host import Host
from midwatch.intake.routes import intake_routes
from midwatch.intake_settings import IntakeSettings
from midwatch.reception.answers import taking
from midwatch.serving import Serving, is_loopback, serving


def application(host: Host, more: Sequence[BaseRoute] = (), *, loopback: bool = True) -> Starlette:
    """Return the webhook as a web application over a running host, with more routes.

    `loopback` says that only this machine reaches it.
    """

    async def healthz(_: Request) -> JSONResponse:
        return JSONResponse({"ok": True, "servers_missing": host.eyes.missing()})

    intake = intake_routes(host.settings.intake or IntakeSettings(), taking(host.reception), loopback=loopback)
    return Starlette(routes=[*intake, *more, Route("/healthz", healthz)])


@asynccontextmanager
async def serve(host: Host, listening: socket.socket, more: Sequence[BaseRoute] = ()) -> AsyncGenerator[Serving]:
    """Serve the webhook, with more routes, on a bound socket while the block runs."""
    served = application(host, more, loopback=is_loopback(listening))
    async with serving(served, listening, host.settings.grace_seconds) as running:
        yield running
