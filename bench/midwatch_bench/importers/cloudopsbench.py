"""Cloud-OpsBench: Kubernetes incidents of Online Boutique and Train Ticket, as objects, log lines and metrics.

Layout: `benchmark/<system>/<category>/<id>/` as its authors publish it (github.com/LLM4Ops/Cloud-OpsBench). A snapshot
holds the cluster's state when it was collected, the containers' logs (or, where those are not there, the error lines
that the set's own tool shows of them) and the metrics, if there are any. The alert says what the set tells an agent:
the namespace and one of five vague sentences. It comes at the end of the time that the set's alerting calls abnormal,
and where that says nothing, ten minutes after the incident may have begun, when the state was collected. The calls
that the set's dependency tool knows become a declared topology.

The labels (`result`, `process`) and the expert paths stay with the scorer. Times without a zone are in UTC+8.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

from midwatch_bench.importers import files
from midwatch_bench.importers.case import SECOND, Alert, Case, Row, Tables, gauge, readable
from midwatch_bench.importers.cloudopsbench_state import objects

LOCAL = timezone(timedelta(hours=8))
BEFORE = timedelta(minutes=10)
"""How long before the state was collected an incident may have begun, where no alert says when."""
_RANGE = re.compile(r"(?P<start>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) ~ (?P<end>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)")
_LOGGED = re.compile(r"^(?P<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(?:Z|[+-]\d\d:\d\d))\s(?P<body>.*)$", re.MULTILINE)
_LEVEL = re.compile(r"\b(TRACE|DEBUG|INFO|WARN(?:ING)?|ERROR|FATAL)\b|\[(Note|Warning|ERROR)\]", re.IGNORECASE)
_SEVERITIES = {
    "TRACE": 1,
    "DEBUG": 5,
    "INFO": 9,
    "NOTE": 9,
    "WARN": 13,
    "WARNING": 13,
    "ERROR": 17,
    "FATAL": 21,
    "PANIC": 21,
}
_HOST = re.compile(r"_HOST: ([a-z][\w-]*)$", re.MULTILINE)
_FRAME = re.compile(r"\s+(?:at|\.\.\.) ")
_EXCEPTION = re.compile(r"\s*Caused by: |[\w$]+(?:\.[\w$]+)+(?:Exception|Error)\b")
_LONGEST = 2000
_FILES = ("metadata.json", "tool_cache.json")
_LABEL = ("fault_taxonomy", "fault_object", "root_cause")
_FIRST_CALLED = {
    "container_memory_limit_too_low": "oom_killed",
    "db_readonly_mode": "db_read_only",
    "gateway_misrouted": "gateway_misroute",
}
"""What later releases, and the list that agents are given, call otherwise."""
_FIRST_FILED = {
    "node_network_delay": "infrastructure_fault",
    "node_network_packet_loss": "infrastructure_fault",
}
"""The taxonomy of what later releases file under another one."""
_GAUGES: Mapping[str, tuple[str, str, float, tuple[str, str] | None]] = {
    "cpu": ("container.cpu.usage", "{cpu}", 1.0, None),
    "cpu_cfs": ("container.cpu.throttled", "s/s", 1.0, None),
    "mem": ("container.memory.usage", "By", 1.0, None),
    "network_receive": ("k8s.pod.network.packets", "{packet}/s", 1.0, ("network.io.direction", "receive")),
    "network_transmit": ("k8s.pod.network.packets", "{packet}/s", 1.0, ("network.io.direction", "transmit")),
    "p90latency": ("server.request.duration", "ms", 1.0, ("quantile", "p90")),
    "p95latency": ("server.request.duration", "ms", 1.0, ("quantile", "p95")),
    "rps": ("server.requests", "{request}/s", 1.0, None),
    "success_rate": ("server.success", "1", 1.0, None),
}


@dataclass(frozen=True)
class _Folder:
    """Where a case lies; what of it a reasoner may see."""

    path: Path

    def tools(self) -> Mapping[str, Any]:
        """Return what the set's tools answer."""
        told: Mapping[str, Any] = files.json_of(self.path / "tool_cache.json")
        return told

    def alerts(self) -> Sequence[Mapping[str, Any]]:
        """Return what the set's alerting says."""
        told: Sequence[Mapping[str, Any]] = _raw(self.path, "alert.json").get("alerts") or []
        return told


