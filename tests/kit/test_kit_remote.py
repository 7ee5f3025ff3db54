"""A server on the network: tokens of both kinds, who is let in and who is not, and what the log tells of it."""

import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from pydantic import ValidationError
from tests.backends.serving import served
from tests.kit.issuer import Issuer

from midwatch_kit import ServerSettings
from midwatch_kit.callers import IssuedTokens, IssuerUnreachable

SCRIPT = '''
"""A server that says hello."""

from midwatch_kit import Answer, EvidenceServer, Role, ServerSettings, Signal, run


def build(settings: ServerSettings) -> EvidenceServer:
    """Return the server."""
    server = EvidenceServer("fish", Signal.LOGS, settings, version="1", instructions="Fish.")

    @server.tool(Role.DRILL_DOWN, "Say hello")
    def say_hello() -> Answer:
        """Hello."""
        return Answer("", ["hello"], ["hello"], 1)

    return server


if __name__ == "__main__":
    run(build, ServerSettings)
'''
PUBLIC = "https://fish.example/mcp"
TOKEN = secrets.token_hex(32)

pytestmark = pytest.mark.xdist_group("remote")


class Server:
    """A server that runs; `errors` is all that it has written to stderr."""

    def __init__(self, url: str, log: Path) -> None:
        self.url, self._log = url, log

    @property
    def errors(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def answer(self, authorization: str = "", path: str = "/mcp", host: str = "") -> httpx2.Response:
        """Return what a request gets that has no message in it."""
        headers = {b"accept": b"application/json, text/event-stream"}
        headers |= {b"authorization": authorization.encode()} if authorization else {}
        headers |= {b"host": host.encode()} if host else {}
        url = self.url.removesuffix("/mcp") + path
        method = "POST" if path == "/mcp" else "GET"
        return httpx2.request(method, url, headers=headers, json={} if method == "POST" else None, timeout=20)

    def lets_in(self, authorization: str) -> bool:
        """Whether a caller gets as far as being told that its message is none."""
        status = self.answer(authorization).status_code
        assert status in (400, 401)
        return status == 400

    async def hello(self, token: str, mode: Any = "auto") -> list[str]:
        """Return what the tool says to a caller with a token."""
        headers = {"Authorization": f"Bearer {token}"}
        with anyio.fail_after(30):
            async with (
                httpx2.AsyncClient(headers=headers) as http,
                Client(streamable_http_client(self.url, http_client=http), mode=mode) as client,
            ):
                told = (await client.call_tool("say_hello", {})).structured_content
        return list((told or {})["lines"])


@contextmanager
def started(folder: Path, more: Sequence[str] = (), **settings: str) -> Generator[Server]:
    """Start a server on a free port, or as `more` flags say, with settings in its environment, while the block runs."""
    script, log = folder / "fish.py", folder / "errors"
    script.write_text(SCRIPT)
    everything = {**os.environ, "MIDWATCH_EVIDENCE_DIR": str(folder / "evidence"), "NO_COLOR": "1", "COLUMNS": "1000"}
    flags = ["--transport", "streamable-http", "--port", "0", *more]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, str(script), *flags], env={**everything, **settings}, stderr=errors
        ) as process,
    ):
        try:
            yield Server(_address(log, process), log)
        finally:
            process.terminate()


def _address(log: Path, process: "subprocess.Popen[bytes]") -> str:
    until = time.monotonic() + 60
    while not (found := re.search(r"http://\S+/mcp", log.read_text())):
        assert time.monotonic() < until, "it does not start"
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    return found[0]


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """An authorization server on a real socket."""
    made = Issuer(PUBLIC)
    with served(made.app()) as (url, _):
        made.url = url
        yield made


