"""Whether replays say the same, byte for byte, in two places, and on the machine that wrote the digests. Not a test.

    python -m midwatch_bench.replays SNAPSHOTS [--take CASES] [--digests FILE]

Each snapshot in SNAPSHOTS is replayed in two folders that differ in time zone, locale, hash seed and threads. --take
first makes a snapshot of each case in CASES, which `midwatch bench accuracy robots --keep CASES` filled. With --digests
the sha256 of each conclusion is held against the one in FILE; a FILE that does not exist is written.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

HERE = {"TZ": "UTC", "LANG": "C.UTF-8", "PYTHONHASHSEED": "1", "MIDWATCH_STORE_THREADS": "1"}
THERE = {"TZ": "Asia/Tokyo", "LANG": "tr_TR.UTF-8", "PYTHONHASHSEED": "2", "MIDWATCH_STORE_THREADS": "2"}


def main() -> None:
    """Print a line for each case; the exit code is 1 when two conclusions differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("snapshots", type=Path)
    parser.add_argument("--take", type=Path)
    parser.add_argument("--digests", type=Path)
    asked = parser.parse_args()
    known = _read(asked.digests) if asked.digests and asked.digests.exists() else {}
    found: dict[str, str] = {}
    same = True
    if asked.take:
        take(asked.take, asked.snapshots)
    for snapshot in sorted(asked.snapshots.iterdir()):
        here, there = (replayed(snapshot, environment) for environment in (HERE, THERE))
        found[snapshot.name] = hashlib.sha256(here).hexdigest()
        agreed = here == there and known.get(snapshot.name, found[snapshot.name]) == found[snapshot.name]
        same = same and agreed
        print(f"{'same' if agreed else 'OTHER':6}{found[snapshot.name][:16]}  {snapshot.name}", flush=True)
    if asked.digests and not known:
        asked.digests.write_text("".join(f"{digest}  {name}\n" for name, digest in found.items()), encoding="utf-8")
    print(f"{len(found)} cases, {'all the same' if same else 'NOT all the same'}")
    sys.exit(0 if same else 1)


def take(cases: Path, folder: Path) -> None:
    """Take a snapshot of each case that was investigated."""
    for case in sorted(path for path in cases.iterdir() if (path / "host" / "journal.db").exists()):
        kept = {"MIDWATCH_DATA_DIR": str(case / "host"), "MIDWATCH_STORE": str(case / "store")}
        _midwatch("snapshot", "", "--to", str(folder / case.name), environment=kept)


def replayed(snapshot: Path, environment: Mapping[str, str]) -> bytes:
    """Return what a replay prints for programs, in a new folder and in an environment of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return _midwatch("replay", str(snapshot.resolve()), "--json", environment={**environment, "TMPDIR": folder})


def _midwatch(*arguments: str, environment: Mapping[str, str]) -> bytes:
    command = [sys.executable, "-m", "midwatch", *arguments]
    own = {name: value for name, value in os.environ.items() if not name.startswith("MIDWATCH_")}
    return subprocess.run(command, env={**own, **environment}, stdout=subprocess.PIPE, check=True).stdout


def _read(digests: Path) -> dict[str, str]:
    pairs = (line.split("  ", 1) for line in digests.read_text(encoding="utf-8").splitlines())
    return {name: digest for digest, name in pairs}


if __name__ == "__main__":
    main()
