"""The webhook: alerts over HTTP from every source of intake. Answers 202 only once they are on disk."""

import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Literal

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from midwatch.correlate import service_id
from midwatch.host import Host
from midwatch.intake.routes import Taken, intake_routes
from midwatch.intake_settings import IntakeSettings
from midwatch.records import Alert, Incident
from midwatch.serving import Serving, is_loopback, serving


def application(host: Host, more: Sequence[BaseRoute] = (), *, loopback: bool = True) -> Starlette:
    """Return the webhook as a web application over a running host, with more routes.

    `loopback` says that only this machine reaches it.
    """

    async def receive(alerts: Sequence[Alert]) -> list[Taken]:
        before = {incident.id: incident for incident in host.incidents()}
        incidents = host.receive(alerts, datetime.now(UTC))
        return [_taken(alert, before, incidents) for alert in alerts]

    async def healthz(_: Request) -> JSONResponse:
        return JSONResponse({"ok": True, "servers_missing": host.eyes.missing()})

    intake = intake_routes(host.settings.intake or IntakeSettings(), receive, loopback=loopback)
    return Starlette(routes=[*intake, *more, Route("/healthz", healthz)])


@asynccontextmanager
async def serve(host: Host, listening: socket.socket, more: Sequence[BaseRoute] = ()) -> AsyncGenerator[Serving]:
    """Serve the webhook, with more routes, on a bound socket while the block runs."""
    served = application(host, more, loopback=is_loopback(listening))
    async with serving(served, listening, host.settings.grace_seconds) as running:
        yield running


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
