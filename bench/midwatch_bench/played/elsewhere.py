"""Cases whose cause statistics cannot see: who changed which setting is told by somebody else, or not at all.

The changes of settings and flags are taken out of a case's telemetry. A server that knows nothing of midwatch tells of
them instead; or nobody does, and only a page that the team wrote says how such an outage looks.
"""

import json
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import duckdb

from midwatch.cases.snapshot import STEERING
from midwatch_bench.played.desk import Desk

SERVERS: Final = "servers.json"
"""The servers file of a case that needs one, beside its store."""
_HISTORY: Final = "history.json"
_SETTINGS: Final = "Kind IN ('flag', 'config')"


class Teller(StrEnum):
    """Who tells of the cause."""

    SERVER = "server"
    PAGE = "page"


def move(desk: Desk, case: str, teller: Teller, page: Path | None = None) -> str:
    """Make a case of which only `teller` tells the cause, and return its name; `page` is the markdown of a page."""
    fault, _, seed = case.rpartition("-")
    name = f"{fault}-told-by-{teller}-{seed}"
    made = desk.case(name)
    shutil.copytree(desk.case(case), made)
    taken = _take_out(made / "store")
    if teller is Teller.SERVER:
        (made / _HISTORY).write_text(json.dumps(taken, indent=1), encoding="utf-8")
        (made / SERVERS).write_text(json.dumps(_servers(made / _HISTORY), indent=1), encoding="utf-8")
    elif page is not None:
        folder = made / "store" / STEERING
        folder.mkdir(exist_ok=True)
        shutil.copyfile(page, folder / page.name)
    return name


def _take_out(store: Path) -> list[dict[str, Any]]:
    """Take the changes of settings out of a store and return them as a system of settings would tell of them."""
    taken: list[dict[str, Any]] = []
    with duckdb.connect() as engine:
        for path in sorted((store / "changes").rglob("*.parquet")):
            table = engine.read_parquet(str(path))
            found = table.filter(_SETTINGS).project("Timestamp, ServiceName, Title, Author, Version, Diff").fetchall()
            taken += [_revision(*row) for row in found]
            kept = table.filter(f"NOT ({_SETTINGS})")
            part = path.with_suffix(".part")
            if len(kept):
                kept.write_parquet(str(part), compression="zstd")
                part.rename(path)
            else:
                path.unlink()
    return sorted({each["revision"]: each for each in taken}.values(), key=lambda each: str(each["saved"]))


def _revision(at: Any, service: str, title: str, author: str, version: str, diff: str) -> dict[str, Any]:
    lines = diff.splitlines()
    return {
        "revision": version,
        "saved": f"{at:%Y-%m-%d %H:%M:%S} UTC",
        "document": f"{service}/{lines[0].rpartition('/')[2] if lines else ''}",
        "editor": author,
        "note": title,
        "removed": [line[1:].strip() for line in lines if line.startswith("-") and not line.startswith("---")],
        "added": [line[1:].strip() for line in lines if line.startswith("+") and not line.startswith("+++")],
    }


def _servers(history: Path) -> dict[str, Any]:
    own = {
        "command": sys.executable,
        "args": ["-m", "midwatch_bench.played.history_server", str(history)],
        "allow": ["list_revisions", "show_revision"],
    }
    return {"suite": True, "mcpServers": {"confbook": own}}