@pytest.fixture(scope="module")
def server(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that takes a static token, from a file, and the issuer's tokens with the scope `read`."""
    folder = tmp_path_factory.mktemp("remote")
    (folder / "token").write_text(f"{TOKEN}\n")
    settings = {
        "MIDWATCH_TOKEN_FILE": str(folder / "token"),
        "MIDWATCH_PUBLIC_URL": PUBLIC,
        "MIDWATCH_OAUTH_ISSUER": issuer.url,
        "MIDWATCH_OAUTH_SCOPES": '["read"]',
    }
    with started(folder, **settings) as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a static token and no issuer, which listens on every address of the machine."""
    folder = tmp_path_factory.mktemp("shared")
    with started(folder, MIDWATCH_TOKEN=TOKEN, MIDWATCH_HOST="0.0.0.0") as running:
        yield Server(running.url.replace("0.0.0.0", "127.0.0.1"), folder / "errors")


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_caller_with_the_static_token_is_answered_in_both_eras(shared: Server, mode: Any) -> None:
    assert await shared.hello(TOKEN, mode) == ["hello"]
    assert "say_hello called by client 'token'" in shared.errors


@pytest.mark.parametrize(
    "sent",
    ["", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer", "Bearer é"],
    ids=["nothing", "cut", "longer", "another scheme", "no token", "no ASCII"],
)
def test_a_caller_without_the_static_token_is_turned_away(shared: Server, sent: str) -> None:
    answer = shared.answer(sent)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert shared.answer(f"Bearer {TOKEN}").status_code == 400


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_caller_with_a_token_of_the_issuer_is_answered_and_named_in_the_log(
    server: Server, issuer: Issuer, mode: Any
) -> None:
    token = issuer.token(sub=f"ada-{mode}")
    assert await server.hello(token, mode) == ["hello"]
    assert f"say_hello called by client 'desk', subject 'ada-{mode}'" in server.errors
    assert token not in server.errors
    assert TOKEN not in server.errors


def test_issuers_differ_in_how_they_name_scopes_clients_and_audiences(server: Server, issuer: Issuer) -> None:
    as_entra = issuer.token(scope=None, scp="read write", client_id=None, azp="desk")
    as_okta = issuer.token(scope=None, scp=["read"], client_id=None, cid="desk")
    assert server.lets_in(f"Bearer {as_entra}")
    assert server.lets_in(f"Bearer {as_okta}")
    assert server.lets_in(f"Bearer {issuer.token(aud=['https://other.example', PUBLIC])}")
    assert server.lets_in(f"Bearer {issuer.token(kid='rsa', key=issuer.old, algorithm='RS256')}")


@pytest.mark.parametrize(
    "wrong",
    [
        {"exp": int(time.time()) - 600},
        {"exp": None},
        {"nbf": int(time.time()) + 600},
        {"aud": "https://other.example/mcp"},
        {"aud": None},
        {"iss": "https://other.example"},
        {"kid": "unknown"},
        {"key": ec.generate_private_key(ec.SECP256R1())},
        {"algorithm": "HS256", "key": "a secret that is long enough to sign with"},
        {"algorithm": "none", "key": ""},
    ],
    ids="-".join,
)
def test_a_token_that_is_not_good_here_is_refused(server: Server, issuer: Issuer, wrong: dict[str, Any]) -> None:
    answer = server.answer(f"Bearer {issuer.token(**wrong)}")
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_token_whose_signature_was_changed_is_refused(server: Server, issuer: Issuer) -> None:
    head, claims, signature = issuer.token().split(".")
    more = jwt.encode({"x": 1}, "k" * 32).split(".")[1]
    assert not server.lets_in(f"Bearer {head}.{more}.{signature}")
    assert not server.lets_in(f"Bearer {head}.{claims}.")
    assert not server.lets_in("Bearer rubbish")


def test_a_token_without_the_scope_is_told_which_one_it_needs(server: Server, issuer: Issuer) -> None:
    answer = server.answer(f"Bearer {issuer.token(scope='write')}")
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
    assert "Required scope: read" in answer.headers["www-authenticate"]


def test_who_is_turned_away_is_told_where_tokens_are_to_be_had(server: Server, issuer: Issuer) -> None:
    found = re.search(r'resource_metadata="https://fish.example(\S+)"', server.answer().headers["www-authenticate"])
    assert found
    named, usual = server.answer(path=found[1]), server.answer(path="/.well-known/oauth-protected-resource")
    told = named.json()
    assert (told["resource"], told["scopes_supported"]) == (PUBLIC, ["read"])
    assert told["authorization_servers"] == [issuer.url]
    assert usual.json() == told


def test_nothing_but_health_and_metadata_is_open(server: Server) -> None:
    assert server.answer(path="/healthz").json()["ok"]
    assert {server.answer(path=path).status_code for path in ("/", "/mcp/", "/healthz/x", "/docs")} == {401}


def test_the_public_name_is_one_that_the_server_answers_to(server: Server) -> None:
    assert server.answer(f"Bearer {TOKEN}", host="fish.example").status_code == 400
    assert server.answer(f"Bearer {TOKEN}", host="evil.example").status_code == 421


def test_while_the_issuer_cannot_be_asked_nobody_is_called_a_stranger(issuer: Issuer, tmp_path: Path) -> None:
    with served(issuer.app()) as (url, trouble):
        trouble.kind = "500"
        with started(tmp_path, MIDWATCH_PUBLIC_URL=PUBLIC, MIDWATCH_OAUTH_ISSUER=url) as server:
            answer = server.answer(f"Bearer {issuer.token(iss=url)}")
            asked = len(trouble.paths)
            again = server.answer(f"Bearer {issuer.token(iss=url)}")
            rubbish = server.answer("Bearer rubbish")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert f"the keys of {url} cannot be had" in answer.json()["error_description"]
    assert (again.status_code, rubbish.status_code, len(trouble.paths)) == (503, 401, asked)


@pytest.mark.parametrize("kind", ["garbage", "cut", "429"])
async def test_keys_that_cannot_be_read_are_the_issuers_fault(issuer: Issuer, kind: str) -> None:
    with served(issuer.app()) as (url, trouble):
        tokens = IssuedTokens(url, PUBLIC, jwks_url=f"{url}/jwks")
        trouble.kind = kind
        with pytest.raises(IssuerUnreachable, match="try again soon"):
            await tokens.verify_token(issuer.token(iss=url))


async def test_metadata_of_another_issuer_is_not_believed(issuer: Issuer) -> None:
    with served(issuer.app()) as (url, _):
        elsewhere = url.replace("127.0.0.1", "localhost")  # whose metadata calls itself by the other name
        with pytest.raises(IssuerUnreachable):
            await IssuedTokens(f"{elsewhere}/", PUBLIC).verify_token(issuer.token(iss=f"{elsewhere}/"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"host": "0.0.0.0"}, "set MIDWATCH_TOKEN or MIDWATCH_OAUTH_ISSUER, or listen on 127.0.0.1"),
        ({"host": "::"}, "on :: others than this machine could call without a token"),
        ({"host": "fish.example"}, "on fish.example others than this machine could call"),
        ({"token": "short-s3cret"}, "fewer than 16 characters"),
        ({"token": ""}, "fewer than 16 characters"),
        ({"oauth_issuer": "https://idp.example"}, "name it with MIDWATCH_PUBLIC_URL"),
        ({"oauth_issuer": "http://idp.example", "public_url": PUBLIC}, "must begin with https://"),
        ({"public_url": "fish.example"}, "must begin with https://"),
    ],
)
def test_settings_that_would_let_strangers_in_are_refused(settings: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ServerSettings(transport="streamable-http", **settings)  # type: ignore[arg-type]
    assert words in str(refused.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.2"])
def test_on_this_machine_no_token_is_needed(host: str) -> None:
    assert ServerSettings(transport="streamable-http", host=host).token is None
