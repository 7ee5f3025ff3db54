"""Nezha (Yu et al., FSE 2023): faults of one pod at a time in Train Ticket and Online Boutique, three minutes each.

A case becomes: traces and logs of its three minutes (the fault begins at the end of the first), preceded by the
fault-free minutes of its day, moved; the pods' metrics as they were, from an hour before. The fault-free minutes were
recorded under another load, so their requests follow each other at the pace of the case's first minute. Where the
fault-free traces of a day or those of one of a case's minutes are not there, as in parts of Online Boutique, traces
and logs are left out; so are logs where some are not there. Published dependencies become a declared topology. Left
out are lines without a time, and figures of nodes, which all pods of a node repeat.

The alert is of the entrance and says no more than that its requests misbehave. It comes when the third minute begins,
and time ends with that minute. Of the fault list only the time is used for a snapshot.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from midwatch_bench.importers import files
from midwatch_bench.importers.case import SECOND, Alert, Case, Row, Tables, gauge, readable, unreadable

HISTORY = timedelta(hours=1)
_LIST = "-fault_list.json"
_LATE = timedelta(seconds=5)
"""How long after a minute of traces its metrics are there: they were taken a second later."""
_ENTRANCES = ("ts-gateway-service", "frontend")
_TITLE = "Requests of {} misbehave"
_SEVERITIES = {"TRACE": 1, "DEBUG": 5, "INFO": 9, "WARN": 13, "WARNING": 13, "ERROR": 17, "FATAL": 21}
_JSON = json.JSONDecoder()
_PRINTED = re.compile(r"^[\d:.]+\s+([A-Z]+)\s+(.*?)\s*TraceID: \S* SpanID: \S*\s*(.*)$", re.DOTALL)
_IDS = re.compile(r"TraceID: \S* SpanID: \S*\s*")
_SUCCESSES = "SuccessRate(%)"
_PLACE = re.compile(r"(\S+)#(\d+)")
_GAUGES: Mapping[str, tuple[str, str, float, tuple[str, str] | None]] = {
    "CpuUsage(m)": ("k8s.pod.cpu.usage", "{cpu}", 1e-3, None),
    "CpuUsageRate(%)": ("k8s.pod.cpu_limit_utilization", "1", 1e-2, None),
    "MemoryUsage(Mi)": ("k8s.pod.memory.usage", "By", 2.0**20, None),
    "MemoryUsageRate(%)": ("k8s.pod.memory_limit_utilization", "1", 1e-2, None),
    "NetworkReceiveBytes": ("k8s.pod.network.io", "By/s", 1.0, ("network.io.direction", "receive")),
    "NetworkTransmitBytes": ("k8s.pod.network.io", "By/s", 1.0, ("network.io.direction", "transmit")),
    "PodClientLatencyP90(s)": ("client.request.duration", "s", 1.0, ("quantile", "p90")),
    "PodServerLatencyP90(s)": ("server.request.duration", "s", 1.0, ("quantile", "p90")),
    "PodWorkload(Ops)": ("server.requests", "{request}/s", 1.0, None),
}


@dataclass(frozen=True)
class _Fault:
    """One line of a fault list, and the folder of its day."""

    day: Path
    at: datetime
    pod: str
    kind: str

    def files(self, what: str) -> list[Path]:
        """Return the files of the three minutes, `what` being log or trace."""
        minutes = (self.at + timedelta(minutes=n) for n in range(3))
        return [self.day / what / f"{minute:%H_%M}_{what}.csv" for minute in minutes]


def cases(data: Path) -> Iterator[Case]:
    """Yield every fault under `data`, day by day in the order of time; numbers count within a day."""
    for listed in sorted(data.rglob(f"*{_LIST}")):
        day = listed.name.removesuffix(_LIST)
        try:
            told = _told(listed)
        except Exception as error:  # one day must not hide the others
            yield unreadable(day, 0, error)
            continue
        for number, one in enumerate(told):
            name = f"{day}-{number:02}"
            yield readable(name, number, partial(_case, listed.parent, one, name, number))


def _told(listed: Path) -> list[Mapping[str, str]]:
    """Return the lines of a fault list in the order of time."""
    found: list[Mapping[str, str]] = [one for hour in files.json_of(listed).values() for one in hour]
    return sorted(found, key=lambda one: str(one.get("inject_time")))


def service_of(pod: str) -> str:
    """Return the service of a pod: its name without the hashes of its replica set and of itself."""
    return pod.rsplit("-", 2)[0]


def _fault(day: Path, told: Mapping[str, str]) -> _Fault:
    moment = datetime.fromisoformat(told["inject_time"]).replace(tzinfo=UTC)
    return _Fault(day, moment, told["inject_pod"], told["inject_type"])


def _case(day: Path, told: Mapping[str, str], name: str, number: int) -> Case:
    fault = _fault(day, told)
    services = {service_of(path.name.removesuffix("_metric.csv")) for path in _pods(fault)}
    entrance = _entrance(services)
    started, seen = _last_minute(fault)
    alert = Alert(service=entrance, title=_TITLE.format(entrance), started_at=started, seen_at=seen)
    return Case(
        name=name,
        number=number,
        group=f"{'train ticket' if entrance == _ENTRANCES[0] else 'online boutique'} {fault.kind}",
        alert=alert,
        calls=_dependencies(fault.day, services),
        telemetry=lambda: _telemetry(fault, entrance, seen),
        answers=frozenset({f"service:{service_of(fault.pod)}", f"instance:{fault.pod}"}),
    )


def _entrance(services: Collection[str]) -> str:
    if found := [name for name in _ENTRANCES if name in services]:
        return found[0]
    raise files.Unreadable(f"metric: there is no pod of {' or '.join(_ENTRANCES)}")


def _pods(fault: _Fault) -> list[Path]:
    return sorted((fault.day / "metric").glob("*-*-*_metric.csv"))


def _fault_free(fault: _Fault, what: str) -> list[Path]:
    folder = fault.day.parent.parent / "construct_data" / fault.day.name / what
    return sorted(filter(files.has_rows, folder.glob(f"*_{what}.csv")))


def _all_there(fault: _Fault, what: str) -> bool:
    """Whether there are fault-free traces (or logs) and those of each minute of a case.

    A minute that is missing would look like one in which nobody asked for anything.
    """
    return bool(_fault_free(fault, what)) and all(map(files.has_rows, fault.files(what)))


def _last_minute(fault: _Fault) -> tuple[datetime, datetime]:
    """When the third minute begins and ends: as its traces are, or by the clock where there are none."""
    if _all_there(fault, "trace"):
        times = [_start(row) for row in files.rows(fault.files("trace")[-1]) if _start(row) > 0]
        return _moment(min(times)), _moment(max(times)) + _LATE
    return fault.at + timedelta(minutes=2), fault.at + timedelta(minutes=3)


def _telemetry(fault: _Fault, entrance: str, until: datetime) -> Tables:
    tables: dict[str, list[Row]] = {"otel_metrics_gauge": []}
    since = fault.at - HISTORY
    for path in _pods(fault):
        tables["otel_metrics_gauge"] += _points(path, since, until)
    tables["otel_metrics_gauge"] += _successes(fault.day / "metric" / "front_service.csv", entrance, since, until)
    for reporter in ("source", "destination"):
        path = fault.day / "metric" / f"{reporter}_50.csv"
        tables["otel_metrics_gauge"] += _edges(path, reporter, since, until) if path.exists() else []
    if _all_there(fault, "trace"):
        calm, spans = _read(_fault_free(fault, "trace")), _read(fault.files("trace"))
        moved = _moved(calm, files.rows(fault.files("trace")[0]))
        tables["otel_traces"] = [*_spans(calm, moved), *_spans(spans, {})]
        if _all_there(fault, "log"):
            lines = _lines(_read(_fault_free(fault, "log")), moved)
            tables["otel_logs"] = [*lines, *_lines(_read(fault.files("log")), {})]
    return tables


def _read(paths: Iterable[Path]) -> list[Mapping[str, str]]:
    return [row for path in paths for row in files.rows(path)]


def _moved(calm: Sequence[Mapping[str, str]], first: Sequence[Mapping[str, str]]) -> dict[str, int]:
    """By how many ns each fault-free trace is moved, to end where a case's first minute begins, at its pace."""
    began, case_began = _begins(calm), _begins(first)
    start, end = min(case_began.values()), max(case_began.values())
    pace = (end - start) // len(case_began)
    newest_first = sorted(began, key=lambda trace: (began[trace], trace), reverse=True)
    return {trace: start - SECOND - pace * n - began[trace] for n, trace in enumerate(newest_first)}


