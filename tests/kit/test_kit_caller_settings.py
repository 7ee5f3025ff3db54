"""Each caller with credentials of their own: a real logs server before a Loki that lets nobody see another's lines."""

import re
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.backends.fakes.loki import Entry, FakeLoki
from tests.backends.serving import served
from tests.kit.issuer import Issuer
from tests.kit.remote import PUBLIC, Server, started

from midwatch_kit import BadInput
from midwatch_kit.access import guarded_app
from midwatch_kit.caller_apps import MOST, AppOfCaller
from midwatch_logs.server import build
from midwatch_logs.settings import LogSettings

ADA = secrets.token_hex(16)
PAYMENTS, SEARCH = "loki-payments-s3cret", "loki-search-s3cret"

pytestmark = pytest.mark.xdist_group("remote")


class Tenants:
    """A Loki for each token, as behind a gateway that knows whose tokens they are."""

    def __init__(self) -> None:
        now = time.time_ns()
        self._lokis: dict[str, ASGIApp] = {
            f"Bearer {token}": FakeLoki([Entry(now, f"a line of {tenant}", {"service_name": tenant}, {})]).app
            for token, tenant in ((PAYMENTS, "payments"), (SEARCH, "search"))
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the tenant's Loki, 401 to who is of none."""
        refused = PlainTextResponse("no tenant has this token", 401)
        app = self._lokis.get(Request(scope).headers.get("authorization", ""), refused)
        await app(scope, receive, send)


@pytest.fixture(scope="module")
def server(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The logs server; Ada has a token of hers, a claim makes one of the payments team, others are nobody."""
    folder = tmp_path_factory.mktemp("callers")
    (folder / "payments").write_text(f"{PAYMENTS}\n")
    (folder / "callers.toml").write_text(
        f'[ada]\ntoken = "{ADA}"\nloki_token = "{SEARCH}"\n\n'
        f'[payments]\nclaims = {{groups = "payments"}}\nloki_token_file = "{folder / "payments"}"\n'
    )
    with served(Tenants()) as (loki, _):
        settings = {
            "MIDWATCH_LOKI_URL": loki,
            "MIDWATCH_CALLERS_FILE": str(folder / "callers.toml"),
            "MIDWATCH_CALLERS_SEND_CREDENTIALS": "true",
            "MIDWATCH_PUBLIC_URL": PUBLIC,
            "MIDWATCH_OAUTH_ISSUER": issuer.url,
        }
        with started(folder, module="midwatch_logs", **settings) as running:
            yield running


async def lines(server: Server, bearer: str, **headers: str) -> list[str]:
    """Return the lines that a caller finds, or the error's words."""
    sent = {"Authorization": f"Bearer {bearer}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return [re.sub(r".*(a line of)", r"\1", line) for line in await server.call("search_logs", sent)]


async def test_a_caller_named_by_a_token_sees_what_their_credentials_see(server: Server, issuer: Issuer) -> None:
    of_team = issuer.token(groups=["staff", "payments"])
    assert await lines(server, ADA) == ["a line of search"]
    assert await lines(server, of_team) == ["a line of payments"]
    assert await lines(server, ADA) == ["a line of search"]


async def test_callers_at_the_same_time_are_not_mixed_up(server: Server, issuer: Issuer) -> None:
    found: dict[str, list[list[str]]] = {"search": [], "payments": []}
    of_team = issuer.token(groups="staff payments")

    async def ask(bearer: str, tenant: str) -> None:
        found[tenant].append(await lines(server, bearer))

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(ask, ADA, "search")
            tasks.start_soon(ask, of_team, "payments")
    assert found == {tenant: [[f"a line of {tenant}"]] * 5 for tenant in found}


async def test_a_caller_may_send_credentials_of_their_own(server: Server) -> None:
    assert await lines(server, ADA, X_Midwatch_Loki_Token=PAYMENTS) == ["a line of payments"]
    [refused] = await lines(server, ADA, X_Midwatch_Loki_Token="of nobody")
    assert "401" in refused
    assert "of nobody" not in refused
    assert SEARCH not in server.errors
    assert PAYMENTS not in server.errors


def test_a_good_token_of_somebody_whom_the_file_does_not_mean_is_refused(server: Server, issuer: Issuer) -> None:
    answer = server.answer(f"Bearer {issuer.token(sub='eve', groups=['paymentsx'])}")
    assert (answer.status_code, answer.json()["error"]) == (403, "access_denied")
    assert "no caller like 'eve'" in answer.json()["error_description"]
    assert server.answer(f"Bearer {issuer.token(sub='ada', client_id='ada')}").status_code == 403


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("X-Midwatch-Loki-Tokn", "near it are x-midwatch-loki-token"),
        ("X-Midwatch-Loki-Url", "names no credential of this server"),
        ("X-Midwatch-Token", "names no credential of this server"),
        ("X-Midwatch-Loki-Tenant", "names no credential of this server"),
    ],
)
def test_a_header_can_name_nothing_but_a_credential(server: Server, header: str, words: str) -> None:
    sent = {"Authorization": f"Bearer {ADA}", "Accept": "application/json, text/event-stream", header: "http://evil"}
    answer = httpx2.post(server.url, headers=sent, json={}, timeout=20)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert words in answer.json()["error_description"]


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("[ada", "is no TOML"),
        ("ada = 1", "[ada] in"),
        ('[ada]\ntoken = "s3cret"', "token: Value error, it has fewer than 16 characters"),
        ('[ada]\ntoken_file = "/nowhere"', "token_file points to /nowhere: No such file"),
        (
            '[ada]\ntoken = "TOKEN"\nloki_tokn = "s3cret"',
            "loki_tokn, which is no setting of a caller; near it are",
        ),
        ('[ada]\ntoken = "TOKEN"\nport = 1', "has port, which is no setting of a caller"),
        ('[ada]\ntoken = "TOKEN"\npublic_url = "https://x"', "has public_url, which is no setting of a caller"),
        ('[ada]\ntoken = "TOKEN"\nloki_max_bytes = "s3cret"', "caller ada cannot be used: loki_max_bytes"),
        ('[everyone]\nloki_tenant = "all"', "nobody in"),
        ("", "nobody in"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_without_its_secrets(tmp_path: Path, file: str, words: str) -> None:
    (tmp_path / "callers.toml").write_text(file.replace("TOKEN", ADA))
    settings = LogSettings(loki_url="http://127.0.0.1:9", callers_file=tmp_path / "callers.toml")
    with pytest.raises(BadInput) as refused:
        guarded_app(build(settings), build, settings, "/mcp")
    assert words in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_a_file_that_cannot_be_used_keeps_the_server_from_starting(tmp_path: Path) -> None:
    (tmp_path / "callers.toml").write_text("[everyone]")
    flags = ["--transport", "streamable-http", "--host", "0.0.0.0", "--callers-file", str(tmp_path / "callers.toml")]
    command = [sys.executable, "-m", "midwatch_logs", "--loki-url", "http://127.0.0.1:9", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("These settings cannot be used: nobody in")
    assert len(done.stderr.splitlines()) == 1


class Copies:
    """Makes applications that answer with their caller's credentials, once `go` is set; tells which are running."""

    def __init__(self) -> None:
        self.running: list[str] = []
        self.waiting = 0
        self.go = anyio.Event()
        self.go.set()

    def open(self, settings: LogSettings) -> Starlette:
        name = (settings.loki_token or SecretStr("none")).get_secret_value()

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            self.running.append(name)
            yield
            self.running.remove(name)

        async def answer(_: Request) -> PlainTextResponse:
            self.waiting += 1
            await self.go.wait()
            return PlainTextResponse(name)

        return Starlette(routes=[Route("/", answer)], lifespan=lifespan)


@asynccontextmanager
async def asking(copies: Copies) -> AsyncIterator[Any]:
    """Give a function that asks as a caller with a credential; the copies run while the block lasts."""
    own = LogSettings(loki_url="http://127.0.0.1:9")
    app = AppOfCaller(own, copies.open, by_header=True)
    async with app.running(), httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://x") as client:

        async def ask(credential: str) -> tuple[int, str]:
            headers: Mapping[str, str] = {"X-Midwatch-Loki-Token": credential}
            answer = await client.get("/", headers=headers)
            return answer.status_code, answer.text

        yield ask


async def test_copies_are_bounded_and_who_was_away_longest_makes_room() -> None:
    copies = Copies()
    async with asking(copies) as ask:
        for number in range(MOST):
            assert await ask(f"c{number}") == (200, f"c{number}")
        assert await ask("c0") == (200, "c0")
        assert await ask("new") == (200, "new")
        await anyio.wait_all_tasks_blocked()
        assert sorted(copies.running) == sorted({f"c{n}" for n in range(MOST)} - {"c1"} | {"new"})
    assert copies.running == []


async def test_a_copy_that_is_being_asked_is_not_taken_away_from_its_caller() -> None:
    copies = Copies()
    copies.go = anyio.Event()
    told: list[tuple[int, str]] = []
    async with asking(copies) as ask:

        async def keep(credential: str) -> None:
            told.append(await ask(credential))

        async with anyio.create_task_group() as tasks:
            for number in range(MOST):
                tasks.start_soon(keep, f"c{number}")
            while copies.waiting < MOST:
                await anyio.wait_all_tasks_blocked()
            status, words = await ask("one too many")
            assert (status, f"{MOST} callers are being answered" in words) == (503, True)
            copies.go.set()
        assert sorted(told) == sorted((200, f"c{number}") for number in range(MOST))
        assert await ask("one too many") == (200, "one too many")
