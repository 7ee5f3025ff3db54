"""The logs server: the shared log tools over the backends that are on. What they answer is in midwatch_kit.logs."""

from midwatch_kit import EvidenceServer, Signal, run
from midwatch_kit.logs import LogToolNames, offer_log_tools
from midwatch_kit.native import offer_query_tool
from midwatch_logs.registry import backends_on
from midwatch_logs.settings import LogSettings
from midwatch_logs.several import SeveralLogs

TOOLS = LogToolNames(
    list_sources="list_log_sources",
    survey="survey_logs",
    search="search_logs",
    get_trace="get_trace_logs",
    check="check_logs",
)


def build(settings: LogSettings) -> EvidenceServer:
    """Return the logs server over the backends that the settings turn on; none of them need be there yet."""
    server = EvidenceServer(
        "logs",
        Signal.LOGS,
        settings,
        version="0.1.0",
        title="Logs",
        instructions="Logs of services. Survey first: it compares a window with a baseline; then search. "
        "Times are RFC 3339, now, or -15m; all UTC.",
    )
    backends = backends_on(settings)
    only = next(iter(backends.values())) if len(backends) == 1 else None
    offer_log_tools(server, only or SeveralLogs(backends), TOOLS)
    offer_query_tool(server, backends, "query_logs")
    return server


def main() -> None:
    """Start the server as its settings say."""
    run(build, LogSettings)