def _begins(spans: Iterable[Mapping[str, str]]) -> dict[str, int]:
    began: dict[str, int] = {}
    for row in spans:
        if (time := _start(row)) > 0:
            began[row["TraceID"]] = min(time, began.get(row["TraceID"], time))
    return began


def _start(row: Mapping[str, str]) -> int:
    """When a span began, in ns since the epoch; 0 or less where that was not kept."""
    return int(row["StartTimeUnixNano"] or 0)


def _spans(rows: Sequence[Mapping[str, str]], moved: Mapping[str, int]) -> list[Row]:
    pods = {row["SpanID"]: row["PodName"] for row in rows}
    timed = (row for row in rows if _start(row) > 0)
    return [_span(row, pods.get(row["ParentID"]), moved.get(row["TraceID"], 0)) for row in timed]


def _span(row: Mapping[str, str], parents_pod: str | None, moved: int) -> Row:
    start, end = int(row["StartTimeUnixNano"]), int(row["EndTimeUnixNano"])
    root = row["ParentID"] == "root"
    entered = root or parents_pod not in (None, row["PodName"])
    called = row["OperationName"].startswith(("HTTP ", "Sent.", "hipstershop.")) and not entered
    return {
        "Timestamp": start + moved,
        "TraceId": row["TraceID"],
        "SpanId": row["SpanID"],
        "ParentSpanId": "" if root else row["ParentID"],
        "SpanName": row["OperationName"],
        "SpanKind": "Server" if entered else "Client" if called else "Internal",
        "ServiceName": service_of(row["PodName"]),
        "ResourceAttributes": {"service.instance.id": row["PodName"]},
        "Duration": max(0, end - start),
        "StatusCode": "Unset",
    }


