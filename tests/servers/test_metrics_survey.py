"""The survey of metrics: planted shifts are found, dated and cited; noise and habits are not; silence is said."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcp import Client
from mcp.types import CallToolResult

from midwatch_kit import Observation
from midwatch_kit.evidence import broken_citations
from midwatch_metrics.server import build
from midwatch_metrics.settings import MetricsSettings
from midwatch_store.writer import Writer

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
SECONDS = 240
MINUTE = {"start": "2026-11-20T02:59:00Z", "end": "2026-11-20T03:00:00Z"}
Tables = dict[str, list[dict[str, Any]]]
Connect = Callable[[], AbstractAsyncContextManager[Client]]
Value = Callable[[int], float]


class Telemetry:
    """Points of one metric a second, `SECONDS` of them up to the story's end; i counts the seconds from the first."""

    def __init__(self) -> None:
        self.tables: Tables = {name: [] for name in ("gauge", "sum", "histogram")}

    def gauge(self, instance: str, metric: str, unit: str, value: Value, seconds: Iterator[int] | None = None) -> None:
        for i in seconds or range(SECONDS):
            self._add("gauge", i, instance, metric, unit, Value=value(i))

    def counter(
        self,
        instance: str,
        metric: str,
        amount: Value,
        *,
        start: int = -600,
        delta: bool = False,
        first: int = 0,
        **labels: str,
    ) -> None:
        total = 0.0 if start >= 0 or first else 5_000.0
        for i in range(max(first, start + 1), SECONDS):
            total = amount(i) if delta else total + amount(i)
            more = {"AggregationTemporality": 1 if delta else 2, "IsMonotonic": True, "Attributes": labels}
            begun = NOW - timedelta(seconds=SECONDS - (i - 1 if delta else start))
            self._add("sum", i, instance, metric, "{request}", Value=total, StartTimeUnix=begun, **more)

    def latency(self, instance: str, seconds: Value, *, rate: int = 20, **labels: str) -> None:
        bounds = [0.005 * 1.5**k for k in range(16)]
        counts, total = np.zeros(len(bounds) + 1, dtype=np.int64), 0.0
        random = np.random.default_rng(sum(map(ord, instance)))
        for i in range(SECONDS):
            took = seconds(i) * random.lognormal(0, 0.3, rate)
            counts += np.histogram(took, [0.0, *bounds, np.inf])[0]
            total += float(took.sum())
            more = {"Count": int(counts.sum()), "Sum": total, "BucketCounts": counts.tolist(), "ExplicitBounds": bounds}
            begun = NOW - timedelta(seconds=SECONDS + 1)
            self._add(
                "histogram",
                i,
                instance,
                "http.server.request.duration",
                "s",
                StartTimeUnix=begun,
                AggregationTemporality=2,
                Attributes=labels,
                **more,
            )

    def _add(self, table: str, i: int, instance: str, metric: str, unit: str, **more: Any) -> None:
        moment = NOW - timedelta(seconds=SECONDS - i)
        service = instance.rsplit("-", 1)[0]
        resource = {"service.instance.id": instance}
        known = {"TimeUnix": moment, "ServiceName": service, "ResourceAttributes": resource}
        self.tables[table].append({**known, "MetricName": metric, "MetricUnit": unit, **more})

    def store(self, folder: Path) -> None:
        with Writer(folder) as writer:
            writer.append({f"otel_metrics_{name}": rows for name, rows in self.tables.items() if rows})


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
def connect(telemetry: Telemetry, tmp_path: Path) -> Connect:
    """Returns a maker of clients of a metrics server over a store with the telemetry there is by then."""

    def client() -> AbstractAsyncContextManager[Client]:
        telemetry.store(tmp_path / "store")
        return Client(build(MetricsSettings(store=tmp_path / "store", evidence_dir=tmp_path / "evidence")).build())

    return client


async def read(client: Client, kept: dict[str, Any]) -> bytes:
    pages = [await client.read_resource(f"midwatch://evidence/{kept['id']}/page/{n}") for n in range(kept["pages"])]
    return "".join(page.contents[0].text for page in pages).encode()  # type: ignore[union-attr]


async def survey(connect: Connect, **arguments: Any) -> tuple[list[Observation], CallToolResult]:
    """The survey's observations, each of whose citations holds, and the reply."""
    async with connect() as client:
        reply = await client.call_tool("survey_metrics", {**MINUTE, **arguments})
        assert not reply.is_error, reply.content
        meta = reply.meta or {}
        evidence = {meta["midwatch/evidence"]["id"]: await read(client, meta["midwatch/evidence"])}
        kept = json.loads(await read(client, meta["midwatch/records"]))["observations"]
    observations = [Observation.model_validate(one) for one in kept]
    assert [fault for one in observations for fault in broken_citations(one, evidence)] == []
    assert meta["midwatch/evidence"]["id"] in evidence
    return observations, reply


def second(moment: datetime | None) -> float | None:
    """Seconds from the first point to a moment."""
    return None if moment is None else (moment - NOW).total_seconds() + SECONDS


