"""Log templates and their novelty: which kinds of line are new, gone, or changed in rate. It reads no times but first.

Lines are masked (see masks), counted while alike, and only the distinct ones are clustered: some thousands out of
millions. Lines of as many words that share most of them make a cluster, the most frequent line leading, as in Drain
(He et al., ICWS 2017); but a word becomes a wildcard only where at least `variety` different words stand in its place.
So `connection to <*> failed` comes of a hundred host names, while `redis` and `postgres` stay two templates, which an
investigation needs to tell apart. Clustering works on the sorted set of distinct lines, so the order in which lines
come doesn't matter, and every line counts exactly once. When `most_distinct` kinds are held, further new ones are
counted by their number of words alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Literal

import numpy as np

from midwatch_kit.statistics.clusters import cluster
from midwatch_kit.statistics.masks import LONGEST_LINE, mask_all
from midwatch_kit.statistics.shares import compare_rates

Period = Literal["baseline", "window"]
_BATCH = 20_000
MOST_DISTINCT = 10_000
"""Kinds of line that are told apart; a backend that masks need not give more, but counts the others as `FURTHER`."""
FURTHER = "<further lines of {} words>"
_FURTHER = FURTHER.partition("{")[0]


class Novelty(StrEnum):
    """What became of a template between baseline and window."""

    NEW = "new"
    VANISHED = "vanished"
    MORE = "more"
    FEWER = "fewer"
    STEADY = "steady"


@dataclass(frozen=True, slots=True)
class LogGroup:
    """Lines of one period that are alike: raw, or masked by the backend, which then gives a raw `exemplar`.

    `first_seen` is in nanoseconds since the epoch; `series` is what to count apart (a service, a level), or ''.
    """

    text: str
    count: int
    first_seen: int
    period: Period
    series: str = ""
    exemplar: str = ""


@dataclass(frozen=True, slots=True)
class TemplateChange:
    """One template: lines in baseline and window, in all and by series; the score is that of the two rates.

    `first_seen` and `exemplar` (the earliest raw line) are the window's, or the baseline's if the window has none.
    """

    template: str
    novelty: Novelty
    baseline: int
    window: int
    score: float
    first_seen: int
    exemplar: str
    by_series: dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class TemplateSurvey:
    """All templates, the most telling first; the counts are of all lines."""

    templates: list[TemplateChange]
    baseline_lines: int
    window_lines: int
    overflowing_lines: int

    def of(self, *novelties: Novelty) -> list[TemplateChange]:
        """The templates of these kinds, still ranked."""
        return [t for t in self.templates if t.novelty in novelties]


@dataclass(slots=True)
class _Tally:
    """Lines of one kind while they are counted."""

    baseline: int = 0
    window: int = 0
    first: dict[Period, tuple[int, str]] = field(default_factory=dict)
    by_series: dict[str, list[int]] = field(default_factory=dict)

    def add(self, group: LogGroup) -> None:
        self.count(group.period, group.series, group.count)
        self.see(group.period, (group.first_seen, (group.exemplar or group.text)[:LONGEST_LINE]))

    def count(self, period: Period, series: str, lines: int) -> None:
        counts = self.by_series.setdefault(series, [0, 0])
        if period == "baseline":
            self.baseline += lines
            counts[0] += lines
        else:
            self.window += lines
            counts[1] += lines

    def see(self, period: Period, first: tuple[int, str]) -> None:
        self.first[period] = min(self.first.get(period, first), first)

    def merge(self, other: "_Tally") -> None:
        for series, (baseline, window) in other.by_series.items():
            self.count("baseline", series, baseline)
            self.count("window", series, window)
        for period, first in other.first.items():
            self.see(period, first)


def survey_templates(
    groups: Iterable[LogGroup],
    *,
    baseline_seconds: float,
    window_seconds: float,
    variety: int = 6,
    most_distinct: int = MOST_DISTINCT,
    least_ratio: float = 2.0,
    least_score: float = 4.0,
) -> TemplateSurvey:
    """Templates of all groups, with what became of each: new and vanished need no threshold but a count.

    `more` and `fewer` are rates that changed by `least_ratio` with `least_score`. A template that the baseline's rate
    would have shown less than three times in the window is not said to have vanished, but `steady`.
    """
    kinds, overflowing = _count_kinds(groups, most_distinct)
    tallies: dict[str, _Tally] = {}
    for kind, template in cluster({text: t.baseline + t.window for text, t in kinds.items()}, variety).items():
        tallies.setdefault(template, _Tally()).merge(kinds[kind])
    names = sorted(tallies)
    before = np.array([tallies[name].baseline for name in names], dtype=np.float64)
    after = np.array([tallies[name].window for name in names], dtype=np.float64)
    scores = compare_rates(before, baseline_seconds, after, window_seconds)
    exposure = window_seconds / baseline_seconds if baseline_seconds > 0 else 0.0
    found = [
        _change(name, tallies[name], float(score), exposure, least_ratio, least_score)
        for name, score in zip(names, scores, strict=True)
    ]
    found.sort(key=lambda t: (_RANK[t.novelty], -abs(t.score), -t.window, t.template))
    return TemplateSurvey(found, int(before.sum()), int(after.sum()), overflowing)


_RANK = {Novelty.NEW: 0, Novelty.MORE: 1, Novelty.VANISHED: 2, Novelty.FEWER: 3, Novelty.STEADY: 4}


def _count_kinds(groups: Iterable[LogGroup], most_distinct: int) -> tuple[dict[str, _Tally], int]:
    """Tallies by masked line, and the lines of kinds that found no room."""
    kinds: dict[str, _Tally] = {}
    overflowing = 0
    remaining = iter(groups)
    while batch := list(islice(remaining, _BATCH)):
        texts = sorted({group.text[:LONGEST_LINE] for group in batch})
        masked = dict(zip(texts, mask_all(texts), strict=True))
        for group in batch:
            kind = masked[group.text[:LONGEST_LINE]]
            if group.text.startswith(_FURTHER):
                overflowing += group.count
                kind = group.text
            elif kind not in kinds and len(kinds) >= most_distinct:
                overflowing += group.count
                kind = FURTHER.format(len(kind.split()))
            kinds.setdefault(kind, _Tally()).add(group)
    return kinds, overflowing


def _change(
    name: str, tally: _Tally, score: float, exposure: float, least_ratio: float, least_score: float
) -> TemplateChange:
    first_seen, exemplar = tally.first.get("window") or tally.first["baseline"]
    return TemplateChange(
        template=name,
        novelty=_novelty(tally.baseline * exposure, tally, score, least_ratio, least_score),
        baseline=tally.baseline,
        window=tally.window,
        score=round(score, 3),
        first_seen=first_seen,
        exemplar=exemplar,
        by_series={series: (b, w) for series, (b, w) in sorted(tally.by_series.items())},
    )


def _novelty(expected: float, tally: _Tally, score: float, least_ratio: float, least_score: float) -> Novelty:
    if tally.baseline == 0:
        return Novelty.NEW
    if tally.window == 0:
        return Novelty.VANISHED if expected >= 3 else Novelty.STEADY
    if score >= least_score and tally.window >= least_ratio * expected:
        return Novelty.MORE
    if score <= -least_score and tally.window * least_ratio <= expected:
        return Novelty.FEWER
    return Novelty.STEADY
