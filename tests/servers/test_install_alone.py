"""One server installed by itself, both ways that the README gives: it works, and brings nothing that it doesn't use."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters

ROOT = Path(__file__).parents[2]
UV = os.environ.get("UV") or shutil.which("uv")
NOT_FOR_ONE_SERVER = {
    "midwatch",
    "midwatch-metrics",
    "midwatch-byo",
    "midwatch-cluster",
    "kubernetes",
    "networkx",
    "sqlalchemy",
    "pyarrow",
}

pytestmark = [
    pytest.mark.skipif(UV is None, reason="uv isn't here: run the tests as the README says"),
    pytest.mark.timeout(400),
]


def run(*command: str | Path) -> str:
    quiet = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, env=quiet, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


async def tools_of(command: str, *arguments: str, store: Path) -> set[str]:
    everything = {**os.environ, "MIDWATCH_STORE": str(store)}  # uv needs what it needs to reach an index
    server = StdioServerParameters(command=command, args=list(arguments), env=everything)
    async with Client(server) as client:
        return {tool.name for tool in (await client.list_tools()).tools}


async def test_pip_installs_a_server_with_what_it_stands_on_and_nothing_else(tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    run(str(UV), "venv", "--quiet", "--seed", alone)
    run(
        alone / "bin" / "python",
        "-m",
        "pip",
        "install",
        "-q",
        "--no-compile",
        "./servers/kit",
        "./servers/store",
        "./servers/logs",
    )
    installed = {
        part["name"] for part in json.loads(run(alone / "bin" / "python", "-m", "pip", "list", "--format=json"))
    }
    assert not installed & NOT_FOR_ONE_SERVER
    assert "survey_logs" in await tools_of(str(alone / "bin" / "midwatch-logs"), store=tmp_path)


@pytest.mark.parametrize("source", ["./servers/traces", f"git+file://{ROOT}#subdirectory=servers/traces"])
async def test_uvx_runs_a_server_from_a_clone_and_from_git(source: str, tmp_path: Path) -> None:
    where = str(ROOT / source) if source.startswith(".") else source
    run(str(UV), "tool", "run", "--quiet", "--from", where, "midwatch-traces", "--help")
    assert "survey_traces" in await tools_of(
        str(UV), "tool", "run", "--quiet", "--from", where, "midwatch-traces", store=tmp_path
    )