def _lines(rows: Iterable[Mapping[str, str]], moved: Mapping[str, int]) -> list[Row]:
    """Lines of log; where traces are `moved`, those of traces that are not are left out: nobody knows where to."""
    timed = (row for row in rows if int(row["TimeUnixNano"] or 0) > 0)
    return [_line(row, moved.get(row["TraceID"], 0)) for row in timed if not moved or row["TraceID"] in moved]


def _line(row: Mapping[str, str], moved: int) -> Row:
    level, place, body = _said(_told_by(row["Log"], "log"))
    code = _PLACE.fullmatch(place)
    return {
        "Timestamp": int(row["TimeUnixNano"]) + moved,
        "TraceId": row["TraceID"],
        "SpanId": row["SpanID"],
        "SeverityText": level,
        "SeverityNumber": _SEVERITIES.get(level, 0),
        "ServiceName": service_of(row["PodName"]),
        "Body": body if code else f"{place} {body}".strip(),
        "LogAttributes": {"code.namespace": code[1], "code.line.number": code[2]} if code else {},
        "ResourceAttributes": {"service.instance.id": row["PodName"]},
    }


def _told_by(text: str, key: str) -> str:
    """Return what stands under a key of a JSON object, or the text where it is none.

    Some lines have the rest of another written behind them, and some begin in the middle of one.
    """
    try:
        told, _ = _JSON.raw_decode(text)
    except ValueError:
        return text
    return str(told.get(key, text)).rstrip("\n") if isinstance(told, dict) else text


def _said(printed: str) -> tuple[str, str, str]:
    """Return level, place in the code and words of what was printed, as text or as JSON, without its trace's ids."""
    if printed.startswith("{"):
        level = _told_by(printed, "severity").upper()
        return level if level in _SEVERITIES else "", "", _IDS.sub("", _told_by(printed, "message"))
    if parsed := _PRINTED.match(printed):
        return parsed[1], parsed[2], parsed[3]
    return "", "", _IDS.sub("", printed)


def _points(path: Path, since: datetime, until: datetime) -> list[Row]:
    return [point for time, row in _within(path, since, until) for point in _point(time, row)]


def _point(time: int, row: Mapping[str, str]) -> Iterator[Row]:
    pod = row["PodName"]
    for column, (metric, unit, factor, attribute) in _GAUGES.items():
        if value := row.get(column):
            more = {"Attributes": dict([attribute])} if attribute else {}
            resource = {"ResourceAttributes": {"service.instance.id": pod}}
            yield gauge(service_of(pod), metric, unit, time, float(value) * factor, **resource, **more)


def _successes(path: Path, entrance: str, since: datetime, until: datetime) -> list[Row]:
    """Which share of the entrance's requests succeeded; a day on which none ever did is one on which nobody counted."""
    if not path.exists() or not any(float(row[_SUCCESSES] or 0) for row in files.rows(path)):
        return []
    known = ((time, row[_SUCCESSES]) for time, row in _within(path, since, until) if row[_SUCCESSES])
    return [gauge(entrance, "server.request.success_rate", "%", time, float(percent)) for time, percent in known]


def _edges(path: Path, reporter: str, since: datetime, until: datetime) -> list[Row]:
    """What a mesh measured of each edge, as the one end or the other reports it; the columns are CALLER_CALLEE."""
    rows = list(_within(path, since, until))
    edges = [column for column in (rows[0][1] if rows else ()) if "_" in column]
    return [_edge(time, row, edge, reporter) for time, row in rows for edge in edges if (row[edge] or "NaN") != "NaN"]


def _edge(time: int, row: Mapping[str, str], edge: str, reporter: str) -> Row:
    source, _, destination = edge.partition("_")
    labels = {"reporter": reporter, "source_workload": source, "destination_workload": destination, "quantile": "p50"}
    service = source if reporter == "source" else destination
    return gauge(service, "istio.request.duration", "s", time, float(row[edge]), Attributes=labels)


def _dependencies(day: Path, services: set[str]) -> tuple[tuple[str, str], ...]:
    path = day / "metric" / "dependency.csv"
    if not path.exists():
        return ()
    told = ((row["Source"], row["Target"]) for row in files.rows(path))
    return tuple((source, target) for source, target in told if {source, target} <= services)


def _within(path: Path, since: datetime, until: datetime) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield the rows of a metric file that were taken within a time, each with its time in ns.

    The clock's words count: the number beside them is years off in one of the files.
    """
    for row in files.rows(path):
        told = row.get("Time") or row["time"]
        at = datetime.fromisoformat(told[: len("2022-08-22 03:51:19")]).replace(tzinfo=UTC)
        if since <= at < until:
            yield int(at.timestamp()) * SECOND, row


def _moment(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / SECOND, UTC)
