"""From a family's figures to rows of evidence and the findings that cite them. One place for thresholds and wording.

A figure is anomalous when its score is (`ANOMALY`) and the change is large enough to matter; scores alone would make
a certainty of any difference once there are enough requests. Findings repeat figures of rows and never hold others.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from midwatch_kit.records import Finding, ObservationKind
from midwatch_kit.reply import CitedFinding
from midwatch_kit.statistics import LatencyLevel, Shift, compare_rates
from midwatch_kit.window import clock, rfc3339
from midwatch_store import from_ns
from midwatch_traces.groups import Family, Group
from midwatch_traces.series import Measured

ANOMALY = 3.5
"""A score from here on is a shift (Iglewicz and Hoaglin 1993 recommend 3.5 for modified z scores)."""
BREAKDOWN = 3.0
"""The same for a part of a service that is known to be troubled: less has to be shown."""
LEAST_POINTS = 0.5
"""Percentage points by which an error share must change to matter."""
LEAST_MS = 1.0
"""Milliseconds by which a latency must change to matter."""
LEAST_RATE_CHANGE = 0.25
"""Share by which a request rate must change to matter."""
_MOST_SERIES = 300

Row = dict[str, JsonValue]


@dataclass
class Table:
    """The rows of an evidence document as they come to be, and the findings that point into them."""

    rows: list[JsonValue] = field(default_factory=list)
    found: list[CitedFinding] = field(default_factory=list)

    def add(self, row: Row) -> str:
        """Keep a row and return the pointer to it."""
        self.rows.append(row)
        return f"/rows/{len(self.rows) - 1}"

    def cite(self, finding: Finding, row: str, *fields: str) -> None:
        """Keep a finding that rests on these fields of a row."""
        self.found.append(CitedFinding(finding, [f"{row}/{name}" for name in fields]))


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a group: which, by how much it differs, when it shifted, and the fields of the row it stands in."""

    subject: str
    kind: ObservationKind
    unit: str
    score: float
    before: str
    now: str
    shift: Shift | None


def report(family: Family, table: Table) -> None:
    """Add a family's rows and the findings of its anomalies."""
    known = {(cited.finding.entity, cited.finding.subject) for cited in table.found}
    for number, group in enumerate(family.groups):
        figures = list(_anomalies(family, number))
        if family.breakdown:
            figures = [figure for figure in figures if (group.entity, figure.subject) in known]
        if not figures:
            continue
        row = row_of(family, number)
        if len(table.rows) < _MOST_SERIES:
            row |= _series(family.measured, number)
        where = table.add(row)
        for figure in figures:
            _tell(family, group, figure, row, where, table)


def row_of(family: Family, number: int) -> Row:
    """Return a group's figures before and in the window as a row of evidence."""
    group, measured = family.groups[number], family.measured
    latency, shares = measured.latency.row(number), measured.shares.row(number)
    seconds, covered = measured.timeline.covered_seconds, measured.covered_requests(number)
    row: Row = {"entity": group.entity, "related": group.related, "of": family.name, **group.attributes}
    for period, share, p50, p95 in (
        ("baseline", shares.baseline, latency.baseline_p50, latency.baseline_p95),
        ("window", shares.window, latency.window_p50, latency.window_p95),
    ):
        side = 0 if period == "baseline" else 1
        count = int(measured.requests[side][number])
        row[period] = {
            "requests": count,
            "errors": int(measured.errors[side][number]),
            "error_percent": None if share is None else rounded(100 * share),
            "p50_ms": rounded(p50),
            "p95_ms": rounded(p95),
            "per_second": rounded(covered[side] / seconds[side]) if seconds[side] else None,
        }
    return row


def rounded(value: float | None) -> float | None:
    """Return a figure with four significant digits, or with two decimals where that is more; None for none."""
    if value is None or value != value:  # noqa: PLR0124 - only NaN is not itself
        return None
    return round(value, 2) if abs(value) >= 10 else float(f"{value:.4g}")


def level(row: Mapping[str, JsonValue], pointer: str) -> float:
    """Return the number in a row at a path such as `window/errors`; 0 where there is none."""
    value: JsonValue = dict(row)
    for name in pointer.split("/"):
        value = value.get(name) if isinstance(value, dict) else None
    return float(value) if isinstance(value, int | float) else 0.0


def say(text: str) -> str:
    """Return a statement that fits its field."""
    return text if len(text) <= 200 else f"{text[:199]}…"


def _anomalies(family: Family, number: int) -> Iterator[Figure]:
    measured = family.measured
    if family.error_subject and (figure := _errors(family, measured, number)):
        yield figure
    if figure := _latency(family, measured, number):
        yield figure
    if family.rate_subject and (figure := _rate(family, measured, number)):
        yield figure


def _errors(family: Family, measured: Measured, number: int) -> Figure | None:
    share = measured.shares.row(number)
    score, least = share.score, BREAKDOWN if family.breakdown else ANOMALY
    if share.baseline is None or (family.breakdown and score < 0):
        return None
    if abs(score) < least or abs(share.difference or 0.0) * 100 < LEAST_POINTS:
        return None
    shift = None if family.breakdown else measured.timeline.towards(measured.error_shift(number), score)
    kind = ObservationKind.SPIKE if score > 0 else ObservationKind.DROP
    return Figure(family.error_subject, kind, "%", score, "baseline/error_percent", "window/error_percent", shift)


