"""A host that is killed as soon as a record of some kind is on disk: what comes of it is as if it had not been."""

import pytest
from tests.work.outage import ACTS, DONE, GOOD, KILLED, Course, Outage

from midwatch.records import BODIES

# Each kind twice over both databases, of which one is a server: one worker starts it once.
pytestmark = pytest.mark.xdist_group("postgresql")


BUSY = {"feedback", "model_call"}
"""What only a run has in which a model takes part, and a person says what it really was."""


@pytest.mark.parametrize("course", ["undisturbed", "busier"])
def test_what_is_done_undisturbed_is_right(request: pytest.FixtureRequest, course: str) -> None:
    told = request.getfixturevalue(course).told
    assert [(kind, entity) for kind, entity, *_ in told["causes"]] == [("change", "service:forge")]
    assert (told["rolled back"], told["status"]) == ([GOOD], "resolved")
    stages = ("opened", "concluded", "approval_requested", "decided", "acted", "recovered")
    assert told["people"] == sorted(f"dev.midwatch.incident.{stage}.v1" for stage in stages)


def test_there_is_no_kind_of_record_at_which_no_host_is_killed(undisturbed: Course, busier: Course) -> None:
    assert undisturbed.kinds == BODIES.keys() - BUSY
    assert busier.kinds == BODIES.keys()


@pytest.mark.parametrize("kind", sorted(BODIES.keys() - BUSY))
def test_a_host_killed_at_any_kind_of_record_ends_as_if_it_had_not_been(
    outage: Outage, undisturbed: Course, kind: str
) -> None:
    assert outage.runs(kind) == KILLED
    assert outage.runs() == DONE
    assert outage.told() == undisturbed.told
    assert outage.repeats <= 1, "only what was on its way when the host was killed may come again"


@pytest.mark.parametrize("kind", sorted(BUSY))
def test_a_host_killed_when_a_model_has_answered_or_a_person_has_spoken_ends_as_if_it_had_not_been(
    busy_outage: Outage, busier: Course, kind: str
) -> None:
    assert busy_outage.runs(kind) == KILLED
    assert busy_outage.runs() == DONE
    assert busy_outage.told() == busier.told
    assert busy_outage.repeats <= 1
    assert busy_outage.paid_in_vain() == 0, "no answer that is on record was paid for again"


def test_what_people_were_told_just_before_a_host_was_killed_they_are_not_told_again(
    outage: Outage, undisturbed: Course
) -> None:
    assert outage.runs("message by channel ops") == KILLED
    assert outage.runs() == DONE
    assert outage.told() == undisturbed.told
    assert outage.repeats == 0


def test_what_a_program_took_when_the_host_was_killed_before_it_knew_comes_again_under_the_same_id(
    outage: Outage, undisturbed: Course
) -> None:
    """A webhook is the one place where the same may come twice: it cannot be asked what it took (docs/telling.md)."""
    assert outage.runs(outage.silences_the_receiver()) == KILLED
    assert outage.runs() == DONE
    assert outage.told() == undisturbed.told
    assert outage.repeats == 1


def test_a_host_killed_once_it_had_acted_does_not_act_again(outage: Outage, undisturbed: Course) -> None:
    assert outage.runs(f"action {ACTS}") == KILLED
    assert outage.runs() == DONE
    assert outage.told() == undisturbed.told


def test_a_host_killed_before_it_knows_whether_it_acted_does_not_act_again_and_undoes_what_may_have_been(
    outage: Outage,
) -> None:
    assert outage.runs(f"action begun: {ACTS}") == KILLED
    assert outage.runs() == DONE
    told = outage.told()
    assert (ACTS, "unknown") in told["actions"]
    assert GOOD not in told["rolled back"]
    assert told["status"] == "watching"
