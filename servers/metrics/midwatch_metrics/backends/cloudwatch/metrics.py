"""The metric backend on CloudWatch: which metrics to ask for what the tools need, and how many at the most."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from midwatch_kit import Check, TopologyFragment, Window, rfc3339
from midwatch_metrics.backend import AlarmState, Described, Gathered, Selection
from midwatch_metrics.backends.cloudwatch.alarms import Alarms
from midwatch_metrics.backends.cloudwatch.catalogue import Catalogue, Kept, Listed, most_telling, selected
from midwatch_metrics.backends.cloudwatch.cells import COUNT, cells_of, questions_of
from midwatch_metrics.backends.cloudwatch.data import Points, Question, period_of, read
from midwatch_metrics.backends.cloudwatch.health import checks_of
from midwatch_metrics.timeline import SECOND, Timeline, from_ns, to_ns

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

_STEPS: Final = 12
_HEARTBEATS: Final = 20
"""Metrics that are asked for the newest point of all."""
_LOOKED_BACK: Final = (3 * 3600 * SECOND, 24 * 3600 * SECOND)
_NOW: Final = 600 * SECOND
_FRESH_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The metrics to ask for; how many there are beyond what may be asked, and whether not all were listed."""

    kept: Sequence[Kept]
    left_out: int
    listed: Listed

    def text(self, questions: int, period: int, span: tuple[int, int]) -> str:
        """The question as a person reads it, with what it cost and what was left out."""
        names = sorted({one.series.metric for one in self.kept})
        told = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
        start, end = (rfc3339(from_ns(moment)) for moment in span)
        asked = f"asked {len(self.kept)} metrics in {questions} queries"
        left = f", left out {self.left_out} (MIDWATCH_CLOUDWATCH_MOST_METRICS)" if self.left_out else ""
        cut = f", listed only the first {len(self.listed.kept):,}" if self.listed.cut else ""
        return f"GetMetricData {told or 'nothing'} every {period} s from {start} to {end}: {asked}{left}{cut}"


