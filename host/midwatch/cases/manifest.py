"""The manifest of a snapshot: what is in it, under which conditions it was investigated, and the hash of every file.

It knows no telemetry. A snapshot without a manifest is an older one, made by hand or by an importer: nothing of it can
be checked.
"""

import hashlib
import json
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from midwatch.errors import BadSnapshot
from midwatch_kit.evidence import canonical, evidence_id
from midwatch_kit.records import Record, Window

NAME = "manifest.json"
_BLOCK = 2**20


class Conditions(Record):
    """The settings that decide what an investigation finds; the others only bound how long it may take."""

    lookback_seconds: float = Field(gt=0)
    gather_seconds: float = Field(ge=0)
    investigation_calls: int = Field(gt=0)
    subagent_calls: int = Field(gt=0)
    can_roll_back: bool = Field(False, description="whether a plan could name the tool that rolls back")


class Manifest(Record):
    """What a snapshot holds; `digest` is the hash of all the rest of it, so that nothing here changes unnoticed."""

    format: Literal[1] = 1
    made_by: str
    incident: str
    window: Window
    conditions: Conditions
    rows: dict[str, int]
    missing: tuple[str, ...] = Field((), description="what the investigation looked at and the snapshot has not")
    files: dict[str, str] = Field(description="the sha256 of each file, by its path within the snapshot")
    digest: str = ""


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Seal a snapshot: hash every file that is in the folder now, and write the manifest beside them."""
    files = {name: _hash(folder / name) for name in _files(folder) if name != NAME}
    with_files = manifest.model_copy(update={"files": files})
    sealed = with_files.model_copy(update={"digest": _digest(with_files)})
    (folder / NAME).write_bytes(_rendered(sealed))


def read_manifest(folder: Path) -> Manifest | None:
    """Return a snapshot's manifest, None when it has none; raises `BadSnapshot` unless it is what was written."""
    path = folder / NAME
    if not path.exists():
        return None
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        told = f"{'.'.join(map(str, first['loc'])) or NAME}: {first['msg']}"
        raise BadSnapshot(f"cannot use the manifest {path}: {told}") from None
    if _digest(manifest) != manifest.digest or _rendered(manifest) != path.read_bytes():
        raise BadSnapshot(f"{path} is not what was written: take the snapshot again, or fetch an intact copy")
    return manifest


def verify(folder: Path, manifest: Manifest) -> None:
    """Raise `BadSnapshot`, naming the file, when one is missing, was changed, or was put among the telemetry."""
    for name, wanted in manifest.files.items():
        if not (folder / name).is_file():
            raise BadSnapshot(f"the snapshot {folder} is not whole: {name} is missing")
        if _hash(folder / name) != wanted:
            raise BadSnapshot(f"the snapshot {folder} was changed: {name} has another hash than its manifest says")
    strangers = [name for name in _files(folder) if "/" in name and name not in manifest.files]
    if strangers:
        raise BadSnapshot(f"the snapshot {folder} was changed: {strangers[0]} is not in its manifest")


def _digest(manifest: Manifest) -> str:
    return evidence_id(canonical(manifest.model_dump(mode="json", exclude={"digest"})))


def _rendered(manifest: Manifest) -> bytes:
    return (json.dumps(manifest.model_dump(mode="json"), indent=2, sort_keys=True) + "\n").encode()


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def _hash(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()
