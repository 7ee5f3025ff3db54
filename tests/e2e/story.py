"""A synthetic incident: a small shop in telemetry alone, written into a store; everything follows from the seed.

    web → cart → stock (two instances)
                 the database `shop`

A deploy of stock, a minute after the story begins, makes 30 % of the requests fail there. Around it: a deploy of web
before it, a spike of CPU that ends, and a warning that is always in the log.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from midwatch_store.writer import Writer

Row = Mapping[str, object]
Rows = dict[str, list[Row]]

SECOND = 1_000_000_000
MS = 1_000_000
START = datetime(2026, 11, 20, 2, 47, tzinfo=UTC)
BROKEN_AT = 60.0
ALERT_AT = 70.0
SEEN_AT = 76.0
LENGTH = 80.0
INSTANCES = {"web": ("web-1",), "cart": ("cart-1",), "stock": ("stock-1", "stock-2")}
BAD, GOOD = "v7", "v6"

_SAYS = "ReservationRefused: unexpected field reserve_until in a reservation of %d items"
_DIFF = """\
--- a/stock/reservation.py
+++ b/stock/reservation.py
@@ -18,6 +18,7 @@ def reserve(order):
     fields = {
         "order": order.number,
+        "reserve_until": order.placed + HOLD,
     }
     return Reservation(**fields)
