"""The page of settings keeps up with the models."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_table_of_settings_is_what_the_models_say() -> None:
    command = [sys.executable, str(ROOT / "docs" / "list_settings.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
