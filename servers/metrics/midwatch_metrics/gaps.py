"""Time between the two ends of a call, from metrics that both ends keep: what callers wait beyond the callee's work.

Service meshes measure each request twice and say on which side: the label `reporter` is `source` or `destination`, and
all other labels are the same (Istio's standard metrics). The difference is spent on the way, or before work begins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from pydantic import JsonValue

from midwatch_kit import CitedFinding, Finding, ObservationKind
from midwatch_metrics.anomalies import SCORE_LIMIT
from midwatch_metrics.backend import Floats
from midwatch_metrics.figures import Figures, Measured
from midwatch_metrics.timeline import Timeline, from_ns

SUBJECT: Final = "network_time"
LEAST_SCORE: Final = 3.5
"""From here on the two samples, few as they are, are taken to differ."""
LEAST_MS: Final = 10.0
_FEWEST_BEFORE: Final = 2
_FLOOR_MS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Gap:
    """An edge on which calls spend more time between its ends than before: milliseconds, onset in ns."""

    caller: str
    callee: str
    before: float
    after: float
    score: float
    onset: int


def gaps(figures: Figures, timeline: Timeline) -> list[Gap]:
    """Return the edges whose gap grew, at some moment, and stayed above all before; the clearest first."""
    ends: dict[tuple[object, ...], dict[str, int]] = {}
    for row, measured in enumerate(figures.measured):
        labels = dict(measured.series.attributes)
        side = labels.pop("reporter", "")
        if measured.unit == "ms" and side in ("source", "destination"):
            key = measured.series.metric, measured.statistic.value, tuple(sorted(labels.items()))
            ends.setdefault(key, {})[side] = row
    pairs = [(key, rows) for key, rows in sorted(ends.items(), key=lambda end: str(end[0])) if len(rows) == 2]
    found = (_gap(figures, rows["source"], rows["destination"], timeline) for _, rows in pairs)
    return sorted((gap for gap in found if gap), key=lambda gap: (-gap.score, gap.callee, gap.caller))


def _gap(figures: Figures, source: int, destination: int, timeline: Timeline) -> Gap | None:
    between = np.maximum(figures.values[source] - figures.values[destination], 0.0)
    known = np.flatnonzero(~np.isnan(between))
    ends = _services(figures.measured, source, destination)
    if not len(known) or known[-1] < timeline.before or ends is None:
        return None
    values = between[known]
    scores = [_score(values[:split], values[split:]) for split in range(_FEWEST_BEFORE, len(values))]
    if not scores or max(scores) < LEAST_SCORE:
        return None
    split = _FEWEST_BEFORE + int(np.argmax(scores))
    before, after = float(np.median(values[:split])), float(np.min(values[split:]))
    return Gap(*ends, before, after, max(scores), int(timeline.starts[known[split]]))


def _score(before: Floats, after: Floats) -> float:
    """Return Student's t of two samples that do not overlap, the later one being higher by enough; 0 otherwise."""
    if float(after.min()) - float(before.max()) < LEAST_MS:
        return 0.0
    squares = float(((before - before.mean()) ** 2).sum() + ((after - after.mean()) ** 2).sum())
    spread = max(np.sqrt(squares / max(1, len(before) + len(after) - 2)), _FLOOR_MS)
    weight = np.sqrt(len(before) * len(after) / (len(before) + len(after)))
    return min(float((after.mean() - before.mean()) / spread * weight), SCORE_LIMIT)


def _services(measured: Sequence[Measured], source: int, destination: int) -> tuple[str, str] | None:
    """Return caller and callee: as the labels name them, or else as those who measured."""
    labels: Mapping[str, str] = dict(measured[source].series.attributes)
    caller = labels.get("source_workload") or measured[source].series.service
    callee = labels.get("destination_workload") or measured[destination].series.service
    return (caller, callee) if caller != callee else None


def row_of_gap(gap: Gap) -> dict[str, JsonValue]:
    """Return a gap as evidence."""
    return {
        "caller": gap.caller,
        "callee": gap.callee,
        "before_ms": float(f"{gap.before:.6g}"),
        "after_ms": float(f"{gap.after:.6g}"),
    }


def cited_gap(gap: Gap, row: int) -> CitedFinding:
    """Return a gap as a finding about the callee; its evidence is row `row`."""
    times = f"rose from {gap.before:.3g} ms to {gap.after:.3g} ms"
    finding = Finding(
        entity=f"service:{gap.callee}",
        related=f"service:{gap.caller}",
        kind=ObservationKind.SLOW_EDGE,
        subject=SUBJECT,
        statement=f"time on the way of calls from {gap.caller[:60]} to {gap.callee[:60]} {times} at least",
        onset=from_ns(gap.onset),
        magnitude=float(f"{gap.after:.6g}"),
        baseline=float(f"{gap.before:.6g}"),
        unit="ms",
        direction="up",
        score=round(gap.score, 2),
    )
    return CitedFinding(finding, [f"/rows/{row}/{name}" for name in ("caller", "callee", "before_ms", "after_ms")])
