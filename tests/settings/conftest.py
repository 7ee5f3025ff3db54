"""What tests of settings share: a working directory of their own, and an environment without midwatch's variables."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from midwatch.cli import app


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory; `midwatch.toml` is looked for here."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("MIDWATCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MIDWATCH_CONFIG", "")  # so that what a command sets does not outlive its test
    return tmp_path


def ran(*arguments: str) -> tuple[int, str]:
    """Return a command's exit code, and all that it prints."""
    done = CliRunner().invoke(app, arguments)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output
