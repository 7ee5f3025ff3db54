"""The webhook over a real socket: what is answered, and that it is on disk by then."""

import io
import json
import re
import socket
import sqlite3
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from rich.console import Console

from midwatch import webhook
from midwatch.errors import BadSettings
from midwatch.host import Host, open_host
from midwatch.serving import listen
from midwatch.settings import Settings
from midwatch.up import up
from midwatch.work.waiting import unfinished

ALERT = {"title": "gateway fails", "service": "gateway", "started_at": "2026-11-20T02:47:03Z"}
PROMETHEUS = {
    "version": "4",
    "alerts": [
        {"status": "firing", "labels": {"alertname": "Slow", "service": name}, "startsAt": "2026-11-20T02:47:03Z"}
        for name in ("gateway", "forge")
    ],
}


class Said(io.StringIO):
    """What a host prints; `serves` once it says where alerts go."""

    def __init__(self) -> None:
        super().__init__()
        self.serves = anyio.Event()

    def write(self, text: str, /) -> int:
        if "webhook" in text:
            self.serves.set()
        return super().write(text)


@asynccontextmanager
async def serving(folder: Path) -> AsyncGenerator[tuple[Host, httpx2.AsyncClient]]:
    """Run a host without servers and its webhook; yields a client that posts to it."""
    (folder / "servers.json").write_text('{"mcpServers": {}}')
    settings = Settings(data_dir=folder, servers_file=folder / "servers.json", steering_dir=folder / "steering")
    listening = listen("127.0.0.1", 0)
    base = f"http://127.0.0.1:{listening.getsockname()[1]}"
    async with open_host(settings) as host, webhook.serve(host, listening), httpx2.AsyncClient(base_url=base) as client:
        yield host, client


async def post(client: httpx2.AsyncClient, body: object) -> tuple[int, dict[str, Any]]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = await client.post("/alerts", content=content)
    return answer.status_code, answer.json()


def on_disk(folder: Path) -> list[str]:
    """Return the incidents that a connection of its own reads from the journal's file."""
    with closing(sqlite3.connect(f"file:{folder}/journal.db?mode=ro", uri=True)) as file:
        return [name for (name,) in file.execute("SELECT DISTINCT investigation FROM records WHERE type = 'incident'")]


async def test_an_accepted_alert_is_on_disk_and_its_incident_is_named(tmp_path: Path) -> None:
    async with serving(tmp_path) as (host, client):
        status, told = await post(client, ALERT)
        assert on_disk(tmp_path) == told["incidents"]
    assert status == 202
    assert [incident.id for incident in unfinished(host.journal)] == told["incidents"]


async def test_an_alertmanager_body_opens_an_incident_for_each_service(tmp_path: Path) -> None:
    async with serving(tmp_path) as (host, client):
        status, told = await post(client, PROMETHEUS)
    assert (status, len(told["incidents"])) == (202, 2)
    assert {incident.service for incident in host.incidents()} == {"service:gateway", "service:forge"}


async def test_an_alert_that_is_repeated_is_the_same_incident_even_all_at_once(tmp_path: Path) -> None:
    answers: list[tuple[int, dict[str, Any]]] = []
    async with serving(tmp_path) as (_, client):

        async def send() -> None:
            answers.append(await post(client, ALERT))

        async with anyio.create_task_group() as senders:
            for _ in range(8):
                senders.start_soon(send)
        assert len(on_disk(tmp_path)) == 1
    assert {status for status, _ in answers} == {202}
    assert len({told["incidents"][0] for _, told in answers}) == 1


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({**ALERT, "started_at": "yesterday"}, 422, "started_at: "),
        ({"version": "4", "alerts": [{}]}, 422, "alerts.0.status: it is missing"),
        (b"gateway fails", 422, "the body is not JSON"),
        (b"", 422, "the body is not JSON"),
        (b"\xff", 422, "the body is not JSON"),
        (b"[" * 100_000, 422, "the body is not JSON"),
        (b'{"title": "' + b"t" * 2**21 + b'"}', 413, "more than 1048576 bytes"),
        ({**ALERT, "description": "d" * 20_000}, 422, "description: "),
    ],
)
async def test_what_cannot_be_used_is_refused_in_words_and_leaves_nothing(
    tmp_path: Path, body: object, status: int, said: str
) -> None:
    async with serving(tmp_path) as (_, client):
        answered, told = await post(client, body)
        assert on_disk(tmp_path) == []
    assert answered == status
    assert said in told["error"]


async def test_other_ways_and_paths_are_not_there(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, client):
        assert (await client.get("/alerts")).status_code == 405
        assert (await client.post("/", content=b"{}")).status_code == 404


async def test_health_says_which_servers_are_missing(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, client):
        assert (await client.get("/healthz")).json() == {"ok": True, "servers_missing": {}}


async def test_a_host_that_was_stopped_knows_its_unfinished_incidents_when_it_is_back(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, client):
        _, told = await post(client, ALERT)
    async with serving(tmp_path) as (host, client):
        assert [incident.id for incident in unfinished(host.journal)] == told["incidents"]
        _, again = await post(client, ALERT)
        assert again["incidents"] == told["incidents"]
        assert [alert["became"] for alert in (*told["alerts"], *again["alerts"])] == ["new", "repeat"]


async def test_alerts_are_taken_while_servers_are_still_coming_up(tmp_path: Path) -> None:
    silent = {"command": sys.executable, "args": ["-c", "import time; time.sleep(60)"]}
    (tmp_path / "servers.json").write_text(json.dumps({"mcpServers": {"silent": silent}}))
    files = {"servers_file": tmp_path / "servers.json", "steering_dir": tmp_path / "steering"}
    said = Said()
    async with anyio.create_task_group() as group:
        settings = Settings.model_validate({"data_dir": tmp_path, "listen_port": 0, "run_store": False, **files})
        group.start_soon(up, settings, Console(file=said, width=200))
        with anyio.fail_after(20):
            await said.serves.wait()
        (base,) = re.findall(r"webhook +(http://\S+?)/alerts", said.getvalue())
        async with httpx2.AsyncClient(base_url=base) as client:
            status, taken = await post(client, ALERT)
        assert (status, taken["incidents"]) == (202, on_disk(tmp_path))
        assert "ready" not in said.getvalue()
        group.cancel_scope.cancel()


async def test_a_webhook_after_one_that_ended_badly_still_hears(tmp_path: Path) -> None:
    async def ended(folder: Path) -> None:
        async with serving(folder) as (_, client):
            await post(client, ALERT)
            raise ZeroDivisionError

    for number in range(2):
        (tmp_path / f"bad-{number}").mkdir()
        with pytest.raises(ExceptionGroup):
            await ended(tmp_path / f"bad-{number}")
    with anyio.fail_after(20):
        async with serving(tmp_path) as (_, client):
            assert (await post(client, ALERT))[0] == 202


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost"])
def test_a_taken_port_is_told_in_words(address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadSettings, match=f"cannot listen on {address}:{port}: .*in use; choose another port"):
            listen(address, port)


@pytest.mark.parametrize(("address", "port"), [("127.0.0.1", 99_999), ("no.such.host.invalid", 0)])
def test_an_address_that_cannot_be_listened_on_is_told_in_words(address: str, port: int) -> None:
    with pytest.raises(BadSettings, match=f"cannot listen on {address}:{port}: "):
        listen(address, port)
