"""What users feel now beside what they felt before: golden signals of a window against a baseline, as findings.

Every signal gets a finding, whether it moved or not: what stayed as it was clears a service. Few points are enough
here, unlike for other series: a level is held against the baseline's and against the one just before it, so that slow
drift doesn't count; in robust deviations, or for failures by a test of their count (`compare_shares`), since the
deviation of a share of 0 is 0. Where nothing is known from before the window, its own first points are what is
compared with. An onset is where the points since then are least like those before. What has not moved enough to be
told may have one too, and a direction: where to look, if somebody says that anything is wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from pydantic import JsonValue

from midwatch_kit import CitedFinding, Finding, ObservationKind, clock, rfc3339
from midwatch_kit.statistics import compare_shares
from midwatch_metrics.backend import Floats, Ints
from midwatch_metrics.golden import Golden, Signal
from midwatch_metrics.timeline import Timeline, from_ns
from midwatch_metrics.words import amount

MOVED: Final = 3.5
LEANS: Final = 1.0
"""From here on a direction is told: far too little to say that anything moved, but something where an alert says so."""
_JUST_BEFORE: Final = 2
_FEWEST: Final = 2
_TOO_FEW: Final = 3
_FEW: Final = 6
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

    `usual` is the baseline's median, `before` the level just before the window, `level` the window's. Without a `past`
    they are those of the window's own first points.
    """

    golden: Golden
    usual: float
    before: float
    level: float
    spread: float
    score: float
    pace: float | None
    onset: int | None
    past: bool


def felt(signals: Sequence[Golden], timeline: Timeline) -> list[Felt]:
    """Return all signals that have points in the window and enough of them before it; the greatest shift first."""
    compared = [one for golden in signals if (one := _compare(golden, timeline))]
    return sorted(compared, key=lambda one: (-abs(one.score), one.golden.service, one.golden.signal))


@dataclass(frozen=True, eq=False)
class _Course:
    """A signal's points, the seconds from each to the next, and those (by bucket) that are held to be as usual."""

    golden: Golden
    seconds: float
    earlier: Ints

    def score(self, at: Ints, before: Ints) -> float:
        """How far the level of points is beyond the usual one and that of the points before them; 0 between these."""
        references = [self.usual, *([self.level(before[-_JUST_BEFORE:])] if len(before) else [])]
        low, high, level = min(references), max(references), self.level(at)
        beyond = max(level - high, 0.0) + min(level - low, 0.0)
        if not self._counted(at) or not self._counted(self.earlier):
            return beyond / self.spread
        return self._failures_score(high if beyond > 0 else low, at) if beyond else 0.0

    def evidence(self, at: Ints, before: Ints) -> float:
        """How clearly points are beyond what was before them: a level of many points is known better than of one."""
        return abs(self.score(at, before)) * (1.0 if self._counted(at) else float(np.sqrt(len(at))))

    @cached_property
    def usual(self) -> float:
        """The baseline's median; of failures, which most points have none of, their share of all its requests.

        Points whose failures are no accident are left out then, so that an outage long ago is not the norm.
        """
        if self.golden.signal is not Signal.ERRORS:
            return float(np.median(self.golden.values[self.earlier]))
        ordered = self.earlier[np.argsort(self.golden.values[self.earlier], kind="stable")]
        calm = ordered[: max(1, round(len(ordered) * (1 - _WORST)))]
        if not self._counted(self.earlier):
            return self.level(calm)
        requests = self.golden.requests[ordered] * self.seconds
        failed = _shares_of(self.golden.values[ordered], requests)
        before = float(requests[: len(calm)].sum())
        scores = compare_shares(_shares_of(self.level(calm), before), before, failed, requests).score
        return self.level(ordered[scores < MOVED])

    @cached_property
    def spread(self) -> float:
        """The robust deviation of points; never below what chance does to a count, or matters to nobody.

        Few points tell little of it. Then times of requests are taken to scatter as much as they are long, as
        exponential ones do, so that the mean of n of them scatters by a share of 1/sqrt(n).
        """
        values: Floats = self.golden.values[self.earlier]
        usual = float(np.median(values))
        floor = _RELATIVE_FLOOR * abs(usual)
        if self.golden.signal is Signal.ERRORS:
            floor = _POINT_FLOOR
        elif self.golden.signal is Signal.REQUESTS:
            few = abs(usual) if len(values) < _TOO_FEW else 0.0  # how many come changes by more than chance
            floor = max(floor, few, np.sqrt(max(float(values.mean()) * self.seconds, 1.0)) / self.seconds)
        elif len(values) < _FEW:
            floor = max(floor, abs(usual) / np.sqrt(self._requests_of_a_point()))
        return max(1.4826 * float(np.median(np.abs(values - usual))), floor, 1e-9)

    def level(self, at: Ints) -> float:
        """The mean over requests, or over points where nobody counted requests; of requests, over points."""
        values, requests = self.golden.values[at], self.golden.requests[at]
        counted = self.golden.signal is not Signal.REQUESTS and np.isfinite(requests).all() and requests.sum() > 0
        return float(np.average(values, weights=requests if counted else None))

    def _counted(self, at: Ints) -> bool:
        """Whether points are shares of requests that somebody counted."""
        requests = self.golden.requests[at]
        return self.golden.signal is Signal.ERRORS and bool(np.isfinite(requests).all()) and requests.sum() > 0

    def _failures_score(self, share: float, at: Ints) -> float:
        """The score of the failures at points, where such a share (in percent) was seen in as many as usual."""
        before, after = (float(self.golden.requests[points].sum()) * self.seconds for points in (self.earlier, at))
        failed = _shares_of(share, before), _shares_of(self.level(at), after)
        return float(compare_shares(failed[0], before, failed[1], after).score[0])

    def _requests_of_a_point(self) -> float:
        requests = self.golden.requests[self.earlier]
        known = requests[np.isfinite(requests)]
        return max(float(known.mean()) * self.seconds, 1.0) if len(known) else 1.0


