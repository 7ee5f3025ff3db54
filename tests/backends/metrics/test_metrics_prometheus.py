"""What only Prometheus has: alerts with their rules, targets, labels that name services, steps for many samples."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.backends.metrics import story
from tests.backends.metrics.asking import asked, document
from tests.backends.metrics.conftest import Connect
from tests.backends.metrics.story import Told

from midwatch_metrics.backends.prometheus import reading

pytestmark = pytest.mark.xdist_group("metrics_backends")


async def test_alerts_change_as_the_series_of_alerts_tell_with_what_the_rule_asks(
    connect: Connect, prometheus: str, told: Told
) -> None:
    async with connect(prometheus_url=prometheus) as client:
        rows = (await document(client, "list_alarms", start="-2h"))["rows"]
        page = await asked(client, "list_alarms", start="-2h", limit=1)
        of_others = await asked(client, "list_alarms", start="-2h", entities=["alarm:CheckoutSlow"])
    firing, over, began, *of_stock = rows
    assert (firing["alarm"], firing["state"], firing["service"]) == ("CheckoutErrors", "alarm", "checkout")
    assert firing["threshold"] == 0.05
    assert firing["value"] > 0.05
    assert firing["reason"].startswith("checkout answers 5xx; sum by (service) (rate(http_requests_total")
    assert datetime.fromisoformat(firing["time"]) >= told.end
    assert [(one["alarm"], one["state"]) for one in (began, over)] == [
        ("CheckoutSlow", "alarm"),
        ("CheckoutSlow", "ok"),
    ]
    assert datetime.fromisoformat(began["time"]) == told.start + timedelta(seconds=1200)
    assert datetime.fromisoformat(over["time"]) == told.start + timedelta(seconds=1800)
    assert [(one["alarm"], one["state"]) for one in of_stock] == [("StockBusy", "ok"), ("StockBusy", "alarm")]
    assert "matched=5" in page
    assert "matched=2" in of_others


async def test_rules_that_never_fired_are_alarms_that_stand_well(connect: Connect, prometheus: str) -> None:
    async with connect(prometheus_url=prometheus, reply_chars=100_000) as client:
        listed = await asked(client, "list_metrics")
        before = await asked(client, "list_alarms", start="-3h", end="-2h")
    assert "alarm:StockEmpty: ok since" in listed
    assert "alarm:CheckoutErrors on service:checkout: alarm since" in listed
    assert "No alarm changed in this window" in before


async def test_targets_are_instances_with_their_health_and_host(connect: Connect, prometheus: str) -> None:
    async with connect(prometheus_url=prometheus) as client:
        fragment = (await document(client, "list_metrics", "records"))["fragment"]
    entities = {one["id"]: one for one in fragment["entities"]}
    itself = f"instance:{prometheus.removeprefix('http://')}"
    assert entities[itself]["attributes"]["scrape"] == "up"
    assert entities["instance:127.0.0.1:1"]["attributes"]["scrape"] == "down"
    assert "connection refused" in entities["instance:127.0.0.1:1"]["attributes"]["scrape_error"]
    relations = {(one["source"], one["kind"], one["target"]) for one in fragment["relations"]}
    assert {("service:prometheus", "runs_on", itself), (itself, "runs_on", "host:host-a")} <= relations
    assert ("service:gone", "runs_on", "instance:127.0.0.1:1") in relations


async def test_types_and_help_of_what_is_scraped_come_from_its_metadata(connect: Connect, prometheus: str) -> None:
    async with connect(prometheus_url=prometheus) as client:
        rows = (await document(client, "list_metrics", start="-1m"))["rows"]
    scraped = {row["metric"]: row for row in rows if "metric" in row and row["service"] == "prometheus"}
    assert scraped["prometheus_http_request_duration_seconds"]["form"] == "histogram"
    assert scraped["go_goroutines"]["description"] == "Number of goroutines that currently exist."
    assert scraped["process_cpu_seconds_total"]["form"] == "counter"
    assert [name for name in scraped if name.startswith("scrape_")] == []


async def test_settings_say_which_labels_name_service_and_instance(
    connect: Connect, prometheus: str, told: Told
) -> None:
    labels = {"prometheus_service_labels": "job", "prometheus_instance_labels": "instance"}
    async with connect(prometheus_url=prometheus, **labels) as client:
        listed = await asked(client, "list_metrics", **told.window)
        one = await asked(
            client,
            "query_metric",
            **told.window,
            name="jobs_queue_depth",
            points=15,
            filters={"service": "stock", "pod": "stock-1"},
        )
    assert "jobs_queue_depth gauge [1]: 2 series of 10.0.0.1:8080, 10.0.0.2:8080" in listed
    assert "all series [1]" in one
    assert "40.5" in one


async def test_where_samples_are_too_many_prometheus_counts_by_steps(
    connect: Connect, prometheus: str, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_SAMPLES", 3_000)
    hour: dict[str, Any] = {"start": story.text(told.start), "end": story.text(told.end), "points": 12}
    async with connect(prometheus_url=prometheus) as client:
        rate = await document(
            client, "query_metric", **hour, name="http_requests_total", filters={"service": "checkout"}
        )
        tail = await document(client, "query_metric", **hour, name="http_request_duration_seconds")
    assert "increase, step 300s" in tail["query"]
    assert rate["rows"][0]["values"][3] == pytest.approx(20, rel=0.01)
    assert tail["rows"][0]["values"][3] == pytest.approx(19.25, rel=0.01)
    assert tail["rows"][0]["values"][-1] > 450


async def test_series_beyond_what_may_be_read_are_counted(
    connect: Connect, prometheus: str, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_SAMPLES", 600)
    async with connect(prometheus_url=prometheus) as client:
        surveyed = await asked(client, "survey_metrics", **told.window)
    assert "series were not looked at: name entities to see theirs" in surveyed
