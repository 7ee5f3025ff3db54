"""Merging small files: many appends make many files, and every file costs a query some time.

Files of one hour merge in tiers, so that a row is rewritten a few times and no more. A merged file stands beside its
parts for a while: readers leave out files that another one contains, and a listing that missed the new file still
finds the old ones. The parts go on a later round, which also makes a crash in between harmless.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from midwatch_store import segments
from midwatch_store.arrow import arrow_schema
from midwatch_store.clock import to_ns
from midwatch_store.schema import TABLES, Table
from midwatch_store.segments import Segment
from midwatch_store.writer import Writer, as_segment, publish

GRACE: Final = timedelta(seconds=30)

_MIB: Final = 1024 * 1024
_TIERS: Final = (_MIB // 4, 2 * _MIB, 16 * _MIB)
_FAN_IN: Final = 8
_SETTLED: Final = timedelta(minutes=5)


def compact(writer: Writer, now: datetime, grace: timedelta = GRACE) -> int:
    """One round over the whole store: drop parts merged more than `grace` ago, merge what is ripe; return the merges.

    An hour that ended over five minutes ago is merged as far as it goes, the others where eight small files queue up.
    Blocks for as long as it takes; appends may go on meanwhile, `retention.expire` may not.
    """
    merges = 0
    for table in TABLES.values():
        settled = segments.hour_folder(writer.path, table.name, to_ns(now - _SETTLED))
        for folder in segments.hour_folders(writer.path, table.name):
            found, _ = segments.read_folder(folder)
            _drop_superseded(table, found, now - grace)
            fan_in = 2 if folder < settled else _FAN_IN
            merges += sum(_merge(writer.path, table, run) for run in _ripe(table, segments.live(found), fan_in))
    return merges


def _ripe(table: Table, found: Sequence[Segment], fan_in: int) -> Iterator[Sequence[Segment]]:
    """Runs of at least `fan_in` files, neighbours in Seq, all below one tier's size and together below the last's.

    Neighbours only, and a file that cannot be read ends a run: no merged file's Seq range covers one it was not made
    from.
    """
    if len(found) < fan_in:
        return
    sizes = {segment: segments.size(segment.path) for segment in found if _is_whole(table, segment.path)}
    for tier in _TIERS:
        small = {segment for segment, size in sizes.items() if size < tier}
        ripe = [run for run in _runs(found, small) if len(run) >= fan_in]
        if ripe:
            yield from (part for run in ripe for part in _bounded(run, sizes) if len(part) > 1)
            return


def _runs(found: Sequence[Segment], chosen: set[Segment]) -> list[list[Segment]]:
    """The chosen files, grouped by what lies between them."""
    return [list(run) for is_chosen, run in groupby(found, chosen.__contains__) if is_chosen]


def _bounded(run: Sequence[Segment], sizes: dict[Segment, int]) -> Iterator[list[Segment]]:
    """The run cut where a merged file would outgrow the last tier."""
    part: list[Segment] = []
    for segment in run:
        if part and sum(sizes[each] for each in part) + sizes[segment] > _TIERS[-1]:
            yield part
            part = []
        part.append(segment)
    yield part


def _merge(root: Path, table: Table, run: Sequence[Segment]) -> bool:
    """Write the run as one file; when the contents of one turn out to be damaged, leave the run as it is."""
    try:
        merged = as_segment(root, table, pa.concat_tables([_read(segment.path) for segment in run]))
    except (OSError, pa.ArrowException):
        return False
    publish([merged])
    return True


def _read(path: Path) -> pa.Table:
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        return file.read()


def _drop_superseded(table: Table, found: Sequence[Segment], before: datetime) -> None:
    kept = segments.live(found)
    for segment in set(found) - set(kept):
        whole = next(other for other in kept if other.contains(segment))
        if whole.path.stat().st_mtime < before.timestamp() and _is_whole(table, whole.path):
            segment.path.unlink(missing_ok=True)


def _is_whole(table: Table, path: Path) -> bool:
    """Whether the file's footer can be read and has the table's columns; one that fails replaces no parts."""
    try:
        with pq.ParquetFile(path) as file:
            return bool(file.schema_arrow.names == arrow_schema(table).names)
    except (OSError, pa.ArrowException):
        return False