def noise(seed: int, level: float, spread: float) -> Value:
    values = np.random.default_rng(seed).normal(level, spread, SECONDS)
    return lambda i: float(values[i])


def events(seed: int, rate: Value) -> Value:
    random = np.random.default_rng(seed)
    values = [float(random.poisson(rate(i))) for i in range(SECONDS)]
    return lambda i: values[i]


async def test_a_gauge_that_shifts_is_dated_and_its_neighbour_is_said_to_be_well(
    telemetry: Telemetry, connect: Connect
) -> None:
    calm = noise(1, 80e6, 1e5)
    telemetry.gauge("forge-1", "process.memory.usage", "By", lambda i: calm(i) * (3 if i >= 215 else 1))
    telemetry.gauge("forge-2", "process.memory.usage", "By", calm)
    (first, second_one), _ = await survey(connect)
    assert (first.entity, first.related, first.kind, first.direction) == (
        "instance:forge-1",
        "service:forge",
        "spike",
        "up",
    )
    assert second(first.onset) == 215
    assert first.ended is None
    assert first.magnitude == pytest.approx(240e6, rel=0.01)
    assert first.statement.startswith("process.memory.usage of forge-1 rose from 76.3 MiB to 229 MiB at 02:59:35Z")
    assert (second_one.entity, second_one.kind) == ("instance:forge-2", "normal")


async def test_a_spike_that_ended_says_when(telemetry: Telemetry, connect: Connect) -> None:
    calm = noise(2, 0.06, 0.01)
    telemetry.gauge("bot-1", "process.cpu.utilization", "1", lambda i: 0.8 if 200 <= i < 208 else calm(i))
    (spike,), _ = await survey(connect)
    assert (second(spike.onset), second(spike.ended), spike.unit, spike.magnitude) == (200, 208, "%", 80.0)


async def test_a_share_at_its_limit_is_saturated(telemetry: Telemetry, connect: Connect) -> None:
    calm = noise(3, 0.4, 0.02)
    telemetry.gauge("db-1", "disk.utilization", "1", lambda i: 0.97 if i >= 200 else calm(i))
    (full,), _ = await survey(connect)
    assert (full.kind, full.subject) == ("saturation", "disk.utilization")


@pytest.mark.parametrize(("level", "found"), [(0.85, True), (0.40, False)])
async def test_a_share_that_just_jumped_by_half_of_its_limit_is_found_in_a_single_point(
    level: float, *, found: bool, telemetry: Telemetry, connect: Connect
) -> None:
    telemetry.gauge("db-1", "cpu.utilization", "1", lambda i: level if i >= 210 else 0.02, iter(range(0, SECONDS, 30)))
    seen, _ = await survey(connect)
    assert [o.direction for o in seen if o.subject == "cpu.utilization" and o.kind != "normal"] == ["up"] * found


async def test_errors_that_no_one_had_before_show_as_a_rate_from_nothing(
    telemetry: Telemetry, connect: Connect
) -> None:
    telemetry.counter("forge-1", "requests", events(4, lambda i: 20), status="200")
    telemetry.counter("forge-1", "requests", events(5, lambda i: 3), first=210, status="500")
    found, _ = await survey(connect)
    errors = found[0]
    assert (errors.subject, errors.attributes["status"], errors.baseline, errors.unit) == (
        "requests.rate",
        "500",
        0.0,
        "1/s",
    )
    assert errors.magnitude == pytest.approx(3, rel=0.3)
    assert second(errors.onset) == pytest.approx(210, abs=2)
    assert [one for one in found[1:] if one.kind != "normal"] == []


async def test_a_restart_that_resets_counters_is_no_shift(telemetry: Telemetry, connect: Connect) -> None:
    amount = events(6, lambda i: 12)
    telemetry.counter("bot-1", "requests", amount)
    telemetry.tables["sum"] = [row for row in telemetry.tables["sum"] if row["TimeUnix"] < NOW - timedelta(seconds=30)]
    telemetry.counter("bot-1", "requests", amount, start=SECONDS - 30)
    found, _ = await survey(connect)
    assert {one.kind for one in found} == {"normal"}


async def test_counters_with_delta_temporality_say_the_same(telemetry: Telemetry, connect: Connect) -> None:
    telemetry.counter("bot-1", "jobs", events(7, lambda i: 4 if i < 205 else 20), delta=True)
    (rise,), _ = await survey(connect)
    assert rise.baseline == pytest.approx(4, rel=0.15)
    assert rise.magnitude == pytest.approx(20, rel=0.15)
    assert second(rise.onset) == pytest.approx(205, abs=2)


async def test_a_latency_that_doubles_is_told_once_and_its_rate_is_not_blamed(
    telemetry: Telemetry, connect: Connect
) -> None:
    telemetry.latency("gateway-1", lambda i: 0.02 if i < 220 else 0.05)
    found, _ = await survey(connect)
    (slow,) = [one for one in found if one.kind == "spike" and one.entity == "instance:gateway-1"]
    assert slow.unit == "ms"
    assert slow.baseline is not None
    assert slow.magnitude is not None
    assert slow.magnitude / slow.baseline == pytest.approx(2.5, rel=0.2)
    assert second(slow.onset) == pytest.approx(220, abs=1)


