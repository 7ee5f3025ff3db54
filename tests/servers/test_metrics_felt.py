"""What users feel, read out of metrics that few points tell of: times, failures and numbers of requests by service."""

import json
import math
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from midwatch_kit import Observation
from midwatch_metrics.server import build
from midwatch_metrics.settings import MetricsSettings
from midwatch_store.writer import Writer

NOW = datetime(2026, 11, 20, 3, 0, 1, tzinfo=UTC)
STEP = 300
POINTS = 40
LOUD = 2
"""So many points, the last ones, are in the window."""
Figures = Callable[[int], float]
Survey = Callable[[], Any]


class Shop:
    """Points of five minutes each; i counts them back from the last one, which is 0."""

    def __init__(self) -> None:
        self.gauges: list[dict[str, Any]] = []
        self.sums: list[dict[str, Any]] = []

    def gauge(self, service: str, metric: str, unit: str, value: Figures, **attributes: str) -> None:
        for i in range(POINTS):
            self.gauges.append({**_named(service, metric, unit, i), "Value": value(i), "Attributes": attributes})

    def requests(self, service: str, value: Figures, metric: str = "service.requests") -> None:
        for i in range(POINTS):
            point = _named(service, metric, "{request}", i)
            began = point["TimeUnix"] - timedelta(seconds=STEP)
            delta = {"AggregationTemporality": 1, "IsMonotonic": True, "StartTimeUnix": began}
            self.sums.append({**point, **delta, "Value": value(i)})


def _named(service: str, metric: str, unit: str, i: int) -> dict[str, Any]:
    moment = NOW - timedelta(seconds=STEP * i + 1)
    return {"ServiceName": service, "MetricName": metric, "MetricUnit": unit, "TimeUnix": moment}


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def survey(shop: Shop, tmp_path: Path) -> Survey:
    """Returns a survey of the last ten minutes against the two hours before, as observations by entity and subject."""

    def client() -> AbstractAsyncContextManager[Client]:
        with Writer(tmp_path / "store") as writer:
            writer.append({"otel_metrics_gauge": shop.gauges, "otel_metrics_sum": shop.sums})
        return Client(build(MetricsSettings(store=tmp_path / "store", evidence_dir=tmp_path / "evidence")).build())

    async def ask() -> dict[tuple[str, str], Observation]:
        start = NOW - timedelta(seconds=LOUD * STEP)
        window = {"start": start, "end": NOW, "baseline_start": start - timedelta(hours=2), "baseline_end": start}
        async with client() as connected:
            reply = await connected.call_tool("survey_metrics", {k: v.isoformat() for k, v in window.items()})
            assert not reply.is_error, reply.content
            kept = (reply.meta or {})["midwatch/records"]
            pages = [
                await connected.read_resource(f"midwatch://evidence/{kept['id']}/page/{n}")
                for n in range(kept["pages"])
            ]
        records = json.loads("".join(page.contents[0].text for page in pages))  # type: ignore[union-attr]
        found = [Observation.model_validate(one) for one in records["observations"]]
        return {(o.entity, o.subject): o for o in found}

    return ask


async def test_two_points_of_five_minutes_are_enough_to_tell_a_slow_service(shop: Shop, survey: Survey) -> None:
    shop.gauge("cart", "service.request.duration", "s", lambda i: 0.2 if i < LOUD else 0.1 + i % 3 / 1000, stat="mean")
    shop.requests("cart", lambda i: 600)
    slow = (await survey())["service:cart", "latency_mean"]
    assert (slow.kind, slow.direction) == ("spike", "up")
    assert (slow.magnitude, slow.baseline) == (pytest.approx(200), pytest.approx(101, abs=1))
    assert slow.attributes["requests_per_s"] == "2"
    assert slow.onset == NOW - timedelta(seconds=2 * STEP)


