"""What users feel now beside what they felt before: golden signals of a window against a baseline, as findings.

Every signal gets a finding, whether it moved or not: what stayed as it was clears a service. Few points are enough
here, unlike for other series: a level is held against the baseline's and against the one just before the window, so
that slow drift doesn't count; in robust deviations, or for failures by their count against the one to expect, since
the deviation of a share of 0 is 0. An onset is the start of the run that lasts to the end, cut at its greatest step;
what has not moved enough to be told may have one too: where to look, if anything is wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from pydantic import JsonValue

from midwatch_kit import CitedFinding, Finding, ObservationKind, clock, rfc3339
from midwatch_metrics.backend import Floats, Ints
from midwatch_metrics.golden import Golden, Signal
from midwatch_metrics.timeline import Timeline, from_ns
from midwatch_metrics.words import amount

MOVED: Final = 3.5
_IN_RUN: Final = 2.0
_JUST_BEFORE: Final = 2
_FEWEST: Final = 3
_RELATIVE_FLOOR: Final = 0.05
_POINT_FLOOR: Final = 0.5
_WORST: Final = 0.05
_SCORE_LIMIT: Final = 100.0
_SAID: Final = {
    Signal.LATENCY: "mean time of requests",
    Signal.TAIL: "time of slow requests",
    Signal.ERRORS: "share of failing requests",
    Signal.REQUESTS: "rate of requests",
}


@dataclass(frozen=True, slots=True)
class Felt:
    """A signal compared: levels in its unit, a signed score, requests per second in the window; onset is a bucket.

    `usual` is the baseline's median, `before` the level just before the window, `level` the window's.
    """

    golden: Golden
    usual: float
    before: float
    level: float
    spread: float
    score: float
    pace: float | None
    onset: int | None


def felt(signals: Sequence[Golden], timeline: Timeline) -> list[Felt]:
    """Return all signals that have points in the window and enough of them before it; the greatest shift first."""
    compared = [one for golden in signals if (one := _compare(golden, timeline))]
    return sorted(compared, key=lambda one: (-abs(one.score), one.golden.service, one.golden.signal))


@dataclass(frozen=True, slots=True, eq=False)
class _Course:
    """A signal's points, and those (by bucket) that are its baseline."""

    golden: Golden
    seconds: float
    earlier: Ints
    spread: float

    def score(self, at: Ints, before: Ints) -> float:
        """How far the level of points is beyond the baseline's and that of the points before them; 0 between these."""
        references = [self.usual, *([self.level(before[-_JUST_BEFORE:])] if len(before) else [])]
        low, high, level = min(references), max(references), self.level(at)
        beyond = max(level - high, 0.0) + min(level - low, 0.0)
        if self.golden.signal is Signal.ERRORS and np.isfinite(self.golden.requests[at]).all():
            count = float(self.golden.requests[at].sum()) * self.seconds
            expected = (high if beyond > 0 else low) / 100 * count
            return float(np.clip(beyond / 100 * count / np.sqrt(expected + 1), -_SCORE_LIMIT, _SCORE_LIMIT))
        return float(np.clip(beyond / self.spread, -_SCORE_LIMIT, _SCORE_LIMIT))

    @property
    def usual(self) -> float:
        """The baseline's median; of failures, which most points have none of, their share of all its requests.

        The worst twentieth of its points is left out then, so that an outage long ago is not the norm.
        """
        if self.golden.signal is not Signal.ERRORS:
            return float(np.median(self.golden.values[self.earlier]))
        ordered = self.earlier[np.argsort(self.golden.values[self.earlier], kind="stable")]
        return self.level(ordered[: max(1, round(len(ordered) * (1 - _WORST)))])

    def level(self, at: Ints) -> float:
        """The mean over requests, or over points where nobody counted requests; of requests, over points."""
        values, requests = self.golden.values[at], self.golden.requests[at]
        counted = self.golden.signal is not Signal.REQUESTS and np.isfinite(requests).all() and requests.sum() > 0
        return float(np.average(values, weights=requests if counted else None))

    def run(self, later: Ints) -> Ints:
        """The points since the last shift that lasts to the end; none when the end is as it was before."""
        scores = np.array([self.score(later[i : i + 1], later[:0]) for i in range(len(later))])
        unlike = scores * np.sign(scores[-1]) >= _IN_RUN
        first = len(later) - int(np.argmin(unlike[::-1])) if not unlike.all() else 0
        points = np.concatenate([self.earlier, later])
        steps = [abs(self._step(points, len(self.earlier) + i)) for i in range(first, len(later))]
        return later[first + int(np.argmax(steps)) :] if steps else later[:0]

    def _step(self, points: Ints, at: int) -> float:
        return self.level(points[at:]) - self.level(points[at - _JUST_BEFORE : at])


