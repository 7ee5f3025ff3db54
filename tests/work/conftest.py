"""What tests of working share: hosts, and what comes of an outage when nothing happens to them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.work import crashing
from tests.work.outage import DONE, Course, Outage, Tells
from tests.work.surroundings import Surroundings, surroundings


@pytest.fixture(scope="session")
def hosts() -> Iterator[Tells]:
    """Return what tells `crashing` a line, and says how the host ended that works on it; `busier` is the first."""
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
def around() -> Iterator[Surroundings]:
    """Return what stands around hosts: who is told, and a model."""
    with surroundings() as there:
        yield there


@pytest.fixture(scope="session")
def busier(tmp_path_factory: pytest.TempPathFactory, hosts: Tells, around: Surroundings) -> Course:
    """Return what comes of a busy outage when nothing happens to the host; that host is the first there is."""
    one = Outage(tmp_path_factory.mktemp("busier") / "one", "", hosts, around, busy=True)
    return _course(one)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, hosts: Tells, around: Surroundings, busier: Course) -> Course:
    """Return what comes of the outage when nothing happens to the host."""
    return _course(Outage(tmp_path_factory.mktemp("undisturbed") / "one", "", hosts, around))


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """Return each database: the address of a server, and "" for a file."""
    return str(request.getfixturevalue("postgresql")) if request.param == "postgresql" else ""


@pytest.fixture
def outage(database: str, tmp_path: Path, hosts: Tells, around: Surroundings, undisturbed: Course) -> Outage:
    """Return an outage that nobody has worked on, over each database."""
    return Outage(tmp_path / "one", database, hosts, around)


@pytest.fixture
def busy_outage(database: str, tmp_path: Path, hosts: Tells, around: Surroundings, busier: Course) -> Outage:
    """Return a busy outage that nobody has worked on, over each database."""
    return Outage(tmp_path / "busy", database, hosts, around, busy=True)


def _course(one: Outage) -> Course:
    assert one.runs() == DONE
    assert (one.repeats, one.paid_in_vain()) == (0, 0)
    return Course(one.told(), one.kinds())
