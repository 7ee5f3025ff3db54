"""What a backend that throttles, stalls, breaks off or talks nonsense costs: an answer in words, in time."""

import time
from collections.abc import Generator
from contextlib import ExitStack
from typing import Any

import pytest
from pydantic import SecretStr
from tests.backends.fakes.loki import FakeLoki
from tests.backends.logs.conftest import Connect, Settings, loki_entry
from tests.backends.logs.story import HOUR, tell
from tests.backends.serving import Trouble, served

from midwatch_logs.backends.loki import api

TroubledLoki = tuple[Settings, Trouble]
SECRET = "s3cr3t-t0ken"


@pytest.fixture
def loki(monkeypatch: pytest.MonkeyPatch) -> Generator[TroubledLoki]:
    """A Loki with some lines, and what may go wrong with it."""
    monkeypatch.setattr(api, "READ_SECONDS", 0.5)
    with ExitStack() as stack:
        url, trouble = stack.enter_context(served(FakeLoki([loki_entry(line) for line in tell()[:50]]).app))
        yield {"loki_url": url, "loki_token": SecretStr(SECRET)}, trouble


async def refusal(connect: Connect, settings: Settings, **arguments: Any) -> str:
    async with connect(**settings) as client:
        reply = await client.call_tool("search_logs", {**HOUR, **arguments})
    assert reply.is_error
    said = str(reply.content)
    assert SECRET not in said
    return said


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("429", "Loki is too busy (HTTP 429) after 3 tries"),
        ("503", "Loki is too busy (HTTP 503) after 3 tries"),
        ("stall", "Loki did not answer in"),
        ("cut", "it broke off in the middle of an answer"),
        ("500", "Loki answered HTTP 500 to /loki/api/v1/query: no, said the backend"),
        ("401", "Loki refuses these credentials for /loki/api/v1/query (HTTP 401): no, said the backend"),
        ("403", "(HTTP 403): no, said the backend"),
        ("garbage", "something that is not JSON (text/html; charset=utf-8): is http://127.0.0.1"),
    ],
)
async def test_a_trouble_is_told_in_words_and_in_time(
    connect: Connect, loki: TroubledLoki, kind: str, said: str
) -> None:
    settings, trouble = loki
    trouble.kind = kind
    began = time.monotonic()
    assert said in await refusal(connect, settings)
    assert time.monotonic() - began < 20


async def test_throttling_that_passes_is_waited_out(connect: Connect, loki: TroubledLoki) -> None:
    settings, trouble = loki
    trouble.kind, trouble.times = "429", 2
    async with connect(**settings) as client:
        reply = await client.call_tool("search_logs", HOUR)
    assert not reply.is_error
    assert reply.structured_content
    assert reply.structured_content["matched"] == 50


async def test_the_check_says_what_is_wrong_and_what_to_do(connect: Connect, loki: TroubledLoki) -> None:
    settings, trouble = loki
    trouble.kind = "401"
    async with connect(**settings) as client:
        reply = await client.call_tool("check_logs", {})
    assert reply.structured_content
    (line,) = reply.structured_content["lines"]
    assert line.startswith("FAIL loki: Loki refuses these credentials")
    assert "MIDWATCH_LOKI_TENANT" in line


async def test_a_port_where_nobody_listens_is_named(connect: Connect) -> None:
    said = await refusal(connect, {"loki_url": "http://user:hidden@127.0.0.1:9"})
    assert "Loki cannot be reached at http://127.0.0.1:9" in said
    assert "hidden" not in said
