"""The waves of a symptom: stretches of time in which it was bad, with a recovery between them. Pure.

A slice of time is bad when its share of failing requests is above the usual one by the score that surveys use, the
signed root of the likelihood ratio of two binomials (Wilks, Annals of Mathematical Statistics 9, 1938) with Yates'
correction; or when its latency is, by a modified z score (Iglewicz & Hoaglin, How to Detect and Handle Outliers, ASQC,
1993). What is usual is told by the calmer half of all slices, so that an earlier wave does not pass for usual. Two bad
stretches are two waves when the symptom was at least half-way back between them: else one wave that wavered.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from math import log, sqrt
from statistics import median
from typing import TypeVar

from midwatch.builtin.weights import FAILS_PERCENT, MUCH_MORE, SHIFTED
from midwatch_kit.records import Window

ValueT = TypeVar("ValueT")
_TO_DEVIATION = 1.4826
"""Times a median absolute deviation, this is a standard deviation."""
_LEAST_SPREAD = 0.05
"""A spread below this share of the level is not believed."""
_HALF_WAY = 0.5
_BASELINES = 3
"""A baseline is so many times as long as its window, where there is room."""


@dataclass(frozen=True)
class Slice:
    """The symptom's figures in one slice of time: requests, how many failed, and levels by subject; 0 or none if none.

    Levels are those of surveys: `latency_p95` in ms, `error_rate` in percent, `request_rate` in requests a second.
    """

    window: Window
    requests: float = 0.0
    errors: float = 0.0
    levels: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Course:
    """One figure, slice by slice, None where it was not measured; how much each weighs; which are bad."""

    values: Sequence[float | None]
    weights: Sequence[float]
    bad: Sequence[bool]
    usual: float

    def excess(self, first: int, end: int) -> float:
        """Return how far the slices from `first` to before `end` are above the usual level, in the mean."""
        known = [(v, w) for v, w in zip(self.values[first:end], self.weights[first:end], strict=True) if v is not None]
        weight = sum(w for _, w in known)
        return sum(v * w for v, w in known) / weight - self.usual if weight else 0.0


def waves(slices: Sequence[Slice], watched: Iterable[str]) -> tuple[Window, ...]:
    """Return when the symptom was bad by one of the subjects that are watched, in order; slices follow each other.

    How many ask is looked at where nothing else is watched.
    """
    subjects = [*watched]
    felt = [subject for subject in subjects if subject != "request_rate"] or subjects
    found = [wave for subject in felt for wave in _waves(slices, subject)]
    return tuple(_joined(sorted(found, key=lambda wave: wave.start)))


def baseline_before(window: Window, bad: Iterable[Window], earliest: Window, edge: timedelta) -> Window:
    """Return what to compare a window with: calm time before it that holds no part of another wave.

    `earliest` is the time that was searched for waves, `edge` how far before a wave was found it may have begun. The
    nearest calm that is at least half as long as the window is taken, or else the longest; where there is none, what
    lies before all.
    """
    calm, start = [], earliest.start
    for wave in (wave for wave in bad if wave.start < window.start):
        calm.append((start, min(wave.start - edge, window.start)))
        start = wave.end
    calm = [(first, end) for first, end in (*calm, (start, window.start)) if end > first]
    long_enough = [(first, end) for first, end in calm if 2 * (end - first) >= window.length]
    if not calm:
        return Window(start=window.start - _BASELINES * window.length, end=window.start)
    first, end = long_enough[-1] if long_enough else max(reversed(calm), key=lambda one: one[1] - one[0])
    return Window(start=max(first, end - max(_BASELINES * window.length, earliest.length / 2)), end=end)


def share_score(errors: float, requests: float, more_errors: float, more_requests: float) -> float:
    """Return how surely the second share of errors differs from the first; positive when it is higher."""
    if not (requests and more_requests):
        return 0.0
    pooled = (errors + more_errors) / (requests + more_requests)
    excess = more_errors - more_requests * pooled
    if abs(excess) <= 0.5:
        return 0.0
    moved = 0.5 if excess > 0 else -0.5
    gain = _deviance(errors + moved, requests, pooled) + _deviance(more_errors - moved, more_requests, pooled)
    return (1 if excess > 0 else -1) * sqrt(max(2 * gain, 0.0))


def _deviance(errors: float, requests: float, share: float) -> float:
    rest = max(requests - errors, 0.0)
    parts = ((errors, requests * share), (rest, requests * (1 - share)))
    return sum(seen * log(seen / expected) for seen, expected in parts if seen > 0)


def _waves(slices: Sequence[Slice], subject: str) -> list[Window]:
    course = (
        _shares(slices) if subject == "error_rate" and any(s.requests for s in slices) else _levels(slices, subject)
    )
    runs: list[tuple[int, int]] = []
    for number, bad in enumerate(course.bad):
        if not bad:
            continue
        if runs and not _recovered(course, runs[-1], number):
            runs[-1] = (runs[-1][0], number + 1)
        else:
            runs.append((number, number + 1))
    return [Window(start=slices[first].window.start, end=slices[end - 1].window.end) for first, end in runs]


def _recovered(course: _Course, run: tuple[int, int], number: int) -> bool:
    """Whether the symptom was half-way back between a bad stretch and a later bad slice; unmeasured time is no calm."""
    between = [value for value in course.values[run[1] : number] if value is not None]
    milder = min(abs(course.excess(*run)), abs(course.excess(number, number + 1)))
    return bool(between) and abs(course.excess(run[1], number)) <= _HALF_WAY * milder


def _shares(slices: Sequence[Slice]) -> _Course:
    shares = [100 * s.errors / s.requests if s.requests else None for s in slices]
    calmer = _calmer([(share, s) for share, s in zip(shares, slices, strict=True) if share is not None])
    errors, requests = sum(s.errors for s in calmer), sum(s.requests for s in calmer)
    usual = 100 * errors / requests

    def is_bad(share: float | None, of: Slice) -> bool:
        much = share is not None and share - usual >= FAILS_PERCENT
        return much and share_score(errors, requests, of.errors, of.requests) >= SHIFTED

    bad = [is_bad(share, s) for share, s in zip(shares, slices, strict=True)]
    return _Course(shares, [s.requests for s in slices], bad, usual)


def _levels(slices: Sequence[Slice], subject: str) -> _Course:
    values = [s.levels.get(subject) for s in slices]
    known = [value for value in values if value is not None]
    if not known:
        return _Course(values, [0.0] * len(slices), [False] * len(slices), 0.0)
    calmer = known if subject == "request_rate" else _calmer([(value, value) for value in known])
    usual = median(calmer)
    spread = max(_TO_DEVIATION * median(abs(value - usual) for value in calmer), _LEAST_SPREAD * usual)
    bad = [value is not None and _beyond(subject)(value, usual, spread) for value in values]
    return _Course(values, [1.0] * len(slices), bad, usual)


def _beyond(subject: str) -> Callable[[float, float, float], bool]:
    """Return what tells, of a level, the usual one and its spread, whether it is bad."""
    if subject == "error_rate":
        return lambda value, usual, spread: value - usual >= max(SHIFTED * spread, FAILS_PERCENT)
    if subject == "request_rate":
        return lambda value, usual, spread: abs(value - usual) >= max(SHIFTED * spread, MUCH_MORE * usual)
    return lambda value, usual, spread: value - usual >= max(SHIFTED * spread, MUCH_MORE * usual)


def _calmer(known: Sequence[tuple[float, ValueT]]) -> list[ValueT]:
    """Return the half of what is known that is lowest."""
    ordered = sorted(known, key=lambda one: one[0])
    return [value for _, value in ordered[: max(1, len(ordered) // 2)]]


def _joined(found: Iterable[Window]) -> Iterable[Window]:
    """Return what overlaps or touches as one."""
    joined: list[Window] = []
    for wave in found:
        if joined and wave.start <= joined[-1].end:
            joined[-1] = Window(start=joined[-1].start, end=max(wave.end, joined[-1].end))
        else:
            joined.append(wave)
    return joined
