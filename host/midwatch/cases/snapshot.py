"""Taking a snapshot: an incident's telemetry, topology, alerts, steering and conditions, as one directory or file.

The telemetry is cut out of the embedded store by the store's own command, a process of its own. What other servers
answered is not in the store; the manifest says so. Nothing in a snapshot says where it was made.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel, ValidationError

from midwatch.cases.archive import is_archive, pack
from midwatch.cases.looked import alerts_of, calls_of, first_scope_of, scope_of, window_of
from midwatch.cases.manifest import Conditions, Manifest, read_manifest, write_manifest
from midwatch.errors import BadSnapshot, BadSteering
from midwatch.records import Alert, Budget, Incident, Plan, Steer
from midwatch.settings import Settings
from midwatch.steering.files import files_of, read
from midwatch.steering.steers import told
from midwatch.storage.journal import Journal
from midwatch_kit.evidence import EvidenceStore
from midwatch_kit.records import Moment, Record, Window

ALERTS, TOPOLOGY, DECLARED, STEERING = "incident.json", "topology.json", "declared.json", "steering"
FROM_THE_STORE = frozenset({"logs", "metrics", "traces", "deploys", "cluster"})
_CUT_SECONDS = 600.0


class Received(Record):
    """What an incident began with: its alerts as they came, when it was first seen, and what people told it."""

    seen_at: Moment
    received: tuple[Alert, ...]
    told: tuple[Steer, ...] = ()


@dataclass(frozen=True)
class Source:
    """Where an incident's snapshot is taken from."""

    journal: Journal
    kept: EvidenceStore
    settings: Settings


class _Cut(BaseModel):
    """What the store's command says it did."""

    rows: dict[str, int]
    left_out: dict[str, str]


def take(incident: Incident, source: Source, to: Path) -> Manifest:
    """Take a snapshot into a new directory, or a new file whose name ends in `.tar.xz`; all of it or nothing.

    Raises `BadSnapshot` when there is no store to take it from, nothing in it, or something at `to` already.
    """
    store = source.settings.store
    if store is None or not store.is_dir():
        what = f"there is no store at {store}" if store else "no store is known"
        raise BadSnapshot(f"{what}: set MIDWATCH_STORE to the store that the incident's telemetry went into")
    with _appearing(to) as folder:
        window = window_of(source.journal, incident.id)
        cut = _cut(store, folder, window)
        if not any(cut.rows[name] for name in cut.rows if name.startswith("otel_")):
            raise BadSnapshot(f"the store {store} has no telemetry of {window.start} to {window.end}: has it expired?")
        return _write(incident, source, folder, window, cut)


@contextmanager
def _appearing(to: Path) -> Iterator[Path]:
    """Yield a folder that becomes `to`, whole, when the block ends well."""
    if to.is_file() or (to.is_dir() and any(to.iterdir())):
        raise BadSnapshot(f"there is something at {to} already: name a new directory or file")
    to.absolute().parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{to.name}-", dir=to.absolute().parent))
    try:
        yield folder
        if is_archive(to):
            pack(folder, whole := folder.with_name(f"{folder.name}.part"))
            whole.rename(to)
        else:
            folder.rename(to)
    except OSError as error:
        raise BadSnapshot(f"cannot write the snapshot {to}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_name(f"{folder.name}.part").unlink(missing_ok=True)


def _cut(store: Path, to: Path, window: Window) -> _Cut:
    times = ["--start", window.start.isoformat(), "--end", window.end.isoformat()]
    command = [sys.executable, "-m", "midwatch_store", "cut", "--dir", str(store), "--to", str(to), *times, "--json"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_CUT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise BadSnapshot(f"the store {store} could not be cut within {_CUT_SECONDS:g} s") from None
    try:
        return _Cut.model_validate_json(done.stdout)
    except ValidationError:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise BadSnapshot(f"the store {store} could not be cut: {said[-1][:300]}") from None


def _write(incident: Incident, source: Source, folder: Path, window: Window, cut: _Cut) -> Manifest:
    scope = scope_of(source.journal, incident.id)
    received = Received(
        seen_at=incident.first_seen,
        received=tuple(alerts_of(source.journal, source.kept, incident.id)),
        told=tuple(told(source.journal, incident.id).values()),
    )
    _write_json(folder / ALERTS, received)
    _write_json(folder / TOPOLOGY, scope.topology)
    _copy_guidance(source.settings, folder)
    manifest = Manifest(
        made_by=f"midwatch {version('midwatch')}",
        incident=incident.id,
        window=window,
        conditions=_conditions(incident, source),
        rows=cut.rows,
        missing=tuple(_missing(incident, source, cut)),
        files={},
    )
    write_manifest(folder, manifest)
    return read_manifest(folder) or manifest


def _write_json(path: Path, value: Record) -> None:
    path.write_text(json.dumps(value.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _copy_guidance(settings: Settings, folder: Path) -> None:
    """Copy what people wrote down for investigations: steering files, and relations that no server can see."""
    for path in files_of(settings.steering_dir):
        for file in (path, *(path.parent / name for name in _beside(path))):
            copy = folder / STEERING / file.relative_to(settings.steering_dir)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
    if settings.declared_topology:
        shutil.copyfile(settings.declared_topology, folder / DECLARED)


def _beside(path: Path) -> tuple[str, ...]:
    """Return the files of a skill that its text names; a file that cannot be read now held none of them."""
    try:
        return read(path).beside
    except BadSteering:
        return ()


def _conditions(incident: Incident, source: Source) -> Conditions:
    """Return the conditions under which it was really investigated, as far as the journal has them."""
    scope, settings = first_scope_of(source.journal, incident.id), source.settings
    spent = source.journal.values(incident.id, Budget)
    plans = source.journal.values(incident.id, Plan)
    return Conditions(
        lookback_seconds=scope.lookback_seconds or settings.lookback_seconds,
        gather_seconds=max(0.0, (scope.window.end - incident.first_seen).total_seconds()),
        investigation_calls=spent[0].tool_calls_allowed if spent else settings.investigation_calls,
        subagent_calls=settings.subagent_calls,
        can_roll_back=bool(settings.roll_back_url)
        or any(step.call and step.by == "code" for plan in plans for step in plan.steps),
    )


def _missing(incident: Incident, source: Source, cut: _Cut) -> Iterator[str]:
    asked = {call.server for call in calls_of(source.journal, incident.id)}
    elsewhere = {"cluster"} if source.settings.cluster == "live" else set()
    for server in sorted(asked - (FROM_THE_STORE - elsewhere)):
        yield f"what the server {server} answered: it does not read the store"
    if source.settings.servers_file and asked & FROM_THE_STORE:
        yield "what the servers of the servers file answered from elsewhere than the store"
    for name, why in sorted(cut.left_out.items()):
        yield f"the store's file {name}: {why}"
