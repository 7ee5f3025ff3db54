"""What the metrics of a window say beside those of a baseline: pure, from figures to ranked findings that cite them.

Anomalies come first by score, then who fell silent or is not known, then who is well. What moved is found elsewhere.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from pydantic import JsonValue

from midwatch_kit import CitedFinding, Finding, NotFound, ObservationKind, clock, rfc3339
from midwatch_kit.statistics import Comparison, Shift
from midwatch_metrics.anomalies import Anomaly, compare_figures, find_anomalies
from midwatch_metrics.backend import Gathered
from midwatch_metrics.calls import failing_calls, of_entrances
from midwatch_metrics.feelings import MOVED, felt, finding_of, row_of
from midwatch_metrics.figures import Figures, Measured, figures_of
from midwatch_metrics.gaps import cited_gap, gaps, row_of_gap
from midwatch_metrics.golden import golden_signals, is_share_of_requests
from midwatch_metrics.presence import Silence, present, silences
from midwatch_metrics.timeline import SECOND, Timeline, from_ns
from midwatch_metrics.versions import compare_versions, findings_of, who_served
from midwatch_metrics.words import amount, subject

MOST_FINDINGS: Final = 200
SATURATED: Final = 90.0


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A survey's evidence rows, its findings in order, and what to know beside."""

    rows: list[JsonValue]
    found: list[CitedFinding]
    hint: str


def survey_metrics(gathered: Gathered, timeline: Timeline, unknown: Sequence[str]) -> Surveyed:
    """Return findings about all series gathered; `unknown` are entities asked for that sent none."""
    figures = figures_of(gathered.series, gathered.cells, timeline.before + timeline.after)
    compared = compare_figures(figures, timeline)
    anomalies = find_anomalies(figures, compared, timeline)
    shown = anomalies[:MOST_FINDINGS]
    rows: list[JsonValue] = [_anomaly_row(figures, anomaly, timeline) for anomaly in shown]
    found = [_cited(figures.measured[a.row], a, timeline, i) for i, a in enumerate(shown)]
    silent = silences(gathered, timeline)
    found += [_silent(silence, i) for i, silence in enumerate(silent, len(rows))]
    rows += [silence.row() for silence in silent]
    found += [_missing(entity, i) for i, entity in enumerate(unknown, len(rows))]
    rows += [{"entity": entity, "points": 0} for entity in unknown]
    measured = golden_signals(figures)
    signals = felt([*measured, *of_entrances(figures, measured)], timeline)
    moved = {f"service:{one.golden.service}" for one in signals if abs(one.score) >= MOVED}
    unwell = {figures.measured[a.row].series.entity for a in anomalies} | {silence.entity for silence in silent} | moved
    found += _healthy(figures, compared, unwell, len(rows))
    rows += [_plain_row(figures.measured[i], compared, i) for i in range(len(figures.measured))]
    of_users = [finding_of(one, timeline, i) for i, one in enumerate(signals, len(rows))]
    rows += [row_of(one, timeline) for one in signals]
    for more, told in _between_services(gathered, figures, timeline, len(rows)):
        rows += more
        of_users += told
    ways = gaps(figures, timeline)
    found = [*(cited_gap(gap, i) for i, gap in enumerate(ways, len(rows))), *found]
    rows += map(row_of_gap, ways)
    calm = [cited for cited in of_users if cited.finding.kind is ObservationKind.NORMAL]
    loud = [cited for cited in of_users if cited.finding.kind is not ObservationKind.NORMAL]
    return Surveyed(rows, [*loud, *found, *calm], _hint(gathered, compared, len(anomalies) - len(shown)))


def _between_services(
    gathered: Gathered, figures: Figures, timeline: Timeline, first_row: int
) -> Iterator[tuple[list[JsonValue], list[CitedFinding]]]:
    """Yield rows and findings of the calls between services, of versions side by side, and of who took requests."""
    rows, found = failing_calls(figures, timeline, first_row)
    yield rows, found
    first_row += len(rows)
    compared = compare_versions(figures)
    yield [one.row for one in compared], findings_of(compared, first_row)
    yield who_served(gathered, figures, first_row + len(compared))


