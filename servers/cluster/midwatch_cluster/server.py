"""The cluster server: its tools, each a thin function from arguments to an answer. What they say is in `answers`."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field, JsonValue

from midwatch_cluster import answers
from midwatch_cluster.backend import ClusterBackend
from midwatch_cluster.recorded import RecordedCluster
from midwatch_cluster.settings import ClusterSettings
from midwatch_kit import Answer, EvidenceServer, Role, Signal, Window, parse_time, resolve_baseline, resolve_window, run

Entities = Annotated[tuple[str, ...], Field(description="service:, instance: or host:NAME; empty: all")]


def build(settings: ClusterSettings) -> EvidenceServer:
    """Return the cluster server; neither the cluster nor the store need be there yet."""
    server = EvidenceServer(
        "cluster",
        Signal.STATE,
        settings,
        version="0.1.0",
        title="Cluster",
        instructions="The state of a Kubernetes cluster. Survey first: what is wrong now, by checks of desired against "
        "actual state, what is new before what was so before. Then get objects and events. Times are RFC 3339, now, "
        "or -15m; all UTC. Values of Secrets are never shown.",
    )
    backend = _backend(settings)
    _offer_overview(server, backend)
    _offer_details(server, backend)
    return server


def main() -> None:
    """Start the server as its settings say."""
    run(build, ClusterSettings)


def _backend(settings: ClusterSettings) -> ClusterBackend:
    if settings.cluster != "live" and settings.store is not None:
        return RecordedCluster(settings.store)
    from midwatch_cluster.live import LiveCluster  # noqa: PLC0415 - its client takes long to import, and stores need none

    return LiveCluster(settings)


def _offer_overview(server: EvidenceServer, backend: ClusterBackend) -> None:
    @server.tool(Role.DISCOVER, "Map cluster")
    def map_cluster(end: str = "now") -> Answer:
        """Workloads, pods, nodes, routes and how they are tied."""
        return answers.map_cluster(backend, server.name, _moment(end))

    @server.tool(Role.SURVEY, "Survey cluster")
    def survey_cluster(
        start: str = "-15m",
        end: str = "now",
        baseline_start: str | None = None,
        baseline_end: str | None = None,
        entities: Entities = (),
    ) -> Answer:
        """What is wrong at the window's end, new things first."""
        window = resolve_window(start, end)
        baseline = resolve_baseline(window, baseline_start, baseline_end)
        return answers.survey_cluster(backend, window, baseline, entities)

    @server.tool(Role.CHECK, "Check cluster")
    def check_cluster() -> Answer:
        """What can be read, what to do if not."""
        return answers.check(backend)


def _offer_details(server: EvidenceServer, backend: ClusterBackend) -> None:
    @server.drill_down("Get objects", line=answers.line_of_object)
    def get_objects(kind: str, name: str = "", namespace: str = "", end: str = "now") -> list[JsonValue]:
        """Objects of a kind (Pod, Node…) in few words; by name, all fields of one."""
        return answers.get_objects(backend, kind, name, namespace, _moment(end))

    @server.drill_down("List cluster events")
    def list_cluster_events(window: Window, entity: str = "") -> list[JsonValue]:
        """Events seen in the window, oldest first, of one entity or all."""
        return answers.list_events(backend, window, entity)


def _moment(text: str) -> datetime:
    now = datetime.now(UTC)
    return min(parse_time(text, now), now)
