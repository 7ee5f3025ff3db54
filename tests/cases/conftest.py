"""What the tests of kept incidents share: one live investigation of the synthetic incident, and its replays."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.e2e.story import LENGTH, SEEN_AT, Story
from typer.testing import CliRunner, Result

from midwatch.cli import app
from midwatch.host import open_host
from midwatch.intake import alerts_from
from midwatch.reading.findings import Findings, findings_of
from midwatch.records import HypothesisKind, Steer
from midwatch.settings import Settings
from midwatch.steering.steers import tell
from midwatch.storage.journal import Journal
from midwatch_store.writer import Writer

STORY = Story(seed=2)
NOWHERE = "http://127.0.0.1:9/roll-back"
"""Where the live investigation could have asked for a roll-back."""
HINT = Steer(text="perhaps a permission", by="kim", kind=HypothesisKind.ACCESS, entity="service:cart")
"""What a person told the live investigation."""
TIMES = {"at", "hash", "prev_hash"}


@dataclass(frozen=True)
class Desk:
    """A folder in which an incident was investigated live, with its store and its journal."""

    folder: Path

    def midwatch(self, *arguments: str, **settings: str | None) -> Result:
        """Run a command in this process, with the settings of the live investigation and others."""
        known: dict[str, str | None] = {
            "MIDWATCH_DATA_DIR": str(self.folder / "data"),
            "MIDWATCH_STORE": str(self.folder / "store"),
            "MIDWATCH_STEERING_DIR": str(self.folder / "steering"),
            "MIDWATCH_ROLL_BACK_URL": NOWHERE,
            "MIDWATCH_LOOKBACK_SECONDS": "40",
            "MIDWATCH_GATHER_SECONDS": "2.5",
            "MIDWATCH_APPROVAL_SECONDS": "1",
            "CI": None,
        }
        return CliRunner().invoke(app, list(arguments), env={**known, **settings})

    @property
    def snapshot(self) -> Path:
        """Where the incident's snapshot is."""
        return self.folder / "snapshot"

    def found(self) -> Findings:
        """Return what the live investigation found."""
        return found_in(self.folder / "data")


@dataclass(frozen=True)
class Replay:
    """A replay in a process of its own: what it printed, and the folder that it kept."""

    printed: str
    kept: Path


def found_in(folder: Path) -> Findings:
    """Return what the only investigation in a folder found."""
    with closing(Journal(folder / "journal.db")) as journal:
        (incident,) = journal.investigations()
        found = findings_of(journal, incident)
    assert found
    return found


def records_in(folder: Path) -> list[dict[str, Any]]:
    """Return every record of a folder's only investigation, without what is of the clock alone."""
    with closing(Journal(folder / "journal.db")) as journal:
        (incident,) = journal.investigations()
        entries = [entry.model_dump(mode="json", exclude=TIMES) for entry in journal.entries(incident)]
    for entry in entries:
        if entry["type"] in ("tool_call", "budget"):
            del entry["body"]["seconds"]
    return entries


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """The incident, investigated live from a store that holds more than it needs, and a snapshot of it."""
    desk = Desk(tmp_path_factory.mktemp("desk"))
    STORY.write(desk.folder / "store", LENGTH + 20)
    with Writer(desk.folder / "store") as writer:
        writer.append({"otel_logs": [{"Timestamp": STORY.ns(-9000), "ServiceName": "web", "Body": "long before"}]})
    (desk.folder / "steering").mkdir()
    (desk.folder / "steering" / "web.md").write_text("---\nname: web\ndescription: of web\n---\nNothing to say.\n")
    (desk.folder / "steering" / "cart").mkdir()
    skill = "---\nname: cart\ndescription: of cart\n---\nSee [more](more.md).\n"
    (desk.folder / "steering" / "cart" / "SKILL.md").write_text(skill)
    (desk.folder / "steering" / "cart" / "more.md").write_text("It asks stock.")
    (desk.folder / "steering" / "cart" / "private.md").write_text("Nobody names it.")
    anyio.run(investigate, desk)
    done = desk.midwatch("snapshot", "", "--to", str(desk.snapshot))
    assert done.exit_code == 0, done.output
    return desk


async def investigate(desk: Desk) -> None:
    """Investigate the incident, with a word from a person before anything is tested; nobody approves the plan."""
    settings = Settings(
        data_dir=desk.folder / "data",
        store=desk.folder / "store",
        steering_dir=desk.folder / "steering",
        roll_back_url=NOWHERE,
        lookback_seconds=40,
        gather_seconds=2.5,
    )
    async with open_host(settings) as host:
        (incident,) = host.receive(alerts_from({**STORY.alert()}), datetime.fromisoformat(STORY.time(SEEN_AT)))
        tell(host.journal, incident.id, HINT)
        await host.investigation(incident, None).run()


@pytest.fixture(scope="session")
def packed(desk: Desk) -> Path:
    """The same snapshot as one file."""
    path = desk.folder / "snapshot.tar.xz"
    done = desk.midwatch("snapshot", "", "--to", str(path))
    assert done.exit_code == 0, done.output
    return path


@pytest.fixture(scope="session")
def replays(desk: Desk, packed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Replay, Replay]:
    """The snapshot replayed twice, in two places that differ in whatever a replay must not depend on."""
    here, there = tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("there")
    one = {"PYTHONHASHSEED": "1", "TZ": "UTC", "LANG": "C.UTF-8", "MIDWATCH_STORE_THREADS": "1"}
    other = {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo", "LANG": "tr_TR.UTF-8", "MIDWATCH_STORE_THREADS": "2"}
    misleading = {"MIDWATCH_LOOKBACK_SECONDS": "900", "MIDWATCH_INVESTIGATION_CALLS": "1", "CI": "true"}
    with ThreadPoolExecutor() as both:
        first = both.submit(replayed, desk.snapshot, here, one)
        second = both.submit(replayed, packed, there, {**other, **misleading})
        return first.result(), second.result()


def replayed(snapshot: Path, folder: Path, environment: Mapping[str, str]) -> Replay:
    """Replay a snapshot as a process that works in `folder`."""
    command = [sys.executable, "-m", "midwatch", "replay", str(snapshot), "--json", "--keep", "kept"]
    own = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), **environment}
    done = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return Replay(done.stdout, folder / "kept")


@pytest.fixture
def journal(desk: Desk) -> Iterator[Journal]:
    """The journal of the live investigation."""
    with closing(Journal(desk.folder / "data" / "journal.db")) as journal:
        yield journal


@pytest.fixture(scope="session")
def found(desk: Desk) -> Findings:
    return desk.found()
