"""Cutting: the rows of a window, copied into a new store with the Seq they had. The source is only read.

The same rows give the same files, however the source had come to hold them: one file for each hour of a table. All
rows of one hour are held in memory at once. This is not a backup: what lies outside of the window stays behind.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from midwatch_store import segments
from midwatch_store.arrow import arrow_schema
from midwatch_store.clock import to_ns
from midwatch_store.errors import StoreNotFound, TargetTaken
from midwatch_store.schema import TABLES, Table
from midwatch_store.segments import Segment
from midwatch_store.writer import as_segment, publish

HISTORY: Final = frozenset({"changes", "alarms", "objects"})
"""Tables that are kept from their beginning: what a change replaced, or a state was before, lies before the window."""


@dataclass
class Cut:
    """What was copied: rows by table, and the files that could not be read, with the reason."""

    rows: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def cut(source: Path, target: Path, start: datetime, end: datetime) -> Cut:
    """Copy the rows of `[start, end)` from one store into a new one; changes, alarms and objects from
    their beginning.

    Safe while another process writes the source: rows that arrive meanwhile may or may not be there. Raises
    `StoreNotFound`, `TargetTaken` and OSError.
    """
    if not source.is_dir():
        raise StoreNotFound(source)
    if any((target / name).exists() for name in TABLES):
        raise TargetTaken(target)
    target.mkdir(parents=True, exist_ok=True)
    done = Cut()
    for table in TABLES.values():
        begin = 0 if table.name in HISTORY else to_ns(start)
        done.rows[table.name] = 0
        for folder in segments.hour_folders(source, table.name, begin, to_ns(end)):
            rows = _between(table, _hour(table, folder, done.left_out), begin, to_ns(end))
            if rows.num_rows:
                publish([as_segment(target, table, rows)])
                done.rows[table.name] += rows.num_rows
    return done


def _between(table: Table, rows: pa.Table, begin: int, end: int) -> pa.Table:
    times = rows.column(table.time).cast(pa.int64())
    return rows.filter(pc.and_(pc.greater_equal(times, begin), pc.less(times, end)))


def _hour(table: Table, folder: Path, left_out: dict[str, str]) -> pa.Table:
    """All rows of one hour, in order of their Seq; files that cannot be read are named in `left_out`."""
    while True:
        found, _ = segments.read_folder(folder)
        sound = [segment for segment in found if _name(segment) not in left_out]
        try:
            parts = list(_read_all(table, segments.live(sound), left_out))
        except FileNotFoundError:  # it was merged with others after it was listed
            continue
        return pa.concat_tables([arrow_schema(table).empty_table(), *parts])


def _read_all(table: Table, found: list[Segment], left_out: dict[str, str]) -> Iterator[pa.Table]:
    """Each file's rows; one that is damaged ends the reading as if it had gone, now that it is known."""
    for segment in found:
        try:
            with pq.ParquetFile(segment.path, page_checksum_verification=True) as file:
                yield file.read().select(arrow_schema(table).names).cast(arrow_schema(table))
        except FileNotFoundError:
            raise
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            left_out[_name(segment)] = str(error).partition("\n")[0][:200]
            raise FileNotFoundError(segment.path) from None


def _name(segment: Segment) -> str:
    return "/".join(segment.path.parts[-4:])