def cases(data: Path) -> Iterator[Case]:
    """Yield every case under `data`, in the order of folders' names.

    Numbers count within a system, whatever part of it is asked for, odd and even folders apart: so a case stays in its
    half when half of the set is not there.
    """
    for system in sorted({folder.parent.parent for folder in _folders(data.rglob("*.json"))}):
        counted: Counter[bool] = Counter()
        for folder in _folders(system.glob("*/*/*.json")):
            odd = int(folder.name) % 2 == 1
            if folder.is_relative_to(data):
                yield readable("/".join(folder.parts[-3:]), counted[odd], partial(_case, folder, counted[odd]))
            counted[odd] += 1


def _folders(found: Iterable[Path]) -> list[Path]:
    """Return the folders of cases, `<system>/<category>/<id>`, by name: each that has one of the files of a case."""
    return sorted({path.parent for path in found if path.name in _FILES and path.parent.name.isdecimal()})


def _case(folder: Path, number: int) -> Case:
    told = files.json_of(folder / "metadata.json")
    taxonomy, about, cause = _label(told["result"])
    tools = _Folder(folder).tools()
    return Case(
        name="/".join(folder.parts[-3:]),
        number=number,
        group=f"{folder.parts[-3]} {cause}",
        alert=_alert(folder, told["namespace"], told["query"]),
        calls=tuple(sorted({*_calls(tools), *_databases(tools)})),
        telemetry=lambda: _telemetry(folder),
        answers=frozenset({f"{taxonomy} {about} {cause}"}),
    )


def _label(answer: Mapping[str, str]) -> tuple[str, str, str]:
    """Return taxonomy, object and cause in small letters, in the words of the first release."""
    taxonomy, about, cause = (" ".join(answer[key].lower().split()) for key in _LABEL)
    cause = _FIRST_CALLED.get(cause, cause)
    return _FIRST_FILED.get(cause, taxonomy), about, cause


def _alert(folder: Path, namespace: str, query: str) -> Alert:
    started, seen = _times(folder)
    return Alert(service=f"namespace:{namespace}", title=query, started_at=started, seen_at=seen)


def _times(folder: Path) -> tuple[datetime, datetime]:
    """When the incident began as far as anybody was told, and when the alert came."""
    ranges = [found for alert in _Folder(folder).alerts() if (found := _RANGE.match(alert.get("time_range") or ""))]
    if ranges:
        return min(_local(found["start"]) for found in ranges), max(_local(found["end"]) for found in ranges)
    collected = datetime.fromisoformat(_Folder(folder).tools()["collection_timestamp"]).replace(tzinfo=LOCAL)
    return collected - BEFORE, collected


def _telemetry(folder: Path) -> Tables:
    _, seen = _times(folder)
    return {
        "objects": list(_objects(folder, seen)),
        "otel_logs": [row for row in _logs(folder) if _stamp(row) <= seen.timestamp() * SECOND],
        "otel_metrics_gauge": list(_metrics(folder)),
    }


def _objects(folder: Path, seen: datetime) -> Iterator[Row]:
    """The state when it was collected, told as of when the alert was seen."""
    for thing in objects(folder)[0]:
        metadata = thing.get("metadata", {})
        yield {
            "Timestamp": (int(seen.timestamp()) - 1) * SECOND,
            "Event": "listed",
            "ApiVersion": thing.get("apiVersion", ""),
            "Kind": thing["kind"],
            "Namespace": metadata.get("namespace", ""),
            "Name": metadata.get("name", ""),
            "Uid": metadata.get("uid", ""),
            "Object": json.dumps(thing, default=str),
        }


