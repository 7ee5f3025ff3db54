"""ChangeRCA (Yu et al., FSE 2024): several services of Online Boutique are rolled out at once, one of them is at fault.

A case becomes: each step of each rollout as a deploy that names its new and its replaced instances; the pods' success
and latency for each call that they take or make, their CPU and memory, and the share of each call that succeeds as
both its ends report it, a minute apart, from the beginning; the published dependencies as a declared topology.

The alert is of the entrance, the service that nobody calls, and says no more than that its requests misbehave, since
the moment of detection. Time ends `PATIENCE` after it. Left out as answers: who is said to be at fault or not, the
kind of fault, the order in which the plan lists services, and what other methods named. Left out as wrong: rows of a
pod from the moment when it was replaced on (they repeat its successor's), and, of all but a rollout's first step, the
published begin (it lies before the end of the step before). Left out as repeated: figures of nodes.

The header of a pod's file is one column off: what it calls latency is CPU, and so on; the last column is the latency.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from midwatch.records import HypothesisKind
from midwatch_bench.importers import files
from midwatch_bench.importers.case import SECOND, Alert, Case, Row, Tables, at, gauge, readable

PATIENCE = timedelta(seconds=180)
"""How long after the detection time ends."""
_FOLDER = re.compile(r"\d{4}-\d\d-\d\d_\d+")
_COLUMNS = 8
"""Fields of a pod's row that are read; a row with fewer was cut off."""
_TITLE = "Requests of {} misbehave"
_SUCCESS, _DURATION = "{}.request.success_rate", "{}.request.duration"
_SIDES = {"source": "client", "destination": "server"}


@dataclass(frozen=True)
class _Step:
    """One step of a service's rollout, in Unix seconds: pods at a new version replace pods at an old one."""

    service: str
    number: int
    begun: float
    complete: float
    new: tuple[str, ...]
    replaced: tuple[str, ...]
    updated: int
    replicas: int


def cases(data: Path) -> Iterator[Case]:
    """Yield every case under `data`, day by day; a case's number is counted over all days as they were published."""
    found = [path for path in (data, *data.rglob("*_*")) if _FOLDER.fullmatch(path.name) and path.is_dir()]
    for folder in sorted(found, key=lambda path: (path.name.split("_")[0], int(path.name.split("_")[1]))):
        yield readable(folder.name, _number(folder.name), partial(_case, folder))


def _case(folder: Path) -> Case:
    told = files.json_of(folder / f"{folder.name}.json")
    detected = at(float(str(told["detect_timestamp"])))
    calls = _calls(folder)
    entrance = _entrance(calls)
    guilty = str(told["fault_release_service"])
    steps = _steps(told["plan"])
    until = detected + PATIENCE
    return Case(
        name=folder.name,
        number=_number(folder.name),
        group=str(told["fault"]),
        alert=Alert(service=entrance, title=_TITLE.format(entrance), started_at=detected, seen_at=until),
        calls=calls,
        telemetry=lambda: _telemetry(folder, calls, steps, until.timestamp()),
        kinds=frozenset({HypothesisKind.CHANGE}),
        answers=frozenset(
            {f"service:{guilty}", *(f"instance:{p}" for s in steps if s.service == guilty for p in s.new)}
        ),
    )


def _number(name: str) -> int:
    """Return a number whose parity is that of the day and the case together: each half gets some of each day."""
    day, _, case = name.partition("_")
    return int(day.rpartition("-")[2]) + int(case) // 2


def _calls(folder: Path) -> tuple[tuple[str, str], ...]:
    """Return who calls whom: as is published, or else as the pods' files are named.

    The published list also says on which node a pod runs, by its address.
    """
    listed = folder / "dependency.csv"
    if listed.exists():
        pairs = [(row["Source"], row["Target"]) for row in files.rows(listed)]
    else:
        pairs = [(caller, callee) for _, caller, callee in (path.stem.split("_") for path in _pods(folder))]
    return tuple(sorted({(source, target) for source, target in pairs if not target[:1].isdigit()}))


def _entrance(calls: Sequence[tuple[str, str]]) -> str:
    if entrances := {caller for caller, _ in calls} - {callee for _, callee in calls}:
        return min(entrances)
    raise files.Unreadable("there is no service whom nobody calls")


def _steps(plan: object) -> list[_Step]:
    """Return the steps of all rollouts in the order of their services' names."""
    assert isinstance(plan, dict)
    return [step for service in sorted(plan) for step in _rollout(service, plan[service])]