def _latency(family: Family, measured: Measured, number: int) -> Figure | None:
    latency, least = measured.latency.row(number), BREAKDOWN if family.breakdown else ANOMALY
    if latency.window_p95 is None or latency.baseline_p95 is None:
        return None
    if family.of_all and not _of_all(latency):
        return None
    score, levels = latency.score_p95, 0.0 if family.breakdown else float(measured.p95_levels.score[number])
    small = abs(latency.window_p95 - latency.baseline_p95) < LEAST_MS
    if small or max(abs(score), abs(levels)) < least or (family.breakdown and score < 0):
        return None
    shift = None if family.breakdown else measured.latency_shift(number)
    if abs(score) < least:
        if shift is None:
            return None
        score = levels  # a fault that began late moves few of all the requests
    shift = measured.timeline.towards(shift, score)
    edge = family.name not in ("requests", "versions")
    kind = ObservationKind.SLOW_EDGE if edge and score > 0 else _direction(score)
    return Figure(family.latency_subject, kind, "ms", score, "baseline/p95_ms", "window/p95_ms", shift)


def _of_all(latency: LatencyLevel) -> bool:
    """Whether the median moved by at least half of what the 95th percentile did."""
    figures = latency.baseline_p50, latency.window_p50, latency.baseline_p95, latency.window_p95
    known = [figure for figure in figures if figure is not None]
    return len(known) == len(figures) and abs(known[1] - known[0]) >= 0.5 * abs(known[3] - known[2])


def _rate(family: Family, measured: Measured, number: int) -> Figure | None:
    rate, (seconds, now_seconds) = measured.rates.row(number), measured.timeline.covered_seconds
    before, now = measured.covered_requests(number)
    certain = float(compare_rates([before], seconds, [now], now_seconds)[0])
    changed = seconds * now_seconds * before > 0 and abs(now / now_seconds / (before / seconds) - 1) > LEAST_RATE_CHANGE
    if max(abs(rate.score), abs(certain)) < ANOMALY or not changed:
        return None
    shift = measured.rate_shift(number)
    if shift is None:  # bursts alone make scores like this: only a change of level counts
        return None
    figures = "baseline/per_second", "window/per_second"
    return Figure(family.rate_subject, _direction(shift.score), "1/s", shift.score, *figures, shift)


def _direction(score: float) -> ObservationKind:
    return ObservationKind.SPIKE if score > 0 else ObservationKind.DROP


def _tell(family: Family, group: Group, figure: Figure, row: Row, where: str, table: Table) -> None:
    before, now = level(row, figure.before), level(row, figure.now)
    _, ended = family.measured.timeline.moments(figure.shift)
    errors = figure.unit == "%"
    finding = Finding(
        entity=group.entity,
        related=group.related,
        kind=figure.kind,
        subject=figure.subject,
        statement=say(_statement(family, group, figure, row)),
        onset=from_ns(figure.shift.onset) if figure.shift else None,
        onset_earliest=from_ns(figure.shift.earliest) if figure.shift else None,
        onset_latest=from_ns(figure.shift.latest) if figure.shift else None,
        ended=from_ns(ended) if ended else None,
        magnitude=now,
        baseline=before,
        unit=figure.unit,
        direction="up" if figure.score > 0 else "down",
        score=round(abs(figure.score), 2),
        attributes={**group.attributes, **(_counts(row) if errors else {}), **_since(figure.shift, figure.unit)},
    )
    counted = ["window/errors", "window/requests"] if errors else ["window/requests"]
    table.cite(finding, where, figure.before, figure.now, *counted)


def _statement(family: Family, group: Group, figure: Figure, row: Row) -> str:
    before, now = level(row, figure.before), level(row, figure.now)
    turned = "rose" if figure.score > 0 else "fell"
    times = "".join(_times(figure.shift, family.measured))
    if family.breakdown:
        what = "error rate" if figure.unit == "%" else "p95 latency"
        return f"{what} of {group.label} is {_shown(now, figure.unit)}, at other versions {_shown(before, figure.unit)}"
    if figure.unit == "%":
        counts = f" ({level(row, 'window/errors'):,.0f} of {level(row, 'window/requests'):,.0f} requests)"
        return f"error rate of {group.label} {turned} from {before:.3g}% to {now:.3g}%{counts}{times}"
    rate = "rate of" if family.name == "calls" else "request rate of"
    what = family.latency if figure.unit == "ms" else rate
    return f"{what} {group.label} {turned} from {_shown(before, figure.unit)} to {_shown(now, figure.unit)}{times}"


def _shown(value: float, unit: str) -> str:
    return f"{value:.3g}%" if unit == "%" else f"{value:,.4g}{'/s' if unit == '1/s' else ' ms'}"


def _times(shift: Shift | None, measured: Measured) -> Iterator[str]:
    onset, ended = measured.timeline.moments(shift)
    if onset:
        yield f" at {clock(from_ns(onset))}Z"
    if ended:
        yield f", over at {clock(from_ns(ended))}Z"


def _counts(row: Row) -> dict[str, str]:
    return {"errors": f"{level(row, 'window/errors'):.0f}", "requests": f"{level(row, 'window/requests'):.0f}"}


def _since(shift: Shift | None, unit: str) -> dict[str, str]:
    if shift is None:
        return {}
    scale = 100 if unit == "%" else 1
    return {"since_onset": f"{rounded(scale * shift.after)}", "before_onset": f"{rounded(scale * shift.before)}"}


def _series(measured: Measured, number: int) -> Row:
    line = measured.timeline
    known: Callable[[Sequence[float]], list[JsonValue]] = lambda values: [rounded(value) for value in values]  # noqa: E731
    return {
        "bucket_seconds": line.width // 1_000_000_000,
        "window_bucket": line.before,
        "first_bucket": rfc3339(from_ns(int(line.starts[0]))),
        "window_starts": rfc3339(from_ns(int(line.starts[line.before]))),
        "requests": [int(count) for count in measured.counts[number]],
        "errors": [int(count) for count in measured.failures[number]],
        "p95_ms": known(measured.p95[number].tolist()),
    }