def _calls(tools: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, text in tools.items():
        if name.startswith("GetServiceDependencies:"):
            callee = json.loads(name.partition(":")[2])["service_name"]
            callers = re.search(r"\[Upstream \(Called By\)\]: (.*)", str(text))
            for caller in callers[1].split(", ") if callers else ():
                if re.fullmatch(r"[\w-]+", caller):
                    yield caller, callee


def _databases(tools: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Whose manifests name which stateful set as a host: its name begins the host's, `db-leader` or `db-0`."""
    kinds = [json.loads(key.partition(":")[2]) for key in tools if key.startswith("DescribeResource:")]
    sets = {told["name"] for told in kinds if told["resource_type"] == "statefulsets"}
    for key, text in tools.items():
        if key.startswith("GetAppYAML:"):
            for host in _HOST.findall(str(text)):
                yield from ((json.loads(key.partition(":")[2])["app_name"], db) for db in sets if host.startswith(db))


def _logs(folder: Path) -> Iterator[Row]:
    """The lines of each container, the previous one's as well; an exception's stack stays with its line."""
    told = _raw(folder, "logs.json") or dict(_error_lines(_Folder(folder).tools()))
    for name, text in sorted(told.items()):
        service, _, container = name.removesuffix(".previous").partition(".")
        for at, body in _entries(text if isinstance(text, str) else "\n".join(map(str, text))):
            level = _LEVEL.search(body[:160])
            word = (level[1] or level[2]).upper() if level else ""
            yield {
                "Timestamp": at,
                "SeverityText": word,
                "SeverityNumber": _SEVERITIES.get(word, 0),
                "ServiceName": service,
                "Body": body,
                "ResourceAttributes": {"k8s.container.name": container} if container else {},
            }


def _error_lines(tools: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, told in tools.items():
        if name.startswith("GetErrorLogs:") and isinstance(told, dict):
            service = json.loads(name.partition(":")[2])["service_name"]
            for container, lines in ((c, found) for c, found in told.items() if isinstance(found, list)):
                yield f"{service}.{container}" if container != "app" else service, "\n".join(map(str, lines))


def _entries(text: str) -> Iterator[tuple[int, str]]:
    """Lines that say when they were written, in ns since the epoch; exceptions are put to the line before them."""
    entries: list[tuple[int, str]] = []
    for found in _LOGGED.finditer(text):
        body = found["body"].strip()
        if entries and _EXCEPTION.match(body) and len(entries[-1][1]) < _LONGEST:
            entries[-1] = entries[-1][0], f"{entries[-1][1]}; {body}"
        elif body and not _FRAME.match(found["body"]):
            entries.append((int(datetime.fromisoformat(found["at"]).timestamp() * SECOND), body))
    yield from entries


def _metrics(folder: Path) -> Iterator[Row]:
    path = folder / "raw_data" / "metrics.csv"
    for row in files.rows(path) if path.exists() else ():
        at = int(_local(row.pop("time")).timestamp()) * SECOND
        for column, value in row.items():
            if column and value and not _is_void(column, row):
                yield from _point(column, float(value), at)


def _is_void(column: str, row: Mapping[str, str]) -> bool:
    """Whether a zero means that nothing was counted: a latency of no request, or no request where one took its time."""
    service, _, what = column.rpartition("-")
    times = [float(row.get(f"{service}-{name}") or 0) for name in ("p90latency", "p95latency")]
    return float(row[column]) == 0 and (what.endswith("latency") or (what == "rps" and max(times) > 0))


def _point(column: str, value: float, at: int) -> Iterator[Row]:
    service, _, what = column.rpartition("-")
    if what in _GAUGES:
        metric, unit, factor, attribute = _GAUGES[what]
        more = {"Attributes": dict([attribute])} if attribute else {}
        yield gauge(service, metric, unit, at, value * factor, **more)


def _local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=LOCAL)


def _stamp(row: Row) -> int:
    return int(str(row["Timestamp"]))


def _raw(folder: Path, name: str) -> Mapping[str, Any]:
    path = folder / "raw_data" / name
    told: Mapping[str, Any] = files.json_of(path) if path.exists() else {}
    return told
