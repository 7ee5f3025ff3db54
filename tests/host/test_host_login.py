"""A person logs in once at a server of ours, with an authorization server between them; the host then goes on alone."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from tests.backends.serving import served
from tests.kit.issuer import Issuer
from tests.kit.remote import started

from midwatch.mcp_client.links import Link, open_links
from midwatch.mcp_client.servers import server_specs
from midwatch.settings import Settings

BROWSER = """
import sys, urllib.request
urllib.request.urlopen(sys.argv[1], timeout=20).read()
"""

pytestmark = pytest.mark.xdist_group("remote")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture(scope="module")
def port() -> int:
    """Where the server listens: its tokens are for an address that is known before it starts."""
    return free_port()


@pytest.fixture(scope="module")
def issuer(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    """An authorization server, with a server that takes its tokens running beside it."""
    issuer = Issuer(f"http://127.0.0.1:{port}/mcp")
    settings = {"MIDWATCH_PUBLIC_URL": issuer.audience, "MIDWATCH_OAUTH_SCOPES": '["read"]'}
    with served(issuer.app()) as (issuer.url, _):
        there = started(
            tmp_path_factory.mktemp("fish"), ("--port", str(port)), **settings, MIDWATCH_OAUTH_ISSUER=issuer.url
        )
        with there:
            yield issuer


def never_there(issuer: Issuer, folder: Path) -> Settings:
    """Return settings of a host that knows the server, and has never been there."""
    spec = {"url": issuer.audience, "oauth": {"redirect_port": free_port()}}
    (folder / "servers.json").write_text(json.dumps({"mcpServers": {"fish": spec}}))
    return Settings(data_dir=folder / "data", servers_file=folder / "servers.json")


@pytest.fixture
def settings(issuer: Issuer, tmp_path: Path) -> Settings:
    """A host that has never been at the server."""
    return never_there(issuer, tmp_path)


@pytest.fixture(scope="module")
def at_home(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A host at which a person has logged in."""
    settings = never_there(issuer, tmp_path_factory.mktemp("home"))
    done = logged_in(settings)
    assert (done.returncode, done.stdout) == (0, "logged in at fish: it has 1 tools\n"), done.stderr
    assert f"Log in at {issuer.url}/authorize?" in done.stderr
    return settings


def logged_in(settings: Settings, name: str = "fish") -> "subprocess.CompletedProcess[str]":
    """Log in as a person does, with a browser that does what the page says."""
    folder = settings.data_dir.parent
    (folder / "browser.py").write_text(BROWSER)
    environment = {
        **os.environ,
        "BROWSER": f"{sys.executable} {folder / 'browser.py'} %s",
        "MIDWATCH_DATA_DIR": str(settings.data_dir),
        "MIDWATCH_SERVERS_FILE": str(settings.servers_file),
    }
    command = [sys.executable, "-m", "midwatch", "login", name, "--seconds", "50"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@asynccontextmanager
async def link_of(settings: Settings) -> AsyncGenerator[Link]:
    with anyio.fail_after(30):
        async with open_links(server_specs(settings), 20, settings.data_dir / "servers") as links:
            yield links["fish"]


async def test_without_a_login_the_host_says_what_to_do(settings: Settings) -> None:
    async with link_of(settings) as link:
        assert (link.up, link.trouble) == (False, "it wants a person to log in: run midwatch login fish")


async def test_after_one_login_the_host_asks_by_itself(at_home: Settings, issuer: Issuer) -> None:
    issuer.grants.clear()
    async with link_of(at_home) as link:
        told = await link.call("say_hello", {}, 20)
    assert (told.structured_content or {})["lines"] == ["hello"]
    assert issuer.grants == []


async def test_a_login_that_has_run_out_is_renewed_without_a_person(at_home: Settings, issuer: Issuer) -> None:
    issuer.grants.clear()
    kept = at_home.data_dir / "servers" / "fish.login"
    kept.write_text(json.dumps({**json.loads(kept.read_text()), "expires_at": 1}))
    async with link_of(at_home) as link:
        assert [tool.name for tool in link.tools] == ["say_hello"]
    assert issuer.grants == ["refresh_token"]


def test_a_login_is_for_its_owners_eyes(at_home: Settings) -> None:
    kept = at_home.data_dir / "servers" / "fish.login"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert [path for path in kept.parent.iterdir() if path != kept and "again" in path.read_text()] == []


def test_a_refusal_is_told_in_one_line(settings: Settings, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer, "refuses", True)
    done = logged_in(settings)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "midwatch: fish: the authorization server refused: access_denied"


def test_a_server_that_wants_no_login_is_told_with_those_that_do(settings: Settings) -> None:
    done = logged_in(settings, "frog")
    assert (done.returncode, done.stderr) == (1, "midwatch: frog has no oauth in the servers file: fish\n")
