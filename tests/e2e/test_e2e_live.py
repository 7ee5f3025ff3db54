"""The demo on live telemetry finds what had really been done; so does whoever has that telemetry in other systems."""

import json
import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from tests.e2e.conftest import Desk, a_desk, told
from tests.e2e.elsewhere import told_elsewhere

from midwatch.records import Incident
from midwatch.storage.journal import Journal

# One live application at a time: two on a small machine would disturb each other.
pytestmark = pytest.mark.xdist_group("live")
Show = Callable[[str], tuple[Desk, dict[str, Any]]]
PATIENT = {"MIDWATCH_CALL_SECONDS": "60", "MIDWATCH_SUBAGENT_SECONDS": "60"}
"""A fake is slower than what it stands for, and the tests of the suite run beside it."""
SERVICES = ("gateway", "bot", "forge", "schedule", "action")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Show:
    """Returns what the demo shows of a fault, and the desk that it ran at; each is run once."""
    known: dict[str, tuple[Desk, dict[str, Any]]] = {}

    def show(fault: str) -> tuple[Desk, dict[str, Any]]:
        if fault not in known:
            with a_desk(tmp_path_factory.mktemp(fault)) as desk:
                options = ["--fault", fault, "--seed", "4", "--keep", str(desk.folder / "demo")]
                done = desk.run("demo", "--json", *options, seconds=170, CI="true", TMPDIR=tempfile.gettempdir())
                known[fault] = desk, told(done)
        return known[fault]

    return show


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("fault", "outcome"), [("forge-field", "root_cause"), ("clean", "no_incident")])
def test_the_demo_finds_what_had_really_been_done(shown: Show, fault: str, outcome: str) -> None:
    desk, said = shown(fault)
    assert said["conclusion"]["outcome"] == outcome
    assert named(said["conclusion"]) == [(cause["entity"], cause["kind"]) for cause in said["truth"]["causes"]]
    assert said["seconds_to_conclusion"] < 20
    assert desk.left_behind() == []


@pytest.mark.timeout(300)
def test_the_same_is_found_where_each_signal_is_in_a_system_of_its_own(shown: Show, desk: Desk) -> None:
    before, _ = shown("forge-field")
    run = before.folder / "demo"
    with closing(Journal(run / "host" / "journal.db")) as journal:
        (incident,) = (journal.values(name, Incident)[0] for name in journal.investigations())
    seen = incident.first_seen + timedelta(seconds=2.5)
    (desk.folder / "alert.json").write_text(
        json.dumps(
            {
                "title": incident.title,
                "service": "gateway",
                "description": incident.symptoms[0],
                "started_at": incident.started_at.isoformat(),
                "seen_at": incident.first_seen.isoformat(),
            }
        )
    )
    with told_elsewhere(run, int(seen.timestamp() * 1e9), SERVICES, desk.folder) as settings:
        found = told(desk.run("investigate", "--json", "alert.json", seconds=200, **settings, **PATIENT))
    assert found["conclusion"]["outcome"] == "root_cause", found
    assert named(found["conclusion"]) == [("service:forge", "change")]
    assert not found["conclusion"]["gaps"]
    checked = desk.run("report", "--check")
    assert (checked.returncode, "all stand on the stored bytes" in checked.stdout) == (0, True), checked.stdout


def named(conclusion: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the causes that a conclusion names."""
    return [(cause["entity"], cause["kind"]) for cause in conclusion["root_causes"]]
