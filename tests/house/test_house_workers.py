"""Tests that start a whole application run one after the other, also where two workers share the tests."""

import os
import subprocess
import sys
from pathlib import Path

GROUPED = """
import os
import pytest

@pytest.mark.xdist_group("live")
@pytest.mark.parametrize("number", range(6))
def test_one(number):
    with open({told!r}, "a") as told:
        told.write(os.environ["PYTEST_XDIST_WORKER"] + "\\n")
"""


def test_a_group_of_tests_has_one_worker(tmp_path: Path) -> None:
    told = tmp_path / "told"
    for name in ("test_a.py", "test_b.py"):
        (tmp_path / name).write_text(GROUPED.format(told=str(told)))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    workers = told.read_text().split()
    assert len(workers) == 12
    assert len(set(workers)) == 1
