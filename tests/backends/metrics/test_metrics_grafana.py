"""What only Grafana has: data sources behind its proxy, alert rules of its own, dashboards, roles."""

from datetime import datetime, timedelta

import pytest
from tests.backends.fakes.grafana import Grafana
from tests.backends.metrics.asking import asked, document, refused
from tests.backends.metrics.conftest import Connect
from tests.backends.metrics.in_grafana import READERS_TOKEN, SOURCE, VIEWERS_TOKEN, before
from tests.backends.metrics.story import Told
from tests.backends.serving import listening, served

from midwatch_kit import BadInput
from midwatch_metrics.backends.grafana import open_grafana
from midwatch_metrics.settings import MetricsSettings

pytestmark = pytest.mark.xdist_group("metrics_backends")


def hour(told: Told) -> dict[str, str]:
    """The whole story."""
    return {"start": told.start.isoformat(), "end": told.end.isoformat()}


async def test_alarms_of_grafana_and_of_the_data_source_are_told_in_one_order(
    connect: Connect, grafana: str, told: Told
) -> None:
    async with connect(grafana_url=grafana, grafana_token=READERS_TOKEN) as client:
        rows = (await document(client, "list_alarms", **hour(told)))["rows"]
        page = await asked(client, "list_alarms", **hour(told), limit=2)
        of_stock = (await document(client, "list_alarms", **hour(told), entities=["stock"]))["rows"]
    moved = [(one["alarm"], one["state"]) for one in rows]
    assert moved[0] == ("Slow checkout", "alarm")
    assert {("CheckoutSlow", "alarm"), ("StockBusy", "ok"), ("Slow checkout", "pending")} <= set(moved)
    assert [one["time"] for one in rows] == sorted((one["time"] for one in rows), reverse=True)
    assert f"matched={len(rows)}" in page
    assert {one["alarm"] for one in of_stock} == {"StockBusy"}


async def test_a_change_says_whose_it_is_with_its_figures(connect: Connect, grafana: str, told: Told) -> None:
    async with connect(grafana_url=grafana, grafana_token=READERS_TOKEN) as client:
        rows = (await document(client, "list_alarms", **hour(told), entities=["alarm:Slow checkout"]))["rows"]
    assert [one["state"] for one in rows] == ["alarm", "ok", "pending"]  # alerting for want of data is still that
    firing, _, pending = rows
    assert datetime.fromisoformat(firing["time"]) == told.fault + timedelta(minutes=1)
    assert (firing["service"], firing["value"], firing["reason"]) == ("checkout", 0.3, "B=0.300000")
    assert firing["attributes"]["grafana_folder"] == "Shop, EU"
    assert (pending["value"], pending["reason"]) == (None, "B=0.300000, C=1.000000")


async def test_how_rules_stood_is_told_of_those_that_never_changed_too(
    connect: Connect, grafana: str, told: Told
) -> None:
    quiet = {
        "start": (told.start + timedelta(minutes=12)).isoformat(),
        "end": (told.start + timedelta(minutes=13)).isoformat(),
    }
    async with connect(grafana_url=grafana, grafana_token=READERS_TOKEN, reply_chars=100_000) as client:
        listed = await asked(client, "list_metrics", **hour(told))
        earlier = await asked(client, "list_alarms", **quiet, entities=["alarm:Slow checkout"])
    assert "alarm:Slow checkout on service:checkout: alarm since" in listed
    assert "alarm:Empty stock on service:stock: ok since" in listed
    assert "Before it:" in earlier
    assert "Slow checkout on checkout: ok" in earlier


async def test_services_have_their_dashboards_in_the_topology(connect: Connect, grafana: str, told: Told) -> None:
    async with connect(grafana_url=grafana, grafana_token=READERS_TOKEN) as client:
        fragment = (await document(client, "list_metrics", "records", **told.window))["fragment"]
    shown = {one["id"]: one["attributes"].get("dashboards") for one in fragment["entities"]}
    assert shown["service:checkout"] == f"Checkout overview {grafana}/d/a1/checkout-overview"
    assert shown["service:stock"] == f"Golden signals {grafana}/d/b2/golden"
    assert shown["service:prometheus"] is None


