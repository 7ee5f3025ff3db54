"""A small shop that leaves traces: web calls cart and pay; cart queues orders, which ship works off; all by a clock.

pay has three instances, a database and a bank outside; cart has an SQLite file of its own. What goes wrong is passed
in. A story is four minutes long; its last one is the window that is surveyed, and what is before it the baseline.
"""

import json
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.types import CallToolResult

from midwatch_kit import Observation
from midwatch_kit.evidence import broken_citations
from midwatch_store.writer import Writer
from midwatch_traces.server import build
from midwatch_traces.settings import TracesSettings

SECOND = 1_000_000_000
MS = 1_000_000
NOW = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)

Row = dict[str, object]


@dataclass(frozen=True)
class Trouble:
    """What befalls one span: it takes longer, and it fails with an exception of this type and message."""

    slower_ms: float = 0.0
    exception: str = ""
    message: str = ""


Fault = Callable[[float, str, str], Trouble | None]
"""Seconds since the story began, the service (or `to:PEER`), its instance: what befalls it, if anything."""


def nothing(_: float, __: str, ___: str) -> Trouble | None:
    return None


@dataclass
class Story:
    """Writes traces as they would have been exported; everything follows from the seed."""

    seed: int = 7
    fault: Fault = nothing
    per_second: float = 5.0
    start: datetime = NOW - timedelta(minutes=4)
    version: Callable[[float, str], str] = lambda _, __: "v1"
    rows: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def tell(self, seconds: float = 240) -> list[Row]:
        """Return the spans of so many seconds of requests."""
        moment = 0.0
        while moment < seconds:
            self._visit(moment)
            moment += self.random.expovariate(self.per_second)
        return self.rows

    def _visit(self, at: float) -> None:
        trace = f"{self.random.getrandbits(128):032x}"
        visit = _Visit(self, trace, at)
        operation = self.random.choices(["POST /buy", "GET /shelf"], [2, 1])[0]
        root = visit.open("web", "web-1", operation, "Server", None)
        failed = visit.call(root, "cart", "cart-1", "POST /cart", self._cart)
        if operation == "POST /buy":
            pay = self.random.choice(["pay-1", "pay-2", "pay-3"])
            failed = visit.call(root, "pay", pay, "POST /pay", self._pay) or failed
        visit.close(root, failed, "UpstreamFailed: 500" if failed else "")

    def _cart(self, visit: "_Visit", span: "_Span") -> bool:
        visit.peer(span, "SELECT carts", {"db.system.name": "sqlite", "db.namespace": "cart.sqlite"}, "cart-file", 1)
        sent = visit.peer(span, "send orders", {"messaging.destination.name": "orders"}, "orders", 1, kind="Producer")
        ship = _Visit(self, f"{self.random.getrandbits(128):032x}", visit.at + 0.05, visit.now - sent.end)
        consumer = ship.open("ship", "ship-1", "process orders", "Consumer", None)
        consumer.attributes["messaging.destination.name"] = "orders"
        consumer.links.append((visit.trace, sent.id))
        ship.close(consumer, ship.befalls(consumer), "")
        return sent.failed

    def _pay(self, visit: "_Visit", span: "_Span") -> bool:
        database = {"db.system": "postgresql", "db.name": "shop", "server.address": "10.0.0.5", "server.port": "5432"}
        bank = {"server.address": "bank.example.com", "server.port": "443", "http.request.method": "POST"}
        failed = visit.peer(span, "SELECT accounts", database, "database", 3).failed
        return failed or visit.peer(span, "POST", bank, "bank", 10).failed


@dataclass
class _Span:
    id: str
    parent: str
    service: str
    instance: str
    name: str
    kind: str
    begin: int
    end: int = 0
    failed: bool = False
    exception: tuple[str, str] | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    links: list[tuple[str, str]] = field(default_factory=list)


