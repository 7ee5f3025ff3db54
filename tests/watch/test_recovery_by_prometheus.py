"""An incident whose symptom only a real Prometheus tells: it closes once that is gone, and opens when it is back."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.backends.debian import program
from tests.backends.metrics.conftest import fetched, free_port, running, wait_until
from tests.watch.conftest import Clock, Ward, settings_with

from midwatch.host import open_host
from midwatch.records import Status
from midwatch_kit.records import Signal

pytestmark = pytest.mark.xdist_group("live")
EVERY, A_SECOND, SHARE = 15, 10, 0.3
ILL = ((0, 15), (50, 70))
"""When requests failed, in minutes since that began."""
MINUTE = 60


@pytest.fixture(scope="module")
def began() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=2)


@pytest.fixture(scope="module")
def prometheus(began: datetime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a Prometheus that has counted the requests of a gateway for hours."""
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    (folder / "story.txt").write_text("".join([*lines(began), "# EOF\n"]))
    (folder / "config.yml").write_text("global: {scrape_interval: 15s}\n")
    tool = program("prometheus", "promtool")
    subprocess.run(
        [tool, "tsdb", "create-blocks-from", "openmetrics", "-q", folder / "story.txt", folder / "data"], check=True
    )
    flags = [f"--config.file={folder}/config.yml", f"--storage.tsdb.path={folder}/data"]
    url = f"http://127.0.0.1:{port}"
    address = f"--web.listen-address=127.0.0.1:{port}"
    with running(program("prometheus", "prometheus"), *flags, address, log=folder / "log"):
        wait_until(lambda: "Ready" in fetched(f"{url}/-/ready"))
        yield url


def lines(began: datetime) -> Iterator[str]:
    """Yield how many requests had succeeded and failed, from an hour before it began until it is over again."""
    for code, failed in (("200", False), ("500", True)):
        count = 0.0
        for at in range(-60 * MINUTE, 90 * MINUTE, EVERY):
            ill = any(start * MINUTE < at <= end * MINUTE for start, end in ILL)
            share = SHARE if ill else 0.0
            count += EVERY * A_SECOND * (share if failed else 1 - share)
            labels = f'service="gateway",code="{code}",instance="10.0.0.1:8080",job="shop/gateway"'
            yield f"http_requests_total{{{labels}}} {count:g} {began.timestamp() + at:.0f}\n"


@pytest.fixture
async def ward(
    prometheus: str, began: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Ward]:
    """Return a host with no server but that of metrics, five minutes after the failure began: two hours ago.

    What is to come cannot be asked of Prometheus: so the host lives in the past, its journal included.
    """
    clock = Clock(at=began + timedelta(minutes=5))

    class Past(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return clock.at

    monkeypatch.setattr("midwatch.storage.journal.datetime", Past)
    metrics = settings_with(tmp_path, "metrics", "-m", "midwatch_metrics", MIDWATCH_PROMETHEUS_URL=prometheus)
    async with open_host(metrics) as host:
        yield Ward(host, clock, tmp_path / "state.json")


async def test_an_incident_closes_and_opens_again_by_what_prometheus_tells(ward: Ward) -> None:
    ward.concludes(signal=Signal.METRICS)
    await ward.goes_on(10 * MINUTE)
    assert ward.stands().status is Status.WATCHING
    assert {look.symptom for look in ward.looks()} == {"there"}
    await ward.goes_on(34 * MINUTE)
    assert ward.stands().status is Status.RESOLVED
    assert "the symptom is gone for" in ward.stands().reason
    await ward.goes_on(16 * MINUTE)
    assert ward.stands().status is Status.INVESTIGATING
    assert "the symptom came back" in ward.stands().reason
    assert len(ward.steers()) == 1
    assert [key.rpartition(":")[2] for key in ward.said()] == ["resolved", "reopened"]
