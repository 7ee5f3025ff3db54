"""The same questions to every place of metrics, about the same story: the same names, shapes and figures come back."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from mcp import Client
from tests.backends.metrics.asking import asked, document, refused
from tests.backends.metrics.conftest import Connect
from tests.backends.metrics.in_grafana import READERS_TOKEN
from tests.backends.metrics.story import Told, text

pytestmark = pytest.mark.xdist_group("metrics_backends")

SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "store": ("store", {}),
    "prometheus": ("prometheus_url", {}),
    "victoria": ("prometheus_url", {}),
    "grafana": ("grafana_url", {"grafana_token": READERS_TOKEN}),
    "cloudwatch": ("aws_endpoint_url", {"cloudwatch_namespaces": "Shop"}),
}
OWN_PERCENTILES = ("cloudwatch",)
"""Places that keep no buckets, but know percentiles exactly."""


@pytest.fixture(params=SETTINGS)
def place(request: pytest.FixtureRequest) -> str:
    """The name of a place that has the story."""
    return str(request.param)


@pytest.fixture
async def client(place: str, request: pytest.FixtureRequest, connect: Connect) -> AsyncIterator[Client]:
    """A client of a server over that place alone."""
    setting, further = SETTINGS[place]
    async with connect(**{setting: request.getfixturevalue(place)}, **further) as connected:
        yield connected


async def rows(client: Client, told: Told, **arguments: Any) -> dict[str, list[float | None]]:
    """The figures of a query in fifteen buckets of a minute, by the group's values."""
    found = await document(client, "query_metric", **{**told.window, "points": 15, **arguments})
    return {" ".join(row["group"].values()): row["values"] for row in found["rows"]}


async def test_the_catalogue_has_metrics_by_form_with_who_sends_them(client: Client, told: Told) -> None:
    listed = await asked(client, "list_metrics", **told.window)
    assert "http_requests_total counter [1]: 4 series of checkout-1, checkout-2; by http.response.status_code" in listed
    assert "http_request_duration_seconds histogram [s]: 2 series of checkout-1, checkout-2" in listed
    assert "jobs_queue_depth gauge [1]: 2 series of stock-1, stock-2" in listed
    fragment = (await document(client, "list_metrics", "records", **told.window))["fragment"]
    relations = {(one["source"], one["kind"], one["target"]) for one in fragment["relations"]}
    assert {("service:checkout", "runs_on", f"instance:checkout-{i}") for i in (1, 2)} <= relations


async def test_a_counter_has_a_rate_by_status(client: Client, told: Told) -> None:
    found = await rows(client, told, name="http_requests_total", group_by=["http.response.status_code"])
    assert found["200"][2:10] == [20.0] * 8
    assert found["200"][11:] == [14.0] * 4
    assert found["500"][:10] == [None] * 10
    assert found["500"][11:] == [6.0] * 4


async def test_a_histogram_has_percentiles_a_mean_and_a_rate(client: Client, told: Told, place: str) -> None:
    asked_of: dict[str, Any] = {"name": "http_request_duration_seconds", "filters": {"instance": "checkout-1"}}
    p95 = (await rows(client, told, **asked_of))[""]
    before, after = (10, 300) if place in OWN_PERCENTILES else (19.25, 480)
    assert p95[2:10] == pytest.approx([before] * 8)
    assert p95[11:] == pytest.approx([after] * 4)
    mean = (await rows(client, told, aggregation="avg", **asked_of))[""]
    assert mean[5:14:8] == pytest.approx([10, 300])
    assert (await rows(client, told, aggregation="rate", **asked_of))[""][1:] == pytest.approx([10.0] * 14)


async def test_a_gauge_has_an_average_and_extremes_by_instance(client: Client, told: Told) -> None:
    found = await rows(client, told, name="jobs_queue_depth", group_by=["instance"])
    assert (found["stock-1"][0], found["stock-1"][-1]) == (4.5, 40.5)
    assert found["stock-2"][10:] == [None] * 5
    highest = await rows(client, told, name="jobs_queue_depth", aggregation="max", group_by=["service"])
    assert (highest["stock"][0], highest["stock"][-1]) == (6.0, 41.0)


async def test_a_survey_tells_what_users_feel_what_moved_and_who_fell_silent(client: Client, told: Told) -> None:
    found = await document(client, "survey_metrics", "records", **told.window, entities=["checkout", "stock"])
    observed = {(one["entity"], one["subject"].split("/")[-1], one["kind"]): one for one in found["observations"]}
    assert ("service:checkout", "error_rate", "spike") in observed
    assert ("service:checkout", "latency_mean", "spike") in observed
    assert ("instance:stock-2", "metrics", "absence") in observed
    depth = observed["instance:stock-1", "jobs_queue_depth", "spike"]
    assert (depth["baseline"], depth["magnitude"]) == (4.5, 40.5)
    onset = datetime.fromisoformat(depth["onset"])
    assert abs(onset - told.fault) <= timedelta(seconds=15)


async def test_a_metric_that_is_not_there_gets_near_names(client: Client, told: Told) -> None:
    code, words = await refused(client, "query_metric", **told.window, name="jobs_queue_dept")
    assert (code, "jobs_queue_depth" in words.split("there are ")[1]) == ("not_found", True)
    code, words = await refused(
        client, "query_metric", **told.window, name="jobs_queue_depth", filters={"queue": "none"}
    )
    assert (code, "no series with queue=none" in words) == ("not_found", True)


async def test_a_service_that_is_not_there_is_told_with_those_that_are(client: Client, told: Told) -> None:
    code, words = await refused(client, "survey_metrics", **told.window, entities=["nobody"])
    assert code == "not_found"
    assert "service:checkout" in words


async def test_names_with_quotes_and_patterns_are_only_names(client: Client, told: Told) -> None:
    for name in ('x"} or up{a="', "http_requests_.*", "a\\"):
        code, _ = await refused(client, "query_metric", **told.window, name=name, filters={"service": 'a"|.*'})
        assert code == "not_found"


async def test_an_hour_without_data_says_what_to_try(client: Client, told: Told) -> None:
    day = {"start": text(told.end - timedelta(days=3)), "end": text(told.end - timedelta(days=2, hours=23))}
    assert "run check_metrics" in await asked(client, "list_metrics", **day)
    assert "matched=0" in await asked(client, "survey_metrics", **day)


async def test_the_check_says_that_all_is_well(client: Client) -> None:
    checked = await asked(client, "check_metrics")
    assert [line for line in checked.splitlines() if "FAIL" in line and "lag" not in line] == []
