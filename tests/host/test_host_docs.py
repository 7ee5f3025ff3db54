"""The documents keep up with the code: the published schema, the settings, the commands."""

import json
import re
import subprocess
import sys
from pathlib import Path

from midwatch.settings import Settings

ROOT = Path(__file__).parents[2]


def midwatch(*arguments: str) -> str:
    command = [sys.executable, "-m", "midwatch", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_the_published_schema_is_the_one_that_the_command_prints() -> None:
    published = (ROOT / "docs" / "records.schema.json").read_text(encoding="utf-8")
    assert json.loads(published) == json.loads(midwatch("schema"))


def test_every_setting_of_the_host_is_on_its_page() -> None:
    page = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("host.md", "claude.md"))
    missing = [name for name in Settings.model_fields if not _named(name.upper(), page)]
    assert not missing


def test_every_command_that_the_readme_shows_exists() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = "".join(re.findall(r"^```\w*\n(.*?)^```$", readme, flags=re.DOTALL | re.MULTILINE))
    shown = set(re.findall(r"^midwatch ([a-z]+)", blocks, flags=re.MULTILINE))
    offered = midwatch("--help")
    assert shown
    assert not [command for command in shown if not re.search(rf"\b{command}\b", offered)]


def _named(setting: str, page: str) -> bool:
    """A page names a setting in full, or by its ending after another of the same beginning (`…_CALLS`)."""
    return f"MIDWATCH_{setting}" in page or f"…_{setting.rpartition('_')[2]}" in page
