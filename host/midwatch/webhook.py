"""The webhook: alerts over HTTP from every source of intake. Answers 202 only once they are on disk."""

import ipaddress
import socket
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Literal

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from midwatch.correlate import service_id
from midwatch.errors import BadSettings
from midwatch.host import Host
from midwatch.intake.routes import Taken, intake_routes
from midwatch.intake_settings import IntakeSettings
from midwatch.records import Alert, Incident


def application(host: Host, *, loopback: bool = True) -> Starlette:
    """Return the webhook as a web application over a running host.

    `loopback` says that only this machine reaches it.
    """

    async def receive(alerts: Sequence[Alert]) -> list[Taken]:
        before = {incident.id: incident for incident in host.incidents()}
        incidents = host.receive(alerts, datetime.now(UTC))
        return [_taken(alert, before, incidents) for alert in alerts]

    async def healthz(_: Request) -> JSONResponse:
        return JSONResponse({"ok": True, "servers_missing": host.eyes.missing()})

    intake = intake_routes(host.settings.intake or IntakeSettings(), receive, loopback=loopback)
    return Starlette(routes=[*intake, Route("/healthz", healthz)])


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
    address, port = listening.getsockname()[:2]
    loopback = ipaddress.ip_address(address).is_loopback
    served = application(host, loopback=loopback)
    server = Quiet(uvicorn.Config(served, log_level="warning", lifespan="off"))
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


def _taken(alert: Alert, before: Mapping[str, Incident], after: Sequence[Incident]) -> Taken:
    """Return what became of an alert, from the incidents before it came and those that it and its like belong to."""
    told = Taken(alert=alert.id, external_id=alert.external_id, became="ignored")
    part = next((each for each in after if alert.id in each.alerts), None)
    if alert.action == "resolved":
        part = part or next((each for each in after if each.service == service_id(alert.service)), None)
        why = "it ends what this incident is about" if part else "it is over, and no incident on record is its own"
        became: Literal["resolved", "ignored"] = "resolved" if part else "ignored"
        return told.model_copy(update={"became": became, "incident": part.id if part else None, "why": why})
    if part is None:
        return told
    if part.id in before and alert.id in before[part.id].alerts:
        return told.model_copy(
            update={"became": "repeat", "incident": part.id, "why": "the same alert was sent before"}
        )
    new = part.id not in before and part.alerts[0] == alert.id
    why = "it opened this incident" if new else f"{part.id} of {alert.service} is open"
    return told.model_copy(update={"became": "new" if new else "joined", "incident": part.id, "why": why})