async def test_a_viewer_needs_the_data_source_to_be_named(connect: Connect, grafana: str, told: Told) -> None:
    async with connect(grafana_url=grafana, grafana_token=VIEWERS_TOKEN) as client:
        unnamed = await refused(client, "list_metrics", **told.window)
        checked = await asked(client, "check_metrics")
    async with connect(grafana_url=grafana, grafana_token=VIEWERS_TOKEN, grafana_datasource=SOURCE) as client:
        assert "jobs_queue_depth gauge" in await asked(client, "list_metrics", **told.window)
    assert unnamed[0] == "backend_down"
    assert "give the service account datasources:read, or set MIDWATCH_GRAFANA_DATASOURCE" in unnamed[1]
    assert "FAIL has datasources:read" in checked
    assert "ok   has annotations:read: yes" in checked


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("Shop metric", "is Shop metrics meant? there are: Shop metrics (PBFA97CFB590B2093), Other (other)"),
        ("loki", "Grafana has no data source 'loki' of Prometheus' kind"),
    ],
)
async def test_a_data_source_that_is_not_there_is_told_with_those_that_are(
    wanted: str, words: str, connect: Connect, grafana: str
) -> None:
    async with connect(grafana_url=grafana, grafana_token=READERS_TOKEN, grafana_datasource=wanted) as client:
        code, told = await refused(client, "survey_metrics")
    assert code == "not_found"
    assert words in told


async def test_alarms_of_grafana_need_no_data_source_of_prometheus_kind(connect: Connect, told: Told) -> None:
    kept = before("", told)
    kept.listed = [one for one in kept.listed if one["type"] == "loki"]
    with listening(kept.app) as url:
        async with connect(grafana_url=url, grafana_token=READERS_TOKEN) as client:
            page = await asked(client, "list_alarms", **hour(told))
            earlier = await asked(client, "list_alarms", start="-3h", end="-2h")
    assert "Slow checkout on checkout: alarm" in page
    assert "there are: none" in page
    assert "Empty stock on stock: ok" in earlier


async def test_a_data_source_goes_by_its_name_too_and_is_looked_up_once(
    connect: Connect, prometheus: str, told: Told
) -> None:
    kept = before(prometheus, told)
    with listening(kept.app) as url:
        async with connect(grafana_url=url, grafana_token=READERS_TOKEN, grafana_datasource="Shop metrics") as client:
            await asked(client, "survey_metrics", **told.window)
            await asked(client, "survey_metrics", **told.window)
    assert kept.asked.count("GET /api/datasources") == 1
    assert {one.split()[0] for one in kept.asked} <= {"GET", "POST"}
    assert {one for one in kept.asked if one.startswith("POST")} <= {
        f"POST /api/datasources/proxy/uid/{SOURCE}/api/v1/{path}" for path in ("query", "query_range", "series")
    }


async def test_a_data_source_that_is_down_is_told_as_grafana_tells_it(connect: Connect, told: Told) -> None:
    with listening(before("http://127.0.0.1:1", told).app) as url:
        async with connect(grafana_url=url, grafana_token=READERS_TOKEN) as client:
            code, words = await refused(client, "survey_metrics", **told.window)
    assert code == "backend_down"
    assert "cannot answer now (502 Bad Gateway)" in words


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("garbage", "answers text/html; charset=utf-8, not as Grafana does"),
        ("401", "does not know the token"),
        ("404", "see whether MIDWATCH_GRAFANA_URL is Grafana's own address"),
        ("500", "failed (500"),
        ("503", "cannot answer now (503"),
        ("cut", "broke off in the middle of an answer"),
        ("stall", "did not answer in time"),
    ],
)
async def test_what_is_wrong_is_said_in_time_and_without_the_token(kind: str, words: str, connect: Connect) -> None:
    with served(Grafana({READERS_TOKEN: frozenset()}).app) as (url, trouble):
        trouble.kind = kind
        login = url.replace("//", f"//me:{READERS_TOKEN}@")
        patience = 1 if kind == "stall" else 30  # what breaks off is asked again, which takes its time
        async with connect(grafana_url=login, grafana_token=READERS_TOKEN, deadline_seconds=patience) as client:
            began = datetime.now()
            code, told = await refused(client, "survey_metrics")
            checked = await asked(client, "check_metrics")
    assert code == "backend_down"
    assert words in told
    assert "FAIL grafana" in checked
    assert READERS_TOKEN not in told + checked
    assert datetime.now() - began < timedelta(seconds=30)


def test_an_address_without_a_scheme_is_refused_without_what_is_in_it() -> None:
    with pytest.raises(BadInput, match=r"^MIDWATCH_GRAFANA_URL must begin with http:// or https://$"):
        open_grafana(MetricsSettings(grafana_url="me:secret@grafana:3000"))
