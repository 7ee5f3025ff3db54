"""A made application in telemetry alone: what befalls it is told as a story, and everything else follows from a seed.

    web → cart → stock (two instances) → the database `shop`
               → the database `shop`
               → the payments of pay.example.com
    web → search

Times are seconds since the story's start; the alert fires at 70.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from math import inf
from pathlib import Path

from midwatch_store.writer import Writer

Row = Mapping[str, object]
Rows = dict[str, list[Row]]

SECOND, MS = 1_000_000_000, 1_000_000
START = datetime(2026, 11, 20, 2, 47, tzinfo=UTC)
ALERT_AT, SEEN_AT, LENGTH = 70.0, 76.0, 80.0
INSTANCES = {"web": ("web-1",), "cart": ("cart-1",), "stock": ("stock-1", "stock-2"), "search": ("search-1",)}
ORDERS = 0.75
"""The share of requests that are orders; the others search."""


@dataclass(frozen=True)
class Call:
    """A call of a service, which spends `ms` in itself; with `peer` attributes, of something that sends no spans."""

    to: str
    operation: str
    ms: float
    calls: tuple["Call", ...] = ()
    peer: Mapping[str, str] = field(default_factory=dict)


_SHOP = {"db.system.name": "postgresql", "db.namespace": "shop", "server.address": "db.internal"}
_PAY = {"server.address": "pay.example.com", "url.full": "https://pay.example.com/charges"}
_STOCK = Call("stock", "POST /reserve", 6, (Call("shop", "UPDATE stock", 3, peer=_SHOP),))
_CART_CALLS = (Call("shop", "SELECT carts", 3, peer=_SHOP), _STOCK, Call("pay", "POST", 9, peer=_PAY))
ORDER = Call("web", "POST /orders", 8, (Call("cart", "POST /cart", 5, _CART_CALLS),))
SEARCH = Call("web", "GET /search", 5, (Call("search", "GET /search", 9),))


@dataclass(frozen=True)
class Harm:
    """From `since` until `until`, a share of the calls to a service, an instance or a peer fail, or last longer."""

    at: str
    since: float
    says: str = ""
    share: float = 0.4
    ms: float = 0.0
    until: float = inf


@dataclass(frozen=True)
class Deploy:
    """A new version of a service is in use from `at` on; `lines` are what was added to `file`."""

    service: str
    at: float
    title: str
    file: str = ""
    lines: str = ""


@dataclass(frozen=True)
class Chatter:
    """Lines of log that a service writes besides, so many a second."""

    service: str
    level: str
    text: Callable[[random.Random], str]
    per_second: float
    since: float = -inf
    until: float = inf


@dataclass(frozen=True)
class Gauge:
    """A figure of an instance, each second."""

    instance: str
    name: str
    unit: str
    value: Callable[[float], float]


@dataclass(frozen=True)
class Story:
    """What happens when, and what the alert says; telemetry is there from `begins` on."""

    harms: tuple[Harm, ...] = ()
    deploys: tuple[Deploy, ...] = ()
    chatter: tuple[Chatter, ...] = ()
    gauges: tuple[Gauge, ...] = ()
    alert: Mapping[str, object] = field(default_factory=dict)
    steering: str = ""
    begins: float = 0.0
    per_second: float = 7.0
    seed: int = 1

    def write(self, folder: Path, arrives: Callable[[Rows], Rows] = lambda rows: rows) -> Path:
        """Write a snapshot, of as much of the telemetry as `arrives`, and return its folder."""
        with Writer(folder) as writer:
            writer.append({"changes": list(self._changes()), "alarms": list(self._alarms())})
            writer.append(arrives(self.telemetry()))
        said = {"title": "Error rate of web above 5 %", "service": "web", "severity": "high", **self.alert}
        times = {"started_at": self.time(ALERT_AT), "seen_at": self.time(SEEN_AT)}
        (folder / "incident.json").write_text(json.dumps({**said, **times}))
        if self.steering:
            (folder / "steering").mkdir()
            (folder / "steering" / "team.md").write_text(self.steering)
        return folder

    def telemetry(self) -> Rows:
        """Return what every process exports."""
        draw = random.Random(self.seed)
        rows: Rows = {"otel_traces": [], "otel_logs": [], "otel_metrics_gauge": []}
        moment = self.begins + draw.expovariate(self.per_second)
        while moment < LENGTH:
            _Request(self, moment, draw, rows).goes(ORDER if draw.random() < ORDERS else SEARCH)
            moment += draw.expovariate(self.per_second)
        for second in range(int(self.begins), int(LENGTH)):
            rows["otel_logs"] += self._chattered(second, draw)
            rows["otel_metrics_gauge"] += self._gauged(second, draw)
        return rows

    def ns(self, at: float) -> int:
        """Return a time in ns since the epoch."""
        return int(START.timestamp() * SECOND) + int(at * SECOND)

    def time(self, at: float) -> str:
        """Return a time in RFC 3339."""
        return (START + timedelta(seconds=at)).isoformat()

    def resource(self, instance: str, at: float) -> dict[str, str]:
        """Return what an instance says of itself."""
        service = instance.partition("-")[0]
        deployed = sum(d.service == service and d.at <= at for d in self.deploys)
        return {"service.instance.id": instance, "service.version": f"v{6 + deployed}"}

    def line(self, instance: str, at: float, level: str, body: str, trace: str = "") -> Row:
        """Return a line of log."""
        return {
            "Timestamp": self.ns(at),
            "TraceId": trace,
            "SeverityText": level,
            "SeverityNumber": {"INFO": 9, "WARN": 13, "ERROR": 17}[level],
            "ServiceName": instance.partition("-")[0],
            "Body": body,
            "ResourceAttributes": self.resource(instance, at),
        }

    def _changes(self) -> Iterator[Row]:
        """Everything was released once, long before; then come the story's own deploys."""
        version = dict.fromkeys(INSTANCES, 6)
        yield from (self._change(Deploy(service, -600, "first release of the week"), 6) for service in INSTANCES)
        for deploy in sorted(self.deploys, key=lambda d: d.at):
            version[deploy.service] += 1
            yield self._change(deploy, version[deploy.service])

    def _change(self, deploy: Deploy, version: int) -> Row:
        added = "".join(f"+{line}\n" for line in deploy.lines.splitlines())
        return {
            "Timestamp": self.ns(deploy.at),
            "ChangeId": f"{deploy.service}-v{version}",
            "Kind": "deploy",
            "ServiceName": deploy.service,
            "Title": deploy.title,
            "Author": "sam",
            "Version": f"v{version}",
            "PreviousVersion": f"v{version - 1}",
            "Files": [deploy.file] if deploy.file else [],
            "Diff": f"--- a/{deploy.file}\n+++ b/{deploy.file}\n{added}" if deploy.file else "",
            "EndTime": self.ns(deploy.at),
            "Outcome": "succeeded",
        }

    def _alarms(self) -> Iterator[Row]:
        named = {"AlarmName": "web-errors", "ServiceName": "web", "Threshold": 0.05}
        yield {**named, "Timestamp": self.ns(-900), "State": "ok", "Value": 0.0}
        yield {**named, "Timestamp": self.ns(ALERT_AT), "State": "alarm", "Value": 0.3}

    def _chattered(self, second: int, draw: random.Random) -> Iterator[Row]:
        for chatter in self.chatter:
            if chatter.since <= second < chatter.until:
                for _ in range(round(chatter.per_second)):
                    instance = INSTANCES[chatter.service][0]
                    yield self.line(instance, second + draw.random(), chatter.level, chatter.text(draw))

    def _gauged(self, second: int, draw: random.Random) -> Iterator[Row]:
        own = [Gauge(i, "process.cpu.utilization", "1", lambda _: 0.2) for some in INSTANCES.values() for i in some]
        for gauge in (*own, *self.gauges):
            yield {
                "TimeUnix": self.ns(second),
                "ServiceName": gauge.instance.partition("-")[0],
                "MetricName": gauge.name,
                "MetricUnit": gauge.unit,
                "ResourceAttributes": self.resource(gauge.instance, second),
                "Value": gauge.value(second) * draw.uniform(0.95, 1.05),
            }


