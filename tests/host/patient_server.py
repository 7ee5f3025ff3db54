"""A server on the kit over something that can be ill: its survey shows what its roll-back has changed.

The state is a JSON file: which version runs, how many of 100 requests fail in each, and every roll-back that was made.
"""

import json
import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import Field, JsonValue

from midwatch_kit import Answer, CitedFinding, EvidenceServer, Finding, Role, ServerSettings, Signal, run
from midwatch_kit.records import Entity, ObservationKind, TopologyFragment


class Settings(ServerSettings):
    """Where the state is."""

    state: Path = Field(Path("state.json"), description="the file that holds the state")


def build(settings: Settings) -> EvidenceServer:
    """Return the server."""
    server = EvidenceServer("patient", Signal.TRACES, settings, version="1", title="Patient", instructions="Look.")

    @server.tool(Role.DISCOVER, "List services")
    async def list_services() -> Answer:
        """List services."""
        gateway = Entity(id="service:gateway", kind="service", name="gateway")
        return Answer("", ["gateway"], ["gateway"], 1, fragment=TopologyFragment(entities=(gateway,)))

    @server.tool(Role.SURVEY, "Survey")
    async def survey_traces(
        start: str = "",
        end: str = "",
        baseline_start: str = "",
        baseline_end: str = "",
        entities: list[str] | None = None,
    ) -> Answer:
        """Tell how many requests fail."""
        state = read(settings.state)
        failing = state["failing"][state["version"]]
        return Answer("", [{"errors": failing}], [], 1, findings=[CitedFinding(finding(failing), ["/rows/0/errors"])])

    @server.tool(Role.ACT, "Roll back")
    async def roll_back(service: str, to_version: str) -> Answer:
        """Have a service run a version."""
        state = read(settings.state)
        if to_version not in state["failing"]:
            raise RuntimeError(f"no version {to_version}")
        if (refused := state.get("refuses", {})).get(to_version, 0) > 0:
            refusals = {**refused, to_version: refused[to_version] - 1}
            settings.state.write_text(json.dumps({**state, "refuses": refusals}), encoding="utf-8")
            raise RuntimeError("busy, try again")
        made = {**state, "version": to_version, "made": [*state["made"], to_version]}
        settings.state.write_text(json.dumps(made), encoding="utf-8")
        if victim := state.get("kills"):
            os.kill(os.getpid() if victim == "itself" else victim, signal.SIGKILL)
        return Answer("", [to_version], [f"{service} runs {to_version}"], 1)

    @server.tool(Role.CHECK, "Check")
    async def check_patient() -> Answer:
        """Check."""
        rows: list[JsonValue] = [
            {"name": "state", "ok": settings.state.exists(), "detail": str(settings.state), "do": "write it"}
        ]
        return Answer("", rows, [], 1)

    return server


def finding(failing: int) -> Finding:
    bad = failing > 5
    return Finding(
        entity="service:gateway",
        kind=ObservationKind.SPIKE if bad else ObservationKind.NORMAL,
        subject="error_rate",
        statement=f"{failing} of 100 requests to gateway fail",
        onset=datetime.now(UTC) - timedelta(seconds=30) if bad else None,
        magnitude=float(failing),
        baseline=0.0,
        unit="%",
        direction="up" if bad else "none",
        score=20.0 if bad else 0.0,
        attributes={"requests": "100", "errors": str(failing)},
    )


def read(state: Path) -> dict[str, Any]:
    told = json.loads(state.read_text(encoding="utf-8"))
    return told if isinstance(told, dict) else {}


if __name__ == "__main__":
    run(build, Settings)