def _rollout(service: str, told: Mapping[str, object]) -> Iterator[_Step]:
    process = told["process"]
    assert isinstance(process, dict)
    until = 0.0
    for number, (begun, step) in enumerate(sorted(process.items(), key=lambda item: _completed(item[1])), 1):
        pods = tuple(sorted(step["release_pod"])), tuple(sorted(step["delete_pod"]))
        complete = _completed(step)
        yield _Step(service, number, max(float(begun), until), complete, *pods, step["v2"], step["v1"] + step["v2"])
        until = complete


def _completed(step: Mapping[str, object]) -> float:
    """Return when a step was complete, in Unix seconds; infinity where nobody wrote down that it was."""
    return float(str(step.get("release_complete_timestamp") or math.inf))


def _telemetry(folder: Path, calls: Sequence[tuple[str, str]], steps: Sequence[_Step], until: float) -> Tables:
    gone = {pod: step.begun for step in steps for pod in step.replaced}
    points = {place: point for path in _pods(folder) for place, point in _of_pod(path, gone, until)}
    of_calls = [p for end, side in _SIDES.items() for p in _of_calls(folder / f"{end}_success.csv", side, calls, until)]
    return {
        "changes": [_change(step, until) for step in steps if step.begun <= until],
        "otel_metrics_gauge": [*points.values(), *of_calls],
    }


def _change(step: _Step, until: float) -> Row:
    new, replaced = ", ".join(step.new), ", ".join(step.replaced)
    done = step.complete <= until
    return {
        "Timestamp": int(step.begun * SECOND),
        "ChangeId": f"{step.service}-step-{step.number}",
        "Kind": "deploy",
        "ServiceName": step.service,
        "Title": f"{step.updated} of {step.replicas} instances at the new version",
        "Version": _version(*step.new),
        "PreviousVersion": _version(*step.replaced),
        "EndTime": int(step.complete * SECOND) if done else None,
        "Outcome": "succeeded" if done else "running",
        "Attributes": {"instances": new.replace(" ", ""), "replaces": replaced.replace(" ", "")},
    }


def _version(*pods: str) -> str:
    """Return the version of the first pod, which is named SERVICE-VERSION-TEMPLATE-ID; '' where there is none."""
    return pods[0].split("-")[-3] if pods else ""


def _pods(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*-*_*_*.csv") if "-v" in path.name)


def _of_pod(path: Path, gone: Mapping[str, float], until: float) -> Iterator[tuple[tuple[object, ...], Row]]:
    """Yield the points of a pod's file by what they are of: the call that it is about, or the pod, as all its files."""
    pod, caller, callee = path.stem.split("_")
    service = pod.rsplit("-", 3)[0]
    side, peer = ("client", callee) if service == caller else ("server", caller)
    resource = {"service.instance.id": pod, "service.version": _version(pod)}
    last = min(until, gone.get(pod, math.inf))
    for row in files.lines(path)[1:]:
        if len(row) < _COLUMNS:
            continue
        moment, success, cpu, memory, latency = (float(row[n] or math.nan) for n in (1, 2, 3, 4, 7))
        if moment > last:
            continue
        figures: Sequence[tuple[str, str, float, Mapping[str, str]]] = (
            (_SUCCESS.format(side), "%", success, {"peer.service": peer}),
            (_DURATION.format(side), "s", latency, {"peer.service": peer}),
            ("k8s.pod.cpu_limit_utilization", "1", cpu / 100, {}),
            ("k8s.pod.memory_limit_utilization", "1", memory / 100, {}),
        )
        for metric, unit, value, attributes in figures:
            if not math.isnan(value):
                more = {"ResourceAttributes": resource, "Attributes": attributes}
                place = (pod, metric, attributes.get("peer.service"), int(moment))
                yield place, gauge(service, metric, unit, int(moment) * SECOND, value, **more)


def _of_calls(path: Path, side: str, calls: Sequence[tuple[str, str]], until: float) -> Iterator[Row]:
    """Yield which share of each call succeeded, as one of its ends reports it for all of its pods."""
    named = {f"{caller}_{callee}": (caller, callee) for caller, callee in calls}
    for row in files.rows(path) if path.exists() else ():
        moment = int(float(row["timestamp"]))
        for column, (caller, callee) in named.items():
            value = float(row.get(column) or math.nan)
            if moment > until or math.isnan(value):
                continue
            service, peer = (caller, callee) if side == "client" else (callee, caller)
            attributes = {"Attributes": {"peer.service": peer}}
            yield gauge(service, _SUCCESS.format(side), "%", moment * SECOND, value, **attributes)