async def test_noise_of_many_kinds_raises_nothing(telemetry: Telemetry, connect: Connect) -> None:
    for k in range(40):
        telemetry.gauge(f"calm-{k}", "process.cpu.utilization", "1", noise(100 + k, 0.1, 0.03))
        telemetry.counter(f"calm-{k}", "requests", events(200 + k, lambda i: 6))
        telemetry.counter(f"calm-{k}", "misses", events(300 + k, lambda i: 0.2))
    found, _ = await survey(connect)
    assert [one.statement for one in found if one.kind != "normal"] == []
    assert len({one.entity for one in found}) == 41  # 40 instances and their service, each normal


async def test_one_thing_more_or_less_is_no_shift(telemetry: Telemetry, connect: Connect) -> None:
    telemetry.gauge("bot-1", "db.client.connection.count", "{connection}", lambda i: 1.0 if 200 <= i < 230 else 0.0)
    (only, of_service), _ = await survey(connect)
    assert {only.kind, of_service.kind} == {"normal"}


async def test_an_instance_that_falls_silent_is_an_absence_since_its_last_point(
    telemetry: Telemetry, connect: Connect
) -> None:
    telemetry.gauge("forge-1", "process.cpu.utilization", "1", noise(8, 0.1, 0.01), iter(range(200)))
    telemetry.gauge("forge-2", "process.cpu.utilization", "1", noise(9, 0.1, 0.01))
    found, _ = await survey(connect)
    (silent,) = [one for one in found if one.kind == "absence"]
    assert (silent.entity, second(silent.onset)) == ("instance:forge-1", 199)
    assert "instance:forge-1" not in {one.entity for one in found if one.kind == "normal"}


async def test_points_a_minute_apart_are_enough_for_a_clear_shift(telemetry: Telemetry, connect: Connect) -> None:
    telemetry.gauge("forge-1", "queue.depth", "{job}", lambda i: 2.0 if i < 190 else 90.0, iter(range(0, SECONDS, 15)))
    (deep, *_), _ = await survey(connect)
    assert (deep.kind, deep.magnitude, deep.baseline) == ("spike", 90.0, 2.0)


async def test_nans_and_infinities_count_as_missing(telemetry: Telemetry, connect: Connect) -> None:
    calm = noise(10, 50, 1)
    telemetry.gauge("forge-1", "temperature", "Cel", lambda i: float("nan") if i % 7 == 0 else calm(i))
    telemetry.gauge("forge-1", "pressure", "Pa", lambda i: float("inf") if i % 5 == 0 else calm(i))
    found, _ = await survey(connect)
    assert {one.kind for one in found} == {"normal"}


async def test_entities_narrow_the_survey_and_those_without_metrics_are_absent(
    telemetry: Telemetry, connect: Connect
) -> None:
    for name in ("forge-1", "forge-2", "bot-1"):
        telemetry.gauge(name, "process.cpu.utilization", "1", noise(11, 0.1, 0.01))
    found, _ = await survey(connect, entities=["instance:forge-2", "database:robots"])
    assert {(one.entity, str(one.kind)) for one in found} == {
        ("instance:forge-2", "normal"),
        ("service:forge", "normal"),
        ("database:robots", "absence"),
    }


async def test_an_unknown_entity_alone_is_refused_with_those_that_exist(telemetry: Telemetry, connect: Connect) -> None:
    telemetry.gauge("forge-1", "process.cpu.utilization", "1", noise(12, 0.1, 0.01))
    async with connect() as client:
        reply = await client.call_tool("survey_metrics", {**MINUTE, "entities": ["froge"]})
    assert reply.is_error
    assert (reply.meta or {})["midwatch/error"] == "not_found"
    assert "no metrics of service:froge; there are metrics of service:forge" in str(reply.content)


async def test_a_window_without_a_baseline_says_that_nothing_can_be_compared(
    telemetry: Telemetry, connect: Connect
) -> None:
    telemetry.gauge("forge-1", "process.cpu.utilization", "1", noise(13, 0.1, 0.01), iter(range(200, SECONDS)))
    found, reply = await survey(connect)
    assert found == []
    assert "name an earlier window or another baseline" in (reply.structured_content or {})["hint"]


async def test_an_empty_window_matches_nothing_and_says_so(telemetry: Telemetry, connect: Connect) -> None:
    telemetry.gauge("forge-1", "process.cpu.utilization", "1", noise(14, 0.1, 0.01))
    _, reply = await survey(connect, start="2026-11-19T01:00:00Z", end="2026-11-19T01:15:00Z")
    assert (reply.structured_content or {})["matched"] == 0
    assert "Nothing matched" in (reply.structured_content or {})["hint"]
