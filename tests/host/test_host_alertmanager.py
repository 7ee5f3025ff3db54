"""A real Alertmanager (Debian's) posts to the webhook: with the configuration that compose gives it, to a real host."""

import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import yaml
from tests.backends.debian import program, with_its_files
from tests.web import loopback

from midwatch import webhook
from midwatch.host import open_host
from midwatch.serving import listen
from midwatch.settings import Settings

CONFIGURATION = Path(__file__).parents[2] / "examples" / "compose" / "alertmanager.yml"
FIRING = {
    "labels": {"alertname": "GatewayFails", "service": "gateway", "severity": "critical"},
    "annotations": {"summary": "gateway fails", "runbook_url": "https://wiki.example/gateway"},
    "startsAt": "2026-11-20T02:47:03Z",
    "generatorURL": "http://prometheus:9090/graph",
}


@asynccontextmanager
async def alertmanager(folder: Path, posts_to: str) -> AsyncGenerator[httpx2.AsyncClient]:
    """Run it while the block runs; yields a client of its API."""
    told = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))
    (only,) = told["receivers"][0]["webhook_configs"]
    only["url"] = posts_to
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(told))
    with loopback() as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command: list[str | Path] = [
        program("prometheus-alertmanager", "prometheus-alertmanager"),
        f"--config.file={folder}/alertmanager.yml",
        f"--storage.path={folder}/alertmanager",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]
    words = with_its_files("prometheus-alertmanager", command)
    async with await anyio.open_process(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            async with httpx2.AsyncClient(base_url=f"http://{address}") as client:
                await _ready(client)
                yield client
        finally:
            process.terminate()


async def _ready(client: httpx2.AsyncClient) -> None:
    with anyio.fail_after(30):
        while True:
            try:
                if (await client.get("/-/ready")).status_code == 200:
                    return
            except httpx2.ConnectError:
                pass
            await anyio.sleep(0.05)


async def test_what_alertmanager_posts_becomes_an_incident_with_all_that_the_alert_says(tmp_path: Path) -> None:
    (tmp_path / "servers.json").write_text('{"mcpServers": {}}')
    settings = Settings(data_dir=tmp_path, servers_file=tmp_path / "servers.json", steering_dir=tmp_path / "steering")
    listening = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/alerts"
    async with open_host(settings) as host, webhook.serve(host, listening), alertmanager(tmp_path, url) as client:
        accepted = await client.post("/api/v2/alerts", json=[FIRING])
        assert accepted.status_code == 200
        with anyio.fail_after(30):
            while not host.incidents():  # noqa: ASYNC110 - another process has no event to wait for
                await anyio.sleep(0.05)
        (incident,) = host.incidents()
    assert (incident.title, incident.service) == ("gateway fails", "service:gateway")
    assert (incident.severity, incident.runbook) == ("critical", "https://wiki.example/gateway")
    assert incident.started_at.isoformat() == "2026-11-20T02:47:03+00:00"
    assert incident.links == ("http://prometheus:9090/graph",)
