"""The deploys server: its tools, each a thin function from arguments to an answer. What they say is in `answers`."""

from datetime import UTC, datetime
from typing import Annotated

import anyio
from pydantic import Field

from midwatch_deploys import answers
from midwatch_deploys.backend import ChangeBackend
from midwatch_deploys.backends import backend_of
from midwatch_deploys.deployer import ask_for_roll_back
from midwatch_deploys.settings import DeploysSettings
from midwatch_kit import Answer, EvidenceServer, Role, Signal, parse_time, resolve_baseline, resolve_window, run

Entities = Annotated[tuple[str, ...], Field(description="service:NAME or instance:NAME; empty: all")]


def build(settings: DeploysSettings) -> EvidenceServer:
    """Return the deploys server over the backends that the settings turn on; they need not be there yet."""
    server = EvidenceServer(
        "deploys",
        Signal.CHANGES,
        settings,
        version="0.1.0",
        title="Deploys",
        instructions="What changed: deploys, configuration, flags, infrastructure, sessions of people on machines. "
        "Survey first, then get one change with its diff. Times are RFC 3339, now, or -15m; all UTC.",
    )
    backend = backend_of(settings)
    _offer_overview(server, backend)
    _offer_details(server, backend)
    if settings.enable_roll_back and settings.roll_back_url:
        _offer_roll_back(server, backend, str(settings.roll_back_url), settings.roll_back_seconds)
    return server


def main() -> None:
    """Start the server as its settings say."""
    run(build, DeploysSettings)


def _offer_overview(server: EvidenceServer, backend: ChangeBackend) -> None:
    @server.tool(Role.DISCOVER, "Map deployments")
    def map_deployments(end: str = "now") -> Answer:
        """Versions, repositories and people of services, as of end."""
        return answers.map_deployments(backend, server.name, _moment(end))

    @server.tool(Role.SURVEY, "Survey changes")
    def survey_changes(
        start: str = "-15m",
        end: str = "now",
        baseline_start: str | None = None,
        baseline_end: str | None = None,
        entities: Entities = (),
    ) -> Answer:
        """What changed in the window and its baseline, newest first."""
        window = resolve_window(start, end)
        baseline = resolve_baseline(window, baseline_start, baseline_end)
        return answers.survey_changes(backend, window, baseline, entities)

    @server.tool(Role.CHECK, "Check deploys")
    def check_deploys() -> Answer:
        """Are changes on record, from when to when, what to do if not."""
        return answers.check(backend)


def _offer_details(server: EvidenceServer, backend: ChangeBackend) -> None:
    @server.tool(Role.DRILL_DOWN, "Get change", key="change_id")
    def get_change(change_id: str) -> Answer:
        """One change in full, with its diff or transcript."""
        return answers.get_change(backend, change_id)

    @server.tool(Role.DRILL_DOWN, "Get last good version", key="service")
    def get_last_good_version(service: str, before: str = "now") -> Answer:
        """The version that served before the latest deploy; health is not judged."""
        return answers.last_good_version(backend, service, _moment(before))


def _offer_roll_back(server: EvidenceServer, backend: ChangeBackend, url: str, seconds: float) -> None:
    @server.tool(Role.ACT, "Roll back", deadline_seconds=seconds + 10)
    async def roll_back(service: str, to_version: str) -> Answer:
        """Writes: have a service run a version that it ran before."""
        name = service.removeprefix("service:")
        await anyio.to_thread.run_sync(answers.refuse_unknown_version, backend, name, to_version)
        done = await ask_for_roll_back(url, seconds, name, to_version)
        facts = ", ".join(f"{key} {value}" for key, value in done.items()) if isinstance(done, dict) else str(done)
        return Answer("POST to the deployer", [done], [f"{name} is at {to_version}: {facts}"], 1)


def _moment(text: str) -> datetime:
    now = datetime.now(UTC)
    return min(parse_time(text, now), now)
