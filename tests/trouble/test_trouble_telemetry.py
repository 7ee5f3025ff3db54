"""Telemetry that was wrong before any server saw it: a conclusion that is right, or says what it could not see."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.e2e.story import LENGTH, SEEN_AT, Rows, Story
from tests.trouble import telemetry
from tests.trouble.stage import Found, on_stage

from midwatch.records import Outcome

STORY = Story()
MINUTES_APART = {"cart": 180.0, "stock": -120.0}
LAG_SECONDS = 120.0


def investigated(folder: Path, batches: Sequence[Rows]) -> Found:
    """Return what an investigation of this telemetry came to."""
    with on_stage(folder, STORY, *batches) as stage:
        return stage.undisturbed()


def told() -> Rows:
    """Return what every process exports, as it should be."""
    return STORY.telemetry(0, LENGTH)


@pytest.mark.parametrize("off", [MINUTES_APART, {"web": 120.0}], ids=["behind_and_ahead", "the_symptom's_own"])
def test_clocks_that_are_minutes_apart_are_told_and_corrected(tmp_path: Path, off: dict[str, float]) -> None:
    found = investigated(tmp_path, [telemetry.clocks_apart(told(), off)])
    assert found.right
    said = ", ".join(f"{name}'s is {abs(by):.0f} s {'ahead' if by > 0 else 'behind'}" for name, by in off.items())
    assert any(gap.why.startswith(f"Clocks disagree: {said}.") for gap in found.gaps_of("traces")), found.gaps


def test_telemetry_that_is_still_on_its_way_is_named_and_nothing_is_concluded_from_its_absence(tmp_path: Path) -> None:
    before = STORY.telemetry(-LAG_SECONDS, LENGTH)
    found = investigated(tmp_path, [telemetry.lagging(before, STORY.ns(SEEN_AT - LAG_SECONDS))])
    assert found.conclusion.outcome is Outcome.INCONCLUSIVE
    for server in ("traces", "metrics", "logs", "byo"):
        assert any("older than the window's end" in gap.why for gap in found.gaps_of(server)), server


@pytest.mark.parametrize("seed", [1, 2])
def test_half_of_the_telemetry_missing_costs_certainty_and_is_named(tmp_path: Path, seed: int) -> None:
    found = investigated(tmp_path, [telemetry.half_of(told(), seed)])
    assert found.surest_mistake <= 0.5
    assert any(gap.why.startswith("Traces are incomplete: ") for gap in found.gaps_of("traces"))


def test_telemetry_that_was_sent_twice_is_concluded_from_as_if_it_were_sent_once(tmp_path: Path) -> None:
    found = investigated(tmp_path, [told(), told()])
    assert (found.right, found.gaps) == (True, ())
    assert found.conclusion.impact
    assert "119 of 433 requests" in found.conclusion.impact.statement  # each is counted once


def test_telemetry_that_arrives_in_no_order_gives_the_same_conclusion(tmp_path: Path) -> None:
    found = investigated(tmp_path, list(telemetry.out_of_order(told(), seed=1)))
    assert (found.right, found.gaps) == (True, ())
