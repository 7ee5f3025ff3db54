import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import psutil
import pytest

from robots.processes import TETHER, NotStarted, start, stop, tail, until_ready

STUBBORN = (
    "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
)
SLEEPER = "import os, time; os.write(1, str(os.getpid()).encode() + b'\\n'); time.sleep(60)"
PARENT = """
import subprocess, sys, time, os
tether, how, code = sys.argv[1:]
subprocess.Popen([sys.executable, "-I", "-S", tether, str(os.getpid()), "9", "", how, sys.executable, "-c", code])
time.sleep(60)
"""


@pytest.mark.parametrize("how", ["exec", "poll"])
def test_a_child_doesnt_outlive_a_killed_parent(how: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(TETHER), how, SLEEPER], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    gone, alive = psutil.wait_procs([child], timeout=20)
    parent.stdout.close()
    assert not alive or child.status() == psutil.STATUS_ZOMBIE, gone


@pytest.mark.parametrize("how", ["exec", "poll"])
def test_a_tether_passes_its_childs_exit_code_on(how: str) -> None:
    command = [sys.executable, str(TETHER), str(os.getpid()), "9", "", how, sys.executable, "-c", "raise SystemExit(7)"]
    assert subprocess.run(command, check=False).returncode == 7


def test_a_tether_whose_parent_is_gone_already_starts_nothing(tmp_path: Path) -> None:
    made = tmp_path / "made"
    command = [sys.executable, str(TETHER), "999999", "9", "", "exec", "touch", str(made)]
    assert subprocess.run(command, check=False).returncode == 1
    assert not made.exists()


async def test_a_child_that_ignores_its_signal_is_killed_after_the_grace_time(tmp_path: Path) -> None:
    child = await start(
        "stubborn", [sys.executable, "-c", STUBBORN], log=tmp_path / "log", cwd=tmp_path, environment={}
    )
    with anyio.fail_after(30):
        while not tail(child.log):  # noqa: ASYNC110 - the child can only be looked at
            await anyio.sleep(0.02)
    await stop(child, grace_seconds=0.2)
    assert child.process.returncode == -signal.SIGKILL


async def test_a_child_that_ends_before_it_is_ready_is_told_of_with_the_end_of_its_log(tmp_path: Path) -> None:
    ready, told = os.pipe()
    code = "print('port taken'); raise SystemExit(3)"
    child = await start(
        "shaky", [sys.executable, "-c", code], log=tmp_path / "log", cwd=tmp_path, environment={}, pass_fds=[told]
    )
    os.close(told)
    with pytest.raises(NotStarted, match=r"(?s)shaky ended with exit code 3; the end of .*port taken"):
        await until_ready(child, ready, seconds=30)
    os.close(ready)


async def test_a_child_that_says_nothing_is_given_up_and_ended(tmp_path: Path) -> None:
    ready, told = os.pipe()
    child = await start(
        "mute", ["sleep", "60"], log=tmp_path / "log", cwd=tmp_path, environment={"PATH": os.defpath}, pass_fds=[told]
    )
    with pytest.raises(NotStarted, match="mute wasn't ready after 0 s"):
        await until_ready(child, ready, seconds=0.1)
    os.close(ready)
    os.close(told)
    assert not child.alive


def test_the_tail_of_a_log_is_its_last_lines_even_with_bytes_that_are_no_text(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"".join(b"line %d\n" % number for number in range(9_000)) + b"\xff\xfe end")
    assert tail(log, 2) == "line 8999\n\ufffd\ufffd end"
    assert tail(tmp_path / "none") == ""
