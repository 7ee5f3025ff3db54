"""The demo on live telemetry: what it finds is what had really been done."""

import tempfile

import pytest
from tests.e2e.conftest import Desk, told

# One live application at a time: two on a small machine would disturb each other.
pytestmark = pytest.mark.xdist_group("live")


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("fault", "outcome"), [("forge-cache", "root_cause"), ("clean", "no_incident")])
def test_the_demo_finds_what_had_really_been_done(desk: Desk, fault: str, outcome: str) -> None:
    options = ["--fault", fault, "--seed", "4", "--keep", str(desk.folder / "demo")]
    shown = told(desk.run("demo", "--json", *options, seconds=170, CI="true", TMPDIR=tempfile.gettempdir()))
    conclusion, truth = shown["conclusion"], shown["truth"]
    assert conclusion["outcome"] == outcome
    named = [(cause["entity"], cause["kind"]) for cause in conclusion["root_causes"]]
    assert named == [(cause["entity"], cause["kind"]) for cause in truth["causes"]]
    assert shown["seconds_to_conclusion"] < 20
    assert desk.left_behind() == []
