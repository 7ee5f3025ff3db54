"""Servers that misbehave cost the calls made to them and nothing else: real processes, real protocol."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import psutil
import pytest

from midwatch.mcp_client.links import Unanswered
from midwatch.mcp_client.toolbox import Answer, Eyes, Tool
from midwatch.settings import ServerSpec
from midwatch_kit.server import Role

if TYPE_CHECKING:
    from tests.host.conftest import HttpServers, Reach

Odd = Callable[..., ServerSpec]


def look(eyes: Eyes, server: str = "odd") -> Tool:
    return next(tool for tool in eyes.tools(Role.SURVEY) if tool.server == server)


async def pid_of(eyes: Eyes) -> int:
    """Return the process id of the server `odd`, by its own word; a question never asked before."""
    answer = await eyes.ask(look(eyes), {}, 5)
    return int(str(answer.rows[1]))


async def refused(answer: Awaitable[Answer]) -> Unanswered:
    """Return how a question went unanswered."""
    with pytest.raises(Unanswered) as caught:
        await answer
    return caught.value


async def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    with anyio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 - another process has no event to wait for
            await anyio.sleep(0.02)


async def test_a_server_that_is_not_installed_is_missing_and_the_others_are_there(reach: Reach, odd: Odd) -> None:
    async with reach(gone=ServerSpec(command="no-such-server"), odd=odd()) as host:
        assert host.eyes.missing() == {"gone": "it cannot be started: no-such-server is not installed"}
        assert (await host.eyes.ask(look(host.eyes), {"n": 7}, 5)).rows[0] == 7


async def test_a_server_that_exits_at_once_is_missing_and_its_log_says_why(
    reach: Reach, odd: Odd, tmp_path: Path
) -> None:
    async with reach(short=odd("exit"), odd=odd()) as host:
        assert host.eyes.missing()["short"] == "it ended while it was starting; its last words: no licence found"
        assert "no licence found" in (tmp_path / "servers" / "short.log").read_text()
        assert (await host.eyes.ask(look(host.eyes), {}, 5)).rows


async def test_a_server_that_says_nothing_is_missing_after_the_time_to_connect(reach: Reach, odd: Odd) -> None:
    began = time.monotonic()
    async with reach(connect_seconds=3, mute=odd("mute"), odd=odd()) as host:
        assert time.monotonic() - began < 15
        assert host.eyes.missing() == {"mute": "it did not come up within 3 s"}
        assert (await host.eyes.ask(look(host.eyes), {}, 5)).rows


async def test_lines_that_are_not_the_protocol_do_not_disturb_a_server(reach: Reach, odd: Odd) -> None:
    async with reach(odd=odd("noisy")) as host:
        assert (await host.eyes.ask(look(host.eyes), {"n": 3}, 5)).rows[0] == 3


async def test_a_crash_in_the_middle_of_a_call_ends_the_call_at_once_and_the_server_comes_back(
    reach: Reach, odd: Odd
) -> None:
    async with reach(odd=odd(), other=odd()) as host:
        before = await pid_of(host.eyes)
        began = time.monotonic()
        crash = await refused(host.eyes.ask(look(host.eyes), {"do": "crash"}, 15))
        assert crash.down
        assert "crashed" in str(crash)
        assert time.monotonic() - began < 5
        assert "odd" in host.eyes.missing()
        assert (await host.eyes.ask(look(host.eyes, "other"), {}, 5)).rows
        await until(lambda: "odd" not in host.eyes.missing())
        assert await pid_of(host.eyes) != before


async def test_a_server_that_was_killed_between_calls_costs_one_call_and_comes_back(reach: Reach, odd: Odd) -> None:
    async with reach(odd=odd()) as host:
        os.kill(await pid_of(host.eyes), signal.SIGKILL)
        assert (await refused(host.eyes.ask(look(host.eyes), {}, 5))).down
        await until(lambda: not host.eyes.missing())
        assert (await host.eyes.ask(look(host.eyes), {}, 5)).rows


async def test_a_call_that_hangs_ends_at_its_deadline_while_others_go_on(reach: Reach, odd: Odd) -> None:
    async with reach(odd=odd()) as host:
        began, hangs = time.monotonic(), True

        async def hang() -> None:
            nonlocal hangs
            await refused(host.eyes.ask(look(host.eyes), {"do": "hang"}, 2))
            hangs = False

        async with anyio.create_task_group() as group:
            group.start_soon(hang)
            assert (await host.eyes.ask(look(host.eyes), {"n": 1}, 15)).rows[0] == 1
            assert hangs
        assert 1.9 < time.monotonic() - began < 15
        assert (await host.eyes.ask(look(host.eyes), {"n": 2}, 5)).rows[0] == 2


async def test_a_server_that_stops_reading_costs_a_deadline_for_each_call_and_no_more(reach: Reach, odd: Odd) -> None:
    async with reach(odd=odd()) as host:
        pid = await pid_of(host.eyes)
        os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        stuck = await refused(host.eyes.ask(look(host.eyes), {"n": 1}, 1))
        assert "did not answer within 1 s" in str(stuck)
        assert time.monotonic() - began < 10
        os.kill(pid, signal.SIGCONT)


async def test_bytes_with_another_hash_than_named_are_refused_and_not_kept(
    reach: Reach, odd: Odd, tmp_path: Path
) -> None:
    async with reach(odd=odd()) as host:
        lie = await refused(host.eyes.ask(look(host.eyes), {"do": "lie"}, 5))
        assert "do not have the hash" in str(lie)
        assert not lie.down
        assert not list((tmp_path / "evidence").rglob("*.json"))


async def test_evidence_of_several_pages_is_kept_whole(reach: Reach, odd: Odd) -> None:
    async with reach(odd=odd()) as host:
        answer = await host.eyes.ask(look(host.eyes), {"do": "huge"}, 10)
        assert answer.rows == [f"row {n}" for n in range(20_000)]
        assert len(host.eyes.kept.get(answer.evidence)) > 3 * 64_000


async def test_a_server_that_claims_endless_evidence_is_left_at_the_deadline(reach: Reach, odd: Odd) -> None:
    async with reach(odd=odd()) as host:
        began = time.monotonic()
        await refused(host.eyes.ask(look(host.eyes), {"do": "endless"}, 1))
        assert time.monotonic() - began < 10
        assert (await host.eyes.ask(look(host.eyes), {}, 5)).rows


@pytest.mark.parametrize(
    ("do", "said"),
    [
        ("bare", "without evidence"),
        ("vague", "without evidence"),
        ("boundless", "more than can be kept"),
        ("mangled", "breaks the protocol"),
        ("odd reply", "breaks the protocol"),
        ("no document", "break the evidence contract"),
        ("no rows", "break the evidence contract"),
        ("infinite", "break the evidence contract"),
        ("wrong records", "break the evidence contract"),
        ("refuse", "no such service: try forge"),
    ],
)
async def test_an_answer_that_breaks_the_contract_is_refused_and_the_server_stays(
    reach: Reach, odd: Odd, do: str, said: str
) -> None:
    async with reach(odd=odd()) as host:
        pid = await pid_of(host.eyes)
        refusal = await refused(host.eyes.ask(look(host.eyes), {"do": do}, 5))
        assert said in str(refusal)
        assert not refusal.down
        assert await pid_of(host.eyes) == pid


async def test_a_tool_that_is_not_declared_read_only_is_never_offered_by_eyes_nor_asked(reach: Reach, odd: Odd) -> None:
    async with reach(odd=odd()) as host:
        assert [tool.name for role in Role for tool in host.eyes.tools(role)] == ["look"]
        assert [tool.name for tool in host.hands.tools()] == ["strange", "touch"]
        touch = host.hands.tools()[1]
        assert "not declared read-only" in str(await refused(host.eyes.ask(touch, {}, 5)))


async def test_a_tool_of_a_server_that_nobody_configured_cannot_be_called(reach: Reach, odd: Odd) -> None:
    async with reach(odd=odd()) as host:
        assert "no server elsewhere" in str(await refused(host.hands.act("elsewhere", "touch", {}, 5)))


async def test_no_process_is_left_behind_not_even_a_stubborn_one(reach: Reach, odd: Odd, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    began = time.monotonic()
    async with reach(
        connect_seconds=3, stubborn=odd("stubborn", f"pid={pids}"), mute=odd("mute", f"pid={pids}")
    ) as host:
        await host.eyes.ask(look(host.eyes, "stubborn"), {}, 5)
    assert time.monotonic() - began < 15
    assert len(pids.read_text().split()) >= 2
    assert not [pid for pid in map(int, pids.read_text().split()) if psutil.pid_exists(pid)]


async def test_a_server_over_http_that_goes_away_and_returns_is_found_again(
    reach: Reach, start_patient: HttpServers
) -> None:
    first = start_patient()
    async with reach(
        patient=ServerSpec(url=first.url, suite=True), gone=ServerSpec(url="http://127.0.0.1:9/mcp")
    ) as host:
        assert set(host.eyes.missing()) == {"gone"}
        assert (await host.eyes.ask(look(host.eyes, "patient"), {}, 10)).observations
        first.stop()
        assert (await refused(host.eyes.ask(look(host.eyes, "patient"), {"end": "now"}, 5))).down
        start_patient(first.port)
        await until(lambda: "patient" not in host.eyes.missing(), 30)
        assert (await host.eyes.ask(look(host.eyes, "patient"), {}, 10)).observations
