"""The byo server: the shared log tools over a team's own files. What they answer is in midwatch_kit.logs."""

from midwatch_byo.mapping import Source, load_mapping
from midwatch_byo.parse import pattern_fault
from midwatch_byo.places import Folder, Place
from midwatch_byo.relation import FileLogs
from midwatch_byo.settings import ByoSettings
from midwatch_kit import BadInput, EvidenceServer, Signal, run
from midwatch_kit.logs import LogToolNames, SqlLogs, offer_log_tools

TOOLS = LogToolNames(
    list_sources="list_byo_sources",
    survey="survey_byo",
    search="search_byo",
    get_trace="get_byo_trace",
    check="check_byo",
)


def build(settings: ByoSettings) -> EvidenceServer:
    """Return the byo server over the mapping's sources; raises `BadInput` when the mapping cannot be used."""
    sources = {source.name: source for source in load_mapping(settings.mapping).sources}
    if faults := [fault for source in sources.values() if source.pattern and (fault := pattern_fault(source))]:
        raise BadInput("; ".join(faults))
    places = {name: _place(source) for name, source in sources.items()}
    server = EvidenceServer(
        "byo",
        Signal.LOGS,
        settings,
        version="0.1.0",
        title="Your own logs",
        instructions=f"Logs in files: {', '.join(sources)}. Survey first, then search; every reply says what was read. "
        "Times are RFC 3339, now, or -15m; all UTC.",
    )
    offer_log_tools(server, SqlLogs(FileLogs(sources, places, settings)), TOOLS)
    return server


def main() -> None:
    """Start the server as its settings say."""
    run(build, ByoSettings)


def _place(source: Source) -> Place:
    if source.bucket is None:
        return Folder(source.name, source.base)
    from midwatch_byo.s3 import Bucket  # noqa: PLC0415 - boto3 takes long to import, and folders need none

    return Bucket(source.name, source.bucket, source.base, source.endpoint, source.region)
