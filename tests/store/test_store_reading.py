"""What a reader promises: the right rows from the fewest files, whatever state the directory is in."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midwatch_store import QueryTimeout, Store, StoreNotFound, from_ns, to_ns
from midwatch_store.writer import Writer

START = datetime(2026, 5, 4, 2, tzinfo=UTC)
HOUR = 3600 * 10**9
WINDOWED = "SELECT Seq FROM otel_logs WHERE Timestamp >= make_timestamp_ns(?) AND Timestamp < make_timestamp_ns(?)"

OFFSETS = st.integers(0, 4 * HOUR)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(OFFSETS, min_size=1, max_size=6), max_size=6), OFFSETS, OFFSETS)
def test_a_windowed_read_finds_what_a_full_read_filtered_finds(
    batches: Sequence[Sequence[int]], one: int, other: int
) -> None:
    low, high = sorted((to_ns(START) + one, to_ns(START) + other))
    with tempfile.TemporaryDirectory() as folder, Writer(folder) as writer, Store(folder) as store:
        for batch in batches:
            writer.append({"otel_logs": [{"Timestamp": to_ns(START) + offset} for offset in batch]})
        end = from_ns(high + 1000)
        pruned = store.query(WINDOWED + " ORDER BY Seq", [low, high], start=from_ns(low), end=end)
        everything = store.query("SELECT Seq, epoch_ns(Timestamp) FROM otel_logs ORDER BY Seq")
    assert pruned == [(seq,) for seq, instant in everything if low <= instant < high]


def test_an_excerpt_answers_further_questions_without_its_files(writer: Writer, store: Store) -> None:
    writer.append({"otel_logs": [{"Timestamp": to_ns(START) + i, "Body": f"m{i % 2}"} for i in range(5)]})
    chosen = "SELECT Seq, Body FROM otel_logs WHERE Body = $body"
    with store.excerpt("chosen", chosen, {"body": "m0"}, start=START, end=START + timedelta(hours=1)) as excerpt:
        for path in writer.path.rglob("*.parquet"):
            path.unlink()
        assert excerpt.query("SELECT count(*) FROM chosen WHERE Seq > $least", {"least": 1}) == [(2,)]
        assert excerpt.columns("SELECT Seq FROM chosen ORDER BY Seq")["Seq"].tolist() == [1, 3, 5]


def test_tables_that_hold_files_of_a_window_are_known_by_name(writer: Writer, store: Store) -> None:
    writer.append({"otel_logs": [{"Timestamp": to_ns(START)}], "otel_traces": [{"Timestamp": to_ns(START) + HOUR}]})
    tables = ("otel_traces", "otel_logs", "changes")
    assert store.holding(tables, START, START + timedelta(minutes=1)) == ("otel_logs",)
    assert store.holding(tables, START, START + timedelta(hours=2)) == ("otel_traces", "otel_logs")


def test_a_million_rows_are_stored_in_bulk_and_a_window_opens_only_its_own_files(writer: Writer, store: Store) -> None:
    count = 1_000_000
    times = to_ns(START) + np.arange(count, dtype=np.int64) * (6 * HOUR // count)
    bodies = pa.DictionaryArray.from_arrays(pa.array(np.arange(count) % 100), pa.array([f"m{i}" for i in range(100)]))
    writer.append_arrow("otel_logs", pa.table({"Timestamp": times, "Body": bodies.cast(pa.string())}))
    assert store.query("SELECT count(*), count(DISTINCT Seq) FROM otel_logs") == [(count, count)]

    start, end = START + timedelta(hours=2, minutes=10), START + timedelta(hours=2, minutes=20)
    for path in writer.path.rglob("*.parquet"):
        if path.parent.name != "04":
            path.write_bytes(b"not to be opened")
    sql = WINDOWED.replace("Seq", "count(*)", 1)
    counted = store.query(sql, [to_ns(start), to_ns(end)], start=start, end=end)
    low, high = np.searchsorted(times, [to_ns(start), to_ns(end)])
    assert counted == [(high - low,)]
    assert store.damaged() == []


def test_nanoseconds_and_time_zones_make_no_difference_to_a_filter(
    writer: Writer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/St_Johns")
    time.tzset()
    writer.append({"otel_logs": [{"Timestamp": to_ns(START) + offset} for offset in (-1, 0, 1)]})
    abroad = START.astimezone(timezone(timedelta(hours=-5)))
    found = store.query(WINDOWED, [to_ns(abroad), to_ns(abroad) + 1], start=abroad)
    assert found == [(2,)]
    monkeypatch.undo()
    time.tzset()


def test_a_naive_datetime_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        store.query("SELECT 1 FROM otel_logs", start=datetime(2026, 5, 4))


def test_columns_come_as_arrays_with_nanoseconds(writer: Writer, store: Store) -> None:
    writer.append({"otel_metrics_gauge": [{"TimeUnix": to_ns(START) + 1, "Value": 0.5}]})
    found = store.columns("SELECT TimeUnix, Value FROM otel_metrics_gauge")
    assert found["TimeUnix"].astype("int64").tolist() == [to_ns(START) + 1]
    assert found["Value"].tolist() == [0.5]


def test_the_extent_is_rounded_outward(writer: Writer, store: Store) -> None:
    assert store.extent("otel_logs") is None
    writer.append({"otel_logs": [{"Timestamp": to_ns(START) + 1}, {"Timestamp": to_ns(START) + 3 * HOUR + 1}]})
    assert store.extent("otel_logs") == (START, START + timedelta(hours=3, microseconds=1))
    with pytest.raises(ValueError, match="no table 'logs'"):
        store.extent("logs")


def test_a_pinned_seq_is_a_stable_snapshot_while_rows_arrive(writer: Writer, store: Store) -> None:
    writer.append({"otel_logs": [{"Timestamp": to_ns(START)}] * 10})
    pinned = store.last_seq()
    writer.append({"otel_logs": [{"Timestamp": to_ns(START) - HOUR}] * 10})
    assert store.query("SELECT count(*) FROM otel_logs WHERE Seq <= ?", [pinned]) == [(10,)]


def test_a_store_that_is_not_there_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFound, match="midwatch-store serve --dir"):
        Store(tmp_path / "nowhere")


def test_a_store_that_goes_away_is_an_error_and_not_an_empty_answer(tmp_path: Path) -> None:
    with Writer(tmp_path / "gone") as writer:
        writer.append({"otel_logs": [{"Timestamp": to_ns(START)}]})
    with Store(tmp_path / "gone") as store:
        shutil.rmtree(tmp_path / "gone")
        with pytest.raises(StoreNotFound):
            store.query("SELECT count(*) FROM otel_logs")
        with pytest.raises(StoreNotFound):
            store.last_seq()


def _damage(good: Path, how: str) -> None:
    whole = good.read_bytes()
    if how == "foreign":
        pq.write_table(pa.table({"Answer": [42]}), good)
    elif how == "other types":
        pq.write_table(pa.table({name: ["x"] for name in pq.read_schema(good).names}), good)
    else:
        garbled = whole[:4] + b"\xff" * (len(whole) // 2) + whole[4 + len(whole) // 2 :]
        good.write_bytes({"empty": b"", "torn": whole[: len(whole) // 2], "garbled": garbled}[how])


@pytest.mark.parametrize("how", ["empty", "torn", "garbled", "foreign", "other types"])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_damaged_file_is_left_out_and_named(writer: Writer, store: Store, how: str, which: int) -> None:
    for second in range(3):
        writer.append({"otel_logs": [{"Timestamp": to_ns(START) + second, "Body": f"line {second}"}]})
    victim = sorted(writer.path.rglob("*.parquet"))[which]
    _damage(victim, how)
    read = store.query("SELECT Body FROM otel_logs ORDER BY Timestamp")
    assert read == [(f"line {second}",) for second in range(3) if second != which]
    assert [damaged.path for damaged in store.damaged()] == [victim]
    assert store.damaged()[0].reason


def test_a_file_with_a_name_that_is_not_the_stores_is_named(writer: Writer, store: Store) -> None:
    writer.append({"otel_logs": [{"Timestamp": to_ns(START)}]})
    [good] = writer.path.rglob("*.parquet")
    copy = good.with_name(f"copy of {good.name}")
    shutil.copy(good, copy)
    assert store.query("SELECT count(*) FROM otel_logs") == [(1,)]
    assert [(damaged.path, damaged.reason) for damaged in store.damaged()] == [
        (copy, "its name is not one that the store writes")
    ]


def test_an_error_in_the_sql_is_duckdbs_and_blames_no_file(writer: Writer, store: Store) -> None:
    writer.append({"otel_logs": [{"Timestamp": to_ns(START), "Body": "x"}]})
    for sql in ("SELEC", "SELECT Nothing FROM otel_logs", "SELECT Body::INTEGER FROM otel_logs", "SELECT * FROM logs"):
        with pytest.raises(duckdb.Error):
            store.query(sql)
    assert store.damaged() == []


def test_a_query_reaches_no_file_outside_the_store(store: Store, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    with pytest.raises(duckdb.PermissionException):
        store.query(f"SELECT * FROM read_csv('{tmp_path}/secret.csv')")


def test_a_query_past_its_deadline_is_stopped(writer: Writer) -> None:
    writer.append({"otel_logs": [{"Timestamp": to_ns(START)}] * 20_000})
    with Store(writer.path, timeout_seconds=0.6) as store:
        with pytest.raises(QueryTimeout, match=r"after 0\.6 s"):
            store.query("SELECT sum(sin(a.Seq * b.Seq)) FROM otel_logs a, otel_logs b, otel_logs c")
        assert store.query("SELECT count(*) FROM otel_logs") == [(20_000,)]


def test_a_directory_named_like_a_pattern_is_taken_literally(tmp_path: Path) -> None:
    odd = tmp_path / "it's [a] *store* k=v?"
    with Writer(odd) as writer:
        writer.append({"otel_logs": [{"Timestamp": to_ns(START)}]})
    with Store(odd) as store:
        assert store.query("SELECT count(*) FROM otel_logs") == [(1,)]


def test_parallel_queries_of_different_windows_do_not_meet(writer: Writer, store: Store) -> None:
    for hour in range(8):
        writer.append({"otel_logs": [{"Timestamp": to_ns(START) + hour * HOUR}] * (hour + 1)})

    def count(hour: int) -> int:
        start = START + timedelta(hours=hour)
        found = store.query("SELECT count(*) FROM otel_logs", start=start, end=start + timedelta(hours=1))
        return int(found[0][0])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(count, list(range(8)) * 8)) == list(range(1, 9)) * 8


def test_reading_never_imports_arrow(store_path: Path, writer: Writer) -> None:
    writer.append({"otel_logs": [{"Timestamp": to_ns(START)}]})
    script = (
        "import sys; from midwatch_store import Store\n"
        f"print(Store({str(store_path)!r}).query('SELECT count(*) FROM otel_logs'), 'pyarrow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "[(1,)] False"
