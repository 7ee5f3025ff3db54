"""A whole application is tested by one worker, which goes before the other ones."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
TESTS = """
import os
import pytest

def tell(group):
    with open({told!r}, "a") as told:
        told.write(f"{{group}} {{os.environ['PYTEST_XDIST_WORKER']}} {{os.nice(0)}}\\n")

@pytest.mark.xdist_group("live")
@pytest.mark.parametrize("number", range(6))
def test_one(number):
    tell("live")

@pytest.mark.parametrize("number", range(6))
def test_another(number):
    tell("other")

@pytest.mark.parametrize("group", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in "ab" * 20])
def test_one_of_a_larger_group(group):
    tell(group)
"""


def told_by_workers(folder: Path) -> list[tuple[str, str, int]]:
    """Return what two files of tests say of themselves: group, worker and niceness."""
    told = folder / "told"
    (folder / "conftest.py").write_text(CONFTEST.read_text())
    for name in ("test_a.py", "test_b.py"):
        (folder / name).write_text(TESTS.format(told=str(told)))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "3", "--dist", "loadgroup", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    lines = [line.split() for line in told.read_text().splitlines()]
    assert len(lines) == 104
    return [(group, worker, int(niceness)) for group, worker, niceness in lines]


@pytest.mark.xdist_group("live")
def test_a_whole_application_has_one_worker_that_goes_before_the_others(tmp_path: Path) -> None:
    told = told_by_workers(tmp_path)
    assert len({worker for group, worker, _ in told if group == "live"}) == 1
    assert {niceness for group, _, niceness in told if group == "live"} == {os.nice(0)}
    assert min(niceness for group, _, niceness in told if group == "other") > os.nice(0)
