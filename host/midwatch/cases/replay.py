"""Replaying a snapshot: the same investigation again, through the real servers, one question at a time.

Everything that decides the outcome comes from the snapshot: alerts, the moment they were seen, telemetry, steering and
conditions. Nothing comes from the environment, the clock or chance, so the journal is the same every time but for times
taken and spent. A replay ends with the plan: nobody is asked, and nothing runs.
"""

import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
from pydantic import ValidationError

from midwatch.cases.archive import unpacked
from midwatch.cases.manifest import Conditions, Manifest, read_manifest, verify
from midwatch.cases.snapshot import ALERTS, DECLARED, STEERING, TOPOLOGY, Received
from midwatch.errors import BadSnapshot, HostError
from midwatch.host import Host, open_host
from midwatch.intake import alerts_from
from midwatch.mcp_client.links import Reach, connect
from midwatch.reading.findings import Findings, findings_of
from midwatch.records import Gap
from midwatch.settings import Settings
from midwatch.settings.models import ModelSettings
from midwatch.steering.files import Steering
from midwatch_kit.window import parse_time

_PATIENCE_SECONDS = 3600.0
_CALL_SECONDS = 300.0
_NOWHERE = "http://127.0.0.1:9"
"""Where roll-backs would be asked for: nobody listens at the discard port, and a replay asks for none."""


@dataclass(frozen=True)
class Replayed:
    """What came of a replay."""

    findings: Findings
    packet: str


@dataclass(frozen=True)
class Snapshot:
    """A snapshot that is whole: its folder, what seals it, under which conditions it is investigated, and of what."""

    folder: Path
    manifest: Manifest | None
    conditions: Conditions
    known: Received


def replay(path: Path, keep: Path, otherwise: Settings, reach: Reach = connect) -> Replayed:
    """Investigate a snapshot again, with journal and evidence in the new folder `keep`.

    `otherwise` are the conditions of an older snapshot, which has none of its own; `reach` connects to the servers.
    Raises `BadSnapshot` when the snapshot is not what was taken, or `keep` is in use.
    """
    if (keep / "journal.db").exists():
        raise BadSnapshot(f"{keep} holds an investigation already: name a new folder with --keep")
    with whole(path, otherwise) as snapshot:
        return anyio.run(_replay, snapshot, keep, reach)


@contextmanager
def whole(path: Path, otherwise: Settings) -> Iterator[Snapshot]:
    """Yield a snapshot, unpacked for as long as the block runs; raises `BadSnapshot` when it is not what was taken."""
    with unpacked(path) as folder:
        if manifest := read_manifest(folder):
            verify(folder, manifest)
        conditions = manifest.conditions if manifest else _as_set(otherwise)
        yield Snapshot(folder, manifest, conditions, received_in(folder))


@asynccontextmanager
async def reopened(
    snapshot: Snapshot, keep: Path, reach: Reach = connect, model: ModelSettings | None = None
) -> AsyncGenerator[Host]:
    """Yield a host whose servers read a snapshot; without settings of a model statistics judge alone."""
    declared = snapshot.folder / (DECLARED if snapshot.manifest else TOPOLOGY)  # an importer's graph is all there is
    settings = _settings(snapshot.folder, snapshot.conditions, keep, declared if declared.exists() else None)
    if model:
        said = {name: getattr(model, name) for name in ModelSettings.model_fields if name != "reasoner"}
        settings = settings.model_copy(update=said)  # who has models hands them to each investigation
    async with open_host(settings, reach) as host:
        yield host


async def investigated(host: Host, snapshot: Snapshot, steering: Sequence[Steering] | None = None) -> Replayed:
    """Investigate a snapshot at a host that was reopened for it, with its own steering files or with these."""
    known, manifest = snapshot.known, snapshot.manifest
    for alert in known.received:
        host.receive([alert], known.seen_at)
    incident = host.incidents()[0]
    for number, steer in enumerate(known.told):
        host.journal.note(incident.id, "steer", f"told:{number:04}", steer, steer.by)
    for missing in manifest.missing if manifest else ():
        gap = Gap(what=missing, why="it is not in the snapshot", may_hide="whatever rested on it")
        host.journal.note(incident.id, "gap", f"snapshot:{missing}"[:120], gap)
    report = await host.investigation(incident, None, steering).run()
    found = findings_of(host.journal, incident.id)
    if found is None:
        raise BadSnapshot(f"the investigation of {incident.id} ended without a conclusion")
    return Replayed(found, report.packet)


async def _replay(snapshot: Snapshot, keep: Path, reach: Reach) -> Replayed:
    async with reopened(snapshot, keep, reach) as host:
        return await investigated(host, snapshot)


def received_in(folder: Path) -> Received:
    """Return what a snapshot's incident began with; an older one has a plain alert with `seen_at` instead."""
    path = folder / ALERTS
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(body, dict) and "received" in body:
            return Received.model_validate(body)
        seen = body.get("seen_at") if isinstance(body, dict) else None
        if not isinstance(seen, str):
            raise BadSnapshot(f"{path} does not say when the alert was seen: give it a field seen_at")
        return Received(seen_at=parse_time(seen, datetime.now(UTC)), received=tuple(alerts_from(body)))
    except OSError as error:
        raise BadSnapshot(f"{folder} is no snapshot: cannot read {ALERTS}: {error.strerror}") from None
    except ValidationError as error:
        raise BadSnapshot(f"cannot use {path}: {error.errors()[0]['msg']}") from None
    except (ValueError, HostError) as error:
        raise BadSnapshot(f"cannot use {path}: {error}") from None


def _as_set(settings: Settings) -> Conditions:
    return Conditions(
        lookback_seconds=settings.lookback_seconds,
        gather_seconds=settings.gather_seconds,
        investigation_calls=settings.investigation_calls,
        subagent_calls=settings.subagent_calls,
        can_roll_back=bool(settings.roll_back_url),
    )


def _settings(folder: Path, conditions: Conditions, keep: Path, declared: Path | None) -> Settings:
    """Return settings of which none comes from the environment; limits of time are such that none is met."""
    fields = Settings.model_fields
    values: dict[str, Any] = {name: fields[name].get_default(call_default_factory=True) for name in fields}
    patience = dict.fromkeys(("investigation_seconds", "subagent_seconds"), _PATIENCE_SECONDS)
    return Settings(
        **values
        | conditions.model_dump(exclude={"can_roll_back"})
        | patience
        | {
            "data_dir": keep,
            "database_url": None,
            "store": folder,
            "steering_dir": folder / STEERING,
            "declared_topology": declared,
            "roll_back_url": _NOWHERE if conditions.can_roll_back else None,
            "call_seconds": _CALL_SECONDS,
            "connect_seconds": _CALL_SECONDS,
            "parallel_subagents": 1,
            "parallel_calls": 1,
        }
    )
