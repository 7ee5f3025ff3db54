"""Cases with real telemetry, made ready to be played: cut out as snapshots, without what names the fault.

A case is a folder that `midwatch bench accuracy robots --keep` left: a host's journal, a store and a truth. The
folder's own name is the fault's, and stands in paths that telemetry tells of: tracebacks, mounts, repositories. There
it is replaced.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import duckdb

from midwatch.cases.manifest import NAME, read_manifest
from midwatch.cases.snapshot import Source, take
from midwatch.errors import BadSnapshot
from midwatch.settings import Settings
from midwatch.storage.journal import Journal
from midwatch.storage.named import find_incident
from midwatch_bench.played.desk import Desk
from midwatch_kit.evidence import EvidenceStore

NEUTRAL: Final = "/srv/site"
"""What stands for the folder of a case."""
_KEEP_ALL: Final = 2**62


def take_case(case: Path, desk: Desk) -> str:
    """Take a case to the desk, if it is not there, and return its name; raises `BadSnapshot` where it is no case."""
    case = case.resolve()
    if desk.case(case.name).exists():
        return case.name
    for needed in (case / "host" / "journal.db", case / "store", case / "truth.json"):
        if not needed.exists():
            raise BadSnapshot(f"{case} is no case: there is no {needed.relative_to(case)}")
    part = desk.case(f".{case.name}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    _snapshot(case, part / "store")
    neutral(part / "store", str(case))
    if telling := next((text for text in texts_of(part / "store") if case.name in text), ""):
        at = telling.index(case.name)
        raise BadSnapshot(f"{case}: its telemetry names it still: …{telling[max(0, at - 60) : at + 60]}…")
    shutil.copyfile(case / "truth.json", part / "truth.json")
    part.rename(desk.case(case.name))
    return case.name


def _snapshot(case: Path, to: Path) -> None:
    settings = Settings(data_dir=case / "host", store=case / "store", steering_dir=Path("steering"))
    journal = Journal(case / "host" / "journal.db")
    try:
        source = Source(journal, EvidenceStore(case / "host" / "evidence", _KEEP_ALL), settings)
        take(find_incident(journal, ""), source, to)
    finally:
        journal.close()
    if manifest := read_manifest(to):
        (to.parent / "conditions.json").write_text(manifest.conditions.model_dump_json(), encoding="utf-8")
    (to / NAME).unlink()  # what is changed below is not what was taken


def neutral(folder: Path, named: str) -> None:
    """Put the neutral path for the path `named` in everything that a snapshot says."""
    for path in sorted(folder.rglob("*.json")):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(json.dumps(named)[1:-1], NEUTRAL), encoding="utf-8")
    with duckdb.connect() as engine:
        for path in sorted(folder.rglob("*.parquet")):
            _rewrite(engine, path, named)


def _rewrite(engine: duckdb.DuckDBPyConnection, path: Path, named: str) -> None:
    table = f"read_parquet({_quoted(str(path))})"
    columns = engine.sql(f"DESCRIBE SELECT * FROM {table}").fetchall()
    wanted = ", ".join(f"""{_replaced(kind, f'"{name}"', named)} AS "{name}\"""" for name, kind, *_ in columns)
    part = path.with_suffix(".part")
    engine.execute(f"COPY (SELECT {wanted} FROM {table}) TO {_quoted(str(part))} (FORMAT parquet, COMPRESSION zstd)")
    part.rename(path)


def _replaced(kind: str, value: str, named: str) -> str:
    """Return what gives a value with the path replaced in it; of times and numbers the value itself."""
    if kind == "VARCHAR":
        return f"replace({value}, {_quoted(named)}, {_quoted(NEUTRAL)})"
    if kind.endswith("[]") and "VARCHAR" in kind:
        return f"list_transform({value}, lambda each : {_replaced(kind[:-2], 'each', named)})"
    if kind == "MAP(VARCHAR, VARCHAR)":
        pair = f"{{'key': pair.key, 'value': {_replaced('VARCHAR', 'pair.value', named)}}}"
        return f"map_from_entries(list_transform(map_entries({value}), lambda pair : {pair}))"
    return value


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def texts_of(store: Path) -> Iterator[str]:
    """Yield every row of a store as text."""
    with duckdb.connect() as engine:
        for path in sorted(store.rglob("*.parquet")):
            for row in engine.sql(f"SELECT * FROM read_parquet({_quoted(str(path))})").fetchall():
                yield str(row)