class _Request:
    """One request on its way through the application, as spans and lines of log."""

    def __init__(self, story: Story, at: float, draw: random.Random, rows: Rows) -> None:
        self._story, self._at, self._draw, self._rows = story, at, draw, rows
        self._trace, self._ids = f"{draw.getrandbits(128):032x}", count(draw.getrandbits(48) << 16)

    def goes(self, call: Call) -> None:
        _, failed = self._served(call, "", 0.0)
        body = f"{call.operation} failed" if failed else f"{call.operation} done, {self._draw.randint(1, 9)} items"
        self._says("web-1", "ERROR" if failed else "INFO", body)

    def _served(self, call: Call, parent: str, start: float) -> tuple[float, str]:
        """Add a service's span and all below it; return when it ended, in ms, and what failed in it, if anything."""
        instance, span = self._draw.choice(INSTANCES[call.to]), f"{next(self._ids):016x}"
        longer, said = self._harmed(call.to, instance)
        failed, now = said, start + call.ms * self._draw.uniform(0.8, 1.2) + longer
        for inner in call.calls if not failed else ():
            now, failed = self._calls(inner, instance, span, now)
            if failed:
                break
        self._span((span, parent), instance, call.operation, "Server", (start, now), failed, said)
        if said:
            self._says(instance, "ERROR", said)
        return now, failed

    def _calls(self, call: Call, instance: str, parent: str, start: float) -> tuple[float, str]:
        """Add a client's span, and below it what is called."""
        span = f"{next(self._ids):016x}"
        longer, said = self._harmed(call.to) if call.peer else (0.0, "")
        if call.peer:
            end, failed = start + call.ms * self._draw.uniform(0.8, 1.2) + longer, said
        else:
            end, failed = self._served(call, span, start + 0.5)
        self._span((span, parent), instance, call.operation, "Client", (start, end + 0.5), failed, said, call.peer)
        if said:
            self._says(instance, "ERROR", said)
        return end + 0.5, failed

    def _harmed(self, *names: str) -> tuple[float, str]:
        hit = [h for h in self._story.harms if h.at in names and h.since <= self._at < h.until]
        felt = [harm for harm in hit if self._draw.random() < harm.share]
        return sum(harm.ms for harm in felt), next((harm.says for harm in felt if harm.says), "")

    def _span(
        self,
        ids: tuple[str, str],
        instance: str,
        name: str,
        kind: str,
        times: tuple[float, float],
        failed: str,
        said: str,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        start, what = self._story.ns(self._at) + int(times[0] * MS), said.partition(":")
        event = [{"exception.type": what[0], "exception.message": what[2].strip() or what[0]}] if said else []
        self._rows["otel_traces"].append({
            "Timestamp": start,
            "TraceId": self._trace,
            "SpanId": ids[0],
            "ParentSpanId": ids[1],
            "SpanName": name,
            "SpanKind": kind,
            "ServiceName": instance.partition("-")[0],
            "ResourceAttributes": self._story.resource(instance, self._at),
            "SpanAttributes": attributes or {},
            "Duration": int((times[1] - times[0]) * MS),
            "StatusCode": "Error" if failed else "Unset",
            "Events.Timestamp": [start] * len(event),
            "Events.Name": ["exception"] * len(event),
            "Events.Attributes": event,
        })  # fmt: skip

    def _says(self, instance: str, level: str, body: str) -> None:
        self._rows["otel_logs"].append(self._story.line(instance, self._at + 0.02, level, body, self._trace))
