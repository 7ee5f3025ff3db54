"""Places of metrics that have the story: Prometheus, VictoriaMetrics and the store for real, CloudWatch and Grafana."""

import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from tests.backends.debian import program
from tests.backends.metrics.in_cloudwatch import telling
from tests.backends.metrics.in_grafana import before
from tests.backends.metrics.story import BOUNDS, STEP, Point, Told, ending_now, points
from tests.backends.serving import listening

from midwatch_metrics.server import build
from midwatch_metrics.settings import MetricsSettings
from midwatch_store.writer import Writer

Connect = Callable[..., AbstractAsyncContextManager[Client]]

RULES = """
groups:
  - name: shop
    interval: 1s
    rules:
      - alert: CheckoutErrors
        expr: sum by (service) (rate(http_requests_total{code="500"}[15m])) > 0.05
        labels: {severity: page}
        annotations: {summary: "checkout answers 5xx"}
      - alert: StockEmpty
        expr: sum by (service) (jobs_queue_depth{service="stock"}) > 5000
        for: 5m
"""
CONFIG = """
global: {scrape_interval: 1s, scrape_timeout: 1s}
rule_files: [rules.yml]
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: ["127.0.0.1:PORT"], labels: {node: host-a}}]
  - job_name: gone
    static_configs: [{targets: ["127.0.0.1:1"]}]
"""
EARLIER = (("service", "checkout"), ("severity", "page"))
"""Labels of an alert that fired in the story's first half, and was over."""


@pytest.fixture(scope="session")
def told() -> Told:
    """The story's times; it ends when the tests begin."""
    return ending_now()