def _compare(golden: Golden, timeline: Timeline) -> Felt | None:
    known = np.flatnonzero(np.isfinite(golden.values))
    earlier, later = known[known < timeline.before], known[known >= timeline.before]
    if len(earlier) < _FEWEST or not len(later):
        return None
    course = _Course(golden, timeline.seconds, earlier, _spread(golden, earlier, timeline.seconds))
    run = course.run(later)
    scores = [course.score(at, known[known < at[0]]) for at in (later, run) if len(at)]
    pace = golden.requests[later]
    return Felt(
        golden=golden,
        usual=course.usual,
        before=course.level(earlier[-_JUST_BEFORE:]),
        level=course.level(later),
        spread=course.spread,
        score=max(scores, key=abs),
        pace=float(np.nanmean(pace)) if np.isfinite(pace).any() else None,
        onset=int(run[0]) if len(run) else None,
    )


def _spread(golden: Golden, earlier: Ints, seconds: float) -> float:
    """The baseline's robust deviation; never below what chance does to a count, or matters to nobody."""
    values: Floats = golden.values[earlier]
    usual = float(np.median(values))
    floor = _RELATIVE_FLOOR * abs(usual)
    if golden.signal is Signal.ERRORS:
        floor = _POINT_FLOOR
    elif golden.signal is Signal.REQUESTS:
        floor = max(floor, np.sqrt(max(float(values.mean()) * seconds, 1.0)) / seconds)
    return max(1.4826 * float(np.median(np.abs(values - usual))), floor, 1e-9)


def finding_of(one: Felt, timeline: Timeline, row: int) -> CitedFinding:
    """Return a signal as a finding that cites row `row`, as `row_of` makes it."""
    up, moved = one.score > 0, abs(one.score) >= MOVED
    kind = (ObservationKind.SPIKE if up else ObservationKind.DROP) if moved else ObservationKind.NORMAL
    started = None if one.onset is None else int(timeline.starts[one.onset])
    of = "calls" if one.golden.of_calls else ""
    figures = {
        "of": of,
        "before": _figure(one.before),
        "spread": _figure(one.spread),
        "requests_per_s": _figure(one.pace),
    }
    finding = Finding(
        entity=f"service:{one.golden.service}",
        kind=kind,
        subject=one.golden.signal.value,
        statement=_statement(one, started),
        onset=None if started is None else from_ns(started),
        onset_earliest=None if started is None else from_ns(started),
        onset_latest=None if started is None else from_ns(started + timeline.width),
        magnitude=_rounded(one.level),
        baseline=_rounded(one.usual),
        unit=one.golden.unit,
        direction=("up" if up else "down") if moved else "none",
        score=round(abs(one.score), 2),
        attributes={name: text for name, text in figures.items() if text},
    )
    cited = ["usual", "before", "level", *(["requests_per_s"] if one.pace is not None else [])]
    return CitedFinding(finding, [f"/rows/{row}/{name}" for name in cited])


def row_of(one: Felt, timeline: Timeline) -> JsonValue:
    """Return a signal's figures as evidence."""
    return {
        "service": one.golden.service,
        "signal": one.golden.signal.value,
        "unit": one.golden.unit,
        "usual": _rounded(one.usual),
        "before": _rounded(one.before),
        "level": _rounded(one.level),
        "spread": _rounded(one.spread),
        "requests_per_s": None if one.pace is None else _rounded(one.pace),
        "bucket_seconds": timeline.seconds,
        "window": {
            "start": rfc3339(from_ns(timeline.window_start)),
            "values": [_rounded(v) if np.isfinite(v) else None for v in one.golden.values[timeline.before :]],
        },
    }


def _statement(one: Felt, started: int | None) -> str:
    what, unit = f"{_SAID[one.golden.signal]} of {one.golden.service[:80]}", one.golden.unit
    now, was = amount(one.level, unit), amount(one.usual, unit)
    if abs(one.score) < MOVED:
        return f"{what} as before: {now}, was {was}"[:200]
    verb = "rose" if one.score > 0 else "fell"
    when = "" if started is None else f" at {clock(from_ns(started))}Z"
    return f"{what} {verb} from {was} to {now}{when}"[:200]


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
