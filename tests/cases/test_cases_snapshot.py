"""A snapshot holds all that an investigation looked at, nothing else, and nothing of where it was made."""

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cases.conftest import STORY, Desk
from tests.e2e.story import SEEN_AT

from midwatch.cases.archive import unpacked
from midwatch.cases.manifest import Manifest, read_manifest, verify
from midwatch.errors import BadSnapshot
from midwatch.records import ToolCall
from midwatch.storage.journal import Journal
from midwatch_store import Store

# They share one investigation, whose servers would starve a live application that another worker runs.
pytestmark = pytest.mark.xdist_group("live")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def manifest_of(folder: Path) -> Manifest:
    manifest = read_manifest(folder)
    assert manifest
    return manifest


@pytest.fixture
def copy(desk: Desk, tmp_path: Path) -> Path:
    return shutil.copytree(desk.snapshot, tmp_path / "copy")


def test_it_holds_the_telemetry_from_the_start_to_the_end_of_what_was_looked_at(desk: Desk, journal: Journal) -> None:
    window = manifest_of(desk.snapshot).window
    (incident,) = journal.investigations()
    asked = [call.evidence.window for call in journal.values(incident, ToolCall) if call.evidence]
    assert all(window.start <= each.start and each.end <= window.end for each in asked if each)
    assert window.end.isoformat() == STORY.time(SEEN_AT + 2.5)
    held = "SELECT count(*) FROM otel_logs WHERE epoch_ns(Timestamp) >= ? AND epoch_ns(Timestamp) < ?"
    bounds = [int(moment.timestamp() * 1e6) * 1000 for moment in (window.start, window.end)]
    with Store(desk.folder / "store") as whole, Store(desk.snapshot) as part:
        assert part.query("SELECT count(*) FROM otel_logs") == whole.query(held, bounds)
        assert part.query("SELECT count(*) FROM otel_logs") != whole.query("SELECT count(*) FROM otel_logs")
        assert part.query("SELECT count(*) FROM changes") == whole.query("SELECT count(*) FROM changes")


def test_it_holds_alerts_as_they_came_topology_steering_and_conditions(desk: Desk) -> None:
    told = json.loads((desk.snapshot / "incident.json").read_text())
    assert told["seen_at"].startswith("2026-11-20T02:48:16")
    assert [alert["raw"]["title"] for alert in told["received"]] == [STORY.alert()["title"]]
    graph = json.loads((desk.snapshot / "topology.json").read_text())
    assert {"service:web", "service:stock", "database:shop"} <= {entity["id"] for entity in graph["entities"]}
    steering = desk.snapshot / "steering"
    kept = {path.relative_to(steering).as_posix() for path in steering.rglob("*") if path.is_file()}
    assert kept == {"web.md", "cart/SKILL.md", "cart/more.md"}
    conditions = manifest_of(desk.snapshot).conditions
    assert (conditions.lookback_seconds, conditions.gather_seconds, conditions.can_roll_back) == (40, 2.5, True)


def test_it_does_not_say_where_it_was_made(desk: Desk) -> None:
    assert not [name for name, held in files(desk.snapshot).items() if str(desk.folder).encode() in held]


def test_the_same_incident_gives_the_same_bytes_as_a_folder_and_as_a_file(desk: Desk, packed: Path) -> None:
    with unpacked(packed) as folder:
        assert files(folder) == files(desk.snapshot)


@pytest.mark.parametrize("name", ["otel_traces", "incident.json", "topology.json", "steering"])
def test_one_byte_that_was_changed_is_told_with_its_file(copy: Path, name: str) -> None:
    victim = (
        next(path for path in sorted((copy / name).rglob("*")) if path.is_file()) if "." not in name else copy / name
    )
    held = bytearray(victim.read_bytes())
    held[len(held) // 2] ^= 1
    victim.write_bytes(held)
    with pytest.raises(BadSnapshot, match=f"{victim.relative_to(copy)} has another hash"):
        verify(copy, manifest_of(copy))


def test_a_manifest_with_one_byte_changed_is_refused_wherever_it_is(copy: Path) -> None:
    path = copy / "manifest.json"
    whole = path.read_bytes()
    for place in range(0, len(whole), 17):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(BadSnapshot, match=r"manifest\.json"):
            manifest_of(copy)


def test_a_file_that_is_missing_or_was_put_among_the_telemetry_is_told(copy: Path) -> None:
    manifest = manifest_of(copy)
    (copy / "note.txt").write_text("a word beside it does no harm")
    verify(copy, manifest)
    stranger = next((copy / "otel_logs").rglob("*.parquet")).with_name("1-2-3-4.parquet")
    stranger.write_bytes(b"")
    with pytest.raises(BadSnapshot, match=r"1-2-3-4.parquet is not in its manifest"):
        verify(copy, manifest)
    (copy / "topology.json").unlink()
    with pytest.raises(BadSnapshot, match=r"topology.json is missing"):
        verify(copy, manifest)


@pytest.mark.parametrize(
    "evil",
    [
        lambda: tarfile.TarInfo("../outside"),
        lambda: tarfile.TarInfo("/outside"),
        lambda: linked("inside", tarfile.SYMTYPE),
        lambda: linked("inside", tarfile.LNKTYPE),
        lambda: linked("inside", tarfile.FIFOTYPE),
    ],
)
def test_an_archive_that_would_get_out_of_its_folder_is_refused(
    tmp_path: Path, evil: Callable[[], tarfile.TarInfo]
) -> None:
    path = tmp_path / "evil.tar.xz"
    with tarfile.open(path, "w:xz") as packed:
        packed.addfile(evil(), io.BytesIO())
    with pytest.raises(BadSnapshot, match="is no snapshot: it holds"), unpacked(path):
        pytest.fail("it was unpacked")


def test_an_archive_that_is_torn_is_told(packed: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn.tar.xz"
    torn.write_bytes(packed.read_bytes()[:-2000])
    with pytest.raises(BadSnapshot, match="cannot unpack"), unpacked(torn):
        pytest.fail("it was unpacked")


def linked(name: str, kind: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, "/etc/passwd"
    return entry


@pytest.mark.parametrize(
    ("settings", "to", "said"),
    [
        ({"MIDWATCH_STORE": None}, "new", "no store is known: set MIDWATCH_STORE"),
        ({"MIDWATCH_STORE": "/no/store"}, "new", "there is no store at /no/store: set MIDWATCH_STORE"),
        ({}, "snapshot", "there is something at"),
        ({}, "store/incident.json", "there is something at"),
    ],
)
def test_what_stands_in_the_way_of_a_snapshot_is_told(
    desk: Desk, settings: dict[str, str | None], to: str, said: str
) -> None:
    done = desk.midwatch("snapshot", "", "--to", str(desk.folder / to), **settings)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"midwatch: {said}")


def test_a_store_that_has_lost_the_telemetry_gives_no_snapshot_and_leaves_nothing(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    to = tmp_path / "new"
    done = desk.midwatch("snapshot", "", "--to", str(to), MIDWATCH_STORE=str(tmp_path / "empty"))
    assert (done.exit_code, list(tmp_path.iterdir())) == (1, [tmp_path / "empty"])
    assert "has it expired?" in done.stderr