"""


@dataclass(frozen=True)
class Story:
    """What happens when; times are seconds since `start`. `broken` says whether the fault is there at a time."""

    start: datetime = START
    seed: int = 1
    per_second: float = 20.0
    broken: Callable[[float], bool] = lambda at: at >= BROKEN_AT

    def write(self, folder: Path, length: float = LENGTH) -> Path:
        """Write a snapshot: a store with `length` seconds of telemetry, and the alert; returns its folder."""
        with Writer(folder) as writer:
            writer.append({"changes": changes(self), "alarms": alarms(self)})
            writer.append(self.telemetry(0, length))
        (folder / "incident.json").write_text(json.dumps({**self.alert(), "seen_at": self.time(SEEN_AT)}))
        return folder

    def alert(self) -> dict[str, str]:
        """Return the alert, in the generic form."""
        title, started = "Error rate of web above 5 %", self.time(ALERT_AT)
        return {"title": title, "service": "web", "started_at": started, "severity": "high"}

    def telemetry(self, since: float, until: float) -> Rows:
        """Return what every process exports from `since` until `until`."""
        draw = random.Random(f"{self.seed} {since}")
        rows: Rows = {"otel_traces": [], "otel_logs": [], "otel_metrics_gauge": list(_cpu(self, since, until, draw))}
        moment = since + draw.expovariate(self.per_second)
        while moment < until:
            for table, more in _Request(self, moment, draw).rows().items():
                rows[table] += more
            moment += draw.expovariate(self.per_second)
        return rows

    def ns(self, at: float) -> int:
        """Return a time in ns since the epoch."""
        return int(self.start.timestamp() * SECOND) + int(at * SECOND)

    def time(self, at: float) -> str:
        """Return a time in RFC 3339."""
        return (self.start + timedelta(seconds=at)).isoformat()

    def resource(self, instance: str, at: float) -> dict[str, str]:
        """Return what an instance says of itself."""
        version = BAD if instance.startswith("stock") and self.broken(at) else GOOD
        return {"service.instance.id": instance, "service.version": version}


def changes(story: Story) -> list[Row]:
    """Return the deploys: everything once, long before; web; and then stock, which is the cause."""
    told = [_deploy(story, -900, service, "v5", GOOD, "first release of the week") for service in INSTANCES]
    told.append(_deploy(story, 35, "web", GOOD, BAD, "a new colour for the button", "+colour = 'blue'\n"))
    told.append(_deploy(story, BROKEN_AT, "stock", GOOD, BAD, "Hold reservations for a while", _DIFF))
    return told


def rolled_back(story: Story, at: float) -> Row:
    """Return the deploy that takes the cause back."""
    return {**_deploy(story, at, "stock", BAD, GOOD, "Roll stock back"), "ChangeId": "stock-rollback"}


def alarms(story: Story) -> list[Row]:
    """Return the changes of state of the alarm that the alert comes from."""
    named = {"AlarmName": "web-errors", "ServiceName": "web", "Threshold": 0.05}
    return [
        {**named, "Timestamp": story.ns(-900), "State": "ok", "Value": 0.0},
        {**named, "Timestamp": story.ns(ALERT_AT), "State": "alarm", "Value": 0.3, "Reason": "error rate above 5 %"},
    ]


def _deploy(story: Story, at: float, service: str, was: str, now: str, title: str, diff: str = "") -> Row:
    return {
        "Timestamp": story.ns(at),
        "ChangeId": f"{service}-{now}",
        "Kind": "deploy",
        "ServiceName": service,
        "Title": title,
        "Author": "sam",
        "Version": now,
        "PreviousVersion": was,
        "Repository": f"https://git.example.com/{service}.git",
        "Files": [f"{service}/reservation.py"] if diff else [],
        "Diff": diff,
        "EndTime": story.ns(at),
        "Outcome": "succeeded",
    }


def _cpu(story: Story, since: float, until: float, draw: random.Random) -> Iterator[Row]:
    """CPU of every instance each second; that of cart-1 spikes before the fault, and is over before the alert."""
    for second in range(int(since), int(until)):
        for service, instances in INSTANCES.items():
            for instance in instances:
                spike = 0.6 if instance == "cart-1" and 55 <= second < 64 else 0.0
                yield {
                    "TimeUnix": story.ns(second),
                    "ServiceName": service,
                    "MetricName": "process.cpu.utilization",
                    "MetricUnit": "1",
                    "ResourceAttributes": story.resource(instance, second),
                    "Value": 0.2 + spike + draw.uniform(-0.02, 0.02),
                }


class _Request:
    """One request on its way through the shop, as spans and lines of log."""

    def __init__(self, story: Story, at: float, draw: random.Random) -> None:
        self._story, self._at, self._draw = story, at, draw
        self._trace = f"{draw.getrandbits(128):032x}"
        self._stock = draw.choice(INSTANCES["stock"])
        self._fails = story.broken(at) and draw.random() < 0.3
        self._spans: list[Row] = []

    def rows(self) -> Rows:
        ms = self._draw.uniform
        web = self._span("web-1", "POST /orders", "Server", "", 0, ms(28, 40))
        to_cart = self._span("web-1", "POST", "Client", web, 2, ms(24, 27))
        cart = self._span("cart-1", "POST /cart", "Server", to_cart, 3, ms(20, 23))
        database = {"db.system.name": "postgresql", "db.namespace": "shop", "server.address": "db.internal"}
        self._span("cart-1", "SELECT carts", "Client", cart, 4, ms(3, 5), database)
        to_stock = self._span("cart-1", "POST", "Client", cart, 10, ms(8, 9))
        self._span(self._stock, "POST /reserve", "Server", to_stock, 11, ms(5, 7))
        return {"otel_traces": self._spans, "otel_logs": list(self._lines())}

    def _span(
        self,
        instance: str,
        name: str,
        kind: str,
        parent: str,
        after_ms: float,
        ms: float,
        attributes: Mapping[str, str] | None = None,
    ) -> str:
        """Add a span; of a request that fails, all do but the database's, and stock's has the exception."""
        span, start = f"{self._draw.getrandbits(64):016x}", self._story.ns(self._at) + int(after_ms * MS)
        fails, begins = self._fails and not attributes, instance == self._stock
        said = [{"exception.type": "ReservationRefused", "exception.message": self._says()}] if fails and begins else []
        row = {
            "Timestamp": start,
            "TraceId": self._trace,
            "SpanId": span,
            "ParentSpanId": parent,
            "SpanName": name,
            "SpanKind": kind,
            "ServiceName": instance.partition("-")[0],
            "ResourceAttributes": self._story.resource(instance, self._at),
            "SpanAttributes": attributes or {},
            "Duration": int(ms * MS),
            "StatusCode": "Error" if fails else "Unset",
            "Events.Timestamp": [start] * len(said),
            "Events.Name": ["exception"] * len(said),
            "Events.Attributes": said,
        }
        self._spans.append(row)
        return span

    def _lines(self) -> Iterator[Row]:
        yield self._line("web-1", "INFO", 9, f"order taken, {self._draw.randint(1, 9)} items")
        if self._draw.random() < 0.1:
            yield self._line("cart-1", "WARN", 13, f"cache is cold for customer {self._draw.randint(1, 999)}")
        if self._fails:
            yield self._line(self._stock, "ERROR", 17, self._says())
            yield self._line("web-1", "ERROR", 17, "order not taken: 500 from cart")

    def _line(self, instance: str, level: str, number: int, body: str) -> Row:
        return {
            "Timestamp": self._story.ns(self._at + 0.02),
            "TraceId": self._trace,
            "SeverityText": level,
            "SeverityNumber": number,
            "ServiceName": instance.partition("-")[0],
            "Body": body,
            "ResourceAttributes": self._story.resource(instance, self._at),
        }

    def _says(self) -> str:
        return _SAYS % (len(self._trace) % 7 + 1)
