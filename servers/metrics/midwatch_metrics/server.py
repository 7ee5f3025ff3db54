"""The metrics server: tools over whatever backends are on. What they answer is in answers."""

from typing import Annotated

from pydantic import Field

from midwatch_kit import Answer, EvidenceServer, Role, Signal, run
from midwatch_metrics import answers
from midwatch_metrics.backend import MetricBackend
from midwatch_metrics.native import Points, offer_query_tool
from midwatch_metrics.opening import backends_on
from midwatch_metrics.query import Aggregation
from midwatch_metrics.settings import MetricsSettings
from midwatch_metrics.several import Several

Entities = Annotated[tuple[str, ...], Field(description="service:NAME or instance:NAME; empty: all")]
Alarmed = Annotated[tuple[str, ...], Field(description="service:NAME or alarm:NAME; empty: all")]
GroupBy = Annotated[tuple[str, ...], Field(description="service, instance or attributes")]
Filters = Annotated[dict[str, str], Field(description="service, instance or attributes")]
Limit = Annotated[int, Field(ge=1, le=5_000)]


def build(settings: MetricsSettings) -> EvidenceServer:
    """Return the metrics server over the places that the settings name; none need be there yet."""
    server = EvidenceServer(
        answers.SERVER,
        Signal.METRICS,
        settings,
        version="0.1.0",
        title="Metrics",
        instructions="Metrics and alarms of services. Survey first: it compares a window with a baseline; then query. "
        "Times are RFC 3339, now, or -15m; all UTC.",
    )
    backends = backends_on(settings)
    backend = next(iter(backends.values())) if len(backends) == 1 else Several(backends)
    _offer_overview(server, backend)
    _offer_details(server, backend)
    offer_query_tool(server, backends)
    return server


def _offer_overview(server: EvidenceServer, backend: MetricBackend) -> None:
    @server.tool(Role.DISCOVER, "List metrics")
    def list_metrics(start: str = "-1h", end: str = "now") -> Answer:
        """Metrics, who sends them, their attributes, and alarms."""
        return answers.list_all(backend, start, end)

    @server.tool(Role.SURVEY, "Survey metrics")
    def survey_metrics(
        start: str = "-15m",
        end: str = "now",
        baseline_start: str | None = None,
        baseline_end: str | None = None,
        entities: Entities = (),
    ) -> Answer:
        """Window against baseline: series that moved, with onset, ranked."""
        return answers.survey(backend, start, end, baseline_start, baseline_end, entities)

    @server.tool(Role.CHECK, "Check metrics")
    def check_metrics() -> Answer:
        """Are metrics there, up to when, what to do if not."""
        return answers.check(backend)


def _offer_details(server: EvidenceServer, backend: MetricBackend) -> None:
    @server.tool(Role.DRILL_DOWN, "Query metric")
    def query_metric(
        name: str,
        aggregation: Aggregation = "auto",
        group_by: GroupBy = (),
        filters: Filters = {},  # noqa: B006 - never changed, and published as the default
        start: str = "-15m",
        end: str = "now",
        points: Points = 60,
    ) -> Answer:
        """One metric over time."""
        return answers.query(backend, name, aggregation, group_by, filters, start, end, points)

    @server.tool(Role.DRILL_DOWN, "List alarms")
    def list_alarms(
        entities: Alarmed = (),
        start: str = "-1h",
        end: str = "now",
        limit: Limit = 100,
        cursor: str | None = None,
    ) -> Answer:
        """How alarms changed, newest first."""
        return answers.alarms(backend, entities, start, end, limit, cursor)


def main() -> None:
    """Start the server as its settings say."""
    run(build, MetricsSettings)
