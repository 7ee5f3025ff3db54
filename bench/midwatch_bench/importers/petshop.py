"""PetShop (Hardt et al., "The PetShop Dataset", CLeaR 2024): metrics of a shop of 40 services every five minutes.

A case becomes: the fault-free metrics of its scenario, moved so that they end where the case begins (the two were
recorded months apart); the rows of the case up to the first one that starts after the alert, which is the row that
the authors' own code looks at; and the graph as published, as a declared topology. Of `target.json` only the watched
figure and the time go into the alert. `metadata` names the cause and is never read.

X-Ray draws some calls twice: once where they are served, and once more as a client or a load balancer saw them, under
a name of its own (`_client`, `..elb.amazonaws.com_remote`). Such a name is resolved to the service that answers: its
edges become that service's, its figures, which are part of the service's own, are left out.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from midwatch_bench.importers import files
from midwatch_bench.importers.case import SECOND, Alert, Case, Row, Tables, at, count, gauge, readable

STEP = 300
"""Seconds between rows; a row is stamped at the start of its five minutes."""
HISTORY = 180
"""Rows of the fault-free metrics that go before a case: fifteen hours."""
SCENARIOS = ("low_traffic", "high_traffic", "temporal_traffic1", "temporal_traffic2")
_TITLES = {"latency": "Latency of {} is above its usual level", "availability": "Availability of {} has dropped"}
_OTHER_TITLE = "{} misbehaves"
_STATISTICS = {"Average": "mean", "p50": "p50", "p90": "p90", "p95": "p95", "p99": "p99"}

_ISSUE = re.compile(rf"(?:{'|'.join(SCENARIOS)})/(?:train|test)/issue_\d+")
_BALANCER = re.compile(r"servi-(\w{5})\..*\.elb\.amazonaws\.com_remote", re.IGNORECASE)
"""A load balancer, named after the first letters of the service behind it."""

Column = tuple[str, str, str]


@dataclass(frozen=True)
class Sheet:
    """A `metrics.csv`: columns are (microservice, metric, statistic), rows are Unix seconds with their values."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[float, tuple[float, ...]], ...]


def cases(data: Path) -> Iterator[Case]:
    """Yield every case under `data` in order; scenarios or halves that are not there are left out."""
    found = [data, *data.rglob("issue_*")]
    issues = [folder for folder in found if _ISSUE.fullmatch("/".join(folder.parts[-3:])) and folder.is_dir()]
    for folder in sorted(issues, key=_place):
        scenario, part, number = _place(folder)
        name = f"{SCENARIOS[scenario]}-{part}-{number:02}"
        yield readable(name, number, partial(_case, folder, name, number))


def read_sheet(path: Path) -> Sheet:
    """Return a sheet; an empty cell is NaN."""
    lines = files.lines(path)
    columns = tuple(zip(lines[0][1:], lines[1][1:], lines[2][1:], strict=True))
    rows = [line for line in lines[3:] if line and line[0] != "unix_timestamp"]
    return Sheet(columns, tuple((float(row[0]), tuple(_number(cell) for cell in row[1:])) for row in rows))


def read_graph(path: Path) -> tuple[tuple[str, str], ...]:
    """Return who calls whom, each once, from an adjacency matrix whose rows are callers; nobody calls itself."""
    (_, *head), *lines = files.lines(path)
    marked = ((line[0], name, cell) for line in lines for name, cell in zip(head, line[1:], strict=True))
    meant = {alias: name for alias in head if (name := meant_by(alias, head))}
    calls = ((meant.get(a, a), meant.get(b, b)) for a, b, cell in marked if cell and float(cell) == 1)
    return tuple(dict.fromkeys((caller, callee) for caller, callee in calls if caller != callee))


def meant_by(alias: str, names: Sequence[str]) -> str | None:
    """Return the service that a client's or a load balancer's name stands for; None where it is no alias of one."""
    balancer, client = _BALANCER.fullmatch(alias), alias.removesuffix("_client")
    services = {
        name: name.partition("_AWS::")[0].lower() for name in names if not name.endswith(("_remote", "_client"))
    }
    if balancer:
        found = [name for name, short in services.items() if balancer[1].lower() in short]
    else:
        found = [name for name, short in services.items() if client != alias and short == client.lower()]
    return found[0] if len(found) == 1 else None


def _place(folder: Path) -> tuple[int, str, int]:
    """Return the scenario's place among all, the half that the authors put a case in, and its number there."""
    scenario, part, issue = folder.parts[-3:]
    return SCENARIOS.index(scenario), part, int(issue.rpartition("_")[2])


def _case(folder: Path, name: str, number: int) -> Case:
    told = files.json_of(folder / "target.json")
    target, scenario = told["target"], folder.parent.parent
    sheet = read_sheet(folder / "metrics.csv")
    kept = _until_the_first_after(sheet, target["timestamp"])
    alert = Alert(
        service=target["node"],
        title=_TITLES.get(target["metric"], _OTHER_TITLE).format(target["node"]),
        started_at=at(target["timestamp"]),
        seen_at=at(kept.rows[-1][0] + STEP + 1),
    )
    return Case(
        name=name,
        number=number,
        group=f"{scenario.name} {target['metric']}",
        alert=alert,
        calls=read_graph(scenario / "graph.csv"),
        telemetry=lambda: _telemetry(scenario / "noissue" / "metrics.csv", kept),
        answers=frozenset({f"service:{told['root_cause']['node']}"}),
    )


def _until_the_first_after(sheet: Sheet, moment: float) -> Sheet:
    later = [start for start, _ in sheet.rows if start >= moment]
    return Sheet(sheet.columns, tuple(row for row in sheet.rows if row[0] <= later[0])) if later else sheet


def _telemetry(fault_free: Path, case: Sheet) -> Tables:
    tables: dict[str, list[Row]] = {"otel_metrics_gauge": [], "otel_metrics_sum": []}
    sheets = [case]
    if fault_free.exists():
        before = read_sheet(fault_free)
        shift = case.rows[0][0] - STEP - before.rows[-1][0]
        moved = tuple((start + shift, values) for start, values in before.rows[-HISTORY:])
        sheets.insert(0, Sheet(before.columns, moved))
    for sheet in sheets:
        for start, values in sheet.rows:
            _add(tables, sheet.columns, int(start * SECOND), values)
    return tables


def _add(tables: Mapping[str, list[Row]], columns: Sequence[Column], start: int, values: Sequence[float]) -> None:
    end = start + STEP * SECOND
    names = sorted({service for service, _, _ in columns})
    aliases = {name for name in names if meant_by(name, names)}
    for (service, metric, statistic), value in zip(columns, values, strict=True):
        if math.isnan(value) or service in aliases:
            continue
        if metric == "requests":
            tables["otel_metrics_sum"].append(count(service, "service.requests", "{request}", start, end, value))
        elif metric == "availability":
            tables["otel_metrics_gauge"].append(gauge(service, "service.availability", "%", end, value))
        else:
            told = {"statistic": _STATISTICS[statistic]}
            point = gauge(service, "service.request.duration", "s", end, value, Attributes=told)
            tables["otel_metrics_gauge"].append(point)


def _number(cell: str) -> float:
    return float(cell) if cell else math.nan
