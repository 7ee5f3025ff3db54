"""The store's tables and columns: the one declaration from which every other form of the schema derives.

Columns are named as the OpenTelemetry Collector's ClickHouse exporter names them; `changes`, `alarms` and `objects`
follow the same style. Types are DuckDB's. This module knows nothing of files, Arrow or OTLP.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

TEXT: Final = "VARCHAR"
TIME: Final = "TIMESTAMP_NS"
LABELS: Final = "MAP(VARCHAR, VARCHAR)"
SEQ: Final = "Seq"


@dataclass(frozen=True)
class Column:
    """One column: its name and its DuckDB type."""

    name: str
    type: str


@dataclass(frozen=True)
class Table:
    """One table: its name, the column that says when a row happened, and all its columns, `Seq` last."""

    name: str
    time: str
    columns: tuple[Column, ...]

    @property
    def column_list(self) -> str:
        """The columns as a SQL select list."""
        return ", ".join(f'"{column.name}"' for column in self.columns)

    @property
    def cast_list(self) -> str:
        """The columns as a SQL select list, each with its type."""
        return ", ".join(f'"{column.name}"::{column.type} AS "{column.name}"' for column in self.columns)

    @property
    def empty_select(self) -> str:
        """A SQL query with these columns and types and no row."""
        nulls = ", ".join(f'NULL::{column.type} AS "{column.name}"' for column in self.columns)
        return f"SELECT {nulls} WHERE false"


def _table(name: str, time: str, columns: Mapping[str, str]) -> Table:
    declared = tuple(Column(column, kind) for column, kind in columns.items())
    return Table(name, time, (*declared, Column(SEQ, "BIGINT")))


_SCOPE: Final = {"ScopeName": TEXT, "ScopeVersion": TEXT}

_LOGS: Final = {
    "Timestamp": TIME,
    "TraceId": TEXT,
    "SpanId": TEXT,
    "TraceFlags": "UTINYINT",
    "SeverityText": TEXT,
    "SeverityNumber": "INTEGER",
    "ServiceName": TEXT,
    "Body": TEXT,
    "ResourceAttributes": LABELS,
    **_SCOPE,
    "ScopeAttributes": LABELS,
    "LogAttributes": LABELS,
    "EventName": TEXT,
}

_TRACES: Final = {
    "Timestamp": TIME,
    "TraceId": TEXT,
    "SpanId": TEXT,
    "ParentSpanId": TEXT,
    "TraceState": TEXT,
    "SpanName": TEXT,
    "SpanKind": TEXT,
    "ServiceName": TEXT,
    "ResourceAttributes": LABELS,
    **_SCOPE,
    "SpanAttributes": LABELS,
    "Duration": "BIGINT",
    "StatusCode": TEXT,
    "StatusMessage": TEXT,
    "Events.Timestamp": f"{TIME}[]",
    "Events.Name": f"{TEXT}[]",
    "Events.Attributes": f"{LABELS}[]",
    "Links.TraceId": f"{TEXT}[]",
    "Links.SpanId": f"{TEXT}[]",
}

_POINT: Final = {
    "ServiceName": TEXT,
    "ResourceAttributes": LABELS,
    "ScopeName": TEXT,
    "MetricName": TEXT,
    "MetricDescription": TEXT,
    "MetricUnit": TEXT,
    "Attributes": LABELS,
    "StartTimeUnix": TIME,
    "TimeUnix": TIME,
}

_HISTOGRAM: Final = {
    **_POINT,
    "Count": "UBIGINT",
    "Sum": "DOUBLE",
    "BucketCounts": "UBIGINT[]",
    "ExplicitBounds": "DOUBLE[]",
    "Min": "DOUBLE",
    "Max": "DOUBLE",
    "AggregationTemporality": "INTEGER",
}

_CHANGES: Final = {
    "Timestamp": TIME,
    "ChangeId": TEXT,
    "Kind": TEXT,
    "ServiceName": TEXT,
    "Instance": TEXT,
    "Title": TEXT,
    "Author": TEXT,
    "Version": TEXT,
    "PreviousVersion": TEXT,
    "Repository": TEXT,
    "Url": TEXT,
    "Files": f"{TEXT}[]",
    "Diff": TEXT,
    "EndTime": TIME,
    "Outcome": TEXT,
    "Attributes": LABELS,
}

_ALARMS: Final = {
    "Timestamp": TIME,
    "AlarmName": TEXT,
    "State": TEXT,
    "ServiceName": TEXT,
    "Reason": TEXT,
    "Value": "DOUBLE",
    "Threshold": "DOUBLE",
    "Attributes": LABELS,
}

_OBJECTS: Final = {
    "Timestamp": TIME,
    "Event": TEXT,
    "ApiVersion": TEXT,
    "Kind": TEXT,
    "Namespace": TEXT,
    "Name": TEXT,
    "Uid": TEXT,
    "Object": TEXT,
    "Attributes": LABELS,
}

TABLES: Final[Mapping[str, Table]] = MappingProxyType(
    {
        table.name: table
        for table in (
            _table("otel_logs", "Timestamp", _LOGS),
            _table("otel_traces", "Timestamp", _TRACES),
            _table("otel_metrics_gauge", "TimeUnix", {**_POINT, "Value": "DOUBLE"}),
            _table(
                "otel_metrics_sum",
                "TimeUnix",
                {**_POINT, "Value": "DOUBLE", "AggregationTemporality": "INTEGER", "IsMonotonic": "BOOLEAN"},
            ),
            _table("otel_metrics_histogram", "TimeUnix", _HISTOGRAM),
            _table("changes", "Timestamp", _CHANGES),
            _table("alarms", "Timestamp", _ALARMS),
            _table("objects", "Timestamp", _OBJECTS),
        )
    }
)
