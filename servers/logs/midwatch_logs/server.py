"""The logs server: the shared log tools over the embedded store. What they answer is in midwatch_kit.logs."""

from midwatch_kit import EvidenceServer, Signal, run
from midwatch_kit.logs import LogToolNames, SqlLogs, offer_log_tools
from midwatch_logs.settings import LogSettings
from midwatch_logs.store import StoredLogs

TOOLS = LogToolNames(
    list_sources="list_log_sources",
    survey="survey_logs",
    search="search_logs",
    get_trace="get_trace_logs",
    check="check_logs",
)


def build(settings: LogSettings) -> EvidenceServer:
    """Return the logs server over the store that the settings name; the store need not be there yet."""
    server = EvidenceServer(
        "logs",
        Signal.LOGS,
        settings,
        version="0.1.0",
        title="Logs",
        instructions="Logs of services. Survey first: it compares a window with a baseline; then search. "
        "Times are RFC 3339, now, or -15m; all UTC.",
    )
    offer_log_tools(server, SqlLogs(StoredLogs(settings.store)), TOOLS)
    return server


def main() -> None:
    """Start the server as its settings say."""
    run(build, LogSettings)
