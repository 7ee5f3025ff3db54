"""Child processes of a command: heard, blamed by their own words, and never left behind."""

import math
import os
import signal
import sys
import time
from pathlib import Path

import anyio
import httpx2
import psutil
import pytest

from midwatch.children import child, events, failed, tail
from midwatch.demo import store_process
from midwatch.errors import HostError

TALK = """
import sys
print('{"event": "started", "at": 1}')
print("no JSON")
print("[1, 2]")
print('{"event": ' + '"ended"}', flush=True)
print("last words", file=sys.stderr)
sys.exit(3)
"""
STAY = "import sys; print('{}', flush=True); sys.stdin.read()"
STAY_ON_STDIN_ALONE = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {STAY}"
PARENT = """
import sys
from pathlib import Path
import anyio
from midwatch.children import child, events

async def main():
    async with child([sys.executable, "-S", "-c", sys.argv[1]], Path(sys.argv[2])) as process:
        async for _ in events(process):
            print(process.pid, flush=True)

anyio.run(main)
"""


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


async def test_what_a_child_says_in_json_is_heard_and_why_it_ended_is_told(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "child.log"
    with anyio.fail_after(20):
        async with child(python(TALK), log) as process:
            heard = [event async for event in events(process)]
            why = await failed(process, "the child", log)
    assert heard == [{"event": "started", "at": 1}, {"event": "ended"}]
    assert str(why) == f"the child ended with code 3. Its log {log} ends with:\nlast words"


def test_the_end_of_a_log_is_its_last_lines_even_where_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"\n".join(b"line %d" % number for number in range(100)) + b"\n\xff")
    assert tail(tmp_path / "log", 3) == "line 98\nline 99\n�"
    assert tail(tmp_path / "none") == "(it wrote no log)"


@pytest.mark.parametrize("code", [STAY, "import time; time.sleep(60)"])
async def test_a_child_ends_with_the_block_even_when_that_is_cancelled(tmp_path: Path, code: str) -> None:
    pids: list[int] = []
    began = time.monotonic()
    with anyio.move_on_after(0.5):
        async with child(python(code), tmp_path / "log") as process:
            pids.append(process.pid)
            await anyio.sleep_forever()
    assert time.monotonic() - began < 15
    assert not psutil.pid_exists(pids[0])


async def test_a_child_that_reads_its_stdin_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, STAY_ON_STDIN_ALONE, str(tmp_path / "log")]
    async with await anyio.open_process(command, stderr=None) as parent:
        assert parent.stdout
        with anyio.fail_after(20):
            pid = int(await parent.stdout.receive())
            os.kill(parent.pid, signal.SIGKILL)
            await parent.wait()
            while is_alive(pid):  # noqa: ASYNC110 - another process has no event to wait for
                await anyio.sleep(0.02)


async def test_the_store_is_waited_for_with_a_deadline_and_used_without_one(tmp_path: Path) -> None:
    async with store_process(tmp_path / "store", tmp_path / "logs") as url:
        assert anyio.current_effective_deadline() == math.inf
        async with httpx2.AsyncClient() as client:
            assert (await client.get(f"{url}/healthz")).status_code == 200


async def test_a_store_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("midwatch.demo._READY_SECONDS", 0.0)
    with anyio.fail_after(20), pytest.raises(HostError, match="the store was not ready within 0 s"):
        async with store_process(tmp_path / "store", tmp_path / "logs"):
            pass
