"""Our own image, built by its Dockerfile and run as compose.yaml says: real containers, in a network of their own.

Only the image that it is built on is not the real one, since there is no registry: see `base`.
"""

import re
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
import yaml
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from tests.compose.base import write_base
from tests.compose.podman import UV, Podman, engine, room

from robots.record import Change

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVERS = ("logs", "metrics", "traces", "deploys", "byo")
OURS = ("store", *SERVERS, "host")
TOKEN = "4f1d0c6b2f7a4e0d9c3b8a7e6d5f4c3b"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
GRACE_SECONDS = 10.0

pytestmark = [pytest.mark.xdist_group("images"), pytest.mark.timeout(420)]


@pytest.fixture(scope="module")
def podman() -> Iterator[Podman]:
    folder = Path(tempfile.mkdtemp(prefix="midwatch-images-", dir=room()))
    try:
        with engine(folder) as podman:
            _build(podman)
            yield podman
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _build(podman: Podman) -> None:
    """Build the image from the Dockerfile, on stand-ins under the names that it asks for."""
    base, tool = podman.folder / "base.tar", podman.folder / "uv.tar"
    write_base(base)
    path = "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    certificates = "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (python,) = re.findall(r"^FROM (\S+)$", dockerfile, re.MULTILINE)
    podman("import", "-c", f"ENV {path}", "-c", f"ENV {certificates}", base, f"docker.io/library/{python}")
    with tarfile.open(tool, "w") as tar:
        tar.add(UV, "uv")
    (source,) = re.findall(r"from=(\S+/uv:[^,]+)", dockerfile)
    podman("import", tool, source)
    podman(
        *(
            "build",
            "--format=docker",
            "--layers=false",
            "--network=host",
            "--tag",
            COMPOSE["services"]["logs"]["image"],
        ),
        *("--build-arg", "UV_COMPILE_BYTECODE=0", ROOT),
        timeout=300,
    )


@pytest.fixture(scope="module")
def stack(podman: Podman) -> Iterator[Podman]:
    """The services that are ours, as compose.yaml has them; of those that keep telemetry only the store is there."""
    told = replace(podman, environment={**podman.environment, "MIDWATCH_TOKEN": TOKEN})
    up = ("up", "--detach", "--no-build", "--no-deps")
    try:
        _compose(told, *up, "store", *SERVERS)
        for service in ("store", *SERVERS):
            told.well(_container(service))
        _compose(told, *up, "host")
        told.well(_container("host"))
        with told.within_reach():
            yield told
    finally:
        _compose(told, "down", "--volumes", "--timeout=1")


def _compose(podman: Podman, *arguments: str) -> None:
    podman.compose("--project-name=midwatch", f"--file={ROOT}/compose.yaml", *arguments, timeout=180)


def _container(service: str) -> str:
    return f"midwatch_{service}_1"


def _address(service: str) -> str:
    (published,) = COMPOSE["services"][service]["ports"]
    return f"http://{published.rpartition(':')[0]}"


def _inside(podman: Podman, service: str, *command: str) -> str:
    return podman("exec", _container(service), *command)


async def test_a_change_that_the_store_was_told_is_what_a_client_outside_reads(stack: Podman) -> None:
    title = "forge: cut steel"
    change = Change(
        timestamp=datetime.now(UTC), change_id="c1", kind="deploy", service_name="forge", title=title, author="Ravi"
    )
    post = (
        "import sys, urllib.request as r; r.urlopen(r.Request('http://127.0.0.1:4318/v1/changes', sys.argv[1].encode(),"
        " {'Content-Type': 'application/json'}))"
    )
    _inside(stack, "store", "python", "-c", post, f"[{change.model_dump_json()}]")
    async with (
        httpx2.AsyncClient(headers=AUTHORIZED, timeout=30) as http,
        Client(streamable_http_client(f"{_address('deploys')}/mcp", http_client=http)) as client,
    ):
        answer = await client.call_tool("survey_changes", {"start": "-5m"})
    assert not answer.is_error, answer.content
    assert title in str(answer.content)


@pytest.mark.parametrize("service", SERVERS)
def test_nobody_without_the_token_is_answered_but_who_asks_after_health(stack: Podman, service: str) -> None:
    hello = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    for headers in ({}, {"Authorization": "Bearer another-token-of-somebody"}):
        assert httpx.post(f"{_address(service)}/mcp", json=hello, headers=headers).status_code == 401
    assert httpx.get(f"{_address(service)}/healthz").json() == {"ok": True, "server": service}


def test_the_host_has_every_server_and_opens_an_incident_for_an_alert(stack: Podman) -> None:
    assert httpx.get(f"{_address('host')}/healthz").json() == {"ok": True, "servers_missing": {}}
    alert = {"title": "gateway fails", "service": "gateway", "started_at": datetime.now(UTC).isoformat()}
    taken = httpx.post(f"{_address('host')}/alerts", json=alert)
    assert taken.status_code == 202, taken.text
    (incident,) = taken.json()["incidents"]
    assert incident in _inside(stack, "host", "midwatch", "incidents")


@pytest.mark.parametrize("service", OURS)
def test_a_container_has_no_root_writes_nothing_into_its_image_and_holds_no_build_tools(
    stack: Podman, service: str
) -> None:
    script = "id -u; grep CapBnd /proc/self/status; touch /app/new 2>&1; ls -A /app; command -v uv gcc || echo none"
    user, capabilities, touched, *held, tools = _inside(stack, service, "sh", "-c", script).splitlines()
    assert user != "0"
    assert int(capabilities.split()[1], 16) == 0
    assert "Read-only file system" in touched
    assert held == [".venv", "examples", "steering"]
    assert tools == "none"


def test_all_end_by_themselves_when_they_are_told_to_and_no_log_holds_the_token(stack: Podman) -> None:
    began = time.monotonic()
    _compose(stack, "stop", f"--timeout={GRACE_SECONDS:g}")
    assert time.monotonic() - began < GRACE_SECONDS
    for service in OURS:
        assert stack("inspect", "--format={{.State.ExitCode}}", _container(service)).strip() == "0", service
        assert TOKEN not in stack("logs", _container(service)), service
