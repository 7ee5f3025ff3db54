"""Ctrl-C at any moment, and a port that is taken: an end that is soon and clear, and no process left behind."""

import socket
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from tests.e2e.conftest import Desk, Running, eventually, interrupt
from tests.e2e.story import SEEN_AT, Story

# One live application at a time: two on a small machine would disturb each other.
pytestmark = pytest.mark.xdist_group("live")


def ends_well(desk: Desk, running: Running) -> None:
    """Press Ctrl-C and check that nothing hangs, nothing is left, and nobody has to read a traceback."""
    code, seconds = interrupt(running)
    assert code in (0, 130), running.text()
    assert seconds < 10
    assert "Traceback" not in running.text()
    assert desk.left_behind() == []


def store_runs(desk: Desk) -> bool:
    """Whether the process of the store has been started."""
    return any("midwatch_store serve" in each for each in desk.left_behind(0))


def test_up_ends_while_its_store_comes_up(desk: Desk) -> None:
    running = desk.start("up", "--port", "0", "--store-port", str(free_port()))
    eventually(lambda: store_runs(desk), 20, "a process of the store")
    ends_well(desk, running)


def test_up_ends_while_its_servers_come_up(desk: Desk) -> None:
    running = desk.start("up", "--port", "0", "--store-port", str(free_port()))
    running.waits_for("store +http")
    eventually(lambda: running.server("traces"), 20, "a server")
    ends_well(desk, running)


def test_up_ends_in_the_middle_of_an_investigation(desk: Desk) -> None:
    story = Story(start=datetime.now(UTC) - timedelta(seconds=SEEN_AT))
    store = str(story.write(desk.folder / "snapshot", 90))
    running = desk.start("up", "--no-store", "--port", "0", MIDWATCH_STORE=store)
    url = running.waits_for(r"webhook +(http://\S+)")[1]
    assert httpx2.post(url, json=story.alert(), timeout=20).status_code == 202
    desk.asked(running)
    ends_well(desk, running)


def test_investigate_ends_in_the_middle(desk: Desk, snapshot: Path) -> None:
    running = desk.start("investigate", str(snapshot))
    desk.asked(running)
    ends_well(desk, running)


def demo(desk: Desk) -> Running:
    """Start the demo; its database must be able to reach its temporary folder, which a desk is not for others."""
    return desk.start("demo", "--keep", str(desk.folder / "demo"), CI="true", TMPDIR=tempfile.gettempdir())


def test_the_demo_ends_while_its_application_comes_up(desk: Desk) -> None:
    running = demo(desk)
    running.waits_for("starting the application", 30)
    ends_well(desk, running)


def test_the_demo_ends_during_its_investigation(desk: Desk) -> None:
    running = demo(desk)
    alerts = running.waits_for(r"webhook at (http://\S+); waiting", 90)[1]
    told = {"title": "Error rate of gateway", "service": "gateway", "started_at": datetime.now(UTC).isoformat()}
    assert httpx2.post(alerts, json=told, timeout=20).status_code == 202  # its own alarm would come half a minute later
    running.waits_for("scope  ", 60)
    ends_well(desk, running)


def test_the_demo_ends_while_its_store_comes_up(desk: Desk) -> None:
    running = demo(desk)
    eventually(lambda: store_runs(desk), 20, "a process of the store")
    ends_well(desk, running)


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def test_a_port_of_the_webhook_that_is_taken_is_told_in_one_line(desk: Desk, taken: int) -> None:
    done = desk.run("up", "--no-store", "--port", str(taken))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"midwatch: cannot listen on 127.0.0.1:{taken}: Address already in use; choose another port "
        "with --port or MIDWATCH_LISTEN_PORT\n"
    )


def test_a_port_of_the_store_that_is_taken_is_told_with_its_number(desk: Desk, taken: int) -> None:
    done = desk.run("up", "--port", "0", "--store-port", str(taken))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"midwatch: cannot listen on 127.0.0.1:{taken}: Address already in use; choose another port "
        "with --store-port or MIDWATCH_STORE_PORT\n"
    )
    assert desk.left_behind() == []
