"""`midwatch-store cut`: the rows of a window in a store of their own, and nothing of what lies outside."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from midwatch_store import Store, to_ns
from midwatch_store.__main__ import main
from midwatch_store.compaction import compact
from midwatch_store.writer import Writer

AT = datetime(2026, 5, 4, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def at(minutes: float) -> int:
    return to_ns(AT + timedelta(minutes=minutes))


def cut_to(target: Path, writer: Writer, start: str = "2026-05-04T02:10:00Z", end: str = "2026-05-04T03:20:00Z") -> int:
    window = ["--start", start, "--end", end]
    return main(["cut", "--dir", str(writer.path), "--to", str(target), *window, "--json"])


def files(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*") if path.is_file()}


@pytest.fixture
def filled(writer: Writer) -> Writer:
    """Lines at minutes 0, 10, …, 90, four in each file, latest first."""
    for first in (60, 30, 0):
        lines = [{"Timestamp": at(first + minute), "Body": str(first + minute)} for minute in (20, 10, 0)]
        writer.append({"otel_logs": lines})
    writer.append({"otel_logs": [{"Timestamp": at(90), "Body": "90"}]})
    return writer


def test_rows_of_the_window_are_copied_with_the_seq_they_had(
    filled: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cut_to(tmp_path / "cut", filled) == 0
    assert json.loads(capsys.readouterr().out)["rows"]["otel_logs"] == 7
    query = "SELECT Body, Seq FROM otel_logs ORDER BY Timestamp"
    with Store(filled.path) as whole, Store(tmp_path / "cut") as part:
        assert part.query(query) == whole.query(query)[1:8]


def test_the_same_rows_give_the_same_bytes_however_they_were_stored(filled: Writer, tmp_path: Path) -> None:
    assert cut_to(tmp_path / "cut", filled) == 0
    assert compact(filled, AT + DAY) > 0
    assert cut_to(tmp_path / "again", filled) == 0
    assert files(tmp_path / "cut") == files(tmp_path / "again")
    assert len(files(tmp_path / "cut")) == 2


def test_changes_and_alarms_are_kept_from_their_beginning_up_to_the_windows_end(writer: Writer, tmp_path: Path) -> None:
    states = [{"Timestamp": at(minutes), "State": str(minutes)} for minutes in (-9000, 0, 30, 300)]
    writer.append({"alarms": states, "changes": [{"Timestamp": at(-9000), "ChangeId": "d-1"}]})
    assert cut_to(tmp_path / "cut", writer) == 0
    with Store(tmp_path / "cut") as part:
        assert part.query("SELECT State FROM alarms ORDER BY Timestamp") == [("-9000",), ("0",), ("30",)]
        assert part.query("SELECT ChangeId FROM changes") == [("d-1",)]


def test_a_damaged_file_is_left_out_and_named(
    filled: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = next(path for path in filled.path.rglob("*.parquet") if path.stem.endswith("-7-9"))
    victim.write_bytes(victim.read_bytes()[:-20])
    assert cut_to(tmp_path / "cut", filled) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["rows"]["otel_logs"] == 5
    assert f"{victim.name} was left out" in said.err


def test_what_cannot_be_cut_is_one_clear_line(
    filled: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cut_to(filled.path, filled) == 1
    assert "there is a store at" in capsys.readouterr().err
    assert cut_to(tmp_path / "cut", filled, start="yesterday") == 1
    assert capsys.readouterr().err == "midwatch-store: 'yesterday' is no time: write it as 2026-11-20T02:48:00Z\n"
    assert main(["cut", "--dir", "/no/store", "--to", "x", "--start", "2026-01-01", "--end", "2026-01-02"]) == 1
    assert "there is no telemetry store at /no/store" in capsys.readouterr().err