class _Visit:
    """One trace in the making; `now` is its clock in ns."""

    def __init__(self, story: Story, trace: str, at: float, late: int = 0) -> None:
        self.story, self.trace, self.at = story, trace, at
        self.now = int(story.start.timestamp()) * SECOND + int(at * SECOND) + late

    def open(self, service: str, instance: str, name: str, kind: str, parent: _Span | None) -> _Span:
        parent_id = parent.id if parent else ""
        return _Span(f"{self.story.random.getrandbits(64):016x}", parent_id, service, instance, name, kind, self.now)

    def call(self, by: _Span, service: str, instance: str, name: str, body: Callable[["_Visit", _Span], bool]) -> bool:
        client = self.open(by.service, by.instance, "POST", "Client", by)
        client.attributes |= {"server.address": f"{service}.internal", "server.port": "8080"}
        self.now += MS // 2
        if gone := self.story.fault(self.at, f"to:{service}", by.instance):
            return self.close(client, True, f"{gone.exception}: {gone.message}", gone)
        served = self.open(service, instance, name, "Server", client)
        failed = body(self, served)
        failed = self.befalls(served) or failed
        self.close(served, failed, "500" if failed else "")
        self.now += MS // 2
        return self.close(client, failed, "500" if failed else "")

    def peer(
        self, by: _Span, name: str, attributes: Mapping[str, str], peer: str, ms: float, kind: str = "Client"
    ) -> _Span:
        span = self.open(by.service, by.instance, name, kind, by)
        span.attributes |= attributes
        self.now += int(ms * MS * self.story.random.uniform(0.8, 1.3))
        trouble = self.story.fault(self.at, f"to:{peer}", by.instance)
        self.close(span, bool(trouble and trouble.exception), "", trouble)
        return span

    def befalls(self, span: _Span) -> bool:
        """Let a span work for a while and meet its fate; return whether it fails."""
        self.now += int(4 * MS * self.story.random.uniform(0.8, 1.3))
        trouble = self.story.fault(self.at, span.service, span.instance)
        if trouble is None:
            return False
        self.now += int(trouble.slower_ms * MS)
        span.exception = (trouble.exception, trouble.message) if trouble.exception else None
        return bool(trouble.exception)

    def close(self, span: _Span, failed: bool, status: str, trouble: Trouble | None = None) -> bool:
        if trouble:
            self.now += int(trouble.slower_ms * MS)
            span.exception = (trouble.exception, trouble.message) if trouble.exception else None
        span.end, span.failed = self.now, failed
        self.story.rows.append(self._row(span, status))
        return failed

    def _row(self, span: _Span, status: str) -> Row:
        said = span.exception
        return {
            "Timestamp": span.begin,
            "TraceId": self.trace,
            "SpanId": span.id,
            "ParentSpanId": span.parent,
            "SpanName": span.name,
            "SpanKind": span.kind,
            "ServiceName": span.service,
            "ResourceAttributes": {
                "service.instance.id": span.instance,
                "service.version": self.story.version(self.at, span.instance),
            },
            "SpanAttributes": span.attributes,
            "Duration": span.end - span.begin,
            "StatusCode": "Error" if span.failed else "Unset",
            "StatusMessage": status,
            "Events.Timestamp": [span.end] if said else [],
            "Events.Name": ["exception"] if said else [],
            "Events.Attributes": [{"exception.type": said[0], "exception.message": said[1]}] if said else [],
            "Links.TraceId": [trace for trace, _ in span.links],
            "Links.SpanId": [linked for _, linked in span.links],
        }


TraceClient = Callable[..., AbstractAsyncContextManager[Client]]
Surveyed = tuple[str, list[Observation]]


@pytest.fixture
def store_spans(tmp_path: Path) -> Callable[[Sequence[Row]], Path]:
    """Return a function that appends spans to this test's store."""

    def store(rows: Sequence[Row]) -> Path:
        with Writer(tmp_path / "store") as writer:
            writer.append({"otel_traces": rows})
        return tmp_path / "store"

    return store


