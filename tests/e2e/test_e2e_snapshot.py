"""A snapshot made by hand, investigated by real processes: the right cause, and evidence that stands."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.conftest import Desk, a_desk, told
from tests.e2e.story import Story

# A whole host is five more servers: beside a live application on another worker they would starve it.
pytestmark = pytest.mark.xdist_group("live")

Found = dict[str, Any]
PATH = ["service:stock", "service:cart", "service:web", "alarm:web-errors"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with a_desk(tmp_path_factory.mktemp("desk")) as made:
        yield made


@pytest.fixture(scope="module")
def found(desk: Desk) -> Found:
    """What an investigation of the snapshot printed."""
    return told(desk.run("investigate", str(Story(seed=2).write(desk.folder / "snapshot")), "--json"))


def test_the_deploy_that_broke_it_is_named_with_its_path_to_the_alarm(found: Found) -> None:
    conclusion = found["conclusion"]
    assert (conclusion["outcome"], conclusion["gaps"]) == ("root_cause", [])
    (cause,) = conclusion["root_causes"]
    assert (cause["entity"], cause["kind"], cause["path"]) == ("service:stock", "change", PATH)
    assert cause["trigger"]["attributes"]["change_id"] == "stock-v7"
    assert "reserve_until" in found["report"]["packet"]


def test_every_red_herring_is_refuted_by_observations(found: Found) -> None:
    ruled_out = found["conclusion"]["ruled_out"]
    assert len(ruled_out) >= 3
    assert all(out["observations"] for out in ruled_out)
    said = " ".join(out["statement"] for out in ruled_out)
    assert "change at service:web: deploy of web" in said
    assert "resource at service:cart: process.cpu.utilization" in said


def test_the_evidence_stands_until_one_byte_of_it_is_changed(desk: Desk, found: Found) -> None:
    checked = told(desk.run("report", found["incident"], "--check", "--json"))
    assert checked["citations"] > 10
    assert checked["faults"] == []
    document = min(path for path in (desk.folder / "data" / "evidence").rglob("*") if path.is_file())
    stored = bytearray(document.read_bytes())
    stored[len(stored) // 2] ^= 1
    document.write_bytes(stored)
    checked_again = desk.run("report", "--check")
    assert checked_again.returncode == 1
    assert f"evidence {document.stem} was changed" in checked_again.stdout


def test_an_investigation_leaves_no_process_behind(desk: Desk, found: Found) -> None:
    assert found
    assert desk.left_behind() == []
