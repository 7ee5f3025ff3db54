"""Which backends the settings turn on. A backend's module is imported only then: clients take long to import."""

# ruff: noqa: PLC0415 - that is what this module is for

from collections.abc import Mapping

from midwatch_kit.logs import LogBackend
from midwatch_logs.settings import LogSettings


def backends_on(settings: LogSettings) -> Mapping[str, LogBackend]:
    """Return the backends that are on by their names; asks none of them anything."""
    found: dict[str, LogBackend] = {}
    if settings.store:
        from midwatch_kit.logs import SqlLogs
        from midwatch_logs.backends.store import StoredLogs

        found["store"] = SqlLogs(StoredLogs(settings.store))
    if settings.loki_url:
        from midwatch_logs.backends.loki import LokiLogs

        found["loki"] = LokiLogs(settings, settings.logs_sample_lines)
    if settings.elasticsearch_url:
        from midwatch_logs.backends.elasticsearch import ElasticsearchLogs

        found["elasticsearch"] = ElasticsearchLogs(settings, settings.logs_sample_lines)
    if settings.cloudwatch_log_groups:
        from midwatch_logs.backends.cloudwatch import CloudWatchLogs

        found["cloudwatch"] = CloudWatchLogs(settings, settings.logs_sample_lines)
    return found
