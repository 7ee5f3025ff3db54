"""Writes what registries and clients want to know of each server: `server.json` and `manifest.json` in its folder.

python publish/describe.py            # after a setting, a tool or a version has changed
python publish/describe.py --check    # exits with 1 when a file is not what the code says

`server.json` is for the MCP registry, `manifest.json` for an MCPB bundle (`publish/bundle.py`). Settings come from the
server's own model, tools from the server itself.
"""

import argparse
import json
import os
import re
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from midwatch_kit import ServerSettings
from midwatch_kit.settings import variable_of

ROOT = Path(__file__).parents[1]
SERVERS = ("logs", "metrics", "traces", "deploys", "byo", "cluster")
NAMESPACE = "io.github.midwatch"
"""Whose servers these are in the MCP registry; only who can prove to own it may publish there."""
SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
OF_EVERY_SERVER = ("reply_chars", "evidence_dir")
"""Settings of every server that a person at a desk may want."""
MOST_DESCRIPTION = 100


def registry_entry(server: str) -> dict[str, Any]:
    """Return a server's `server.json`."""
    about = project(server)
    package = {
        "registryType": "pypi",
        "identifier": about["name"],
        "version": about["version"],
        "runtimeHint": "uvx",
        "transport": {"type": "stdio"},
        "environmentVariables": [registry_variable(variable, field) for variable, _, field in settings_of(server)],
    }
    return {
        "$schema": SCHEMA,
        "name": f"{NAMESPACE}/{about['name']}",
        "title": f"midwatch {server}",
        "description": about["description"][:MOST_DESCRIPTION],
        "version": about["version"],
        "packages": [package],
    }


def manifest(server: str) -> dict[str, Any]:
    """Return a server's `manifest.json`."""
    about, settings = project(server), [*settings_of(server)]
    return {
        "manifest_version": "0.4",
        "name": about["name"],
        "display_name": f"midwatch {server}",
        "version": about["version"],
        "description": about["description"],
        "author": {"name": "The midwatch authors"},
        "license": about["license"],
        "server": {
            "type": "uv",
            "entry_point": "server.py",
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--directory", "${__dirname}", "server.py"],
                "env": {variable: f"${{user_config.{name}}}" for variable, name, _ in settings},
            },
        },
        "tools": anyio.run(tools_of, server),
        "user_config": {name: bundle_option(variable, name, field) for variable, name, field in settings},
        "compatibility": {"platforms": ["darwin", "linux", "win32"], "runtimes": {"python": about["requires-python"]}},
    }


def project(server: str) -> Mapping[str, Any]:
    """Return what a server's pyproject.toml says of it."""
    told: dict[str, Any] = tomllib.loads((ROOT / "servers" / server / "pyproject.toml").read_text(encoding="utf-8"))
    return dict(told["project"])


def settings_of(server: str) -> Iterator[tuple[str, str, FieldInfo]]:
    """Yield a server's settings as environment variable, name and field; the store first, what all have last."""
    fields = settings_class(server).model_fields
    own = sorted((name for name in fields if name not in ServerSettings.model_fields), key=lambda name: name != "store")
    for name in (*own, *OF_EVERY_SERVER):
        yield variable_of(fields[name], name), name, fields[name]


def settings_class(server: str) -> type[ServerSettings]:
    """Return the model that a server's settings are read with: what its function `build` takes."""
    found: type[ServerSettings] = import_module(f"midwatch_{server}.server").build.__annotations__["settings"]
    return found


def registry_variable(variable: str, field: FieldInfo) -> dict[str, Any]:
    """Return a setting as the MCP registry has it."""
    kind = kind_of(field)
    told: dict[str, Any] = {"name": variable, "description": described(field)}
    told |= {"format": {"directory": "filepath", "file": "filepath"}.get(kind, kind)}
    if field.is_required():
        told["isRequired"] = True
    if SecretStr in types_of(field):
        told["isSecret"] = True
    if (default := default_of(field)) != "":
        told["default"] = json.dumps(default) if isinstance(default, bool) else str(default)
    return told


def bundle_option(variable: str, name: str, field: FieldInfo) -> dict[str, Any]:
    """Return a setting as a bundle has it; one without a default has an empty one, which counts as not set."""
    told: dict[str, Any] = {
        "type": kind_of(field),
        "title": name.replace("_", " ").capitalize(),
        "description": described(field),
    }
    if field.is_required():
        told["required"] = True
    else:
        told |= {"required": False, "default": default_of(field)}
    if SecretStr in types_of(field):
        told["sensitive"] = True
    return told


def described(field: FieldInfo) -> str:
    """Return what a setting is, and how a list is written."""
    written = {"list[": "; with commas between, or a JSON list", "dict[": "; a JSON object"}
    ways = [way for kind, way in written.items() if str(field.annotation).startswith(kind)]
    return f"{field.description or ''}{''.join(ways)}"


def kind_of(field: FieldInfo) -> str:
    """Return a setting's type in the words of a bundle."""
    types = types_of(field)
    if bool in types:
        return "boolean"
    if types & {int, float}:
        return "number"
    if any(isinstance(each, type) and issubclass(each, Path) for each in types):
        return "directory" if re.search("director|where", field.description or "") else "file"
    return "string"


def types_of(field: FieldInfo) -> set[Any]:
    """Return the types that a setting may have; a list is none of what is in it."""
    arguments = getattr(field.annotation, "__args__", ())
    whole = not arguments or str(field.annotation).startswith(("list", "dict", "typing.Literal"))
    return {field.annotation} if whole else {getattr(each, "__origin__", each) for each in arguments}


def default_of(field: FieldInfo) -> str | int | float | bool:
    """Return a default that is the same on every machine; empty for one that is not, or for none."""
    default = field.default
    if default is PydanticUndefined or default is None or default in ([], {}):
        return ""
    if isinstance(default, bool | int | float | str):
        return default
    if isinstance(default, list):
        return ",".join(map(str, default))
    return json.dumps(default) if isinstance(default, dict) else str(default)


async def tools_of(server: str) -> list[dict[str, str]]:
    """Return a server's tools with the first line of what each says of itself."""
    build = import_module(f"midwatch_{server}.server").build
    with tempfile.TemporaryDirectory() as folder:
        mapping = Path(folder) / "mapping.yaml"
        mapping.write_text(json.dumps({"sources": [{"name": "a", "location": f"file://{folder}", "format": "jsonl"}]}))
        named = {"mapping": mapping} if server == "byo" else {"store": Path(folder)}
        settings = settings_class(server).model_validate({**named, "evidence_dir": Path(folder) / "evidence"})
        async with Client(build(settings).build()) as client:
            tools = (await client.list_tools()).tools
    return [{"name": tool.name, "description": (tool.description or "").partition("\n")[0]} for tool in tools]


def main() -> None:
    """Write the files, or say which are not what they should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    for name in [name for name in os.environ if name.startswith("MIDWATCH_")]:
        del os.environ[name]  # what is set here is nobody else's default
    stale = []
    for server in SERVERS:
        for name, content in (("server.json", registry_entry(server)), ("manifest.json", manifest(server))):
            path, text = ROOT / "servers" / server / name, json.dumps(content, indent=2, ensure_ascii=False) + "\n"
            if not check:
                path.write_text(text, encoding="utf-8")
            elif not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(str(path.relative_to(ROOT)))
    if stale:
        sys.exit(f"not what the code says: {', '.join(stale)}; run python publish/describe.py")


if __name__ == "__main__":
    main()
