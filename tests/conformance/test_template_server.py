"""The template for a team's own server: copied elsewhere its tests pass, and the server keeps the contract."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.conformance.conftest import marked

from midwatch.conformance import Mark, check_server

if TYPE_CHECKING:
    from tests.conformance.conftest import MakePlan, Serve

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "examples" / "template-server"


def queue_server() -> Any:
    """Return the template's module, which is not installed here."""
    spec = importlib.util.spec_from_file_location("queue_server", TEMPLATE / "queue_server.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_copy_of_the_template_passes_its_own_tests(tmp_path: Path) -> None:
    copied = shutil.copytree(TEMPLATE, tmp_path / "mine", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=copied, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


def test_the_template_is_no_part_of_the_workspace() -> None:
    members = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
    assert TEMPLATE.resolve() not in {path.resolve() for member in members for path in ROOT.glob(member)}


async def test_the_template_keeps_the_contract(serve: Serve, make_plan: MakePlan, tmp_path: Path) -> None:
    lines = [f"2026-11-20T{at // 60:02}:{at % 60:02}:00Z,mail,sender,{at % 3 + 90 * (at > 165)}" for at in range(200)]
    (tmp_path / "depths.csv").write_text("\n".join(["at,queue,service,depth", *lines]))
    template = queue_server()
    settings = template.QueueSettings(file=tmp_path / "depths.csv", evidence_dir=tmp_path / "evidence", reply_chars=500)
    async with serve(template.build(settings).build()) as spec:
        report = await check_server(spec, make_plan("2026-11-20T02:40:00Z", "2026-11-20T03:10:00Z"))
    assert marked(report, Mark.BROKEN) == {}
    assert marked(report, Mark.UNTRIED).keys() == {"secrets are not told"}
