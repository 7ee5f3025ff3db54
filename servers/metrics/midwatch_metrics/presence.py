"""Who sends metrics, and who stopped: an instance that dies shows by silence before anything else of it does."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from pydantic import JsonValue

from midwatch_kit import rfc3339
from midwatch_metrics.backend import Gathered, Series
from midwatch_metrics.timeline import SECOND, Timeline, from_ns

_SILENT_SHARE = 0.2
_SILENT_SECONDS = 6
_SILENT_INTERVALS = 6


@dataclass(frozen=True, slots=True)
class Silence:
    """An entity that sent points up to `last` (ns) and none afterwards, while others still did."""

    entity: str
    service: str
    last: int
    points: int

    def row(self) -> JsonValue:
        """Return it as evidence."""
        return {"entity": self.entity, "last": rfc3339(from_ns(self.last)), "points": self.points}


def present(series: Iterable[Series]) -> set[str]:
    """Return all entities that series belong to: services, and instances where they are told apart."""
    return {entity for one in series for entity in (one.entity, f"service:{one.service}")}


def silences(gathered: Gathered, timeline: Timeline) -> list[Silence]:
    """Return who fell silent: for a fifth of the window, six seconds and six of its usual intervals at least."""
    cells = gathered.cells
    if not len(cells.series):
        return []
    newest = int(cells.last.max())
    enough = max(_SILENT_SHARE * (timeline.window_end - timeline.window_start), _SILENT_SECONDS * SECOND)
    owners = {one.entity: f"service:{one.service}" for one in gathered.series}
    entities = sorted(owners)
    numbers = {entity: i for i, entity in enumerate(entities)}
    sender = np.array([numbers[one.entity] for one in gathered.series], dtype=np.int64)[cells.series]
    moments = np.unique(np.column_stack([sender, cells.last]), axis=0)
    found = []
    for entity, number in numbers.items():
        last = moments[moments[:, 0] == number, 1]
        if len(last) > 1 and newest - int(last[-1]) > max(enough, _SILENT_INTERVALS * float(np.median(np.diff(last)))):
            found.append(Silence(entity, owners[entity], int(last[-1]), len(last)))
    return found
