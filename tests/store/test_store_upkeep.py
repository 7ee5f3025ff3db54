"""Merging and expiring: fewer files with the same rows, and no more age or bytes than allowed."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from midwatch_store import Store, to_ns
from midwatch_store.compaction import compact
from midwatch_store.retention import expire
from midwatch_store.writer import Writer

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
NEVER = timedelta(days=365)
AT_ONCE = timedelta(days=-365)


def _fill(writer: Writer, hours: int, rows: int = 1) -> None:
    """One file for each of the `hours` before noon, and one for the hour of noon."""
    for hour in range(-hours, 1):
        instant = to_ns(NOON + timedelta(hours=hour, minutes=1))
        writer.append({"otel_logs": [{"Timestamp": instant, "Body": f"{hour}/{row}"} for row in range(rows)]})


def _files(root: Path) -> list[Path]:
    return sorted(root.rglob("*.parquet"))


def _hours(root: Path) -> list[str]:
    return sorted({f"{path.parent.parent.name}/{path.parent.name}" for path in _files(root)})


def test_eight_small_files_of_an_hour_become_one_with_the_same_rows(writer: Writer, store: Store) -> None:
    for second in range(8):
        labels = {"second": str(second), "nothing": ""}
        writer.append({"otel_logs": [{"Timestamp": to_ns(NOON) + 8 - second, "LogAttributes": labels}] * 3})
    everything = "SELECT * FROM otel_logs ORDER BY Timestamp, Seq"
    before = store.query(everything)

    assert compact(writer, NOON) == 1
    assert store.query(everything) == before
    assert len(_files(writer.path)) == 9
    assert compact(writer, NOON, AT_ONCE) == 0
    assert [path.name for path in _files(writer.path)] == [f"{to_ns(NOON) + 1}-{to_ns(NOON) + 8}-1-24.parquet"]
    assert store.query(everything) == before


def test_fewer_files_wait_until_their_hour_is_over(writer: Writer) -> None:
    for second in range(3):
        writer.append({"otel_logs": [{"Timestamp": to_ns(NOON) + second}]})
    assert compact(writer, NOON + timedelta(minutes=59)) == 0
    assert compact(writer, NOON + timedelta(minutes=66)) == 1


def _damage(path: Path, how: str) -> None:
    if how == "torn":
        path.write_bytes(path.read_bytes()[:50])
    else:
        pq.write_table(pa.table({"Answer": [42]}), path)


@pytest.mark.parametrize("how", ["torn", "foreign"])
def test_a_merge_covers_neighbours_only_and_stops_at_a_file_it_cannot_read(
    writer: Writer, store: Store, how: str
) -> None:
    for second in range(20):
        writer.append({"otel_logs": [{"Timestamp": to_ns(NOON) + second, "Body": str(second)}]})
    torn = next(path for path in _files(writer.path) if path.name.endswith("-11-11.parquet"))
    _damage(torn, how)
    assert compact(writer, NOON) == 2
    compact(writer, NOON, AT_ONCE)
    assert {path.name.split("-", 2)[2] for path in _files(writer.path)} == {
        "1-10.parquet",
        "11-11.parquet",
        "12-20.parquet",
    }
    assert store.query("SELECT count(Body) FROM otel_logs") == [(19,)]
    assert [damaged.path for damaged in store.damaged()] == [torn]


def test_the_parts_of_a_merged_file_that_was_damaged_are_read_instead_and_kept(writer: Writer, store: Store) -> None:
    for second in range(8):
        writer.append({"otel_logs": [{"Timestamp": to_ns(NOON) + second}]})
    compact(writer, NOON)
    merged = next(path for path in _files(writer.path) if path.name.endswith("-1-8.parquet"))
    merged.write_bytes(b"")
    compact(writer, NOON, AT_ONCE)
    assert store.query("SELECT count(*) FROM otel_logs") == [(8,)]


def test_hours_beyond_the_age_go_and_the_rest_stays(writer: Writer, store: Store) -> None:
    _fill(writer, hours=5)
    assert expire(writer, NOON + timedelta(minutes=30), timedelta(hours=3), None) == [
        "2026-05-04/07",
        "2026-05-04/08",
    ]
    assert _hours(writer.path) == [f"2026-05-04/{hour:02}" for hour in (9, 10, 11, 12)]
    assert store.query("SELECT count(*) FROM otel_logs") == [(4,)]


def test_the_oldest_hours_beyond_the_size_go_over_all_tables(writer: Writer, store: Store) -> None:
    _fill(writer, hours=5)
    writer.append({"alarms": [{"Timestamp": to_ns(NOON - timedelta(hours=5))}]})
    half = store.bytes() // 2
    gone = expire(writer, NOON, None, half)
    assert gone[0] == "2026-05-04/07"
    assert gone == sorted(gone)
    assert store.extent("alarms") is None
    assert half * 0.5 < store.bytes() <= half


def test_the_current_hour_is_never_deleted_whatever_the_limits(writer: Writer) -> None:
    _fill(writer, hours=2)
    expire(writer, NOON + timedelta(minutes=5), timedelta(0), 0)
    assert _hours(writer.path) == ["2026-05-04/12"]
    assert not (writer.path / "otel_logs" / "2026-05-03").exists()


def test_without_limits_nothing_is_deleted(writer: Writer) -> None:
    _fill(writer, hours=2)
    assert expire(writer, NOON + NEVER, None, None) == []
    assert len(_hours(writer.path)) == 3


def test_rows_are_read_exactly_once_at_each_look_while_written_and_merged(writer: Writer, store: Store) -> None:
    written = 0
    done = threading.Event()

    def write() -> None:
        nonlocal written
        for batch in range(150):
            labels = [{"Timestamp": to_ns(NOON) + batch, "Body": f"{batch}/{row}"} for row in range(10)]
            writer.append({"otel_logs": labels})
            written += 10
        done.set()

    def merge() -> None:
        while not done.is_set():
            compact(writer, datetime.now(UTC), timedelta(seconds=0.5))

    looks = 0
    with _running(write), _running(merge):
        while not done.is_set():
            least = written
            [(count, distinct)] = store.query("SELECT count(*), count(DISTINCT Body) FROM otel_logs")
            most = written + 10
            assert count == distinct
            assert least <= count <= most
            looks += 1
    assert looks > 5
    compact(writer, NOON, AT_ONCE)
    assert len(_files(writer.path)) < 30
    assert store.query("SELECT count(*) FROM otel_logs") == [(1500,)]
    assert store.damaged() == []


def test_hours_that_expire_under_a_running_query_do_not_fail_it(writer: Writer, store: Store) -> None:
    _fill(writer, hours=120)
    done = threading.Event()

    def shrink() -> None:
        for hours in range(120, -1, -2):
            expire(writer, NOON, timedelta(hours=hours), None)
        done.set()

    counts = []
    with _running(shrink):
        while not done.is_set():
            counts.append(store.query("SELECT count(Body) FROM otel_logs")[0][0])
    assert counts == sorted(counts, reverse=True)
    assert store.query("SELECT Body FROM otel_logs") == [("0/0",)]
    assert store.damaged() == []


class _running:  # noqa: N801 - reads as a phrase
    """Run a function in a thread for the length of a `with` block; what it raises, the block raises."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self._function()
        except BaseException as error:
            self._error = error

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join(timeout=60)
        if self._error is not None:
            raise self._error
