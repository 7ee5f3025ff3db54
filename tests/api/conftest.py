"""What the API's tests share: a host without servers, its API on a socket, an incident with a plan that waits."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from ulid import ULID

from midwatch import webhook
from midwatch.api.tokens import Scope, Tokens
from midwatch.builtin.planning import digest
from midwatch.host import Host, open_host
from midwatch.records import Call, Expectation, Incident, Message, Plan, Severity, Status, Step
from midwatch.serving import listen
from midwatch.settings import Settings

AT = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)
ALERT = {"title": "gateway fails", "service": "gateway", "started_at": "2026-11-20T02:47:03Z"}


@dataclass
class Served:
    """A host, its API, and a client that asks without a token."""

    host: Host
    client: httpx2.AsyncClient

    def token(self, *scopes: Scope, name: str = "robin", lasts: timedelta | None = None) -> dict[str, str]:
        """Make a token and return the header with it."""
        until = datetime.now(UTC) + lasts if lasts else None
        return bearer(Tokens(self.host.journal.database).create(name, scopes, until).token)

    def incident(self, number: int = 0, **more: Any) -> Incident:
        """Put an incident on record that was first seen `number` minutes after the first."""
        seen = AT + timedelta(minutes=number)
        made = Incident(
            id=str(ULID.from_datetime(seen)),
            title="Error rate of gateway",
            status=Status.INVESTIGATING,
            severity=Severity.HIGH,
            service="service:gateway",
            started_at=seen,
            first_seen=seen,
            alerts=("alert-1",),
        ).model_copy(update=more)
        return self.host.journal.note(made.id, "incident", "1", made)

    def plan(self, incident: Incident, action: str = "roll forge back") -> Plan:
        """Put a plan on record that somebody has to approve."""
        plan = a_plan(action)
        number = len(self.host.journal.values(incident.id, Plan)) + 1
        return self.host.journal.note(incident.id, "plan", str(number), plan)

    def note(self, incident: Incident, text: str) -> None:
        """Put a word on record."""
        self.host.journal.note(incident.id, "message", text, Message(text=text))


Serving = Callable[..., AbstractAsyncContextManager[Served]]


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def a_plan(action: str) -> Plan:
    back = Call(server="deploys", tool="roll_back", arguments={"service": "forge", "to_version": "3f2c1ab"})
    step = Step(
        title="roll forge [back]",
        phase="apply",
        call=back,
        expect=Expectation.SUCCEEDS,
        safety="mutating",
        inverse=back,
    )
    plan = Plan(action=action, reasoning="it fails", risk="low", steps=(step,), digest="")
    return plan.model_copy(update={"digest": digest(plan)})


def settings_in(folder: Path, **more: Any) -> Settings:
    (folder / "servers.json").write_text('{"mcpServers": {}}', encoding="utf-8")
    known = {"data_dir": folder, "servers_file": folder / "servers.json", "steering_dir": folder / "steering"}
    return Settings.model_validate({**known, **more})


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    """Return what runs a host without servers, and its API."""

    @asynccontextmanager
    async def served(**more: Any) -> AsyncGenerator[Served]:
        listening = listen("127.0.0.1", 0)
        base = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with (
            open_host(settings_in(tmp_path, **more)) as host,
            webhook.serve(host, listening),
            httpx2.AsyncClient(base_url=base, timeout=20) as client,
        ):
            yield Served(host, client)

    return served
