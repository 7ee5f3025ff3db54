"""Hosts that share a PostgreSQL: what one that is paused, cut off or without its database began is gone on with."""

import signal
import threading
from pathlib import Path

import pytest
from tests.postgresql import Server
from tests.work.outage import ACTS, DONE, GOOD, Course, Outage, Tells
from tests.work.surroundings import Surroundings

from midwatch.storage.claim import claim

AWAY_SECONDS = 1.5
pytestmark = pytest.mark.xdist_group("postgresql")


@pytest.fixture
def shared(tmp_path: Path, postgresql: str, hosts: Tells, around: Surroundings, undisturbed: Course) -> Outage:
    """Return an outage that nobody has worked on, over PostgreSQL."""
    return Outage(tmp_path / "case", postgresql, hosts, around)


@pytest.mark.parametrize("record", ["tool_call", "verdict", "conclusion", f"action begun: {ACTS}"])
def test_a_host_that_is_paused_for_long_finds_its_work_taken_over_and_leaves_it(
    shared: Outage, undisturbed: Course, record: str
) -> None:
    paused = shared.runs(record, by=signal.SIGSTOP)
    assert shared.runs(machine="other") == DONE
    before = shared.told()
    assert shared.goes_on(paused) == DONE
    assert shared.told() == before
    if record.startswith("action"):  # nobody knows whether it had acted: so nobody does
        assert GOOD not in before["rolled back"]
    else:
        assert before == undisturbed.told


@pytest.mark.parametrize("record", ["tool_call", "verdict", "conclusion"])
def test_a_host_that_was_paused_while_nobody_else_was_there_goes_on(
    shared: Outage, undisturbed: Course, record: str
) -> None:
    paused = shared.runs(record, by=signal.SIGSTOP)
    threading.Event().wait(AWAY_SECONDS)  # until it counts as silent
    assert shared.goes_on(paused) == DONE
    assert shared.told() == undisturbed.told


def test_a_database_that_restarts_under_an_investigation_is_waited_for(
    shared: Outage, undisturbed: Course, postgresql_server: Server
) -> None:
    paused = shared.runs("verdict", by=signal.SIGSTOP)
    postgresql_server.stop()
    ended: list[str] = []
    host = threading.Thread(target=lambda: ended.append(shared.goes_on(paused)))
    host.start()
    host.join(AWAY_SECONDS)
    postgresql_server.start()
    host.join()
    assert ended == [DONE]
    assert shared.told() == undisturbed.told


def test_what_a_person_works_on_is_left_to_them_and_what_a_host_works_on_to_the_host(shared: Outage) -> None:
    with shared.journal() as journal:
        ours = claim(shared.folder, journal.database, "01INCIDENT")
        assert ours.__enter__()
        with claim(shared.folder, journal.database, "01INCIDENT") as also:
            assert not also
        host = threading.Thread(target=lambda: shared.runs(machine="other"))
        host.start()
        host.join(AWAY_SECONDS)
        assert shared.kinds() <= {"incident", "steer", "message"}, "people are told that it was opened"
        ours.__exit__(None, None, None)
        host.join()
        assert "report" in shared.kinds()


def test_what_a_host_has_from_the_queue_is_claimed_by_nobody_else(shared: Outage) -> None:
    paused = shared.runs("verdict", by=signal.SIGSTOP)
    with shared.journal() as journal, claim(shared.folder, journal.database, "01INCIDENT") as ours:
        assert not ours
    assert shared.goes_on(paused) == DONE
    with shared.journal() as journal, claim(shared.folder, journal.database, "01INCIDENT") as ours:
        assert ours
