"""`midwatch doctor`, beside the servers: what the host stands on, and what to do about it."""

import json
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from midwatch.cli import app
from midwatch.cli.shared import settings_or_fail
from midwatch.records import Message
from midwatch.storage.database import Database
from midwatch.storage.journal import Journal
from midwatch.storage.migrating import revisions
from midwatch_kit.window import rfc3339


@dataclass(frozen=True)
class Said:
    """What the doctor said of one thing."""

    ok: bool
    detail: str
    do: str


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with settings by which all is well but that there are no servers."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "servers.json").write_text('{"mcpServers": {}}')
    for name, value in {"LISTEN_PORT": "0", "SERVERS_FILE": "servers.json", "DATA_DIR": "data"}.items():
        monkeypatch.setenv(f"MIDWATCH_{name}", value)
    return tmp_path


def test_nothing_of_the_table_is_cut_where_no_terminal_says_how_wide_it_may_be(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    script = "import sys; sys.exit('no backend is named: set [one] of these, please, as the page of backends tells')"
    spec = {"command": sys.executable, "args": ["-c", script]}
    (folder / "servers.json").write_text(json.dumps({"mcpServers": {"short": spec}}))
    said = CliRunner().invoke(app, ["doctor"]).stdout
    (line,) = (line for line in said.splitlines() if "short" in line)
    assert "its last words: no backend is named: set [one] of these, please, as the page of backends tells" in line
    assert "see data/servers/short.log" in line


def test_on_a_phone_each_row_is_a_few_lines_with_whole_words(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    (folder / "servers.json").write_text(json.dumps({"mcpServers": {"gone": {"command": "midwatch-not-there"}}}))
    said = CliRunner().invoke(app, ["doctor"]).stdout
    assert "\nok database revision\n" in said
    assert "✗ gone connection\n  detail: " in said
    assert "\n  what to do: see data/servers/gone.log\n" in said
    assert max(map(len, said.splitlines())) <= 40


def test_it_asks_about_the_store_that_up_keeps_in_the_data_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MIDWATCH_SERVERS_FILE")
    assert settings_or_fail().store is None
    (folder / "data" / "store").mkdir(parents=True)
    assert settings_or_fail().store == Path("data/store")
    assert settings_or_fail(run_store=False).store is None
    assert "data/store" not in CliRunner().invoke(app, ["config", "show"]).stdout


def doctor() -> dict[tuple[str, str], Said]:
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code in (0, 1), done.exception
    found = {(each.pop("server"), each.pop("what")): Said(**each) for each in json.loads(done.stdout)}
    assert all(said.ok or said.do for said in found.values())
    assert done.exit_code == (0 if all(said.ok for said in found.values()) else 1)
    return found


def test_where_all_is_well_only_the_servers_are_missed() -> None:
    found = doctor()
    assert [place for place, said in found.items() if not said.ok] == [("servers", "connection")]
    assert {"settings", "database", "disk", "address", "clock"} <= {name for name, _ in found} | {"clock"}
    assert "can be written, and is new" in found["database", "revision"].detail


def test_mistakes_in_settings_and_the_files_that_they_name_are_told_and_the_rest_as_well(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDWATCH_PARALEL_CALLS", "3")
    monkeypatch.setenv("MIDWATCH_STEERING_DIR", ".")
    (folder / "bad.md").write_text("no front matter")
    (folder / "servers.json").write_text('{"mcpServers": {"x": {}}}')
    found = doctor()
    assert found["settings", "MIDWATCH_PARALEL_CALLS"].do == "is MIDWATCH_PARALLEL_CALLS meant?"
    assert "either a command or a url" in found["settings", "servers.json:1"].detail
    assert "no front matter" in found["settings", "bad.md:1"].detail
    assert found["address", "127.0.0.1:0"].ok


def test_a_database_of_another_revision_is_left_as_it_is(folder: Path) -> None:
    older = revisions()[-2]
    with closing(Database(folder / "data" / "journal.db")) as database:
        database.migrate(older)
    found = doctor()
    assert f"is of revision {older}" in found["database", "revision"].detail
    assert "midwatch db upgrade" in found["database", "revision"].do
    assert found["servers", "connection"].detail == "not asked"
    with closing(Database(folder / "data" / "journal.db", prepare=False)) as database:
        assert database.revision() == older


def test_a_database_that_is_away_is_told_of_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDWATCH_DATABASE_URL", "postgresql://me:hush@127.0.0.1:1/shop")
    found = doctor()
    assert not found["database", "connection"].ok
    assert "hush" not in str(found)


@pytest.mark.xdist_group("postgresql")
def test_a_postgresql_that_can_only_be_read_is_told_of(postgresql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDWATCH_DATABASE_URL", postgresql)
    with closing(Database(postgresql)) as database:
        found = doctor()
        assert found["database", "revision"].ok
        assert found["clock", "database"].ok
        reader = f"reader_{postgresql.rpartition('/')[2]}"
        with database.writing() as connection:
            connection.execute(sa.text(f"CREATE ROLE {reader} LOGIN"))
            connection.execute(sa.text(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}"))
        monkeypatch.setenv("MIDWATCH_DATABASE_URL", postgresql.replace("midwatch@", f"{reader}@"))
        assert "can only be read" in doctor()["database", "writing"].detail
        with database.writing() as connection:
            connection.execute(sa.text(f"DROP OWNED BY {reader}"))
            connection.execute(sa.text(f"DROP ROLE {reader}"))


def test_a_clock_that_was_set_back_is_told_by_what_is_on_record(folder: Path) -> None:
    with closing(Journal(folder / "data" / "journal.db")) as journal:
        journal.note("one", "message", "1", Message(text="hello"))
        later = rfc3339(datetime.now(UTC) + timedelta(hours=1))
        with journal.database.writing() as connection:
            connection.execute(sa.text("UPDATE records SET at = :at"), {"at": later})
    assert not doctor()["clock", "journal"].ok


def test_a_disk_with_little_room_is_told_of_before_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(100 * 2**30, 99 * 2**30, 2**29))
    found = doctor()["disk", "data"]
    assert (found.ok, found.detail) == (False, "0.5 GiB of 100.0 GiB are free")


def test_an_address_that_something_else_has_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        taken.close()
    with socket.create_server(("127.0.0.1", port), backlog=0):
        monkeypatch.setenv("MIDWATCH_LISTEN_PORT", str(port))
        monkeypatch.setattr("midwatch.surroundings._ASKED_SECONDS", 0.2)
        found = doctor()["address", f"127.0.0.1:{port}"]
    assert (found.ok, "Address already in use" in found.detail) == (False, True)


@pytest.fixture
def running() -> Iterator[int]:
    """The port of something that answers as a running host does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = b'{"ok": true, "servers_missing": {}}'
            self.send_response(200)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *arguments: object) -> None:
            """Stay silent."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.02])
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_an_address_that_midwatch_itself_has_is_well(running: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDWATCH_LISTEN_PORT", str(running))
    assert doctor()["address", f"127.0.0.1:{running}"] == Said(True, "midwatch listens there", "")


def test_a_model_without_a_key_is_told_of_and_channels_are_asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    (folder / "midwatch.toml").write_text(
        'reasoner = "claude"\n[channels.ops]\nkind = "webhook"\nurl = "http://127.0.0.1:1/"\nsecret = "env:HOOK"\n'
    )
    monkeypatch.setenv("HOOK", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz")
    found = doctor()
    assert "there is no key" in found["model", "key"].detail
    assert "midwatch notify test sends one" in found["channel ops", "check"].detail