class CloudWatchMetrics:
    """Metrics and alarms out of CloudWatch; `most_metrics` are asked in one call of a tool, since each costs money."""

    def __init__(self, client: "CloudWatchClient", catalogue: Catalogue, alarms: Alarms, most_metrics: int) -> None:
        self._client, self._catalogue, self._alarms = client, catalogue, alarms
        self._most = most_metrics
        self._newest: tuple[float, int] | None = None

    def pin(self) -> int:
        """Return 0: what CloudWatch keeps is known by its time alone."""
        return 0

    def gather(self, timeline: Timeline, selection: Selection, most_series: int) -> Gathered:
        """Return the selected series and their cells: as many as may be asked for, those that users feel first."""
        chosen = self._choose(selection, most_series)
        start = timeline.baseline_start if timeline.before else timeline.window_start
        period = period_of(timeline.width, start)
        questions = questions_of(chosen.kept, selection)
        points = self._read(chosen.kept, questions, _spans(timeline, period), period)
        cells = cells_of(chosen.kept, points, timeline, period)
        there, numbers = np.unique(cells.series, return_inverse=True)
        return Gathered(
            tuple(chosen.kept[i].series for i in there.tolist()),
            replace(cells, series=numbers),
            sum(len(told.time) for told in _first_of_each(points).values()),
            chosen.left_out,
            chosen.text(len(questions), period, (start, timeline.window_end)),
        )

    def describe(self, window: Window) -> tuple[Sequence[Described], str]:
        """Return the metrics that have samples in the window, by instance, and the query's text."""
        start, end = to_ns(window.start), to_ns(window.end)
        chosen = self._choose(Selection(), self._most)
        period = period_of((end - start) // _STEPS, start)
        questions = [Question(number, COUNT) for number in range(len(chosen.kept))]
        points = self._read(chosen.kept, questions, [(start, end)], period)
        found: dict[tuple[str, str, str], list[tuple[Kept, Points]]] = {}
        for question in questions:
            one, told = chosen.kept[question.number], _inside(points[question], start, end)
            if len(told.time):
                key = one.series.metric, one.series.service, one.series.instance
                found.setdefault(key, []).append((one, told))
        names = _attributes(chosen.listed.kept)
        described = [_described(members, names) for members in found.values()]
        return described, chosen.text(len(questions), period, (start, end))

    def surroundings(self, window: Window) -> TopologyFragment:
        """Return nothing: CloudWatch knows of nobody but by their metrics and alarms."""
        return TopologyFragment()

    def sources(self) -> Sequence[tuple[str, str]]:
        """Return the (service, instance) pairs of all that is listed, which had a sample within two weeks."""
        return list(dict.fromkeys((one.series.service, one.series.instance) for one in self._catalogue.listed().kept))

    def alarms(
        self,
        services: Sequence[str],
        names: Sequence[str],
        window: Window,
        pin: int,
        after: tuple[int, int] | None,
        limit: int,
    ) -> tuple[Sequence[AlarmState], int, str]:
        """Return state changes in the window, newest first from after a place; how many there are; the query's text."""
        changes, text = self._alarms.changes(services, names, window)
        later = [one for one in reversed(changes) if after is None or (one.at, one.seq) < after]
        return later[:limit], len(changes), text

    def standing(self, before: int, pin: int) -> Sequence[AlarmState]:
        """Return the latest state of each alarm before a moment (ns)."""
        return self._alarms.standing(before)

    def newest(self) -> int | None:
        """Return the start of the newest period of the last day with a sample in ns, by a few metrics, or by all."""
        if self._newest is not None and time.monotonic() - self._newest[0] < _FRESH_SECONDS:
            return self._newest[1]
        kept = most_telling(selected(self._catalogue.listed().kept, Selection()), _HEARTBEATS)
        questions = [Question(number, COUNT) for number in range(len(kept))]
        now = time.time_ns()
        for back in _LOOKED_BACK if kept else ():
            points = self._read(kept, questions, [(now - back, now)], period_of(back // 288, now - back))
            times = [int(told.time[-1]) for told in points.values() if len(told.time)]
            if times:
                return max(times)
        return None

    def checks(self) -> Sequence[Check]:
        """Look at CloudWatch: does it answer, may everything be asked, is there what is to be read, and how old."""
        return checks_of(self._client, self._catalogue, self.newest)

    def _choose(self, selection: Selection, most_series: int) -> _Chosen:
        listed = self._catalogue.listed()
        found = selected(listed.kept, selection)
        kept = most_telling(found, min(self._most, most_series))
        return _Chosen(kept, len(found) - len(kept), listed)

    def _read(
        self, kept: Sequence[Kept], questions: Sequence[Question], spans: Sequence[tuple[int, int]], period: int
    ) -> Mapping[Question, Points]:
        points = read(self._client, kept, questions, spans, period)
        times = [int(told.time[-1]) for told in points.values() if len(told.time)]
        if times and spans[-1][1] > time.time_ns() - _NOW:  # else there may be newer ones that nobody asked for
            self._newest = time.monotonic(), max(times)
        return points


def _spans(timeline: Timeline, period: int) -> list[tuple[int, int]]:
    """The times to ask for: baseline and window, as one where hardly anything lies between."""
    window = timeline.window_start, timeline.window_end
    if not timeline.before:
        return [window]
    if timeline.window_start - timeline.baseline_end <= period * SECOND:
        return [(timeline.baseline_start, timeline.window_end)]
    return sorted([(timeline.baseline_start, timeline.baseline_end), window])


def _first_of_each(points: Mapping[Question, Points]) -> dict[int, Points]:
    """The points of each metric, by its first statistic."""
    found: dict[int, Points] = {}
    for question, told in points.items():
        found.setdefault(question.number, told)
    return found


def _inside(points: Points, start: int, end: int) -> Points:
    """Points but those of a period that began before the window, or after it."""
    inside = (points.time >= start) & (points.time < end)
    return Points(points.time[inside], points.value[inside])


def _attributes(kept: Sequence[Kept]) -> dict[tuple[str, str], set[str]]:
    """The names of the attributes of each metric of each service, by whichever sets of dimensions it is kept."""
    found: dict[tuple[str, str], set[str]] = {}
    for one in kept:
        names = (name for name, _ in one.series.attributes)
        found.setdefault((one.series.metric, one.series.service), set()).update(names)
    return found


def _described(members: Sequence[tuple[Kept, Points]], names: Mapping[tuple[str, str], set[str]]) -> Described:
    first = members[0][0].series
    times = np.concatenate([told.time for _, told in members])
    return Described(
        first.metric,
        first.form,
        first.unit,
        "",
        first.service,
        first.instance,
        len(members),
        round(sum(float(told.value.sum()) for _, told in members)),
        tuple(sorted(names[first.metric, first.service])),
        int(times.min()),
        int(times.max()),
    )
