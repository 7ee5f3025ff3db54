"""A server on the network: tokens of both kinds, who is let in and who is not, and what the log tells of it."""

import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError
from tests.backends.serving import served
from tests.kit.issuer import Issuer
from tests.kit.remote import PUBLIC, Server, started

from midwatch_kit import ServerSettings
from midwatch_kit.callers import IssuedTokens, IssuerUnreachable

TOKEN = secrets.token_hex(32)

pytestmark = pytest.mark.xdist_group("remote")


async def hello(server: Server, token: str, mode: Any) -> list[str]:
    """Return what the tool says to a caller with a token."""
    return await server.call("say_hello", {"Authorization": f"Bearer {token}"}, mode)


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
    assert await hello(shared, TOKEN, mode) == ["hello"]
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
    assert await hello(server, token, mode) == ["hello"]
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
        {"nbf": int(time.time()) + 86_400},  # counted from when tests are collected, which may be long ago
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
