import json
import time
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bot.ways import DESTINATIONS, Ways
from app.errors import UpstreamFailed
from app.settings import Settings
from robots.atlas import REGIONS, application, metres
from robots.tokens import Claims, TokenRefused, check, issue

KEY = "a key"
FIRST, SECOND = REGIONS


def outside() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(application(KEY)))


def ways(http: httpx.AsyncClient, folder: Path, expires: float, **settings: object) -> Ways:
    (folder / "token.json").write_text(json.dumps({"token": issue(KEY, Claims("robots", expires))}))
    (folder / "settings.json").write_text(json.dumps(settings))
    return Ways(http, Settings(folder / "settings.json"), folder / "token.json")


@given(st.text(), st.text(min_size=1), st.floats(1, 4e9))
def test_a_token_says_who_its_bearer_is_until_it_expires(key: str, customer: str, expires: float) -> None:
    token = issue(key, Claims(customer, expires))
    assert check(key, token, expires - 0.5) == Claims(customer, expires)
    with pytest.raises(TokenRefused, match="expired at"):
        check(key, token, expires)


@given(st.text())
def test_what_the_key_did_not_sign_is_no_token(token: str) -> None:
    with pytest.raises(TokenRefused):
        check(KEY, token, 0.0)
    with pytest.raises(TokenRefused, match="wasn't issued here"):
        check("another key", issue(KEY, Claims("robots", 9.0)), 0.0)


async def test_bot_learns_a_way_from_atlas_and_asks_no_more_for_it_for_some_seconds(tmp_path: Path) -> None:
    async with outside() as http:
        known = ways(http, tmp_path, time.time() + 60)
        assert await known.metres(12, "carry") == metres(12, DESTINATIONS["carry"]) > 0
        known.token.write_text(json.dumps({"token": "none"}))
        assert await known.metres(12, "carry") > 0
        with pytest.raises(UpstreamFailed):
            await known.metres(13, "carry")


async def test_a_patrol_begins_where_the_robot_stands_and_needs_no_answer(tmp_path: Path) -> None:
    async with outside() as http:
        assert await ways(http, tmp_path, 0.0).metres(12, "patrol") == 0


async def test_an_expired_token_is_our_fault_and_not_the_customers(tmp_path: Path) -> None:
    async with outside() as http:
        with pytest.raises(UpstreamFailed, match=r"401 token of robots expired at 2001-09-09T01:46:40\.000Z") as caught:
            await ways(http, tmp_path, 1e9).metres(12, "carry")
    assert caught.value.status == 502


async def test_a_new_token_in_the_file_counts_at_once(tmp_path: Path) -> None:
    async with outside() as http:
        known = ways(http, tmp_path, 1e9)
        with pytest.raises(UpstreamFailed):
            await known.metres(12, "carry")
        known.token.write_text(json.dumps({"token": issue(KEY, Claims("robots", time.time() + 60))}))
        assert await known.metres(12, "carry") > 0


async def test_short_questions_wait_behind_long_ones_of_the_same_region_alone() -> None:
    over: list[str] = []
    headers = {"authorization": f"Bearer {issue(KEY, Claims('courier', time.time() + 60))}"}
    places = {"from": list(range(8)), "to": list(range(8))}

    async def ask(http: httpx.AsyncClient, name: str, region: str, path: str, **asked: object) -> None:
        method = "POST" if asked else "GET"
        response = await http.request(method, f"http://{region}{path}", json=asked or None, headers=headers)
        assert response.status_code == 200
        over.append(name)

    async with outside() as http, anyio.create_task_group() as askers:
        askers.start_soon(lambda: ask(http, "long", FIRST, "/v1/matrix", **places))
        for _ in range(50):  # as many steps as it may take until the long one is at work
            await anyio.lowlevel.checkpoint()
        askers.start_soon(ask, http, "short", FIRST, "/v1/ways?from=1&to=2")
        askers.start_soon(ask, http, "elsewhere", SECOND, "/v1/ways?from=1&to=2")
    assert over == ["elsewhere", "long", "short"]
