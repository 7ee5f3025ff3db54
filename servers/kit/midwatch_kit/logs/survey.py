"""What the logs of a window say beside those of a baseline: pure, from counts to ranked findings that cite them.

Anomalies come first by score, then who has gone silent or is not known, then who is well. A service is `normal` when
nothing rose and no template of WARN or worse is new in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from midwatch_kit.errors import NotFound
from midwatch_kit.logs.backend import Buckets, Filter, PatternRow, RateRow, StepRow
from midwatch_kit.logs.lines import ERROR, WARN, entity_names, time_of
from midwatch_kit.logs.patterns import (
    MOST_FINDINGS,
    Periods,
    cited_pattern,
    only_instance,
    row_of_pattern,
    survey_patterns,
    telling_patterns,
)
from midwatch_kit.logs.rates import Covered, Measure, Rise, ServiceRates, covered, rises, row_of_service, service_rates
from midwatch_kit.logs.sequences import cited_turn, row_of_turn, turns
from midwatch_kit.records import Finding, ObservationKind, Window
from midwatch_kit.reply import CitedFinding

MOST_MASKED: Final = 1_000_000
"""Lines whose templates one survey looks at; beyond, it leaves out the mildest levels."""
MOST_FOLLOWED: Final = 100_000
"""Lines of traces that one survey follows step by step; of more, it follows those of a sample of the traces."""
_ENOUGH_TO_MISS: Final = 10
_NAMES: Final[dict[Measure, str]] = {"error": "error lines", "warn": "warnings"}


@dataclass(frozen=True)
class Surveyed:
    """A survey's evidence rows, its findings in order, the lines of the window, and what to know beside."""

    rows: list[JsonValue]
    found: list[CitedFinding]
    lines: int
    hint: str


def patterns_worth_reading(rates: Sequence[RateRow], entities: Sequence[str]) -> Filter:
    """Return which lines to take templates of: the entities', and all levels while they are not too many."""
    services, instances, _ = entity_names(entities)
    chosen = [r for r in rates if not entities or r.service in services or r.instance in instances]
    lines, telling = sum(r.lines for r in chosen), sum(r.warn + r.error for r in chosen)
    severity = 0 if lines <= MOST_MASKED else WARN if telling <= MOST_MASKED else ERROR
    return Filter(severity=severity, services=tuple(services), instances=tuple(instances))


