"""Servers that die, hang or are not there: a gap that names them, an honest conclusion, and no process left."""

import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

import psutil
import pytest
from tests.e2e.conftest import SERVERS, Desk, Running
from tests.e2e.story import Story
from tests.kit.remote import started

from midwatch.builtin.weights import WITH_BLIND_SPOT
from midwatch.records import Conclusion, Outcome

# A whole host is five more servers: beside a live application on another worker they would starve it.
pytestmark = pytest.mark.xdist_group("live")

Specs: TypeAlias = Mapping[str, Mapping[str, object]]


@pytest.fixture(scope="module")
def well(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Specs]:
    """Servers that know the incident too, run already and stay well: a host has to start the one alone that is struck.

    A process of a server takes a second to start.
    """
    store = str(Story().write(tmp_path_factory.mktemp("well") / "snapshot"))

    def start(name: str) -> Mapping[str, object]:
        folder = tmp_path_factory.mktemp(name)
        server = stack.enter_context(started(folder, module=f"midwatch_{name}", MIDWATCH_STORE=store))
        return {"url": server.url, "suite": True}

    with ExitStack() as stack, ThreadPoolExecutor() as at_once:
        yield dict(zip(SERVERS, at_once.map(start, SERVERS), strict=True))


def but_for(server: str, specs: Specs) -> Specs:
    """Return the specs of all servers but one."""
    return {name: spec for name, spec in specs.items() if name != server}


@contextmanager
def struck(running: Running, server: str, blow: signal.Signals) -> Iterator[None]:
    """Strike a server of a running investigation, and each that is started in its place, while the block runs."""
    over = threading.Event()

    def strike() -> None:
        while not over.wait(0.03):
            if found := running.server(server):
                with suppress(psutil.NoSuchProcess):
                    found.send_signal(blow)

    striker = threading.Thread(target=strike)
    striker.start()
    try:
        yield
    finally:
        over.set()
        striker.join()


def honest(conclusion: Conclusion, gone: str) -> None:
    """Check that a conclusion says what could not be looked at, and claims no more than the rest can show."""
    assert any(gap.what.startswith((f"{gone}: ", f"server {gone}")) for gap in conclusion.gaps), conclusion.gaps
    assert conclusion.outcome is not Outcome.NO_INCIDENT
    if gone in ("traces", "metrics", "deploys"):
        assert all(cause.confidence <= WITH_BLIND_SPOT for cause in conclusion.root_causes)
    if gone == "traces":
        assert conclusion.outcome is not Outcome.ROOT_CAUSE
    if gone in ("metrics", "logs"):
        assert [cause.entity for cause in conclusion.root_causes] == ["service:stock"]


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_that_is_killed_for_good_costs_a_gap_and_no_more(
    desk: Desk, snapshot: Path, well: Specs, server: str
) -> None:
    servers = desk.servers_file(**but_for(server, well))
    running = desk.start("investigate", str(snapshot), MIDWATCH_SERVERS_FILE=servers)
    desk.asked(running)
    with struck(running, server, signal.SIGKILL):
        assert running.ends(30) == 0, running.text()
    honest(desk.concludes(), server)
    assert "Traceback" not in running.text()
    assert desk.left_behind() == []


def test_a_server_that_is_killed_once_comes_back(desk: Desk, snapshot: Path, well: Specs) -> None:
    servers = desk.servers_file(**but_for("traces", well))
    running = desk.start("investigate", str(snapshot), MIDWATCH_SERVERS_FILE=servers)
    desk.asked(running)
    killed = running.server("traces")
    assert killed
    killed.kill()
    assert running.ends(30) == 0, running.text()
    conclusion = desk.concludes()
    assert any(gap.what.startswith("traces: ") for gap in conclusion.gaps)
    assert conclusion.outcome is not Outcome.NO_INCIDENT
    assert desk.left_behind() == []


def test_a_server_that_stops_answering_costs_its_deadline(desk: Desk, snapshot: Path, well: Specs) -> None:
    servers = desk.servers_file(**but_for("logs", well))
    running = desk.start("investigate", str(snapshot), MIDWATCH_SERVERS_FILE=servers, MIDWATCH_CALL_SECONDS="3")
    desk.asked(running)
    began = time.monotonic()
    with struck(running, "logs", signal.SIGSTOP):
        assert running.ends(40) == 0, running.text()
    conclusion = desk.concludes()
    honest(conclusion, "logs")
    assert any("did not answer within 3 s" in gap.why for gap in conclusion.gaps)
    assert time.monotonic() - began < 25
    assert desk.left_behind() == []


def test_servers_that_cannot_be_started_or_never_come_up_are_gaps(desk: Desk, snapshot: Path, well: Specs) -> None:
    absent = {"command": str(desk.folder / "no-such-server")}
    mute = {"command": sys.executable, "args": ["-c", "import time; time.sleep(600)"]}
    running = desk.start(
        "investigate",
        str(snapshot),
        MIDWATCH_SERVERS_FILE=desk.servers_file(**{**well, "logs": absent, "metrics": mute}),
        MIDWATCH_CONNECT_SECONDS="5",
    )
    assert running.ends(60) == 0, running.text()
    conclusion = desk.concludes()
    said = {gap.what: gap.why for gap in conclusion.gaps}
    assert said["server logs"] == f"it cannot be started: {desk.folder / 'no-such-server'} is not installed"
    assert said["server metrics"] == "it did not come up within 5 s"
    assert [cause.entity for cause in conclusion.root_causes] == ["service:stock"]
    assert conclusion.root_causes[0].confidence <= WITH_BLIND_SPOT
    assert "No surer than 0.70: a signal that could name another cause could not be read" in running.text()
    assert desk.left_behind() == []


def test_a_store_that_vanishes_in_the_middle_is_gaps_and_no_crash(desk: Desk, snapshot: Path) -> None:
    running = desk.start("investigate", str(snapshot))
    desk.asked(running)
    snapshot.rename(desk.folder / "elsewhere")
    assert running.ends(30) == 0, running.text()
    conclusion = desk.concludes()
    assert conclusion.gaps
    assert conclusion.outcome is not Outcome.NO_INCIDENT
    assert "Traceback" not in running.text()
    assert desk.left_behind() == []