def _shares_of(percent: ArrayLike, requests: ArrayLike) -> Floats:
    """So many percent of requests, and never more than there are."""
    known: Floats = np.asarray(requests, dtype=np.float64)
    return np.minimum(np.asarray(percent, dtype=np.float64) / 100, 1.0) * known


def _compare(golden: Golden, timeline: Timeline) -> Felt | None:
    known = np.flatnonzero(np.isfinite(golden.values))
    earlier, later = known[known < timeline.before], known[known >= timeline.before]
    if not len(later) or len(known) < _FEWEST:
        return None
    seconds = timeline.seconds * float(np.median(np.diff(known)))
    splits = [later[i:] for i in range(0 if len(earlier) else 1, len(later))]
    usual = _Course(golden, seconds, earlier)
    courses = [usual if len(earlier) else _Course(golden, seconds, later[: -len(at)]) for at in splits]
    clear = [course.evidence(at, known[known < at[0]]) for course, at in zip(courses, splits, strict=True)]
    best = int(np.argmax(clear))
    course, run = courses[best], splits[best]
    whole = later if len(earlier) else run
    scores = [course.score(at, known[known < at[0]]) for at in (whole, run)]
    pace = golden.requests[whole]
    return Felt(
        golden=golden,
        usual=course.usual,
        before=course.level(course.earlier[-_JUST_BEFORE:]),
        level=course.level(whole),
        spread=course.spread,
        score=float(np.clip(max(scores, key=abs), -_SCORE_LIMIT, _SCORE_LIMIT)),
        pace=float(np.nanmean(pace)) if np.isfinite(pace).any() else None,
        onset=int(run[0]) if clear[best] >= LEANS else None,
        past=len(earlier) > 0,
    )


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
        "beside": "" if one.past else "the window's own first points",
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
        direction=("up" if up else "down") if moved or abs(one.score) >= LEANS else "none",
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
    if abs(one.score) < LEANS:
        return f"{what} as before: {now}, was {was}"[:200]
    if abs(one.score) < MOVED:
        return f"{what} a little {'above' if one.score > 0 else 'below'} before: {now}, was {was}"[:200]
    verb = "rose" if one.score > 0 else "fell"
    when = "" if started is None else f" at {clock(from_ns(started))}Z"
    return f"{what} {verb} from {was} to {now}{when}"[:200]


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