def traces_worth_following(rates: Sequence[RateRow]) -> int:
    """Return of how many traces one is followed step by step."""
    return max(1, -(-sum(row.lines for row in rates) // MOST_FOLLOWED))


def survey_lines(
    rates: Sequence[RateRow],
    patterns: Sequence[PatternRow],
    steps: Sequence[StepRow],
    buckets: Buckets,
    window: Window,
    entities: Sequence[str],
    newest: int | None,
) -> Surveyed:
    """Return findings about the entities (all, when empty); raises `NotFound` when none of them wrote a line."""
    unknown = _unknown(rates, entities)
    part = covered(rates, buckets, newest)
    chosen = _chosen(rates, entities)
    services = service_rates(chosen, buckets)
    rows: list[JsonValue] = [row_of_service(service, buckets, part) for service in services]
    lines = sum(row.lines for row in chosen if row.bucket >= buckets.before)
    if part.first >= buckets.before:
        hint = "No line in the baseline: there is nothing to compare with. Name an earlier window or another baseline."
        return Surveyed(rows, [], lines, hint if rates else "")
    periods = Periods((buckets.before - part.first) * buckets.width / 1e9, window.length.total_seconds())
    surveyed = survey_patterns(patterns, periods)
    telling = telling_patterns(surveyed)
    changes = [cited_pattern(pattern, periods, i) for i, pattern in enumerate(telling[:MOST_FINDINGS], len(rows))]
    rows.extend(row_of_pattern(pattern) for pattern in telling[:MOST_FINDINGS])
    turned = turns(steps, buckets)
    ways = [cited_turn(turn, i) for i, turn in enumerate(turned, len(rows))]
    rows.extend(map(row_of_turn, turned))
    risen, silent = _risen(services, buckets, part), _silent(services, buckets, part)
    found = sorted([*risen, *changes, *ways], key=lambda cited: -cited.finding.score) + silent
    found += [_missing(entity, f"/rows/{len(rows)}/unknown/{i}") for i, entity in enumerate(unknown)]
    if unknown:
        rows.append({"unknown": [*unknown]})
    unwell = {cited.finding.entity.removeprefix("service:") for cited in [*risen, *silent, *ways]}
    unwell |= {name for pattern in telling if pattern.severity >= WARN for name in pattern.services}
    found += _healthy(services, buckets, unwell)
    return Surveyed(rows, found, lines, _hint(len(telling) - MOST_FINDINGS, surveyed.overflowing_lines))


def _chosen(rates: Sequence[RateRow], entities: Sequence[str]) -> list[RateRow]:
    services, instances, _ = entity_names(entities)
    return [row for row in rates if not entities or row.service in services or row.instance in instances]


def _unknown(rates: Sequence[RateRow], entities: Sequence[str]) -> list[str]:
    services, instances = {row.service for row in rates}, {row.instance for row in rates}
    known = {f"service:{name}" for name in services} | {f"instance:{name}" for name in instances if name}
    asked = [entity if ":" in entity else f"service:{entity}" for entity in entities]
    unknown = [entity for entity in asked if entity not in known]
    if entities and rates and len(unknown) == len(asked):
        there = ", ".join(sorted(known, key=lambda entity: (entity.startswith("instance:"), entity))[:10])
        raise NotFound(f"no lines of {', '.join(unknown[:5])} in the window or its baseline; there are: {there}")
    return unknown


def _risen(services: Sequence[ServiceRates], buckets: Buckets, part: Covered) -> list[CitedFinding]:
    found: list[CitedFinding] = []
    for measure in _NAMES:
        for i, rise in enumerate(rises(services, measure, buckets, part)):
            if rise is not None:
                found.append(CitedFinding(_rise(services[i], rise, buckets), _cites(i, rise, buckets)))
    return found


def _rise(service: ServiceRates, rise: Rise, buckets: Buckets) -> Finding:
    counts = service.counts[rise.measure]
    before, now = int(counts[: buckets.before].sum()), int(counts[buckets.before :].sum())
    onset, ended = time_of(rise.onset), time_of(rise.end) if rise.end else None
    until = f" until {ended:%H:%M:%S}Z" if ended else ""
    return Finding(
        entity=f"service:{service.service}",
        kind=ObservationKind.SPIKE,
        subject=f"{rise.measure}_logs",
        statement=f"{_NAMES[rise.measure]} of {service.service[:60]} rose from {rise.before:.3g}/s to "
        f"{rise.after:.3g}/s ({now} in the window, {before} in the baseline) at {onset:%H:%M:%S}Z{until}",
        onset=onset,
        onset_earliest=time_of(rise.earliest),
        onset_latest=time_of(rise.latest),
        ended=ended,
        magnitude=rise.after,
        baseline=rise.before,
        unit="1/s",
        direction="up",
        score=rise.score,
        attributes={
            "window_lines": str(now),
            "baseline_lines": str(before),
            **only_instance({name: lines[rise.measure] for name, lines in service.instances.items()}),
        },
    )


def _cites(row: int, rise: Rise, buckets: Buckets) -> list[str]:
    cites = [f"/rows/{row}/{period}/{name}" for period in ("window", "baseline") for name in (rise.measure, "seconds")]
    bucket = (rise.onset - buckets.window_start) // buckets.width
    return [*cites, f"/rows/{row}/window/buckets/{rise.measure}/{bucket}"] if bucket >= 0 else cites


def _silent(services: Sequence[ServiceRates], buckets: Buckets, part: Covered) -> list[CitedFinding]:
    baseline_buckets, window_buckets = buckets.before - part.first, part.last - buckets.before
    found: list[CitedFinding] = []
    for i, service in enumerate(services):
        before, now = _lines(service, buckets)
        if now or before * window_buckets < _ENOUGH_TO_MISS * baseline_buckets:
            continue
        finding = Finding(
            entity=f"service:{service.service}",
            kind=ObservationKind.ABSENCE,
            subject="log_rate",
            statement=f"{service.service[:60]} logged no line in the window, after {before} in the baseline",
            magnitude=0.0,
            baseline=round(before / (baseline_buckets * buckets.width / 1e9), 4),
            unit="1/s",
            direction="down",
        )
        found.append(CitedFinding(finding, [f"/rows/{i}/window/lines", f"/rows/{i}/baseline/lines"]))
    return found


def _missing(entity: str, pointer: str) -> CitedFinding:
    statement = f"no line of {entity[:120]} in the window or its baseline"
    finding = Finding(entity=entity, kind=ObservationKind.ABSENCE, subject="log_rate", statement=statement)
    return CitedFinding(finding, [pointer])


def _healthy(services: Sequence[ServiceRates], buckets: Buckets, unwell: set[str]) -> list[CitedFinding]:
    found: list[CitedFinding] = []
    for i, service in enumerate(services):
        lines, error, warn = (int(service.counts[name][buckets.before :].sum()) for name in ("lines", "error", "warn"))
        if not lines or service.service in unwell:
            continue
        finding = Finding(
            entity=f"service:{service.service}",
            kind=ObservationKind.NORMAL,
            subject="error_logs",
            statement=f"{service.service[:60]} logged {lines} lines, {error} errors and {warn} warnings: no rise, "
            "no new kind of warning or error",
            magnitude=round(error / (buckets.after * buckets.width / 1e9), 4),
            unit="1/s",
        )
        found.append(CitedFinding(finding, [f"/rows/{i}/window/{name}" for name in ("lines", "error", "warn")]))
    return found


def _lines(service: ServiceRates, buckets: Buckets) -> tuple[int, int]:
    """All lines of a service in the baseline and in the window."""
    counts = service.counts["lines"]
    return int(counts[: buckets.before].sum()), int(counts[buckets.before :].sum())


def _hint(left_out: int, overflowing: int) -> str:
    parts = []
    if left_out > 0:
        parts.append(f"{left_out} further new or changed templates are not shown: name entities to see theirs.")
    if overflowing:
        parts.append(f"{overflowing} lines were of too many kinds to tell apart.")
    return " ".join(parts)
