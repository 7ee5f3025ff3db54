"""A small disk of its own, and what it does to the forge's cache when it's full."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.forge.cache import BlueprintCache
from app.forge.disk import mount_point
from robots.disk import fill, small_disk
from robots.processes import NotStarted

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes the right to mount")
HOLD = """
import anyio, sys
from pathlib import Path
from robots.disk import small_disk

async def hold():
    async with small_disk(Path(sys.argv[1]), 512, Path(sys.argv[2])):
        print("mounted", flush=True)
        await anyio.sleep(60)

anyio.run(hold)
"""


@as_root
async def test_a_full_disk_gives_what_is_kept_and_keeps_no_more_until_something_is_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "forge-1"
    async with small_disk(folder, 512, tmp_path / "mount.log"):
        assert mount_point(folder) == folder
        cache = BlueprintCache(folder / "blueprints.sqlite", "a1")
        cache.create()
        cache.put("porter", 5, "{}")
        assert fill(folder / "core") > 400_000
        for _ in range(2):
            with pytest.raises(sqlite3.OperationalError, match="database or disk is full"):
                cache.put("porter", 6, "{}")
            assert cache.get("porter", 5) == "{}"
        (folder / "core").unlink()
        cache.put("porter", 6, "{}")
    assert mount_point(folder) != folder
    assert list(folder.iterdir()) == []


@as_root
def test_a_disk_is_unmounted_when_its_holder_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), str(tmp_path / "mount.log")], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "mounted\n"
    assert os.path.ismount(folder)
    holder.send_signal(signal.SIGKILL)
    holder.wait(20)
    holder.stdout.close()
    deadline = time.monotonic() + 20
    while os.path.ismount(folder) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not os.path.ismount(folder)


async def test_a_disk_that_cant_be_mounted_is_told_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(NotStarted, match="needs the right to mount, as root has it on Linux"):
        async with small_disk(tmp_path / "disk", -1, tmp_path / "mount.log"):
            pass


def test_a_cache_with_a_limit_forgets_its_oldest_entries(tmp_path: Path) -> None:
    cache = BlueprintCache(tmp_path / "blueprints.sqlite", "b2", most=3)
    cache.create()
    BlueprintCache(cache.path, "a1").put("porter", 1, "old")
    for load_kg in range(1, 6):
        cache.put("porter", load_kg, str(load_kg))
    assert [cache.get("porter", load_kg) for load_kg in range(1, 6)] == [None, None, "3", "4", "5"]
    assert BlueprintCache(cache.path, "a1").get("porter", 1) == "old"
