"""What tests of working share: hosts, and what comes of an outage when nothing happens to them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.work import crashing
from tests.work.outage import DONE, Outage, Tells


@pytest.fixture(scope="session")
def hosts() -> Iterator[Tells]:
    """Return what tells `crashing` a line, and says how the host ended that works on it."""
    command = [sys.executable, str(crashing.__file__)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:

        def run(*line: str | int) -> str:
            assert running.stdin
            assert running.stdout
            running.stdin.write(json.dumps(line) + "\n")
            running.stdin.flush()
            return running.stdout.readline().strip()

        yield run


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, hosts: Tells) -> tuple[dict[str, Any], set[str]]:
    """Return what comes of the outage when nothing happens to the host, and the kinds of records on the way."""
    one = Outage(tmp_path_factory.mktemp("undisturbed") / "one", "", hosts)
    assert one.runs() == DONE
    return one.told(), one.kinds()


@pytest.fixture(params=["sqlite", "postgresql"])
def outage(request: pytest.FixtureRequest, tmp_path: Path, hosts: Tells) -> Outage:
    """Return an outage that nobody has worked on, over each database."""
    database = request.getfixturevalue("postgresql") if request.param == "postgresql" else ""
    return Outage(tmp_path / "one", database, hosts)
