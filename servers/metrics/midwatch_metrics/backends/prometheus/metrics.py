"""The metric backend on Prometheus' API: which questions to ask for what the tools need, and what the answers mean."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from midwatch_kit import BackendDown, Check, TopologyFragment, Window, rfc3339
from midwatch_metrics.backend import AlarmState, Described, Gathered, Selection
from midwatch_metrics.backends.prometheus import alerts
from midwatch_metrics.backends.prometheus.api import Absent, PrometheusApi
from midwatch_metrics.backends.prometheus.catalogue import described_of
from midwatch_metrics.backends.prometheus.families import Family, Metadata, group, metadata_of
from midwatch_metrics.backends.prometheus.health import checks_of
from midwatch_metrics.backends.prometheus.labels import LabelMap, fits, one_of_names, quoted
from midwatch_metrics.backends.prometheus.native import PromQlQueries
from midwatch_metrics.backends.prometheus.reading import Listed, affordable, read
from midwatch_metrics.backends.prometheus.samples import assemble, no_cells, renumbered, without
from midwatch_metrics.backends.prometheus.targets import fragment_of
from midwatch_metrics.timeline import SECOND, Timeline, to_ns

MOST_LISTED: Final = 50_000
_NOT_MEASURED: Final = "ALERTS|ALERTS_FOR_STATE|scrape_.+|.+_created|(.+_)?(last|next)_.*(time|timestamp)_seconds"
"""What is no figure of anything: Prometheus' own notes, and moments in time."""
_MEASURED: Final = f'__name__=~".+",__name__!~"{_NOT_MEASURED}"'
_METADATA_SECONDS: Final = 600.0
_DAY: Final = 24 * 3600 * SECOND
_STEPS: Final = 12
_RAW_SPAN: Final = 6 * 3600 * SECOND
_ALERT_STEPS: Final = 1_000
_BEFORE: Final = 900 * SECOND
"""How long before a window alerts are looked at, to tell those that began in it."""