async def test_the_mean_is_told_before_percentiles_and_calls_that_a_service_makes_are_not_its_own(
    shop: Shop, survey: Survey
) -> None:
    shop.gauge("cart", "service.request.duration", "s", lambda i: 0.3, quantile="p99")
    shop.gauge("cart", "service.request.duration", "s", lambda i: 0.1, quantile="mean")
    shop.gauge("cart", "http.client.request.duration", "s", lambda i: 0.9 if i < LOUD else 0.1)
    found = await survey()
    assert found["service:cart", "latency_mean"].kind == "normal"
    assert found["service:cart", "latency_mean"].magnitude == pytest.approx(100)


async def test_a_median_does_not_hide_what_a_tenth_of_the_requests_lose(shop: Shop, survey: Survey) -> None:
    shop.gauge("cart", "service.request.duration", "s", lambda i: 0.1, quantile="p50")
    shop.gauge("cart", "service.request.duration", "s", lambda i: 1.1 if i < LOUD else 0.1, quantile="p90")
    slow = (await survey())["service:cart", "latency_mean"]
    assert (slow.kind, slow.direction) == ("spike", "up")
    assert slow.magnitude == pytest.approx(400)  # 100 ms, and 1 s more for the tenth beyond p90 and half of those below


async def test_percentiles_alone_are_told_as_such(shop: Shop, survey: Survey) -> None:
    shop.gauge("cart", "response_time.p95", "ms", lambda i: 300 if i < LOUD else 100)
    assert (await survey())["service:cart", "latency_p95"].magnitude == pytest.approx(300)


async def test_failures_are_counted_where_a_deviation_of_none_would_be_none(shop: Shop, survey: Survey) -> None:
    shop.gauge("pay", "service.availability", "%", lambda i: 97 if i < LOUD else 100)
    shop.requests("pay", lambda i: 300)
    failing = (await survey())["service:pay", "error_rate"]
    assert (failing.kind, failing.magnitude, failing.baseline) == ("spike", pytest.approx(3), 0)
    # All 18 of them in the last 600 of 7,800 requests, in deviations, less half a failure for continuity.
    assert failing.score == pytest.approx(math.sqrt(2 * 18 * math.log(7_800 / 600)), abs=0.5)


async def test_one_failure_more_is_no_shift(shop: Shop, survey: Survey) -> None:
    shop.gauge("pay", "service.availability", "%", lambda i: 99 if i == 0 else 100)
    shop.requests("pay", lambda i: 100)
    assert (await survey())["service:pay", "error_rate"].kind == "normal"


async def test_an_availability_that_recovers_is_not_something_that_runs_full(shop: Shop, survey: Survey) -> None:
    shop.gauge("pay", "service.availability", "%", lambda i: 100 if i < LOUD else 60)
    assert not [o for o in (await survey()).values() if o.kind == "saturation"]


async def test_slow_drift_is_no_shift(shop: Shop, survey: Survey) -> None:
    shop.gauge("cart", "service.request.duration", "s", lambda i: 0.2 - 0.002 * i)
    assert (await survey())["service:cart", "latency_mean"].kind == "normal"


async def test_an_outage_long_ago_is_not_the_norm(shop: Shop, survey: Survey) -> None:
    shop.gauge("pay", "service.availability", "%", lambda i: 97 if i < LOUD else 20 if i == 20 else 100)
    shop.requests("pay", lambda i: 300)
    failing = (await survey())["service:pay", "error_rate"]
    assert (failing.kind, failing.baseline) == ("spike", 0)


async def test_as_many_requests_as_before_are_said_to_be_that(shop: Shop, survey: Survey) -> None:
    shop.requests("cart", lambda i: 600)
    shop.requests("web", lambda i: 3000 if i < LOUD else 600, metric="http.server.requests")
    found = await survey()
    assert found["service:cart", "request_rate"].kind == "normal"
    assert (found["service:web", "request_rate"].kind, found["service:web", "request_rate"].magnitude) == ("spike", 10)