@pytest.fixture(scope="session")
def prometheus(told: Told, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Prometheus that has the story, scrapes itself, and evaluates two rules."""
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    (folder / "story.txt").write_text(open_metrics(told))
    tool = program("prometheus", "promtool")
    subprocess.run(
        [tool, "tsdb", "create-blocks-from", "openmetrics", "-q", folder / "story.txt", folder / "data"], check=True
    )
    (folder / "rules.yml").write_text(RULES)
    (folder / "config.yml").write_text(CONFIG.replace("PORT", str(port)))
    flags = [f"--config.file={folder}/config.yml", f"--storage.tsdb.path={folder}/data"]
    url = f"http://127.0.0.1:{port}"
    with running(
        program("prometheus", "prometheus"), *flags, f"--web.listen-address=127.0.0.1:{port}", log=folder / "log"
    ):
        wait_until(lambda: "firing" in fetched(f"{url}/api/v1/alerts"))
        wait_until(lambda: '"health":"down"' in fetched(f"{url}/api/v1/targets"))
        yield url


@pytest.fixture(scope="session")
def victoria(told: Told, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real VictoriaMetrics with the story in it; nobody scrapes, and no rules are evaluated."""
    folder, port = tmp_path_factory.mktemp("victoria"), free_port()
    flags = [f"-storageDataPath={folder}/data", f"-httpListenAddr=127.0.0.1:{port}", "-search.latencyOffset=0s"]
    url = f"http://127.0.0.1:{port}"
    with running(program("victoria-metrics", "victoria-metrics"), *flags, log=folder / "log"):
        wait_until(lambda: fetched(f"{url}/health") == "OK")
        start = int(told.start.timestamp())
        body = "".join(line(one, start).rstrip() + "000\n" for one in points()).encode()  # it reads milliseconds
        with urllib.request.urlopen(f"{url}/api/v1/import/prometheus", body, timeout=30) as answer:
            assert answer.status == 204
        fetched(f"{url}/internal/force_flush")  # what was just written cannot be found before
        wait_until(lambda: '"up"' in fetched(f"{url}/api/v1/label/__name__/values"))
        yield url


@pytest.fixture(scope="session")
def store(told: Told, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An embedded store with the same story, as OpenTelemetry tells it."""
    folder = tmp_path_factory.mktemp("store")
    with Writer(folder / "store") as writer:
        writer.append(otel_rows(told))
    return folder / "store"


@pytest.fixture(scope="session")
def grafana(prometheus: str, told: Told) -> Iterator[str]:
    """The address of a fake of Grafana before the real Prometheus."""
    with listening(before(prometheus, told).app) as url:
        yield url


@pytest.fixture(scope="session")
def cloudwatch(told: Told) -> Iterator[str]:
    """The address of a fake of CloudWatch that has the story."""
    with listening(telling(told)) as url:
        yield url


@pytest.fixture
def connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Returns a maker of clients of a metrics server with the settings given, who have credentials for AWS."""
    for name, value in {"ACCESS_KEY_ID": "id", "SECRET_ACCESS_KEY": "hidden-key", "REGION": "eu-west-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)

    def client(**settings: Any) -> AbstractAsyncContextManager[Client]:
        return Client(build(MetricsSettings(evidence_dir=tmp_path / "evidence", **settings)).build())

    return client


def otel_rows(told: Told) -> dict[str, list[dict[str, Any]]]:
    """The story as rows of the store; a histogram's parts, told up to a bound, become one row of plain counts."""
    tables: dict[str, list[dict[str, Any]]] = {"otel_metrics_gauge": [], "otel_metrics_sum": []}
    histograms: dict[tuple[str, int], dict[str, Any]] = {}
    for one in points():
        labels = dict(one.labels)
        row = {
            "TimeUnix": told.start + timedelta(seconds=one.at),
            "ServiceName": labels["service"],
            "ResourceAttributes": {"service.instance.id": labels["pod"]},
        }
        cumulative = {"StartTimeUnix": told.start - timedelta(hours=1), "AggregationTemporality": 2}
        if one.name.startswith("http_request_duration_seconds"):
            known = histograms.setdefault((labels["pod"], one.at), {**row, **cumulative, "counts": []})
            part = one.name.rsplit("_", 1)[1]
            known["counts"].append(one.value) if part == "bucket" else known.update({part.title(): one.value})
        elif one.name == "http_requests_total":
            own = {"Attributes": {"http.response.status_code": labels["code"]}, "IsMonotonic": True}
            tables["otel_metrics_sum"].append({**row, **cumulative, **own, "MetricName": one.name, "Value": one.value})
        elif one.name != "up":
            tables["otel_metrics_gauge"].append({**row, "MetricName": one.name, "Value": one.value})
    rows = []
    for known in histograms.values():
        up_to = known.pop("counts")
        counts = [int(now - before) for now, before in zip(up_to, [0, *up_to[:-1]], strict=True)]
        own = {"MetricName": "http_request_duration_seconds", "MetricUnit": "s", "ExplicitBounds": list(BOUNDS)}
        rows.append({**known, **own, "BucketCounts": counts, "Count": int(known["Count"])})
    return {**tables, "otel_metrics_histogram": rows}


def open_metrics(told: Told) -> str:
    """The story, and two alerts that fired in its first half, each evaluated at its own pace, as promtool reads it."""
    alert = [("alertname", "CheckoutSlow"), ("alertstate", "firing"), *EARLIER]
    firing = [Point("ALERTS", tuple(alert), at, 1.0) for at in range(1200, 1800, STEP)]
    busy = [("alertname", "StockBusy"), ("alertstate", "firing"), ("service", "stock")]
    often = [Point("ALERTS", tuple(busy), at, 1.0) for at in range(600, 700)]
    start = int(told.start.timestamp())
    return "".join([*(line(one, start) for one in [*points(), *firing, *often]), "# EOF\n"])


def line(one: Point, start: int) -> str:
    labels = ",".join(f'{name}="{value}"' for name, value in one.labels)
    return f"{one.name}{{{labels}}} {one.value:g} {start + one.at}\n"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(command: Path, *arguments: str, log: Path) -> Iterator[None]:
    with log.open("w") as told, subprocess.Popen([command, *arguments], stdout=told, stderr=told) as process:
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)


def fetched(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        body: bytes = answer.read()
    return body.decode()


def wait_until(true: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            if true():
                return
        except OSError:
            pass
        assert time.monotonic() < until, "it did not come up"
        time.sleep(0.05)