class PrometheusMetrics:
    """Metrics and alerts out of Prometheus, or of anything that answers as it does."""

    def __init__(self, api: PrometheusApi, mapping: LabelMap) -> None:
        self._api, self._mapping = api, mapping
        self.native = PromQlQueries(api)
        self._metadata: tuple[float, dict[str, Metadata]] | None = None

    def pin(self) -> int:
        """Return 0: what Prometheus keeps is known by its time alone."""
        return 0

    def gather(self, timeline: Timeline, selection: Selection, most_series: int) -> Gathered:
        """Return the selected series, the first `most_series` by name, and their cells in the timeline."""
        start = timeline.baseline_start if timeline.before else timeline.window_start
        listed = self._list(selection, start, timeline.window_end)
        found = self._families(listed, selection)
        kept = found[: min(most_series, affordable(found, timeline))]
        if not kept:
            text = " or ".join(listed.selectors(_asked_name(selection)))
            return Gathered((), no_cells(), 0, len(found), text)
        measured = read(self._api, listed, kept, timeline)
        cells = assemble(kept, measured.levels, measured.increases)
        if selection.metric is None:
            silent = np.array([family.series.metric == "up" for family in kept], dtype=bool)
            cells = without(cells, silent[cells.series] & (cells.high == 0))  # a target that is down sent nothing
        there = np.unique(cells.series).tolist()
        series = tuple(kept[i].series for i in there)
        return Gathered(series, renumbered(cells, there), measured.points, len(found) - len(kept), measured.text)

    def describe(self, window: Window) -> tuple[Sequence[Described], str]:
        """Return the metrics that have samples in the window, by instance, and the query's text."""
        start, end = to_ns(window.start), to_ns(window.end)
        listed = self._list(Selection(), start, end)
        by = ", ".join(("__name__", *self._mapping.names))
        query = f"count by ({by}) ({{{_MEASURED}}})"
        step = max((end - start) // _STEPS, SECOND)
        answer = self._range(query, start + step, end, step)
        families = group(listed.labels, self._mapping, self._known())
        described = described_of(families, listed.labels, answer, self._mapping, self._known())
        return described, f"{query} from {rfc3339(window.start)} to {rfc3339(window.end)} step {step / SECOND:g}s"

    def surroundings(self, window: Window) -> TopologyFragment:
        """Return what is scraped: instances with their health, of which services, on which hosts."""
        try:
            targets = self._api.ask("targets", {"state": "active"})
        except Absent:
            return TopologyFragment()  # Mimir and Thanos scrape nothing themselves
        return fragment_of(targets, self._mapping)

    def sources(self) -> Sequence[tuple[str, str]]:
        """Return the (service, instance) pairs that sent a sample in the last day, the newest first."""
        now = time.time_ns()
        query = f"count by ({', '.join(self._mapping.names)}) ({{{_MEASURED}}})"
        last: dict[tuple[str, str], float] = {}
        for one in self._range(query, now - _DAY, now, _DAY // 48):
            who = self._mapping.identity(one["metric"])
            last[who.service, who.instance] = max(last.get((who.service, who.instance), 0.0), one["values"][-1][0])
        return sorted(last, key=lambda pair: (-last[pair], pair))

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
        start, end = to_ns(window.start), to_ns(window.end)
        selector = f"ALERTS{{alertname=~{quoted('|'.join(names))}}}" if names and not services else "ALERTS"
        found = alerts.stretches(self._alerts(selector, start - _BEFORE, end), start - _BEFORE, end)
        moved = alerts.changes(found, self._rules(), self._active(), self._mapping)
        inside = [one for one in moved if start <= one.at < end and _concerns(one, services, names)]
        later = [one for one in reversed(inside) if after is None or (one.at, one.seq) < after]
        return later[:limit], len(inside), f"{selector} from {rfc3339(window.start)} to {rfc3339(window.end)}"

    def standing(self, before: int, pin: int) -> Sequence[AlarmState]:
        """Return the latest state of each alert before a moment (ns), looking back for a day."""
        found = alerts.stretches(self._alerts("ALERTS", before - _DAY, before), before - _DAY, before)
        return alerts.latest(found, self._rules(), self._active(), self._mapping, before - _DAY)

    def newest(self) -> int | None:
        """Return the time of the newest sample of the last day in ns, by the metric that stands for all."""
        name = self._heartbeat()
        if name is None:
            return None
        last = f"max(timestamp({name}))"
        for query in (last, f"max_over_time({last}[1d:5m])"):
            answer = self._api.ask("query", {"query": query})
            if answer["result"]:
                return round(float(answer["result"][0]["value"][1]) * 1000) * 1_000_000
        return None

    def checks(self) -> Sequence[Check]:
        """Look at Prometheus: is it up, which version, may everything be asked, how old is the newest sample."""
        return checks_of(self._api, self.newest)

    def _heartbeat(self) -> str | None:
        """The metric whose newest sample stands for all: `up`, which every target has, or else the first by name."""
        now = time.time_ns()
        span = {"start": _seconds(now - _DAY), "end": _seconds(now)}
        if self._api.ask("series", {"match[]": "up", **span, "limit": "1"}):
            return "up"
        names = self._api.ask("label/__name__/values", span)
        return f"{{{one_of_names(names[:1])}}}" if names else None

    def _list(self, selection: Selection, start: int, end: int) -> Listed:
        """Which raw series there are of a selection; each is found by one selector only."""
        asked = self._mapping.selectors(_asked_name(selection), selection)
        labels: list[Mapping[str, str]] = []
        found_by: list[int] = []
        seen: set[frozenset[tuple[str, str]]] = set()
        span = {"start": _seconds(start), "end": _seconds(end), "limit": str(MOST_LISTED)}
        for number, selector in enumerate(asked):
            for one in self._api.ask("series", {"match[]": selector, **span}):
                key = frozenset(one.items())
                if key not in seen:
                    seen.add(key)
                    labels.append(one)
                    found_by.append(number)
        return Listed(labels, found_by, lambda names: self._mapping.selectors(names, selection))

    def _families(self, listed: Listed, selection: Selection) -> list[Family]:
        families = group(listed.labels, self._mapping, self._known())
        wanted = (selection.metric, None) if selection.metric is None else (selection.metric, *_whole(selection.metric))
        return [
            family
            for family in families
            if (selection.metric is None or family.series.metric in wanted)
            and fits(family.series.attributes, family.labels, selection.attributes)
        ]

    def _known(self) -> dict[str, Metadata]:
        """What targets say of their metrics; kept for ten minutes, since it hardly changes."""
        if self._metadata is None or time.monotonic() - self._metadata[0] > _METADATA_SECONDS:
            try:
                told = metadata_of(self._api.ask("metadata"))
            except BackendDown as error:
                if not isinstance(error, Absent):
                    raise
                told = {}
            self._metadata = time.monotonic(), told
        return self._metadata[1]

    def _range(self, query: str, start: int, end: int, step: int) -> list[dict[str, Any]]:
        asked = {"query": query, "start": _seconds(start), "end": _seconds(end), "step": _seconds(step)}
        return list(self._api.ask("query_range", asked)["result"])

    def _alerts(self, selector: str, start: int, end: int) -> list[dict[str, Any]]:
        """Samples of alerts: all of them in a short span, else a thousand steps."""
        if end - start > _RAW_SPAN:
            return self._range(selector, start, end, (end - start) // _ALERT_STEPS)
        range_ = f"{(end - start) // 1_000_000}ms"
        return list(self._api.ask("query", {"query": f"{selector}[{range_}]", "time": _seconds(end)})["result"])

    def _rules(self) -> list[alerts.Rule]:
        try:
            return alerts.rules_of(self._api.ask("rules", {"type": "alert"}))
        except Absent:
            return []  # the series tell the changes without them

    def _active(self) -> list[alerts.Active]:
        try:
            return alerts.active_of(self._api.ask("alerts"))
        except Absent:
            return []


def _asked_name(selection: Selection) -> str:
    if selection.metric is None:
        return _MEASURED
    return one_of_names([selection.metric, *(f"{selection.metric}{part}" for part in ("_bucket", "_sum", "_count"))])


def _whole(metric: str) -> list[str]:
    """The histograms that a raw name may be a part of."""
    parts = ("_bucket", "_sum", "_count")
    return [metric.removesuffix(part) for part in parts if metric.endswith(part)]


def _concerns(alarm: AlarmState, services: Sequence[str], names: Sequence[str]) -> bool:
    return not (services or names) or alarm.service in services or alarm.name in names


def _seconds(moment: int) -> str:
    return f"{moment / SECOND:.3f}"
