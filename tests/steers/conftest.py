"""An application that failed in two waves, of two causes, and a host over it."""

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import anyio
from pydantic import JsonValue

from midwatch.host import Host, open_host
from midwatch.intake import alerts_from
from midwatch.records import Incident, Report, Steer
from midwatch.settings import Settings

SERVER = Path(__file__).parent / "wave_server.py"
BEGAN, SEEN = datetime(2026, 11, 20, 2, 40, 30, tzinfo=UTC), datetime(2026, 11, 20, 2, 48, 10, tzinfo=UTC)
BOT = ("2026-11-20T02:40:00Z", "2026-11-20T02:43:00Z", "bot", 0.6)
FORGE = ("2026-11-20T02:46:00Z", "2026-11-20T02:50:00Z", "forge", 0.4)
TOOLS = ["chart", "survey_waves", "survey_deploys", "read_trace", "read_slo", "read_page"]


def settings_of(folder: Path, *ways: str, **settings: object) -> Settings:
    """Return settings over a server that tells the two waves; `ways` are its further arguments."""
    told = json.dumps([BOT, FORGE])
    server = {"command": sys.executable, "args": ["-S", str(SERVER), told, *ways], "allow": TOOLS}
    (folder / "servers.json").write_text(json.dumps({"mcpServers": {"waves": server}}))
    known = {"data_dir": folder, "servers_file": folder / "servers.json", "steering_dir": folder / "steering"}
    return Settings.model_validate({**known, "gather_seconds": 0, "call_seconds": 3, **settings})


@asynccontextmanager
async def a_host(folder: Path, *ways: str, **settings: object) -> AsyncGenerator[Host]:
    async with open_host(settings_of(folder, *ways, **settings)) as host:
        yield host


def an_incident(host: Host) -> Incident:
    alert: JsonValue = {"title": "Error rate of gateway", "service": "gateway", "started_at": BEGAN.isoformat()}
    return host.receive(alerts_from(alert), SEEN)[0]


async def investigate(host: Host, incident: Incident) -> Report:
    with anyio.fail_after(60):
        return await host.investigation(incident, None).run()


def effects(host: Host, incident: Incident) -> list[str]:
    return [steer.effect for steer in host.journal.values(incident.id, Steer) if steer.effect]
