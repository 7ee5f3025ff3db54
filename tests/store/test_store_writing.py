"""What a writer promises: complete files, Seqs that only rise, one writer at a time, and rows that fit."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from midwatch_store import TABLES, InvalidRows, Store, StoreBusy
from midwatch_store.retention import expire
from midwatch_store.writer import Writer


def test_a_row_comes_back_as_it_was_written(writer: Writer, store: Store, two_am: int) -> None:
    span = {
        "Timestamp": two_am + 123_456_789,
        "TraceId": "ab" * 16,
        "SpanAttributes": {"http.route": "/bots/{id}", "empty": ""},
        "Duration": 5,
        "Events.Timestamp": [two_am + 7],
        "Events.Name": ["exception"],
        "Events.Attributes": [{"exception.type": "KeyError"}],
    }
    writer.append({"otel_traces": [span]})
    read = store.query(
        'SELECT epoch_ns(Timestamp), TraceId, SpanAttributes, Duration, epoch_ns("Events.Timestamp"[1]), '
        '"Events.Name", "Events.Attributes", ParentSpanId, ResourceAttributes, "Links.TraceId" FROM otel_traces'
    )
    attributes = span["SpanAttributes"]
    given = (two_am + 123_456_789, "ab" * 16, attributes, 5, two_am + 7, ["exception"], span["Events.Attributes"])
    assert read == [(*given, "", {}, [])]


def test_every_table_has_the_declared_columns_and_types_empty_or_not(writer: Writer, store: Store, two_am: int) -> None:
    for name, table in TABLES.items():
        declared = [(column.name, column.type) for column in table.columns]
        empty = [row[:2] for row in store.query(f"DESCRIBE SELECT * FROM {name}")]
        writer.append({name: [{table.time: two_am}]})
        filled = [row[:2] for row in store.query(f"DESCRIBE SELECT * FROM {name}")]
        assert empty == declared
        assert filled == declared


def test_rows_of_several_hours_go_to_a_file_for_each(writer: Writer, two_am: int) -> None:
    hour = 3600 * 10**9
    writer.append({"otel_logs": [{"Timestamp": two_am - 1}, {"Timestamp": two_am}, {"Timestamp": two_am + hour}]})
    files = sorted(str(path.relative_to(writer.path)) for path in writer.path.rglob("*.parquet"))
    assert files == [
        f"otel_logs/2026-05-04/01/{two_am - 1}-{two_am - 1}-1-1.parquet",
        f"otel_logs/2026-05-04/02/{two_am}-{two_am}-2-2.parquet",
        f"otel_logs/2026-05-04/03/{two_am + hour}-{two_am + hour}-3-3.parquet",
    ]


def test_seq_goes_on_after_a_restart(store_path: Path, two_am: int) -> None:
    for _ in range(3):
        with Writer(store_path) as writer:
            writer.append({"otel_logs": [{"Timestamp": two_am}, {"Timestamp": two_am}]})
    with Store(store_path) as store:
        assert store.query("SELECT Seq FROM otel_logs ORDER BY Seq") == [(seq,) for seq in range(1, 7)]
        assert store.last_seq() == 6


def test_seq_goes_on_even_when_every_row_has_expired(store_path: Path, two_am: int) -> None:
    with Writer(store_path) as writer:
        writer.append({"otel_logs": [{"Timestamp": two_am}] * 5})
        expire(writer, datetime(2026, 6, 1, tzinfo=UTC), timedelta(hours=1), None)
    with Writer(store_path) as writer, Store(store_path) as store:
        assert store.extent("otel_logs") is None
        assert writer.append({"otel_logs": [{"Timestamp": two_am}]}) == 6


def test_a_second_writer_is_refused_with_the_pid_of_the_first(store_path: Path) -> None:
    script = (
        "import sys; from midwatch_store.writer import Writer\n"
        f"with Writer({str(store_path)!r}): print('ready', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        first.stdout.readline()
        with pytest.raises(StoreBusy, match=f"process {first.pid}"):
            Writer(store_path)
        first.communicate(timeout=20)
    Writer(store_path).close()


def test_a_new_writer_removes_what_a_killed_one_left_half_written(store_path: Path, two_am: int) -> None:
    with Writer(store_path) as writer:
        writer.append({"otel_logs": [{"Timestamp": two_am}]})
    [whole] = store_path.rglob("*.parquet")
    torn = whole.with_name("9-9-9-9.parquet.tmp")
    torn.write_bytes(whole.read_bytes()[:100])
    with Store(store_path) as store:
        assert store.query("SELECT count(*) FROM otel_logs") == [(1,)]
    Writer(store_path).close()
    assert [path.name for path in whole.parent.iterdir()] == [whole.name]


@pytest.mark.parametrize(
    ("table", "row", "complaint"),
    [
        ("otel_log", {}, "no table 'otel_log'; it has otel_logs"),
        ("otel_logs", {"Timestamp": 1, "body": "x"}, "no column body"),
        ("otel_logs", {"Timestamp": 1, "Seq": 4}, "Seq is given by the store"),
        ("otel_logs", {"Body": "x"}, "needs a Timestamp"),
        ("otel_logs", {"Timestamp": -1}, "after 1970"),
        ("otel_logs", {"Timestamp": 2**64}, "otel_logs.Timestamp"),
        ("otel_logs", {"Timestamp": 1, "Body": 5}, "otel_logs.Body"),
        ("otel_logs", {"Timestamp": 1, "Body": "\ud800"}, "otel_logs.Body"),
    ],
)
def test_rows_that_do_not_fit_are_refused_whole_and_by_name(
    writer: Writer, table: str, row: dict[str, object], complaint: str
) -> None:
    with pytest.raises(InvalidRows, match=complaint):
        writer.append({"alarms": [{"Timestamp": 5}], table: [row]})
    assert list(writer.path.rglob("*.parquet*")) == []


def test_a_disk_that_fails_leaves_no_trace_and_the_next_append_works(writer: Writer, store: Store, two_am: int) -> None:
    (writer.path / "otel_traces").write_text("a file where a folder should be")
    with pytest.raises(OSError, match="otel_traces"):
        writer.append({"otel_logs": [{"Timestamp": two_am}], "otel_traces": [{"Timestamp": two_am}]})
    assert store.query("SELECT count(*) FROM otel_logs") == [(0,)]
    writer.append({"otel_logs": [{"Timestamp": two_am}]})
    assert store.query("SELECT count(*) FROM otel_logs") == [(1,)]
    assert list(writer.path.rglob("*.tmp")) == []


def test_arrow_tables_are_taken_with_other_types_and_columns_left_out(
    writer: Writer, store: Store, two_am: int
) -> None:
    seconds = pa.array([two_am // 10**9, two_am // 10**9 + 1], type=pa.timestamp("s", tz="UTC"))
    writer.append_arrow("otel_logs", pa.table({"Body": ["a", None], "Timestamp": seconds, "SeverityNumber": [9, 17]}))
    read = store.query("SELECT epoch_ns(Timestamp), Body, SeverityNumber, LogAttributes FROM otel_logs ORDER BY Seq")
    assert read == [(two_am, "a", 9, {}), (two_am + 10**9, "", 17, {})]
    with pytest.raises(InvalidRows, match="no column Message"):
        writer.append_arrow("otel_logs", pa.table({"Message": ["a"]}))


def test_a_closed_writer_says_so(store_path: Path, two_am: int) -> None:
    writer = Writer(store_path)
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match="is closed"):
        writer.append({"otel_logs": [{"Timestamp": two_am}]})
