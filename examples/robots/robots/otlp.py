"""Logs and gauges of what has no OpenTelemetry SDK of its own, such as a database, sent as OTLP/HTTP in JSON.

What the store doesn't take at once is lost, as it is with a collector that doesn't queue; it isn't what wakes anybody.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import httpx
from pydantic import JsonValue

SEVERITIES = {"DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17, "FATAL": 21}


@dataclass(frozen=True)
class Line:
    """One log record; `severity` is one of SEVERITIES."""

    at: datetime
    severity: str
    body: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Point:
    """One gauge's value."""

    name: str
    unit: str
    value: float
    attributes: Mapping[str, str] = field(default_factory=dict)


class Otlp:
    """Sends to one receiver; `scope` names whoever observed."""

    def __init__(self, url: str, http: httpx.AsyncClient, scope: str) -> None:
        self.url = url.rstrip("/")
        self.http = http
        self.scope = scope

    async def logs(self, resource: Mapping[str, str], lines: Sequence[Line]) -> None:
        """Send log records about a resource."""
        records: list[JsonValue] = [
            {
                "timeUnixNano": str(int(line.at.timestamp() * 1e9)),
                "severityText": line.severity,
                "severityNumber": SEVERITIES[line.severity],
                "body": {"stringValue": line.body},
                "attributes": _attributes(line.attributes),
            }
            for line in lines
        ]
        await self._send("logs", "resourceLogs", "scopeLogs", resource, {"logRecords": records})

    async def gauges(self, resource: Mapping[str, str], points: Sequence[Point]) -> None:
        """Send the current values of gauges of a resource."""
        at = str(time.time_ns())
        metrics: list[JsonValue] = [
            {
                "name": point.name,
                "unit": point.unit,
                "gauge": {
                    "dataPoints": [
                        {"timeUnixNano": at, "asDouble": point.value, "attributes": _attributes(point.attributes)}
                    ]
                },
            }
            for point in points
        ]
        await self._send("metrics", "resourceMetrics", "scopeMetrics", resource, {"metrics": metrics})

    async def _send(
        self, signal: str, outer: str, inner: str, resource: Mapping[str, str], content: dict[str, JsonValue]
    ) -> None:
        scoped: JsonValue = {"scope": {"name": self.scope}, **content}
        document = {outer: [{"resource": {"attributes": _attributes(resource)}, inner: [scoped]}]}
        try:
            await self.http.post(f"{self.url}/v1/{signal}", json=document)
        except httpx.HTTPError:
            return


def _attributes(values: Mapping[str, str]) -> list[JsonValue]:
    return [{"key": name, "value": {"stringValue": value}} for name, value in values.items()]
