"""Intake's routes without a host: a receiver that remembers, and a client that needs no socket."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx2
from starlette.applications import Starlette

from midwatch.intake.routes import Receive, Taken, intake_routes
from midwatch.intake.sns import Fetch, fetched
from midwatch.records import Alert
from midwatch.settings.intake import IntakeSettings


@dataclass
class Receiver:
    """Takes alerts for kept; what comes a second time is a repeat."""

    kept: list[Alert] = field(default_factory=list)
    fails: bool = False

    async def __call__(self, alerts: Sequence[Alert]) -> list[Taken]:
        if self.fails:
            raise OSError("no space left on device")
        known = {alert.id for alert in self.kept}
        self.kept += alerts
        return [self._taken(alert, again=alert.id in known) for alert in alerts]

    @staticmethod
    def _taken(alert: Alert, *, again: bool) -> Taken:
        became = "repeat" if again else "new"
        return Taken(alert=alert.id, external_id=alert.external_id, became=became, incident=f"01{alert.id[:6]}")


@asynccontextmanager
async def asking(
    receiver: Receive, settings: IntakeSettings | None = None, *, loopback: bool = True, fetch: Fetch = fetched
) -> AsyncGenerator[httpx2.AsyncClient]:
    """Yield a client of the routes; an error that they do not answer is raised here."""
    routes = intake_routes(settings or IntakeSettings(), receiver, loopback=loopback, fetch=fetch)
    transport = httpx2.ASGITransport(app=Starlette(routes=routes))
    async with httpx2.AsyncClient(transport=transport, base_url="http://host") as client:
        yield client
