"""A server over a backend that takes its time: an outage of forge behind gateway, and each answer after some seconds.

What it costs a host is what any server costs it; what the backend needs is waited for, as that of a team is.
"""

from datetime import UTC, datetime, timedelta

import anyio
from pydantic import Field

from midwatch_kit import Answer, CitedFinding, EvidenceServer, Finding, Role, ServerSettings, Signal, run
from midwatch_kit.records import Entity, ObservationKind, Relation, TopologyFragment

_NAMES = ("gateway", "forge")


class Settings(ServerSettings):
    """How long an answer takes."""

    answer_seconds: float = Field(0.5, description="how long each answer takes")


def build(settings: Settings) -> EvidenceServer:
    """Return the server."""
    server = EvidenceServer("slow", Signal.TRACES, settings, version="1", title="Slow", instructions="Wait.")

    @server.tool(Role.DISCOVER, "List services")
    async def list_services() -> Answer:
        """List services."""
        await anyio.sleep(settings.answer_seconds)
        entities = tuple(Entity(id=f"service:{name}", kind="service", name=name) for name in _NAMES)
        calls = Relation(source="service:gateway", kind="calls", target="service:forge")
        return Answer("", [*_NAMES], [*_NAMES], 2, fragment=TopologyFragment(entities=entities, relations=(calls,)))

    @server.tool(Role.SURVEY, "Survey traces")
    async def survey_traces(
        start: str = "",
        end: str = "",
        baseline_start: str = "",
        baseline_end: str = "",
        entities: list[str] | None = None,
    ) -> Answer:
        """Tell how many requests fail."""
        await anyio.sleep(settings.answer_seconds)
        told = [
            _seen("gateway", "error_rate", ObservationKind.SPIKE),
            _seen("forge", "error_origin", ObservationKind.ERROR_TRACE),
        ]
        return Answer("", [{"errors": 40}], [], 1, findings=[CitedFinding(each, ["/rows/0/errors"]) for each in told])

    return server


def _seen(name: str, subject: str, kind: ObservationKind) -> Finding:
    return Finding(
        entity=f"service:{name}",
        kind=kind,
        subject=subject,
        statement=f"40 of 100 requests to {name} fail",
        onset=datetime.now(UTC) - timedelta(seconds=30),
        magnitude=40.0,
        baseline=0.0,
        unit="%",
        direction="up",
        score=20.0,
        attributes={"requests": "100", "errors": "40"},
    )


if __name__ == "__main__":
    run(build, Settings)
