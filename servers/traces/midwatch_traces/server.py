"""The traces server: tools over whichever backends are on. What they answer is in answers."""

from typing import Annotated

from pydantic import Field

from midwatch_kit import Answer, EvidenceServer, Role, Signal, run
from midwatch_kit.native import offer_query_tool
from midwatch_traces import answers
from midwatch_traces.backend import Search, TraceBackend
from midwatch_traces.backends import as_one, backends_on
from midwatch_traces.settings import TracesSettings

Entities = Annotated[tuple[str, ...], Field(description="service:NAME, instance:NAME…; empty: all")]
Service = Annotated[str, Field(description="a name, or instance:NAME")]
Attributes = Annotated[dict[str, str], Field(description="all equal, on span or resource")]
LeastMs = Annotated[float, Field(ge=0)]
Limit = Annotated[int, Field(ge=1, le=1_000)]


def build(settings: TracesSettings) -> EvidenceServer:
    """Return the traces server over the backends that the settings turn on; they need not be up yet."""
    server = EvidenceServer(
        answers.SERVER,
        Signal.TRACES,
        settings,
        version="0.1.0",
        title="Traces",
        instructions="Traces of services. Survey first: it compares a window with a baseline and says where failures "
        "begin; then search, then get one trace. Times are RFC 3339, now, or -15m; all UTC.",
    )
    backends = backends_on(settings)
    _offer_overview(server, as_one(backends))
    _offer_details(server, as_one(backends))
    offer_query_tool(server, backends, "query_traces")
    return server


def _offer_overview(server: EvidenceServer, backend: TraceBackend) -> None:
    @server.tool(Role.DISCOVER, "Map services")
    def map_services(start: str = "-1h", end: str = "now") -> Answer:
        """Who calls whom: services, instances, databases, queues, rates."""
        return answers.map_all(backend, start, end)

    @server.tool(Role.SURVEY, "Survey traces")
    def survey_traces(
        start: str = "-15m",
        end: str = "now",
        baseline_start: str | None = None,
        baseline_end: str | None = None,
        entities: Entities = (),
    ) -> Answer:
        """Window against baseline: what fails or got slower, where that begins, ranked."""
        return answers.survey(backend, start, end, baseline_start, baseline_end, entities)

    @server.tool(Role.CHECK, "Check traces")
    def check_traces() -> Answer:
        """Are spans there, up to when, what to do if not."""
        return answers.check(backend)


def _offer_details(server: EvidenceServer, backend: TraceBackend) -> None:
    @server.tool(Role.DRILL_DOWN, "Search traces")
    def search_traces(  # noqa: PLR0913, PLR0917 - each is a filter of its own
        service: Service = "",
        operation: str = "",
        errors_only: bool = False,
        min_duration_ms: LeastMs = 0.0,
        attributes: Attributes = {},  # noqa: B006 - never changed, and published as the default
        start: str = "-15m",
        end: str = "now",
        limit: Limit = 100,
        cursor: str | None = None,
    ) -> Answer:
        """Traces with a matching span, newest first."""
        instance = service.startswith("instance:")
        wanted = Search(
            service="" if instance else service.removeprefix("service:"),
            instance=service.removeprefix("instance:") if instance else "",
            operation=operation,
            errors=errors_only,
            least_ms=min_duration_ms,
            attributes=attributes,
        )
        return answers.search(backend, wanted, start, end, limit, cursor)

    @server.tool(Role.DRILL_DOWN, "Get trace", key="trace_id")
    def get_trace(trace_id: str, start: str = "-24h", end: str = "now") -> Answer:
        """One trace as a tree: own times, critical path, failures."""
        return answers.get(backend, trace_id, start, end)


def main() -> None:
    """Start the server as its settings say."""
    run(build, TracesSettings)
