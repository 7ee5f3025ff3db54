"""Where nobody has traces, recovery is told by metrics: those of a real metrics server, over a store."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.watch.conftest import scope_of_a_failure

from midwatch.host import Host, open_host
from midwatch.inquiry import Inquiry, Limits
from midwatch.mitigation.health import health, worse
from midwatch.records import Scope
from midwatch.settings import Settings
from midwatch.watch.sight import look, needed
from midwatch_kit.records import Signal, Window
from midwatch_store.writer import Writer

EVERY, REQUESTS, SHARE = 15, 150, 0.3
PER_MINUTE = 60 // EVERY * REQUESTS


def rows(start: datetime, end: datetime, share: float) -> list[dict[str, Any]]:
    """Requests that a gateway answered, counted every 15 seconds by their status, so many of them failing."""
    known = {
        "ServiceName": "gateway",
        "ResourceAttributes": {"service.instance.id": "gateway-1"},
        "MetricName": "http.server.request.duration",
        "MetricUnit": "s",
        "AggregationTemporality": 1,
        "ExplicitBounds": [0.005, 0.05, 0.5],
    }
    told: list[dict[str, Any]] = []
    for at in range(0, int((end - start).total_seconds()), EVERY):
        until = start + timedelta(seconds=at + EVERY)
        failing = round(REQUESTS * share)
        for status, count in (("200", REQUESTS - failing), ("500", failing)):
            figures = {"Count": count, "Sum": 0.02 * count, "BucketCounts": [0, count, 0, 0]}
            times = {"StartTimeUnix": until - timedelta(seconds=EVERY), "TimeUnix": until}
            told.append({**known, **times, **figures, "Attributes": {"http.response.status_code": status}})
    return told


@dataclass
class Bedside:
    """A host with no server but that of metrics, beside a gateway that failed for fifteen minutes, an hour ago."""

    host: Host
    began: datetime

    def inquiry(self) -> Inquiry:
        return Inquiry("01FAILED", self.host.journal, self.host.eyes, self.host.eyes.kept, Limits(30, 10, 10))

    def scope(self, baseline: tuple[float, float] = (-40, 0)) -> Scope:
        """What an investigation made of it, which had the figures of the failure from metrics."""
        told = {"magnitude": 100 * SHARE, "unit": "%"}
        return scope_of_a_failure(self.minutes(0, 5), self.minutes(*baseline), Signal.METRICS, **told)

    def minutes(self, start: float, end: float) -> Window:
        """A window by minutes since the failure began."""
        return Window(start=self.began + timedelta(minutes=start), end=self.began + timedelta(minutes=end))


@pytest.fixture
async def bedside(tmp_path: Path) -> AsyncGenerator[Bedside]:
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    times = [began + timedelta(minutes=m) for m in (-40, 0, 15, 30)]
    with Writer(tmp_path / "store") as writer:
        for (start, end), share in zip(pairwise(times), (0.0, SHARE, 0.0), strict=True):
            writer.append({"otel_metrics_histogram": rows(start, end, share)})
    arguments = ["-m", "midwatch_metrics", "--store", str(tmp_path / "store")]
    server = {"command": sys.executable, "args": arguments, "suite": True}
    (tmp_path / "servers.json").write_text(json.dumps({"mcpServers": {"metrics": server}}))
    settings = Settings(data_dir=tmp_path, servers_file=tmp_path / "servers.json", steering_dir=tmp_path / "steering")
    async with open_host(settings) as host:
        yield Bedside(host, began)


async def test_the_watch_tells_by_metrics_whether_the_symptom_is_gone(bedside: Bedside) -> None:
    seen = {}
    for name, window in {"ill": (6, 12), "well": (18, 24), "no point": (40, 46)}.items():
        seen[name] = await look(bedside.inquiry(), bedside.scope(), bedside.minutes(*window))
    assert {name: sight.symptom for name, sight in seen.items()} == {
        "ill": "there",
        "well": "gone",
        "no point": "unknown",
    }
    ill = seen["ill"].health
    assert ill
    assert (ill.requests, ill.errors) == (6 * PER_MINUTE, round(6 * PER_MINUTE * SHARE))
    assert ill.statement.startswith("share of failing requests of gateway rose from 0% to 30%")


async def test_metrics_that_nothing_is_known_of_from_before_are_no_recovery(bedside: Bedside) -> None:
    unknown = await look(bedside.inquiry(), bedside.scope(baseline=(-300, -200)), bedside.minutes(6, 12))
    assert unknown.symptom == "unknown"


async def test_a_mitigation_is_judged_by_minutes_of_metrics(bedside: Bedside) -> None:
    before = await health(bedside.inquiry(), bedside.scope(), bedside.minutes(9.9, 10), "before")
    after = await health(bedside.inquiry(), bedside.scope(), bedside.minutes(19.9, 20), "after")
    assert before
    assert after
    assert (before.healthy, after.healthy) == (False, True)
    assert worse(before, after)
    assert before.window == bedside.minutes(8, 10)


async def test_how_many_requests_have_to_go_well_follows_from_the_share_that_failed(bedside: Bedside) -> None:
    assert needed(bedside.scope(), 1) == 13  # 0.7 to the 13th is less than 1 %
