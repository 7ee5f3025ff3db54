"""The page about one's own server, step by step as it stands there: server, check, settings, incident."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from tests.e2e import story
from typer.testing import CliRunner

from midwatch.cli import app
from midwatch.host import open_host
from midwatch.intake import alerts_from
from midwatch.mitigation.approvals import AtTheTerminal
from midwatch.records import Conclusion, Gap
from midwatch.settings import Settings
from midwatch.storage.audit import audit
from midwatch_kit.records import Observation
from midwatch_store.writer import Writer

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "your-own-server.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(?:\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
LOG, SERVER, COMMAND, REPORT, SERVERS_FILE, CONCLUSION = BLOCKS


@dataclass(frozen=True)
class Switched(story.Story):
    """The shop's story, but that nothing was deployed to stock: it fails since a flag was switched."""

    def resource(self, instance: str, at: float) -> dict[str, str]:
        return {"service.instance.id": instance, "service.version": story.GOOD}

    def store(self, folder: Path) -> None:
        """Write the telemetry, with every deploy but the one that would explain it."""
        with Writer(folder) as writer:
            writer.append({"changes": story.changes(self)[:-1], "alarms": story.alarms(self)})
            writer.append(self.telemetry(0, story.LENGTH))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which a reader of the page would be."""
    (tmp_path / "flags.py").write_text(SERVER)
    (tmp_path / "flags.jsonl").write_text(LOG)
    (tmp_path / "servers.json").write_text(SERVERS_FILE.replace('"python"', json.dumps(sys.executable)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    return tmp_path


def test_the_server_has_less_than_sixty_lines() -> None:
    assert len(SERVER.splitlines()) < 60


@pytest.mark.usefixtures("folder")
def test_the_check_prints_what_the_page_shows() -> None:
    [command] = re.findall(r"midwatch (server check .*)", COMMAND)
    done = CliRunner().invoke(app, [sys.executable if word == "python" else word for word in command.split()])
    assert done.exit_code == 0, done.output
    assert REPORT.splitlines() == done.stdout.splitlines()[: len(REPORT.splitlines())]


async def test_an_incident_is_explained_by_what_the_teams_server_told(folder: Path) -> None:
    told = Switched(seed=2)
    told.store(folder / "store")
    settings = Settings(
        store=folder / "store",
        servers_file=folder / "servers.json",
        data_dir=folder / "data",
        lookback_seconds=40,
        gather_seconds=2.5,
    )
    async with open_host(settings) as host:
        seen = told.start.fromisoformat(told.time(story.SEEN_AT))
        [incident] = host.receive(alerts_from({**told.alert()}), seen)
        report = await host.investigation(incident, AtTheTerminal(Console(file=StringIO()))).run()
        [conclusion] = host.journal.values(incident.id, Conclusion)
        observations = {each.id: each for each in host.journal.values(incident.id, Observation)}
        gaps = host.journal.values(incident.id, Gap)
        checked = audit(incident.id, host.journal, host.eyes.kept)
    cause = conclusion.root_causes[0]
    assert (conclusion.outcome, cause.kind, cause.entity) == ("root_cause", "change", "service:stock")
    assert cause.trigger
    assert (cause.trigger.by, cause.trigger.attributes["change_id"]) == ("flags", "f-7")
    assert cause.trigger.id in observations
    assert CONCLUSION.strip() in report.packet
    assert checked.faults == ()
    assert gaps == []
