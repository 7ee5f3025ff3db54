"""Writing a store: rows become files that are complete and on disk before anyone sees them.

One writer per store, held by a lock file. A file is written under another name, flushed to disk and renamed, so a
writer that is killed leaves nothing but `*.tmp` files, which the next one removes. Merging and expiring files are
other modules' work.
"""

import fcntl
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from midwatch_store import segments
from midwatch_store.arrow import Row, arrow_schema, check_times, conform, find_table, from_rows
from midwatch_store.clock import HOUR_NS
from midwatch_store.errors import StoreBusy
from midwatch_store.schema import SEQ, TABLES, Table
from midwatch_store.segments import Segment

ROW_GROUP_ROWS: Final = 100_000
TEMPORARY: Final = ".tmp"

_LOCK_FILE: Final = "writer.lock"


class Writer:
    """The one writer of the store at `path`, which it creates; raises StoreBusy while another process writes there.

    Thread safe. Use it as a context manager, or close it to let go of the lock.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Final = Path(os.path.abspath(path))
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._lock_file = _acquire(self.path)
        for table in TABLES:
            for leftover in (self.path / table).rglob(f"*{TEMPORARY}"):
                leftover.unlink()
        self._seq = segments.last_seq(self.path)

    @property
    def last_seq(self) -> int:
        """The largest Seq given out so far."""
        return self._seq

    def append(self, batch: Mapping[str, Sequence[Row]]) -> int:
        """Store rows by table, as `arrow.from_rows` takes them; return the last Seq once all are safely on disk.

        Raises InvalidRows and OSError; nothing is stored then, unless the disk failed while files were renamed.
        """
        tables = [find_table(name) for name, rows in batch.items() if rows]
        return self._commit([(table, from_rows(table, batch[table.name])) for table in tables])

    def append_arrow(self, table: str, rows: pa.Table) -> int:
        """Store an Arrow table of one table's columns without `Seq`, in bulk; otherwise as `append`."""
        known = find_table(table)
        return self._commit([(known, conform(known, rows))])

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hold back appends, and record the last Seq so that it outlives the files: for deleting them."""
        with self._lock:
            temporary = self.path / f"{segments.SEQUENCE_FILE}{TEMPORARY}"
            temporary.write_text(str(self._seq), encoding="ascii")
            _sync(temporary)
            temporary.rename(self.path / segments.SEQUENCE_FILE)
            yield

    def close(self) -> None:
        """Let go of the store; safe to call twice."""
        with self._lock:
            if self._lock_file is not None:
                os.close(self._lock_file)
                self._lock_file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _commit(self, tables: Sequence[tuple[Table, pa.Table]]) -> int:
        for table, rows in tables:
            check_times(table, rows)
        with self._lock:
            if self._lock_file is None:
                raise ValueError(f"the writer of {self.path} is closed")
            publish([part for table, rows in tables for part in self._split(table, rows)])
            return self._seq

    def _split(self, table: Table, rows: pa.Table) -> Iterator[tuple[Segment, pa.Table]]:
        """The rows by UTC hour, each hour with the next Seqs in the order given, sorted by time."""
        hours = pc.divide(rows.column(table.time).cast(pa.int64()), HOUR_NS)
        for hour in sorted(pc.unique(hours).to_pylist()):
            part = rows.filter(pc.equal(hours, hour))
            first = self._seq + 1
            self._seq += part.num_rows
            numbered = part.append_column(SEQ, pa.array(range(first, self._seq + 1), type=pa.int64()))
            yield as_segment(self.path, table, numbered)


def as_segment(root: Path, table: Table, rows: pa.Table) -> tuple[Segment, pa.Table]:
    """Rows of one hour with their Seq, sorted by time and Seq, and the segment that names them."""
    times = pc.min_max(rows.column(table.time).cast(pa.int64())).as_py()
    seqs = pc.min_max(rows.column(SEQ)).as_py()
    folder = segments.hour_folder(root, table.name, times["min"])
    segment = Segment(folder, times["min"], times["max"], seqs["min"], seqs["max"])
    ordered = rows if _in_order(table, rows) else rows.sort_by([(table.time, "ascending"), (SEQ, "ascending")])
    return segment, ordered.cast(arrow_schema(table))


def _in_order(table: Table, rows: pa.Table) -> bool:
    """Whether times and Seqs both never fall, as in bulk data they mostly don't: sorting that is not cheap."""
    columns = (rows.column(name).cast(pa.int64()) for name in (table.time, SEQ))
    steps = (pc.greater_equal(column.slice(1), column.slice(0, len(column) - 1)) for column in columns)
    return all(pc.all(step).as_py() is not False for step in steps)


def publish(parts: Sequence[tuple[Segment, pa.Table]]) -> None:
    """Write all parts to disk, then make them visible in the order given; on an error, leave no temporary file."""
    temporaries = [segment.path.with_name(segment.path.name + TEMPORARY) for segment, _ in parts]
    try:
        for temporary, (_, rows) in zip(temporaries, parts, strict=True):
            _write(temporary, rows)
        for temporary, (segment, _) in zip(temporaries, parts, strict=True):
            temporary.rename(segment.path)
    except BaseException:
        for temporary in temporaries:
            with suppress(OSError):
                temporary.unlink()
        raise
    for folder in {segment.folder for segment, _ in parts}:
        _sync(folder)


def _write(path: Path, rows: pa.Table) -> None:
    _make_folder(path.parent)
    pq.write_table(
        rows,
        path,
        compression="zstd",
        row_group_size=ROW_GROUP_ROWS,
        store_schema=False,
        write_page_checksum=True,
    )
    _sync(path)


def _make_folder(folder: Path) -> None:
    """Create an hour's folder so that it survives a power cut: its name is flushed in every folder above it."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        for above in folder.parents[:3]:
            _sync(above)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _acquire(root: Path) -> int | None:
    """The locked descriptor of the lock file, which names this process."""
    descriptor = os.open(root / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        pid = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise StoreBusy(root, pid) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode("ascii"))
    return descriptor