def unknown_entities(
    gathered: Gathered, asked: Sequence[str], sources: Callable[[], Sequence[tuple[str, str]]]
) -> list[str]:
    """Return which of the entities asked for sent nothing; raises `NotFound` when none of them ever did.

    `sources` tells who ever sent points, and is asked only when none of them did now.
    """
    seen = present(gathered.series)
    wanted = [entity if ":" in entity else f"service:{entity}" for entity in asked]
    missing = [entity for entity in wanted if entity not in seen]
    if len(missing) < len(wanted):
        return missing
    known = dict.fromkeys(name for source in sources() for name in _names(*source))
    if missing and not any(entity in known for entity in missing):
        some = ", ".join(list(known)[:10]) or "none yet"
        raise NotFound(f"no metrics of {', '.join(missing)[:200]}; there are metrics of {some}")
    return missing


def _names(service: str, instance: str) -> list[str]:
    return [f"service:{service}", *([f"instance:{instance}"] if instance else [])]


def _cited(measured: Measured, anomaly: Anomaly, timeline: Timeline, row: int) -> CitedFinding:
    shift, up = anomaly.shift, anomaly.after > anomaly.before
    saturated = up and measured.is_share and anomaly.after >= SATURATED and not is_share_of_requests(measured)
    change = ObservationKind.SPIKE if up else ObservationKind.DROP
    finding = Finding(
        entity=measured.series.entity,
        related=f"service:{measured.series.service}",
        kind=ObservationKind.SATURATION if saturated else change,
        subject=measured.name,
        statement=_statement(measured, anomaly),
        onset=from_ns(shift.onset) if shift else None,
        onset_earliest=from_ns(shift.earliest) if shift else None,
        onset_latest=from_ns(shift.latest) if shift else None,
        ended=from_ns(shift.end) if shift and shift.end else None,
        magnitude=_rounded(anomaly.after),
        baseline=_rounded(anomaly.before),
        unit=measured.unit,
        direction="up" if up else "down",
        score=round(anomaly.score, 2),
        attributes={**dict(measured.series.attributes), "statistic": measured.statistic.value},
    )
    cites = [f"/rows/{row}/before", f"/rows/{row}/after"]
    return CitedFinding(finding, [*cites, _onset_bucket(row, shift, timeline)] if shift else cites)


def _onset_bucket(row: int, shift: Shift, timeline: Timeline) -> str:
    part, start = (
        ("window", timeline.window_start)
        if shift.onset >= timeline.window_start
        else ("baseline", timeline.baseline_start)
    )
    return f"/rows/{row}/{part}/values/{(shift.onset - start) // timeline.width}"


def _statement(measured: Measured, anomaly: Anomaly) -> str:
    verb = "rose" if anomaly.after > anomaly.before else "fell"
    levels = f"from {amount(anomaly.before, measured.unit)} to {amount(anomaly.after, measured.unit)}"
    when = f" at {clock(from_ns(anomaly.shift.onset))}Z" if anomaly.shift else ""
    over = f", over at {clock(from_ns(anomaly.shift.end))}Z" if anomaly.shift and anomaly.shift.end else ""
    return f"{subject(measured)} {verb} {levels}{when}{over}"[:200]


def _silent(silence: Silence, row: int) -> CitedFinding:
    finding = Finding(
        entity=silence.entity,
        related=silence.service,
        kind=ObservationKind.ABSENCE,
        subject="metrics",
        statement=f"{silence.entity.split(':', 1)[1][:80]} sent no metrics after {clock(from_ns(silence.last))}Z",
        onset=from_ns(silence.last),
        direction="down",
    )
    return CitedFinding(finding, [f"/rows/{row}/last", f"/rows/{row}/points"])


def _missing(entity: str, row: int) -> CitedFinding:
    statement = f"no metrics of {entity[:120]} in the window or its baseline"
    finding = Finding(entity=entity, kind=ObservationKind.ABSENCE, subject="metrics", statement=statement)
    return CitedFinding(finding, [f"/rows/{row}/points"])


