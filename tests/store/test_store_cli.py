"""`midwatch-store import` and `info`, and the settings of `serve`, as typed."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from midwatch_store import Store, to_ns
from midwatch_store.__main__ import main
from midwatch_store.settings import Settings
from midwatch_store.writer import Writer

AT = datetime(2026, 5, 4, 2, tzinfo=UTC)


def _line(*bodies: str) -> str:
    records: list[Any] = [{"timeUnixNano": str(to_ns(AT)), "body": {"stringValue": body}} for body in bodies]
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]})


def test_the_collectors_files_are_imported_plain_and_packed(
    tmp_path: Path, store_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plain.jsonl").write_text(f"{_line('a')}\n\n{_line('b', 'c')}\n")
    with gzip.open(tmp_path / "packed", "wt") as packed:
        packed.write(_line("d"))
    assert main(["import", str(tmp_path / "plain.jsonl"), str(tmp_path / "packed"), "--dir", str(store_path)]) == 0
    assert capsys.readouterr().out == "otel_logs: 4 rows\n"
    with Store(store_path) as store:
        assert store.query("SELECT Body FROM otel_logs ORDER BY Seq") == [("a",), ("b",), ("c",), ("d",)]


def test_changes_and_alarms_are_imported_beside_telemetry(tmp_path: Path, store_path: Path) -> None:
    at = AT.isoformat()
    change = {"timestamp": at, "change_id": "d-1", "kind": "deploy"}
    alarm = {"timestamp": at, "alarm_name": "errors", "state": "ok"}
    (tmp_path / "incident.jsonl").write_text(json.dumps({"changes": [change], "alarms": [alarm]}))
    assert main(["import", str(tmp_path / "incident.jsonl"), "--dir", str(store_path)]) == 0
    with Store(store_path) as store:
        assert store.query("SELECT ChangeId, AlarmName FROM changes, alarms") == [("d-1", "errors")]


def test_a_line_that_cannot_be_read_is_named_and_the_others_are_imported(
    tmp_path: Path, store_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "torn.jsonl"
    file.write_text(f'{_line("a")}\n{{"resourceProfiles": []}}\n[]\n{_line("b")}\n{_line("c")[:50]}')
    assert main(["import", str(file), "--dir", str(store_path)]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in errors] == [f"{file}:2", f"{file}:3", f"{file}:5"]
    assert "'resourceProfiles' is none of resourceLogs, resourceSpans, resourceMetrics, changes, alarms" in errors[0]
    with Store(store_path) as store:
        assert store.query("SELECT Body FROM otel_logs ORDER BY Seq") == [("a",), ("b",)]


def test_a_file_that_is_not_there_is_one_clear_line(store_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "/no/such/file", "--dir", str(store_path)]) == 1
    assert capsys.readouterr().err == "midwatch-store: [Errno 2] No such file or directory: '/no/such/file'\n"


def test_info_counts_rows_and_names_damage(writer: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    writer.append({"otel_logs": [{"Timestamp": to_ns(AT)}, {"Timestamp": to_ns(AT + timedelta(hours=1))}]})
    writer.append({"alarms": [{"Timestamp": to_ns(AT)}]})
    [victim] = (writer.path / "alarms").rglob("*.parquet")
    victim.write_bytes(b"torn")
    assert main(["info", "--dir", str(writer.path), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    tables = {table["name"]: (table["rows"], table["first"], table["last"]) for table in summary["tables"]}
    assert tables["otel_logs"] == (2, "2026-05-04T02:00:00Z", "2026-05-04T03:00:00Z")
    assert tables["changes"] == (0, None, None)
    assert summary["last_seq"] == 3
    assert list(summary["damaged"]) == [str(victim)]

    assert main(["info", "--dir", str(writer.path)]) == 0
    assert f"damaged: {victim}: " in capsys.readouterr().out


def test_info_of_no_store_says_how_to_get_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--dir", str(tmp_path / "none")]) == 1
    assert "there is no telemetry store at" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "age"),
    [("90s", timedelta(seconds=90)), ("30m", timedelta(minutes=30)), ("7D", timedelta(days=7)), ("none", None)],
)
def test_ages_are_read_as_typed(typed: str, age: timedelta | None) -> None:
    assert Settings.model_validate({"max_age": typed}).max_age == age


@pytest.mark.parametrize(("typed", "size"), [("2GiB", 2 * 1024**3), ("500MB", 500_000_000), ("none", None)])
def test_sizes_are_read_as_typed(typed: str, size: int | None) -> None:
    assert Settings.model_validate({"max_bytes": typed}).max_bytes == size


def test_settings_come_from_the_environment_unless_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDWATCH_STORE_PORT", "5000")
    monkeypatch.setenv("MIDWATCH_STORE_MAX_AGE", "2h")
    assert (Settings().port, Settings().max_age) == (5000, timedelta(hours=2))
    assert Settings(port=6000).port == 6000


def test_an_environment_that_makes_no_sense_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MIDWATCH_STORE_PORT", "many")
    assert main(["info"]) == 2
    assert capsys.readouterr().err.startswith("midwatch-store: --port (or MIDWATCH_STORE_PORT): ")
