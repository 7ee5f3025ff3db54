"""What comes too slowly, too large, or as something that two readers would take for two things."""

import socket
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import anyio
import pytest
from anyio.to_thread import run_sync
from tests.api.conftest import Served, Serving

from midwatch.api import doors
from midwatch.api.doors import MOST_BYTES
from midwatch.api.tokens import Scope, Tokens
from midwatch_kit import connections

JSON = {"content-type": "application/json"}
HEAD = b"POST /v1/checks/steering HTTP/1.1\r\nHost: localhost\r\n"


def told(served: Served, *sent: bytes) -> bytes:
    """Return all that a connection hears until the other side closes it; what is sent waits for an answer before."""
    url = served.client.base_url
    with socket.create_connection((url.host, url.port or 80), timeout=10) as connection:
        heard = b""
        for number, each in enumerate(sent):
            heard += connection.recv(65536) if number else b""
            connection.sendall(each)
        while part := connection.recv(65536):
            heard += part
    return heard


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)


@pytest.mark.usefixtures("impatient")
async def test_who_does_not_say_what_it_asks_is_let_go(serving: Serving) -> None:
    async with serving() as served:
        half = await run_sync(told, served, HEAD)
        nothing = await run_sync(told, served)
        assert half.startswith(b"HTTP/1.1 408 ")
        assert b"a head that took more than" in half
        assert nothing == b""


@pytest.mark.usefixtures("impatient")
async def test_who_asked_once_and_says_only_half_of_the_next_is_let_go(serving: Serving) -> None:
    async with serving() as served:
        whole = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        heard = await run_sync(told, served, whole, b"GET /he")
        assert heard.startswith(b"HTTP/1.1 200 ")
        assert b"HTTP/1.1 408 " in heard


@pytest.mark.usefixtures("impatient")
async def test_a_stream_goes_on_though_its_head_is_long_past(serving: Serving) -> None:
    async with serving(api={"heartbeat_seconds": 0.2}) as served, served.client.stream("GET", "/v1/stream") as stream:
        silences = 0
        with anyio.fail_after(10):
            async for line in stream.aiter_lines():
                silences += line == ": nothing new"
                if silences == 4:
                    break


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"], ids=["without end", "whole"])
async def test_a_head_that_is_too_large_is_refused(serving: Serving, end: bytes) -> None:
    async with serving() as served:
        heard = await run_sync(told, served, HEAD + b"X: " + b"x" * 70_000 + end)
        assert heard.startswith(b"HTTP/1.1 431 ")


async def test_a_body_that_says_how_large_it_is_is_not_waited_for(serving: Serving) -> None:
    async with serving() as served:
        long = HEAD + b"Content-Type: application/json\r\nConnection: close\r\nContent-Length: 999999999999\r\n\r\n"
        assert (await run_sync(told, served, long)).startswith(b"HTTP/1.1 413 ")


async def test_a_body_that_does_not_say_how_large_it_is_is_counted(serving: Serving) -> None:
    async def in_parts() -> AsyncGenerator[bytes]:
        for _ in range(16):
            yield b"x" * (MOST_BYTES // 16)
        yield b"x"

    async with serving() as served:
        answer = await served.client.post("/v1/checks/steering", content=in_parts(), headers=JSON)
        assert (answer.status_code, answer.json()["type"]) == (413, "/v1/problems/too-large")


async def test_a_body_that_does_not_come_is_not_waited_for(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "BODY_SECONDS", 0.3)
    async with serving() as served:
        half = HEAD + b"Content-Type: application/json\r\nContent-Length: 20\r\nConnection: close\r\n\r\n{"
        heard = await run_sync(told, served, half)
        assert heard.startswith(b"HTTP/1.1 408 ")
        assert b"/v1/problems/too-slow" in heard


@pytest.mark.parametrize(
    ("body", "headers", "status", "said"),
    [
        (b'{"text": "a", "text": "b"}', {}, 422, "the name 'text' stands twice in one object"),
        (b'{"text": NaN}', {}, 422, "NaN is no number that JSON has"),
        (b'{"text": 1e999}', {}, 422, "1e999 is too large a number"),
        (b'{"text": %s}' % (b"9" * 5000), {}, 422, "a number of 5000 digits is too large"),
        (b"[" * 100_000, {}, 422, "it is nested too deeply"),
        ('{"text": "a"}'.encode("utf-16"), {}, 422, "it is not UTF-8"),
        (b'{"text": 3}', {}, 422, "body.text: must be a text, not 3"),
        (b"{}", {}, 422, "body.text: it is missing"),
        (b'{"text": "a"}', {"content-encoding": "gzip"}, 415, "the content encoding gzip is not taken here"),
    ],
    ids=["twice", "nan", "huge", "digits", "deep", "utf-16", "a number", "missing", "packed"],
)
async def test_a_body_that_cannot_be_used_is_refused_with_what_is_wrong(
    serving: Serving, body: bytes, headers: dict[str, str], status: int, said: str
) -> None:
    async with serving() as served:
        sent = {"content-type": "application/json", **headers}
        answer = await served.client.post("/v1/checks/steering", content=body, headers=sent)
        assert answer.status_code == status
        assert said in answer.json()["detail"]


async def test_a_time_that_is_none_in_utc_is_refused_by_its_field(serving: Serving) -> None:
    async with serving() as served:
        answer = await served.client.get("/v1/incidents?since=9999-12-31T23:59:59-23:59")
        assert answer.status_code == 422
        assert answer.json()["errors"] == [
            {"field": "query.since", "detail": "it is no time between the years 1 and 9999 in UTC"}
        ]


async def test_the_token_that_asks_is_not_ended_by_itself(serving: Serving) -> None:
    async with serving() as served:
        mine, other = served.token(Scope.ADMIN, name="mine"), served.token(Scope.ADMIN, name="other")
        refused = await served.client.delete("/v1/tokens/mine", headers=mine)
        assert (refused.status_code, refused.json()["detail"][:29]) == (409, "mine is the token that asks: ")
        assert (await served.client.delete("/v1/tokens/mine", headers=other)).status_code == 200
        known = {token.name: token for token in Tokens(served.host.journal.database).every()}
        assert not known["mine"].lives(datetime.now(UTC))
