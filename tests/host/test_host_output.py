"""Where a host writes: what happens to its log stops nothing."""

import os
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from midwatch.cli import app
from midwatch.cli.output import losing


def test_a_host_goes_on_when_the_disk_of_its_log_is_full() -> None:
    with open("/dev/full", "w") as full:
        console = Console(file=losing(full))
        console.print("an alert came in")
        console.print("and one more")


def test_a_host_goes_on_when_nobody_reads_its_log_any_more() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        Console(file=losing(pipe)).print("an alert came in")


def test_what_can_be_written_is_written_at_once_and_signs_without_a_code_are_question_marks(tmp_path: Path) -> None:
    with (tmp_path / "up.log").open("w", encoding="ascii") as log:
        Console(file=losing(log)).print("● stock — down")
        assert (tmp_path / "up.log").read_text() == "? stock ? down\n"


def test_a_data_folder_that_cannot_be_made_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDWATCH_DATA_DIR", str(tmp_path / "file"))
    monkeypatch.setenv("MIDWATCH_LISTEN_PORT", "0")
    (tmp_path / "file").touch()
    told = CliRunner().invoke(app, ["up", "--no-store"])
    assert told.exit_code == 1
    assert told.output == (
        f"midwatch: cannot use the data folder {tmp_path / 'file'}: File exists; name another with MIDWATCH_DATA_DIR, "
        "or data_dir in the settings file\n"
    )