_MAIN: Final = ("cpu.utilization", "request.duration", "memory.usage", "")


def _healthy(figures: Figures, compared: Comparison, unwell: set[str], first_row: int) -> list[CitedFinding]:
    """One finding for each entity whose series all stayed, and for each service all of whose instances did."""
    by_entity: dict[str, list[int]] = {}
    owners: dict[str, str] = {}
    for i, measured in enumerate(figures.measured):
        service = f"service:{measured.series.service}"
        for entity in dict.fromkeys((measured.series.entity, service)):
            by_entity.setdefault(entity, []).append(i)
            owners[entity] = service
    sick = unwell | {owners[entity] for entity in unwell if entity in owners}
    known = [(e, [i for i in rows if compared.state[i] == "compared"]) for e, rows in by_entity.items()]
    return [
        _normal(entity, owners[entity], rows, figures, compared, first_row)
        for entity, rows in sorted(known)
        if rows and entity not in sick
    ]


def _normal(
    entity: str, service: str, rows: Sequence[int], figures: Figures, compared: Comparison, first_row: int
) -> CitedFinding:
    main = min(rows, key=lambda i: (next(k for k, word in enumerate(_MAIN) if word in figures.measured[i].name), i))
    measured = figures.measured[main]
    level = compared.row(main)
    now, was = amount(level.window or 0.0, measured.unit), amount(level.baseline or 0.0, measured.unit)
    figures_of_it = f"{len(rows)} figure{'s' if len(rows) > 1 else ''} of {entity.split(':', 1)[1][:60]}"
    statement = f"no shift in {figures_of_it}; {subject(measured)} {now}, was {was}"
    finding = Finding(
        entity=entity,
        related=None if entity == service else service,
        kind=ObservationKind.NORMAL,
        subject=measured.name,
        statement=statement[:200],
        magnitude=_rounded(level.window),
        baseline=_rounded(level.baseline),
        unit=measured.unit,
    )
    return CitedFinding(finding, [f"/rows/{first_row + main}/window", f"/rows/{first_row + main}/baseline"])


def _anomaly_row(figures: Figures, anomaly: Anomaly, timeline: Timeline) -> JsonValue:
    values = figures.values[anomaly.row]
    return {
        **_identity(figures.measured[anomaly.row]),
        "before": _rounded(anomaly.before),
        "after": _rounded(anomaly.after),
        "bucket_seconds": timeline.width / SECOND,
        "baseline": {
            "start": rfc3339(from_ns(timeline.baseline_start)),
            "values": [_rounded(v) for v in values[: timeline.before]],
        },
        "window": {
            "start": rfc3339(from_ns(timeline.window_start)),
            "values": [_rounded(v) for v in values[timeline.before :]],
        },
    }


def _plain_row(measured: Measured, compared: Comparison, i: int) -> JsonValue:
    level = compared.row(i)
    return {
        **_identity(measured),
        "baseline": _rounded(level.baseline),
        "window": _rounded(level.window),
        "score": round(level.score, 2),
    }


def _identity(measured: Measured) -> dict[str, JsonValue]:
    series = measured.series
    return {
        "metric": series.metric,
        "statistic": measured.statistic.value,
        "unit": measured.unit,
        "service": series.service,
        "instance": series.instance,
        "attributes": dict(series.attributes),
    }


def _rounded(value: float | None) -> float | None:
    """Six digits, which is more than anyone reads; None where there is no figure."""
    return None if value is None or not np.isfinite(value) else float(f"{value:.6g}")


def _hint(gathered: Gathered, compared: Comparison, further: int) -> str:
    parts = []
    if gathered.series and not np.any(compared.state == "compared"):
        parts.append("No series is in both window and baseline: name an earlier window or another baseline.")
    if further > 0:
        parts.append(f"{further} weaker shifts are not shown: name entities to see theirs.")
    if gathered.left_out:
        parts.append(f"{gathered.left_out} series were not looked at: name entities to see theirs.")
    return " ".join(parts)
