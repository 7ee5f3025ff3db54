"""Sock Shop as its faults were published with RCD (Ikram et al., NeurIPS 2022): CPU and memory faults, every second.

A case is two sheets, `normal.csv` and `anomalous.csv`, taken hours apart, and in one case in reversed order. They are
taken for two phases: the five minutes before the injection and those after it, moved so that the second begins where
the first ends. Time ends five minutes after the injection at the latest, as in RCAEval's evaluation of the same data,
whose preprocessing keeps so much on each side; of a service's latencies the 90th percentile stands for all.

The alert has the time of the injection and names the shop's entrance, without saying which figure: the data have no
symptom. No call graph is published with the data, so none is declared. As in that evaluation, a service's own store
counts as the service.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from midwatch.records import HypothesisKind
from midwatch_bench.importers import files
from midwatch_bench.importers.case import SECOND, Alert, Case, Row, Tables, at, gauge, readable

PHASE = 300
"""Seconds of each phase that are used: those nearest to the injection."""
ENTRANCE = "front-end"
_TITLE = "Sock Shop misbehaves"
_STORE = "-db"
_FOLDER = re.compile(r".+-(?:cpu|mem)/\d+")
_GAUGES: Mapping[str, tuple[str, str, float, Mapping[str, str]]] = {
    "cpu": ("container.cpu.utilization", "1", 1e-2, {}),
    "mem": ("container.memory.usage", "By", 1.0, {}),
    "lod": ("service.requests", "{request}/s", 1.0, {}),
    "lat_90": ("service.request.duration", "s", 1.0, {"quantile": "p90"}),
    "err": ("service.error_rate", "1", 1.0, {}),
}
"""The metric, its unit and the factor into it, by what a column's name ends in; other columns are left out."""


@dataclass(frozen=True)
class _Fault:
    """The folder of a case, and what its name says of the fault: `<service>-<cpu|mem>/<repetition>`."""

    folder: Path

    @property
    def service(self) -> str:
        return self.folder.parent.name.rpartition("-")[0]

    @property
    def resource(self) -> str:
        return self.folder.parent.name.rpartition("-")[2]

    @property
    def repetition(self) -> int:
        return int(self.folder.name)

    @property
    def name(self) -> str:
        return f"{self.service}-{self.resource}-{self.repetition}"


def cases(data: Path) -> Iterator[Case]:
    """Yield every case under `data`, by service, resource and repetition; its number is the repetition."""
    folders = [path for path in (data, *data.rglob("*")) if _FOLDER.fullmatch("/".join(path.parts[-2:]))]
    found = [_Fault(folder) for folder in folders if folder.is_dir()]
    for fault in sorted(found, key=lambda f: (f.service, f.resource, f.repetition)):
        yield readable(fault.name, fault.repetition, partial(_case, fault))


def _case(fault: _Fault) -> Case:
    injected = int(float(files.filled_rows(fault.folder / "anomalous.csv")[0]["time"]))
    return Case(
        name=fault.name,
        number=fault.repetition,
        group=fault.resource,
        alert=Alert(ENTRANCE, _TITLE, started_at=at(injected), seen_at=at(injected + PHASE)),
        calls=(),
        telemetry=lambda: _telemetry(fault.folder, injected),
        answers=frozenset({f"service:{fault.service}", f"service:{fault.service}{_STORE}"}),
        kinds=frozenset({HypothesisKind.RESOURCE}),
    )


def _telemetry(folder: Path, injected: int) -> Tables:
    points = _points(files.filled_rows(folder / "normal.csv")[-PHASE:], ends=injected)
    after = files.filled_rows(folder / "anomalous.csv")[:PHASE]
    return {"otel_metrics_gauge": [*points, *_points(after, ends=injected + len(after))]}


def _points(rows: list[dict[str, str]], ends: int) -> Iterator[Row]:
    """Yield the figures of rows a second apart, the last of them a second before `ends`."""
    for second, row in enumerate(rows, ends - len(rows)):
        for column, value in row.items():
            service, _, figure = column.partition("_")
            if value and figure in _GAUGES:
                metric, unit, factor, attributes = _GAUGES[figure]
                more = {"Attributes": dict(attributes)}
                yield gauge(service, metric, unit, second * SECOND, float(value) * factor, **more)
