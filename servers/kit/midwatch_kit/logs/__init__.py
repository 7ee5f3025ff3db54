"""What log servers share: five tools, the verbs from arguments to answers, the survey, and SQL for DuckDB.

A server for logs that live elsewhere implements `LogBackend` (or a `Relation`, when DuckDB can read them) and calls
`offer_log_tools`. Needs the extra `statistics`. Nothing here opens a file, a socket or a database.
"""

from midwatch_kit.logs.backend import LogBackend, Scope
from midwatch_kit.logs.lines import ns_of, stamp, time_of
from midwatch_kit.logs.sql import Relation, SqlLogs, severity_of
from midwatch_kit.logs.tools import LogToolNames, offer_log_tools

__all__ = [
    "LogBackend",
    "LogToolNames",
    "Relation",
    "Scope",
    "SqlLogs",
    "ns_of",
    "offer_log_tools",
    "severity_of",
    "stamp",
    "time_of",
]
