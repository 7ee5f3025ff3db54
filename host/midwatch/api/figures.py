"""Figures of midwatch about itself, for Prometheus: what came in, what was looked at, what it took, what it cost.

Counters begin at 0 with each process, and count what this process did; the gauges of incidents are read from the
database when they are asked for, and are the same from every host. Values of labels are bounded: whatever a payload
says, there are never more than so many series.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from ulid import ULID

from midwatch.records import Status
from midwatch.storage.journal import Entry

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_MOST_VALUES: Final = 50
_OTHER: Final = "other"
_ULID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_TOOL_BUCKETS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60)
_LONG_BUCKETS: Final = (1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800)


@dataclass
class _Few:
    """Lets through so many different values, and calls what follows `other`."""

    known: set[str] = field(default_factory=set)

    def __call__(self, value: str) -> str:
        if value not in self.known and len(self.known) >= _MOST_VALUES:
            return _OTHER
        self.known.add(value)
        return value


class Figures:
    """All that is counted; `note` is called with every record of this process."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # else when each began is one series more
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.alerts = self._counter(
            "alerts_received",
            "Alerts by what sent them and what became of them; refused counts requests",
            "source",
            "outcome",
        )
        self.decisions = self._counter("decisions", "Yes and no to plans, by a person or by a rule", "decision", "by")
        self.finished = self._counter(
            "investigations_finished", "Looks that were reported, by their outcome", "outcome"
        )
        self.failed = self._counter("investigations_failed", "Investigations that broke")
        self.tool_calls = self._counter("tool_calls", "Questions to servers, by how they went", "server", "outcome")
        self.gaps = self._counter("gaps", "What could not be looked at")
        self.actions = self._counter("actions", "Steps of plans, by how they went", "outcome")
        self.model_calls = self._counter("model_calls", "Calls of models, by how they went", "model", "outcome")
        self.tokens = self._counter("model_tokens", "Tokens sent to and received from models", "model", "kind")
        self.dollars = self._counter("model_cost_dollars", "What models cost, in US dollars", "model")
        self.requests = self._counter("http_requests", "HTTP requests, by route", "method", "route", "status")
        self.running = Gauge(
            "midwatch_investigations_running", "Investigations at work in this process", registry=self.registry
        )
        self.streams = Gauge("midwatch_streams", "Streams that are followed", registry=self.registry)
        self.tool_seconds = self._histogram("tool_call", "How long servers took to answer", _TOOL_BUCKETS, "server")
        self.investigation_seconds = self._histogram("investigation", "From the alert to the report", _LONG_BUCKETS)
        self.request_seconds = self._histogram("http_request", "How long answers took", _TOOL_BUCKETS, "route")
        self._few: dict[str, _Few] = {}

    def text(self) -> bytes:
        """Return everything in the text format of Prometheus."""
        return generate_latest(self.registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer to a request; of a route that is not there all are one."""
        self.requests.labels(method if method in _METHODS else _OTHER, route, str(status)).inc()
        if not route.endswith("/stream"):  # how long somebody follows is no figure of ours
            self.request_seconds.labels(route).observe(seconds)

    def taken(self, source: str, outcome: str) -> None:
        """Count an alert, or a request that was refused."""
        self.alerts.labels(self.few("source", source), self.few("taken", outcome)).inc()

    def note(self, entry: Entry) -> None:
        """Count a record."""
        if count := _COUNTED.get(entry.type):
            count(self, entry)

    def few(self, label: str, value: object) -> str:
        """Return a value of a label, or `other` where there were too many."""
        return self._few.setdefault(label, _Few())(str(value))

    def _counter(self, name: str, said: str, *labels: str) -> Counter:
        return Counter(f"midwatch_{name}", said, labels, registry=self.registry)

    def _histogram(self, name: str, said: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"midwatch_{name}_duration_seconds", said, labels, buckets=buckets, registry=self.registry)


@dataclass(frozen=True)
class Counts:
    """What the database holds: incidents by status, those that wait, what people were told by channel and state."""

    incidents: Mapping[str, int]
    waiting: int
    told: Mapping[tuple[str, str], int]


@dataclass(frozen=True)
class Standing(Collector):
    """Figures that are read when they are asked for: how many incidents there are of each status, how many wait."""

    count: Callable[[], Counts]

    def collect(self) -> list[GaugeMetricFamily]:
        """Read them."""
        counts = self.count()
        incidents = GaugeMetricFamily("midwatch_incidents", "Incidents on record, by status", labels=["status"])
        for status in Status:
            incidents.add_metric([status.value], counts.incidents.get(status.value, 0))
        queue = GaugeMetricFamily("midwatch_investigations_waiting", "Incidents that wait to be investigated")
        queue.add_metric([], counts.waiting)
        told = GaugeMetricFamily(
            "midwatch_notifications", "What people were told, or are to be", labels=["channel", "state"]
        )
        for labels, count in counts.told.items():
            told.add_metric([*labels], count)
        return [incidents, queue, told]

    def describe(self) -> list[GaugeMetricFamily]:
        """Say nothing before it is asked: registering must not read."""
        return []


def _tool_call(figures: Figures, entry: Entry) -> None:
    server = figures.few("server", entry.body.get("server"))
    figures.tool_calls.labels(server, "failed" if entry.body.get("error") else "answered").inc()
    figures.tool_seconds.labels(server).observe(_number(entry.body.get("seconds")))


def _model_call(figures: Figures, entry: Entry) -> None:
    model, body = figures.few("model", entry.body.get("model")), entry.body
    figures.model_calls.labels(model, "failed" if body.get("error") else "answered").inc()
    for kind in ("input", "cache_write", "cache_read", "output"):
        figures.tokens.labels(model, kind).inc(_number(body.get(f"{kind}_tokens")))
    figures.dollars.labels(model).inc(_number(body.get("usd")))


def _decision(figures: Figures, entry: Entry) -> None:
    by = "rule" if entry.body.get("rule") else "nobody" if entry.body.get("by") == "nobody" else "person"
    figures.decisions.labels("approved" if entry.body.get("approved") else "rejected", by).inc()


def _incident(figures: Figures, entry: Entry) -> None:
    if entry.body.get("status") == Status.FAILED.value:
        figures.failed.inc()


def _report(figures: Figures, entry: Entry) -> None:
    figures.finished.labels(str(entry.body.get("outcome"))).inc()
    if entry.key == "1" and _ULID.fullmatch(entry.investigation):  # its id says when the first alert came
        began = ULID.from_str(entry.investigation).timestamp
        figures.investigation_seconds.observe(max(0.0, entry.at.timestamp() - began))


_COUNTED: Final[Mapping[str, Callable[[Figures, Entry], None]]] = {
    "tool_call": _tool_call,
    "model_call": _model_call,
    "decision": _decision,
    "incident": _incident,
    "gap": lambda figures, _: figures.gaps.inc(),
    "action": lambda figures, entry: figures.actions.labels(str(entry.body.get("outcome"))).inc(),
    "report": _report,
}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
