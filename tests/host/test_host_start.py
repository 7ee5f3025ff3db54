"""The start of the command line: what is imported for whom, and that the list of commands says what commands say."""

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer

import midwatch_kit
from midwatch.cli.app import COMMANDS, app

LOADED = """
import json, sys
from typer.testing import CliRunner
from midwatch.cli import app
told = []
for words in json.loads(sys.argv[1]):
    result = CliRunner().invoke(app, words)
    told.append([result.exit_code, result.output, [name for name in json.loads(sys.argv[2]) if name in sys.modules]])
print(json.dumps(told))
"""
HEAVY = ["mcp", "uvicorn", "fastapi", "anthropic", "opentelemetry", "midwatch.host", "midwatch.investigation"]
OF_RECORDS = ["pydantic", "sqlalchemy", "rich.table", "anyio"]


def loaded(folder: Path, *commands: list[str]) -> list[tuple[int, str, list[str]]]:
    """Return the exit code of each command, what it said, and what of the heavy modules was imported by then."""
    (folder / "servers.json").write_text('{"mcpServers": {}}', encoding="utf-8")
    environment = {**os.environ, "MIDWATCH_DATA_DIR": str(folder), "MIDWATCH_SERVERS_FILE": "servers.json"}
    done = subprocess.run(
        [sys.executable, "-c", LOADED, json.dumps(commands), json.dumps([*HEAVY, *OF_RECORDS])],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [(code, said, modules) for code, said, modules in json.loads(done.stdout)]


def test_who_reads_what_is_on_record_waits_for_no_part_that_asks_or_serves(tmp_path: Path) -> None:
    version, listed, *reading = loaded(
        tmp_path, ["--version"], ["--help"], ["incidents"], ["report"], ["show", "r1"], ["alerts"], ["config", "check"]
    )
    assert version == (0, "midwatch 0.1.0\n", [])
    assert (listed[0], "sqlalchemy" in listed[2], "pydantic" in listed[2]) == (0, False, False)
    assert "Show what an investigation found" in listed[1]
    assert [sorted({*HEAVY} & {*modules}) for _, _, modules in reading] == [[]] * 5
    assert [code for code, _, _ in reading] == [0, 1, 1, 0, 0], "nothing is on record yet"


def test_every_command_is_listed_with_its_own_first_line() -> None:
    for module, _ in COMMANDS.values():
        import_module(f"midwatch.cli.{module}")
    own = typer.main.get_group(app).commands
    folder = Path(import_module("midwatch.cli").__file__ or "").parent
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "app", "shared", "output"}
    assert {module for module, _ in COMMANDS.values()} == modules
    assert own.keys() == COMMANDS.keys()
    assert {name: (each.help or "").partition("\n\n")[0].replace("\n", " ") for name, each in own.items()} == {
        name: said for name, (_, said) in COMMANDS.items()
    }


def test_every_name_of_the_kit_is_there_when_it_is_asked_for_and_no_other() -> None:
    assert [name for name in midwatch_kit.__all__ if not hasattr(midwatch_kit, name)] == []
    with pytest.raises(AttributeError, match="has no attribute 'Windoe'"):
        midwatch_kit.Windoe  # type: ignore[attr-defined]  # noqa: B018
