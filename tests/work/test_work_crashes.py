"""A host that is killed as soon as a record of some kind is on disk: what comes of it is as if it had not been."""

from typing import Any

import pytest
from tests.work.outage import ACTS, DONE, GOOD, KILLED, Outage

from midwatch.records import BODIES

# Each kind twice over both databases, of which one is a server: one worker starts it once.
pytestmark = pytest.mark.xdist_group("postgresql")
NOT_OF_A_RUN = {"feedback", "model_call", "runbook"}
"""What a person says afterwards, what a model costs, and what a wiki holds: tested where they come from."""


def test_what_is_done_undisturbed_is_right_and_has_records_of_every_kind(
    undisturbed: tuple[dict[str, Any], set[str]],
) -> None:
    told, kinds = undisturbed
    assert [(kind, entity) for kind, entity, *_ in told["causes"]] == [("change", "service:forge")]
    assert (told["rolled back"], told["status"]) == ([GOOD], "resolved")
    assert kinds == BODIES.keys() - NOT_OF_A_RUN


@pytest.mark.parametrize("kind", sorted(BODIES.keys() - NOT_OF_A_RUN))
def test_a_host_killed_at_any_kind_of_record_ends_as_if_it_had_not_been(
    outage: Outage, undisturbed: tuple[dict[str, Any], set[str]], kind: str
) -> None:
    assert outage.runs(kind) == KILLED
    assert outage.runs() == DONE
    assert outage.told() == undisturbed[0]


def test_a_host_killed_once_it_had_acted_does_not_act_again(
    outage: Outage, undisturbed: tuple[dict[str, Any], set[str]]
) -> None:
    assert outage.runs(f"action {ACTS}") == KILLED
    assert outage.runs() == DONE
    assert outage.told() == undisturbed[0]


def test_a_host_killed_before_it_knows_whether_it_acted_does_not_act_again_and_undoes_what_may_have_been(
    outage: Outage,
) -> None:
    assert outage.runs(f"action begun: {ACTS}") == KILLED
    assert outage.runs() == DONE
    told = outage.told()
    assert (ACTS, "unknown") in told["actions"]
    assert GOOD not in told["rolled back"]
    assert told["status"] == "watching"
