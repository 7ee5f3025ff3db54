"""Programs out of Debian's packages, without root and without an installation: downloaded once, and unpacked."""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.brought import CACHE, turn


def program(package: str, name: str) -> Path:
    """Return the path of a program of a package; skips the test where there is no apt to bring it."""
    found = CACHE / package / "usr" / "bin" / name
    if not found.exists():
        with turn(CACHE / package) as lacking:
            if lacking:
                _bring(package)
    return found


def with_its_files(package: str, command: Sequence[str | Path]) -> list[str]:
    """Return the words of a command that sees a package's /usr/share over the machine's own; skips where none may.

    For programs that look for files where an installation would put them. It has namespaces of its own; nothing of the
    machine is changed.
    """
    over = f"mount -t overlay overlay -o lowerdir={CACHE / package / 'usr/share'}:/usr/share /usr/share"
    alone = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if not shutil.which("unshare") or subprocess.run([*alone, over], capture_output=True, check=False).returncode:
        pytest.skip(f"{package} needs a mount namespace of its own, and none may be made here")
    return [*alone, f'{over} && exec "$@"', "sh", *map(str, command)]


def _bring(package: str) -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        pytest.skip(f"{package} comes from Debian's packages, and apt-get isn't here")
    with tempfile.TemporaryDirectory(prefix="bringing-", dir=CACHE) as folder:
        to = Path(folder)
        if _apt("download", package, cwd=to).returncode:
            _download_by_own_lists(package, to)
        (archive,) = to.glob("*.deb")
        subprocess.run(["dpkg", "-x", archive, to / "unpacked"], check=True)
        (to / "unpacked").rename(CACHE / package)


def _download_by_own_lists(package: str, to: Path) -> None:
    lists = CACHE / "apt"
    with turn(lists):
        for part in ("lists/partial", "archives/partial"):
            (lists / part).mkdir(parents=True, exist_ok=True)
        own = ["-o", f"Dir::State::lists={lists}/lists", "-o", f"Dir::Cache={lists}"]
        _apt(*own, "update", cwd=to)
        done = _apt(*own, "download", package, cwd=to)
    assert done.returncode == 0, done.stderr[-1000:]


def _apt(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["apt-get", "-q", *arguments], cwd=cwd, capture_output=True, text=True, check=False)