@pytest.fixture
def traces_client(tmp_path: Path) -> TraceClient:
    """Return a maker of clients of a traces server over this test's store."""

    def connect(**settings: Any) -> AbstractAsyncContextManager[Client]:
        chosen = {"store": tmp_path / "store", "evidence_dir": tmp_path / "evidence", **settings}
        return Client(build(TracesSettings(**chosen)).build())

    return connect


async def _document(client: Client, kept: dict[str, Any]) -> bytes:
    pages = [
        (await client.read_resource(f"midwatch://evidence/{kept['id']}/page/{page}")).contents[0]
        for page in range(kept["pages"])
    ]
    return "".join(page.text for page in pages).encode()  # type: ignore[union-attr]


@pytest.fixture
def rows_of() -> Callable[[Client, CallToolResult], Awaitable[list[dict[str, Any]]]]:
    """Return a function that reads the rows of evidence behind a reply."""

    async def read(client: Client, reply: CallToolResult) -> list[dict[str, Any]]:
        assert not reply.is_error, reply.content
        rows: list[dict[str, Any]] = json.loads(await _document(client, (reply.meta or {})["midwatch/evidence"]))[
            "rows"
        ]
        return rows

    return read


@pytest.fixture
def survey(
    store_spans: Callable[[Sequence[Row]], Path], traces_client: TraceClient
) -> Callable[..., Awaitable[Surveyed]]:
    """Return a function that stores spans, surveys the last minute, and checks every citation of what was found."""

    async def ask(rows: Sequence[Row], **arguments: Any) -> Surveyed:
        store_spans(rows)
        asked = {"start": (NOW - timedelta(minutes=1)).isoformat(), "end": NOW.isoformat(), **arguments}
        async with traces_client() as client:
            reply = await client.call_tool("survey_traces", asked)
            assert not reply.is_error, reply.content
            kept = reply.meta or {}
            seen = json.loads(await _document(client, kept["midwatch/records"]))["observations"]
            observations = [Observation.model_validate(one) for one in seen]
            stored = {kept["midwatch/evidence"]["id"]: await _document(client, kept["midwatch/evidence"])}
        assert [fault for one in observations for fault in broken_citations(one, stored)] == []
        return reply.content[0].text, observations  # type: ignore[union-attr]

    return ask


@pytest.fixture
def story() -> type[Story]:
    """Return the builder of stories."""
    return Story


@pytest.fixture
def trouble() -> type[Trouble]:
    """Return the builder of what befalls a span."""
    return Trouble


@pytest.fixture
def moment() -> Callable[[float], datetime]:
    """Return a function from seconds since a story began to the time of day."""
    return lambda seconds: NOW - timedelta(minutes=4) + timedelta(seconds=seconds)


@pytest.fixture
def span() -> Callable[..., Row]:
    """Return a maker of single spans of 10 ms, `at` seconds after a story begins."""
    ids = iter(range(10**9))

    def make(*, at: float, trace: str = "", span: str = "", service: str = "forge", **more: Any) -> Row:
        number = next(ids)
        return {
            "Timestamp": int((NOW - timedelta(minutes=4)).timestamp()) * SECOND + int(at * SECOND),
            "TraceId": trace or f"t{number}",
            "SpanId": span or f"s{number}",
            "ParentSpanId": more.get("parent", ""),
            "SpanName": more.get("name", "GET /"),
            "SpanKind": more.get("kind", "Server"),
            "ServiceName": service,
            "ResourceAttributes": {"service.instance.id": more.get("instance", f"{service}-1")},
            "SpanAttributes": more.get("attributes", {}),
            "Duration": int(more.get("ms", 10) * MS),
            "StatusCode": "Error" if more.get("failed") else "Unset",
            "StatusMessage": more.get("status", ""),
        }

    return make
