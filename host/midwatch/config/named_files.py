"""Mistakes in the files that settings name: servers, a declared topology, steering, a mapping, a key."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError

from midwatch.config.faults import Fault, Origins, Written, in_file, of_file, said_by
from midwatch.config.fields import names_of, nearest
from midwatch.config.positions import Place, Positions, of_json, of_toml, of_yaml
from midwatch.errors import BadSteering
from midwatch.mcp_client.servers import ServersFile
from midwatch.settings import ServerSpec, Settings
from midwatch.steering.files import Steering, files_of, read
from midwatch_kit.records import TopologyFragment


def in_named_files(settings: Settings, origins: Origins) -> Iterator[Fault]:
    """Yield every mistake in the files that settings name."""
    readers: dict[str, Callable[[Path, str], Iterator[Fault]]] = {
        "servers_file": _servers,
        "declared_topology": _topology,
        "byo_mapping": _yaml,
        "model_api_key_file": _anything,
    }
    for name, reader in readers.items():
        path: Path | None = getattr(settings, name)
        if path is not None:
            try:
                yield from reader(path, path.read_text(encoding="utf-8-sig"))
            except OSError as error:
                yield _of_setting(name, origins, f"cannot read {path}: {error.strerror}")
            except UnicodeError:
                yield _of_setting(name, origins, f"cannot read {path}: it is no text in UTF-8")
    if "steering_dir" in settings.model_fields_set and not settings.steering_dir.is_dir():
        yield _of_setting("steering_dir", origins, f"there is no folder {settings.steering_dir}")
    for path in files_of(settings.steering_dir):
        yield from _steering(path)


def _of_setting(name: str, origins: Origins, why: str) -> Fault:
    """Return a fault of the setting itself, where it is said."""
    if origins.file and not origins.says((name,)):
        written = Written(str(origins.file.path), of_toml(origins.file.text))
        if written.positions.nearest((name,)):
            return written.at(name, why, written.positions.of((name,)).value)
    return Fault(said_by((name,)), "", why)


def _servers(path: Path, text: str) -> Iterator[Fault]:
    """Yield the faults of a servers file; an unknown key is another client's, unless it looks like one of ours."""
    yield from _json(path, text, ServersFile)
    positions = of_json(text)
    known = names_of(ServerSpec)
    for at, found in positions.found.items():
        if len(at) == 3 and at[0] == "mcpServers" and at[2] not in known and (meant := nearest(str(at[2]), known)):
            yield Written(str(path), positions).at(".".join(map(str, at)), "there is no such key", found.key, meant)


def _topology(path: Path, text: str) -> Iterator[Fault]:
    yield from _json(path, text, TopologyFragment)
    for at, name in _ends(text):
        if isinstance(name, str) and not all(name.partition(":")):
            written = Written(str(path), of_json(text))
            yield in_file(written, at, f"{name!r} names no kind: write it as service:web", "", is_key=False)


def _ends(text: str) -> Iterator[tuple[tuple[str | int, ...], object]]:
    """Yield the ends of all relations that can be read, with their places."""
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        for number, relation in enumerate(json.loads(text).get("relations", ())):
            yield from ((("relations", number, end), relation.get(end)) for end in ("source", "target"))


def _json(path: Path, text: str, model: type[BaseModel]) -> Iterator[Fault]:
    try:
        json.loads(text)
    except ValueError as error:
        at = Place(error.lineno, error.colno) if isinstance(error, json.JSONDecodeError) else Place(1, 1)
        yield Written(str(path), Positions({})).at("", f"this is no JSON: {error.args[0].partition(': line')[0]}", at)
        return
    positions = of_json(text)
    written = Written(str(path), positions)
    for twice, place in positions.twice.items():
        yield written.at(".".join(map(str, twice)), "it stands there twice: only the last would hold", place)
    try:
        model.model_validate_json(text)
    except ValidationError as error:
        yield from of_file(error, written, model)


def _yaml(path: Path, text: str) -> Iterator[Fault]:
    """Yield where a mapping is no YAML; what it means only the byo server knows."""
    try:
        yaml.safe_load(text)
    except yaml.YAMLError as error:
        yield _no_yaml(path, error, 1)


def _anything(_path: Path, _text: str) -> Iterator[Fault]:
    yield from ()


def _steering(path: Path) -> Iterator[Fault]:
    try:
        read(path)
    except BadSteering as error:
        why = error.__context__
        if isinstance(why, ValidationError):
            front = path.read_text(encoding="utf-8-sig").split("---", 2)[1]
            yield from of_file(why, Written(str(path), of_yaml(front)), Steering)
        elif isinstance(why, yaml.YAMLError):
            yield _no_yaml(path, why, 1)
        else:
            yield Fault(str(path), "", str(error).removeprefix(f"{path}: "), "", 1, 1)


def _no_yaml(path: Path, error: yaml.YAMLError, first_line: int) -> Fault:
    mark = getattr(error, "problem_mark", None)
    place = Place(mark.line + first_line, mark.column + 1) if mark else Place(first_line, 1)
    why = getattr(error, "problem", None) or "it cannot be read"
    return Written(str(path), Positions({})).at("", f"this is no YAML: {why}", place)
